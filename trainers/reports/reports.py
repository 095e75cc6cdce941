"""Measurements and samples, sent to several places: files, TensorBoard, the console."""

from collections.abc import Iterable

import tensorflow as tf

from trainers.reports.console import Console
from trainers.reports.samples import Sample


class Report:
    """A place where measurements and samples go. A method that a subclass does not override does nothing.

        class Losses(Report):
            def scalars(self, step, split, values):
                print(split, step, values["nats_per_char"])

    `--report=my_report:Losses` makes one with the run directory and calls it, on the chief only. A call gets its
    arguments by position. An error in a method is printed once, and training continues.

    A run that was killed resumes at its last checkpoint, and sends again what came later. Each value is then in its
    place exactly once if `start` removes what is later, and `flush` leaves nothing in a buffer. A place from which
    nothing can be removed must ignore what it already has.

    Attributes:
        run_dir: the run directory. It exists, with `config.json`, from the first call of `start` on.
    """

    def __init__(self, run_dir: str):
        self.run_dir = run_dir

    def start(self, step: int, measured: int) -> None:
        """Removes what will be sent again. Called at the start, after a resume, and after each roll-back.

        Args:
            step: the number of steps done, 0 in a new run: training values of later steps will be sent again.
            measured: the same for evaluations and samples: `step`, or the step before if an evaluation was interrupted.
        """

    def scalars(self, step: int, split: str, values: dict[str, float]) -> None:
        """Writes measurements.

        Args:
            step: the number of steps done.
            split: "train", the means since the last log; or "validation".
            values: by name, "nats_per_char" among them; may be non-finite.
        """

    def samples(self, step: int, samples: list[Sample]) -> None:
        """Writes samples.

        Args:
            step: the number of steps done.
            samples: each with `prompt`, `temperature`, `seed` and `text`, the continuation.
        """

    def histograms(self, step: int, values: dict[str, tf.Tensor]) -> None:
        """Writes the distribution of each tensor.

        Args:
            step: the number of steps done.
            values: by name, weights and gradients, with `loop.histograms_every`.
        """

    def flush(self) -> None:
        """Writes what is buffered. Called before each checkpoint."""

    def saved(self, step: int, path: str) -> None:
        """Receives a new checkpoint. A kill just after the checkpoint may prevent the call; `start` tells its step.

        Args:
            step: the number of steps done.
            path: the checkpoint, without the extensions of its files, in `checkpoints/` or `best/`.
        """

    def end(self, complete: bool) -> None:
        """Receives the end of the training in this process.

        Args:
            complete: False if the run was interrupted, or ended by an error.
        """


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

    def saved(self, step: int, path: str) -> None:
        """Tells of a new checkpoint, see `Report.saved`."""
        for report in self._written:
            report.saved(step, path)

    def end(self, complete: bool) -> None:
        """Tells the end of the training, see `Report.end`."""
        for report in self._written:
            report.end(complete)

    def progress(self, step: int, steps: int) -> None:
        """Shows the progress: `step` of `steps`."""
        self._console.progress(step, steps)

    def warning(self, text: str) -> None:
        """Prints a sentence at every verbosity."""
        self._console.warning(text)
