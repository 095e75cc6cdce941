"""Checks the arguments of generation that a Python caller gives, and converts them; UserError if they are wrong."""

import operator
from collections.abc import Iterable, Sequence

import numpy as np

from charrnn.errors import UserError, check_temperature, require

Stops = str | Sequence[str]
"""One or several stop strings, before which a text ends; none or "": no stop string."""

_SHOWN_CHARS = 80  # of a prompt in a message
_LARGEST = 2**31 - 1


def prompts(given: Sequence[str]) -> list[str]:
    """Returns the prompts as a list; refuses one string, because its characters would be the prompts."""
    several = isinstance(given, Iterable) and not isinstance(given, str | bytes)
    require("prompts", f"{given!r:.{_SHOWN_CHARS}}", several, "a list of strings, such as ['ROMEO:']")
    return [prompt(each) for each in given]


def prompt(given: str) -> str:
    """Returns the prompt."""
    if not isinstance(given, str):
        require("prompt", f"{given!r:.{_SHOWN_CHARS}}", False, "a string")
    return given


def shown(given: str) -> str:
    """Returns a prompt as a message quotes it."""
    return f"{given[:_SHOWN_CHARS]!r}{'…' if len(given) > _SHOWN_CHARS else ''}"


def seeds(given: Sequence[int] | np.ndarray, count: int) -> np.ndarray:
    """Returns seeds from a list, range, array or tensor, int32 `[count]`."""
    array = _array("seeds", given, count)
    whole = array.dtype.kind in "iu" and bool(((-_LARGEST <= array) & (array <= _LARGEST)).all())
    require("seeds", given, whole or not count, "whole numbers of 32 bits")
    return array.astype(np.int32)


def temperatures(given: Sequence[float] | np.ndarray, count: int) -> np.ndarray:
    """Returns temperatures from a list, array or tensor, float32 `[count]`."""
    array = _array("temperatures", given, count)
    require("temperatures", given, array.dtype.kind in "iuf" or not count, "numbers")
    for temperature in array.tolist():
        check_temperature("temperatures", temperature, zero="the likeliest character always")
    return array.astype(np.float32)


def count(name: str, given: int, least: int = 0) -> int:
    """Returns a number of characters or texts from a whole number of Python or NumPy."""
    try:
        number = operator.index(given)
    except TypeError:
        number = -1
    require(name, given, least <= number <= _LARGEST, f"a whole number, at least {least} and below 2^31")
    return number


def stops(given: Stops) -> list[str]:
    """Returns the stop strings as a list, without empty ones."""
    each = [given] if isinstance(given, str) or not isinstance(given, Iterable) else list(given)
    require("stop", ascii(given), all(isinstance(stop, str) for stop in each), "a string, or a list of strings")
    return [stop for stop in each if stop]


def _array(name: str, given: Sequence[float] | np.ndarray, count: int) -> np.ndarray:
    try:
        array = np.asarray(given)
    except ValueError:  # lists of different lengths
        array = np.empty(())
    if array.shape != (count,):
        number = f"{len(array)} of them" if array.ndim == 1 else f"the shape {list(array.shape)}"
        raise UserError(f"{name} has {number}, and there are {count} prompts: give one for each prompt.")
    return array
