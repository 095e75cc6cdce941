"""Checks the arguments of `trainers.study`, which come from Python as they are."""

from collections.abc import Iterable, Mapping

from charrnn.errors import UserError


def listed(name: str, given: object) -> list:
    """Returns the entries of an argument that is a list.

    Args:
        name: the argument.
        given: its value: any iterable except text.

    Raises:
        UserError: it is no list.
    """
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Iterable):
        raise UserError(f"{name}={given!r} is not possible: it must be a list.")
    return list(given)


def mapped(name: str, given: object, such_as: str) -> dict:
    """Returns an argument that is a dict, {} for None.

    Args:
        name: the argument.
        given: its value.
        such_as: an example of a value.

    Raises:
        UserError: it is no dict with texts as keys.
    """
    found = {} if given is None else given
    if not isinstance(found, Mapping) or not all(isinstance(key, str) for key in found):
        raise UserError(f"{name}={given!r} is not possible: it must be a dict such as {such_as}.")
    return dict(found)
