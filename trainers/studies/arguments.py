"""Checks the arguments of `trainers.study`, which come from Python as they are."""

import numbers
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


def listed_numbers(name: str, given: object) -> list[float]:
    """Returns the entries of an argument that is a list of numbers; for the arguments and the error see `listed`."""
    found = listed(name, given)
    if not all(isinstance(each, numbers.Real) for each in found):
        raise UserError(f"{name}={given!r} is not possible: it must be a list of numbers.")
    return list(map(float, found))


def whole(name: str, given: object) -> int:
    """Returns an argument that is a whole number; for the arguments and the error see `listed`."""
    if not isinstance(given, numbers.Integral):
        raise UserError(f"{name}={given!r} is not possible: it must be a whole number.")
    return int(given)


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
