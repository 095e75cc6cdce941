"""What a caller in Python may give for prompts, seeds, temperatures, counts and stop strings: one sentence if not."""

import operator
from collections.abc import Iterable, Sequence

import numpy as np

from charrnn.errors import UserError, check_temperature, require

Stops = str | Sequence[str]
"""One string, or several, before which a text ends; none, or empty: it does not."""

_SHOWN = 80  # characters of a prompt in a message
_MOST = 2**31 - 1


def prompts(given: Sequence[str]) -> list[str]:
    """Returns the prompts as a list of strings; UserError for one string, whose characters would be the prompts."""
    several = isinstance(given, Iterable) and not isinstance(given, str | bytes)
    require("prompts", f"{given!r:.{_SHOWN}}", several, "a list of strings, such as ['ROMEO:']")
    return [prompt(each) for each in given]


def prompt(given: str) -> str:
    """Returns a prompt; UserError where it is no string."""
    if not isinstance(given, str):
        require("prompt", f"{given!r:.{_SHOWN}}", False, "a string")
    return given


def shown(given: str) -> str:
    """Returns a prompt as a message has it."""
    return f"{given[:_SHOWN]!r}{'…' if len(given) > _SHOWN else ''}"


def seeds(given: Sequence[int], count: int) -> np.ndarray:
    """Returns seeds from a list, range, array or tensor, int32 `[count]`."""
    array = _array("seeds", given, count)
    whole = array.dtype.kind in "iu" and (-_MOST <= array).all() and (array <= _MOST).all()
    require("seeds", given, whole or not count, "whole numbers of 32 bits")
    return array.astype(np.int32)


def temperatures(given: Sequence[float], count: int) -> np.ndarray:
    """Returns temperatures from a list, array or tensor, float32 `[count]`."""
    array = _array("temperatures", given, count)
    require("temperatures", given, array.dtype.kind in "iuf" or not count, "numbers")
    for temperature in array.tolist():
        check_temperature("temperatures", temperature, zero="the likeliest character always")
    return array.astype(np.float32)


def count(name: str, given: int, least: int = 0) -> int:
    """Returns a number of characters or texts; NumPy's whole numbers are as good as Python's."""
    try:
        number = operator.index(given)
    except TypeError:
        number = -1
    require(name, given, least <= number <= _MOST, f"a whole number, at least {least} and below 2^31")
    return number


def stops(given: Stops) -> list[str]:
    """Returns the stop strings as a list, without empty ones."""
    each = [given] if isinstance(given, str) or not isinstance(given, Iterable) else list(given)
    require("stop", ascii(given), all(isinstance(stop, str) for stop in each), "a string, or a list of strings")
    return [stop for stop in each if stop]


def _array(name: str, given, count: int) -> np.ndarray:
    try:
        array = np.asarray(given)
    except ValueError:  # a list of lists of several lengths
        array = np.empty(())
    if array.shape != (count,):
        number = f"{len(array)} of them" if array.ndim == 1 else f"the shape {list(array.shape)}"
        raise UserError(f"{name} has {number}, and there are {count} prompts: give one for each prompt.")
    return array
