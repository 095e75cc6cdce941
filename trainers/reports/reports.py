"""Measurements and samples, sent to several places: files, TensorBoard, the console."""

from collections.abc import Iterable

import tensorflow as tf

from trainers.reports.console import Console
from trainers.reports.samples import Sample


class Report:
    """One place. A method that a subclass does not override does nothing."""

    def start(self, step: int, measured: int) -> None:
        """Removes what will be written again: training after `step`, evaluations and samples after `measured`."""

    def scalars(self, step: int, split: str, values: dict[str, float]) -> None:
        """Writes the measurements of a split, "train" or "validation"."""

    def samples(self, step: int, samples: list[Sample]) -> None:
        """Writes samples."""

    def histograms(self, step: int, values: dict[str, tf.Tensor]) -> None:
        """Writes the distribution of each tensor."""

    def flush(self) -> None:
        """Writes what is buffered."""


class Reports:
    """All places together, and what only the console shows.

    Args:
        console: shows progress.
        written: the other places.
    """

    def __init__(self, console: Console, written: Iterable[Report] = ()):
        self._console, self._written = console, list(written)

    def start(self, step: int, measured: int) -> None:
        """Removes what will be written again, see `Report.start`."""
        for report in self._written:
            report.start(step, measured)

    def scalars(self, step: int, split: str, values: dict[str, float]) -> None:
        """Writes the measurements of a split."""
        for report in self._written:
            report.scalars(step, split, values)
        self._console.scalars(step, split, values)

    def samples(self, step: int, samples: list[Sample]) -> None:
        """Writes samples."""
        for report in self._written:
            report.samples(step, samples)
        self._console.samples(step, samples)

    def histograms(self, step: int, values: dict[str, tf.Tensor]) -> None:
        """Writes the distribution of each tensor."""
        for report in self._written:
            report.histograms(step, values)

    def flush(self) -> None:
        """Writes what is buffered."""
        for report in self._written:
            report.flush()

    def progress(self, step: int, steps: int) -> None:
        """Shows the progress: `step` of `steps`."""
        self._console.progress(step, steps)

    def warning(self, text: str) -> None:
        """Prints a sentence at every verbosity."""
        self._console.warning(text)
