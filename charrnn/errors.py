"""The exception for users' mistakes, and checks of settings.

    require("data.batch_size", 0, 0 >= 1, "at least 1")     # UserError: data.batch_size=0 is not possible: …
"""

import difflib
import os
from collections.abc import Iterable

_GIGABYTE = 1e9  # bytes
_SMALLEST, _LARGEST = 1e-30, 1e30  # leave room for products within float32

COOLEST, HOTTEST = 1e-6, 1e6
"""The range of temperatures, in which quotients of logits and products with noise stay within float32."""

LONGEST_ROW = 1_000_000  # characters


class UserError(ValueError):
    """A user's mistake, described in one sentence.

    The sentence contains the given value, the allowed values and the remedy. Commands print it on standard error and
    exit with status 2, or 74 if it says that the disk is full. Raise it before you write anything.
    """


def require(name: str, value: object, right: bool, allowed: str) -> None:
    """Raises UserError for the setting `name` unless `right`.

    Args:
        name: the setting as the user writes it, "group.field".
        value: the given value.
        right: whether the value is allowed.
        allowed: the allowed values, to follow "must be".
    """
    if not right:
        raise UserError(f"{name}={value} is not possible: it must be {allowed}.")


def check_float32(name: str, value: float, zero: str = "", bounds: tuple[float, float] = (_SMALLEST, _LARGEST)) -> None:
    """Raises UserError for a number outside the range of float32, or not above 0.

    Args:
        name: as in `require`.
        value: as in `require`.
        zero: the meaning of 0; "" if 0 is not allowed.
        bounds: the smallest and the largest allowed number.
    """
    right = bounds[0] <= value <= bounds[1] or (zero != "" and value == 0)
    allowed = f"from {bounds[0]:.0e} to {bounds[1]:.0e}"
    require(name, value, right, f"at least 0 (0: {zero}; else {allowed})" if zero else f"above 0, {allowed}")


def check_temperature(name: str, value: float, zero: str = "") -> None:
    """Raises UserError for a temperature that is out of range; for the arguments see `check_float32`."""
    check_float32(name, value, zero, (COOLEST, HOTTEST))


def check_epsilon(name: str, value: float) -> None:
    """Raises UserError for a cut-off of small probabilities that is out of range; for the arguments see `require`."""
    require(name, value, 0 <= value < 1, "at least 0 (0: all characters) and below 1")


def check_row_chars(name: str, value: int, least: int = 1) -> None:
    """Raises UserError for a number of characters in a row that is below `least` or above LONGEST_ROW.

    A larger number would overflow int32, in which the graphs count positions.
    """
    require(name, value, least <= value <= LONGEST_ROW, f"from {least} to {LONGEST_ROW}")


def nearest(name: str, names: Iterable[str]) -> str:
    """Returns the end of a sentence about an unknown name: the most similar names, or all if none is similar.

    Args:
        name: the unknown name.
        names: the known ones.
    """
    names = sorted(names)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    return f"; nearest: {', '.join(near)}" if near else f"; there are {', '.join(names)}"


def require_memory(num_bytes: int, what: str, remedy: str) -> None:
    """Raises UserError if the machine has less memory than a task needs.

    Args:
        num_bytes: the size of the largest arrays, bytes: a lower bound.
        what: the task, with the settings that determine its size.
        remedy: the user's way out, as the end of a sentence.
    """
    available = _physical()
    if num_bytes > available:
        raise UserError(
            f"{what} takes at least {num_bytes / _GIGABYTE:,.0f} GB of memory, but this machine has "
            f"{available / _GIGABYTE:,.0f} GB: {remedy}."
        )


def _physical() -> float:
    """Returns the machine's memory in bytes; infinity if the system does not report it."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return float("inf")
