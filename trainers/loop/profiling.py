"""Profiles some steps with TensorFlow's profiler, for TensorBoard's tab PROFILE."""

import contextlib
from collections.abc import Callable, Iterator, Sequence

import tensorflow as tf

from trainers.run_directory import disk


class Profiler:
    """Profiles a range of steps.

    Args:
        folder: the run directory; the profile goes to `plugins/profile/` in it.
        steps: the first and the last step; empty: no profile.
        say: receives a sentence on the profile.
    """

    def __init__(self, folder: str, steps: Sequence[int] = (), say: Callable[[str], None] = lambda line: None):
        self._folder, self._steps, self._say = folder, steps, say
        self._on = False
        self._first = self._last = 0  # of the profiled steps

    @contextlib.contextmanager
    def around(self, first: int, last: int) -> Iterator[None]:
        """Profiles the body, which makes the steps `first` to `last`, if one of them is in the range."""
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
        """Writes the profile, if there is one. Steps that are repeated after a roll-back are not profiled again."""
        if not self._on:
            return
        self._on = False
        with disk.writing(self._folder):
            tf.profiler.experimental.stop()
        recorded = f"steps {self._first:,} to {self._last:,}"
        self._say(f"Profiled {recorded}; to see them: pip install tensorboard-plugin-profile")
        self._steps = ()
