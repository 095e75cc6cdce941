"""When a run ends before its time: at a signal, or when its minutes are used up.

    stop = Stop(max_minutes=60)
    with stop.listen():
        stop.look()  # between steps, batches and blocks of sample text: raises Stopped
"""

import contextlib
import math
import signal
import threading
import time
from collections.abc import Iterator

from charrnn.errors import check


class Stopped(Exception):
    """The run was asked to stop."""


class Stop:
    """Notices SIGTERM, SIGINT and the end of the time.

    The first signal asks the run to save and leave; the second does what it would have done if nobody listened.

    Args:
        max_minutes: from now; None: no limit.
        clock: seconds, for tests.
    """

    def __init__(self, max_minutes: float | None = None, clock=time.monotonic):
        if max_minutes is not None:
            check("--max_minutes", max_minutes, 0 < max_minutes < math.inf, "above 0")
        self._clock, self._end = clock, math.inf if max_minutes is None else clock() + 60 * max_minutes
        self._signalled = self._looked = False
        self._handlers: dict[int, object] = {}  # what signals did before

    @contextlib.contextmanager
    def listen(self) -> Iterator[None]:
        """In the body signals are noticed, if it runs in the main thread: in another one Python cannot."""
        if threading.current_thread() is threading.main_thread():
            self._handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
            for number in self._handlers:
                signal.signal(number, self._notice)
        try:
            yield
        finally:
            self._put_back()

    def look(self) -> None:
        """Raises Stopped if the run was asked to stop. To be called where it can."""
        self._looked = True
        if self._signalled or self._clock() >= self._end:
            raise Stopped

    def _notice(self, number, frame):
        self._signalled = True
        self._put_back()
        if not self._looked:  # the run is not under way: reading a text may take minutes, and there is nothing to save
            raise Stopped

    def _put_back(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler or signal.SIG_DFL)
