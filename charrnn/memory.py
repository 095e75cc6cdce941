"""What cannot fit into the machine's memory is refused in a sentence; the system would end the process without one."""

import os

from charrnn.errors import UserError

_GIGABYTE = 1e9


def require(num_bytes: int, what: str, remedy: str) -> None:
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
