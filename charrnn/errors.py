"""The one exception that means: the user can mend this; and how to say what is allowed."""

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """The user's mistake, told in one plain sentence.

    The sentence names what was given, what is allowed and what to do. Commands print it on standard error and
    exit with status 2; nothing has been written when it is raised.
    """


def check(name: str, value: object, right: bool, allowed: str) -> None:
    """Raises UserError for the setting `name` unless `right`.

    Args:
        name: as the user writes it, "group.field".
        value: what was given.
        right: whether the value may stand.
        allowed: the values allowed, to follow "must be".
    """
    if not right:
        raise UserError(f"{name}={value} is not possible: it must be {allowed}.")


def nearest(name: str, names: Iterable[str]) -> str:
    """The end of a sentence about an unknown name: "; nearest: …", or, where none is near, all there are."""
    names = sorted(names)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    return f"; nearest: {', '.join(near)}" if near else f"; there are {', '.join(names)}"
