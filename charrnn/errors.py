"""The one exception that means: the user can mend this; and how to say what is allowed."""

import difflib
import os
from collections.abc import Iterable

_GIGABYTE = 1e9  # bytes
_SMALLEST, _LARGEST = 1e-30, 1e30  # with room to multiply before 32 bits overflow

COOLEST, HOTTEST = 1e-6, 1e6
"""The temperatures allowed: logits divided by one, and noise multiplied by one, stay far from what 32 bits can hold."""


class UserError(ValueError):
    """The user's mistake, told in one plain sentence.

    The sentence names what was given, what is allowed and what to do. Commands print it on standard error and
    exit with status 2; nothing has been written when it is raised.
    """


def require(name: str, value: object, right: bool, allowed: str) -> None:
    """Raises UserError for the setting `name` unless `right`.

    Args:
        name: as the user writes it, "group.field".
        value: what was given.
        right: whether the value may stand.
        allowed: the values allowed, to follow "must be".
    """
    if not right:
        raise UserError(f"{name}={value} is not possible: it must be {allowed}.")


def check_float32(
    name: str, value: float, zero: str = "", bounds: tuple[float, float] = (_SMALLEST, _LARGEST)
) -> None:
    """Raises UserError for a number that 32 bits cannot hold, or that is not above 0.

    Args:
        name: as in `require`.
        value: as in `require`.
        zero: what 0 means, where 0 is allowed.
        bounds: the smallest and the largest number allowed.
    """
    right = bounds[0] <= value <= bounds[1] or (zero != "" and value == 0)
    allowed = f"from {bounds[0]:.0e} to {bounds[1]:.0e}"
    require(name, value, right, f"at least 0 (0: {zero}; else {allowed})" if zero else f"above 0, {allowed}")


def check_temperature(name: str, value: float, zero: str = "") -> None:
    """Raises UserError for a temperature that is out of range; the arguments are those of `check_float32`."""
    check_float32(name, value, zero, (COOLEST, HOTTEST))


def nearest(name: str, names: Iterable[str]) -> str:
    """The end of a sentence about an unknown name: "; nearest: …", or, where none is near, all there are."""
    names = sorted(names)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    return f"; nearest: {', '.join(near)}" if near else f"; there are {', '.join(names)}"


def require_memory(num_bytes: int, what: str, remedy: str) -> None:
    """Raises UserError if the machine has less memory than `what` takes at the very least.

    Args:
        num_bytes: of the largest arrays; what else there is may be left out.
        what: names it, with the settings that decide.
        remedy: what to do.
    """
    there_is = _physical()
    if num_bytes > there_is:
        raise UserError(
            f"{what} takes {num_bytes / _GIGABYTE:,.0f} GB of memory at the least, and this machine has "
            f"{there_is / _GIGABYTE:,.0f}: {remedy}."
        )


def _physical() -> float:
    """Bytes; infinite where the system does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return float("inf")
