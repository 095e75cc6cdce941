"""The one exception that means: the user can mend this; and how to say what is allowed."""

import difflib
from collections.abc import Iterable

_SMALLEST, _LARGEST = 1e-30, 1e30  # with room to multiply before 32 bits overflow


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


def check_float32(name: str, value: float, zero: str = "") -> None:
    """Raises UserError for a number that 32 bits cannot hold, or that is not above 0.

    Args:
        name: as in `check`.
        value: as in `check`.
        zero: what 0 means, where 0 is allowed.
    """
    right = _SMALLEST <= value <= _LARGEST or (zero != "" and value == 0)
    bounds = f"from {_SMALLEST:.0e} to {_LARGEST:.0e}"
    check(name, value, right, f"at least 0 (0: {zero}; else {bounds})" if zero else f"above 0, {bounds}")


def nearest(name: str, names: Iterable[str]) -> str:
    """The end of a sentence about an unknown name: "; nearest: …", or, where none is near, all there are."""
    names = sorted(names)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    return f"; nearest: {', '.join(near)}" if near else f"; there are {', '.join(names)}"
