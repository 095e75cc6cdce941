"""Stops a run early: at a signal, or after --max_minutes.

    stop = Stop(max_minutes=60)
    with stop.listen():
        stop.look()  # between steps, batches and blocks of sample text: raises Stopped
"""

import contextlib
import math
import numbers
import signal
import threading
import time
from collections.abc import Callable, Iterator

from charrnn.errors import require
from charrnn.process.interrupts import SIGNALS

_HANGUP = getattr(signal, "SIGHUP", None)


class Stopped(BaseException):
    """The run was asked to stop. It is no Exception, like KeyboardInterrupt, so no hook catches it by accident."""


class Stop:
    """Notices signals and the end of the minutes.

    A signal that the process was started to ignore, by `nohup` or in a script's background, stays ignored.
    The first signal asks the run to save and exit. The second falls through to the previous handler and usually kills
    the process. SIGHUP is never the second: a terminal that closes may send it twice.

    Args:
        max_minutes: the limit, counted from now; None: no limit.
        clock: returns the time in seconds, for tests.
    """

    def __init__(self, max_minutes: float | None = None, clock: Callable[[], float] = time.monotonic):
        if max_minutes is not None:
            right = isinstance(max_minutes, numbers.Real) and 0 < max_minutes < math.inf
            require("--max_minutes", max_minutes, right, "a number above 0")
        self._clock, self._end = clock, math.inf if max_minutes is None else clock() + 60 * max_minutes
        self._signalled = self._looked = False
        self._second: dict[int, object] = {}  # what a second signal does, by number

    @contextlib.contextmanager
    def listen(self, kill: bool = False) -> Iterator[None]:
        """Notices signals in the body, if it runs in the main thread: Python handles signals only there.

        Args:
            kill: whether a second signal kills the process even if its previous handler, such as Ctrl-C's, does not.
        """
        before = {}
        if threading.current_thread() is threading.main_thread():
            handlers = {number: signal.getsignal(number) or signal.SIG_DFL for number in SIGNALS}
            before = {number: handler for number, handler in handlers.items() if handler != signal.SIG_IGN}
        self._second = {number: signal.SIG_DFL if kill else handler for number, handler in before.items()}
        for number in before:
            signal.signal(number, self._notice)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def look(self) -> None:
        """Raises Stopped if the run was asked to stop. The caller calls it where the run can stop."""
        self._looked = True
        if self._signalled or self._clock() >= self._end:
            raise Stopped

    def _notice(self, number, frame):
        self._signalled = True
        if _HANGUP in self._second:
            signal.signal(_HANGUP, signal.SIG_IGN)
        if number != _HANGUP:
            for each in self._second.keys() - {_HANGUP}:
                signal.signal(each, self._second[each])
        if not self._looked:  # before the first step there is nothing to save, and reading a text may take minutes
            raise Stopped
