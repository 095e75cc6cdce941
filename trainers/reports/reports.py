"""Where a run's measurements and samples go: to each of several places, as if they were one."""

from collections.abc import Iterable

import tensorflow as tf

from trainers.reports.console import Console
from trainers.reports.samples import Sample


class Report:
    """One place. What a subclass does not override does nothing there."""

    def start(self, step: int, measured: int) -> None:
        """Takes out what will be written anew: training's after `step`, evaluations and samples after `measured`."""

    def scalars(self, step: int, split: str, values: dict[str, float]) -> None:
        """The values of a split, "train" or "validation"."""

    def samples(self, step: int, samples: list[Sample]) -> None:
        """Sample texts."""

    def histograms(self, step: int, values: dict[str, tf.Tensor]) -> None:
        """Tensors, whose distribution is shown where that can be."""

    def flush(self) -> None:
        """Writes what is buffered."""


class Reports:
    """All of them, and what is only for whoever watches.

    Args:
        console: where progress is shown.
        written: where else measurements go.
    """

    def __init__(self, console: Console, written: Iterable[Report] = ()):
        self._console, self._written = console, list(written)

    def start(self, step: int, measured: int) -> None:
        """Takes out what will be written anew."""
        for report in self._written:
            report.start(step, measured)

    def scalars(self, step: int, split: str, values: dict[str, float]) -> None:
        """The values of a split."""
        for report in self._written:
            report.scalars(step, split, values)
        self._console.scalars(step, split, values)

    def samples(self, step: int, samples: list[Sample]) -> None:
        """Sample texts."""
        for report in self._written:
            report.samples(step, samples)
        self._console.samples(step, samples)

    def histograms(self, step: int, values: dict[str, tf.Tensor]) -> None:
        """Tensors, whose distribution is shown where that can be."""
        for report in self._written:
            report.histograms(step, values)

    def flush(self) -> None:
        """Writes what is buffered."""
        for report in self._written:
            report.flush()

    def progress(self, step: int, steps: int) -> None:
        """How far the run has come."""
        self._console.progress(step, steps)

    def warning(self, text: str) -> None:
        """A sentence to whoever watches, however little."""
        self._console.warning(text)
