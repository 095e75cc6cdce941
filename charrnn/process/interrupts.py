"""Handles signals that arrive during imports and during the exit.

    with insisted():
        import tensorflow    # a Ctrl-C ends this even if an imported package catches the exception
"""

import contextlib
import functools
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name))
"""Signals that ask a process to exit."""


class _Cut(BaseException):
    """Ends an import. A KeyboardInterrupt that leaves `exec` makes Python exit by a signal, even if it is caught."""


@contextlib.contextmanager
def insisted() -> Iterator[None]:
    """Raises a signal handler's exception at the end of the body, even if the body caught it or failed because of it.

    Some packages catch all exceptions of an import, and a half-imported package fails later.
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


def _call(handler: Callable, raised: list[BaseException], number: int, frame: FrameType | None) -> None:
    try:
        handler(number, frame)
    except BaseException as error:
        raised.append(error)
        raise _Cut from None


def ignore() -> None:
    """Ignores signals from now on, because one during Python's exit would change the status or print a traceback."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
