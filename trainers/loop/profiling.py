"""TensorFlow's profiler over some steps, for TensorBoard's tab PROFILE."""

import contextlib
from collections.abc import Callable, Iterator, Sequence

import tensorflow as tf

from trainers.run_directory import disk


class Profiler:
    """Records what the machine does in some steps.

    Args:
        folder: the run directory; the record goes to `plugins/profile/` in it.
        steps: the first and the last; empty: none.
        say: takes a sentence on what was recorded.
    """

    def __init__(self, folder: str, steps: Sequence[int] = (), say: Callable[[str], None] = lambda line: None):
        self._folder, self._steps, self._say = folder, steps, say
        self._on = False
        self._first = self._last = 0  # of the steps that were recorded

    @contextlib.contextmanager
    def around(self, first: int, last: int) -> Iterator[None]:
        """Around the steps from `first` to `last`, which the body takes and waits for: recorded if any is to be."""
        if self._steps and not self._on and first <= self._steps[1] and last >= self._steps[0]:
            self._start()
            self._first = first
        self._last = last
        with tf.profiler.experimental.Trace("train", step_num=last, _r=1) if self._on else contextlib.nullcontext():
            yield
        if self._on and last >= self._steps[1]:
            self.stop()

    def _start(self) -> None:
        with disk.writing(self._folder):
            tf.profiler.experimental.start(self._folder)
        self._on = True

    def stop(self) -> None:
        """Writes what was recorded, if anything was. A second time, after a roll-back, nothing is."""
        if not self._on:
            return
        self._on = False
        with disk.writing(self._folder):
            tf.profiler.experimental.stop()
        recorded = f"steps {self._first:,} to {self._last:,}"
        self._say(f"Profiled {recorded}; to see them: pip install tensorboard-plugin-profile")
        self._steps = ()
