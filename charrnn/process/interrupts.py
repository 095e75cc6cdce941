"""Signals that come at a bad time: while packages are imported, and when all is done.

    with insisted():
        import tensorflow    # a Ctrl-C ends this, whatever the imported packages make of it
"""

import contextlib
import functools
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name))
"""Signals that ask a process to end."""


class _Cut(BaseException):
    """Ends an import. A KeyboardInterrupt that leaves code in a string makes Python exit by a signal, caught or not."""


@contextlib.contextmanager
def insisted() -> Iterator[None]:
    """Raises the exception of a signal's handler at the end of the body, even if the body caught it or failed because
    of it.

    Some packages try to import others and catch everything; a half-imported package then fails later.
    """
    raised: list[BaseException] = []
    before: dict[signal.Signals, Callable] = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: handler for number in SIGNALS if callable(handler := signal.getsignal(number))}
    for number, handler in before.items():
        signal.signal(number, functools.partial(_call, handler, raised))
    try:
        yield
    except (Exception, _Cut):
        if not raised:
            raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if raised:
        raise raised[0]


def _call(
    handler: Callable, raised: list[BaseException], number: int, frame: FrameType | None
) -> None:
    try:
        handler(number, frame)
    except BaseException as error:
        raised.append(error)
        raise _Cut from None


def ignore() -> None:
    """Ignores signals from here on, while Python exits: one would change the status, or print a traceback."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
