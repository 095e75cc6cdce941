"""A report of the user's: an error in it is printed once, and does not end the run."""

from collections.abc import Callable

import tensorflow as tf

from trainers.own_class import described
from trainers.reports.reports import Report
from trainers.reports.samples import Sample

_LATER = "The run continues without showing its later errors: correct it, then interrupt and resume the run"
_CONSEQUENCES = {
    "start": "The run continues without this report: correct it, then interrupt and resume the run",
    "end": "The run itself is not affected: correct it before the next run",
}


class Own(Report):
    """Calls a report, and continues if it raises.

    Each call gets its own dict or list, so that a report that changes them changes nothing elsewhere. A report whose
    `start` raised is not called until the next `start`, because it may not have removed what will be sent again.

    Args:
        report: the report.
        name: its name, for the sentence about an error.
        warn: prints a sentence.
    """

    def __init__(self, report: Report, name: str, warn: Callable[[str], None]):
        self._report, self._name, self._warn = report, name, warn
        self._started = self._told = False

    def start(self, step: int, measured: int) -> None:
        """Starts the report."""
        self._started = self._call("start", step, measured)

    def scalars(self, step: int, split: str, values: dict[str, float]) -> None:
        """Sends measurements."""
        self._send("scalars", step, split, dict(values))

    def samples(self, step: int, samples: list[Sample]) -> None:
        """Sends samples."""
        self._send("samples", step, list(samples))

    def histograms(self, step: int, values: dict[str, tf.Tensor]) -> None:
        """Sends the tensors' values, not the model's variables."""
        self._send("histograms", step, {name: tf.convert_to_tensor(value) for name, value in values.items()})

    def flush(self) -> None:
        """Lets the report write what it buffers."""
        self._send("flush")

    def saved(self, step: int, path: str) -> None:
        """Tells of a new checkpoint."""
        self._send("saved", step, path)

    def end(self, complete: bool) -> None:
        """Tells the end of the training."""
        self._send("end", complete)

    def _send(self, method: str, *arguments: object) -> None:
        if self._started:
            self._call(method, *arguments)

    def _call(self, method: str, *arguments: object) -> bool:
        """Calls a method; returns whether it raised nothing."""
        try:
            getattr(self._report, method)(*arguments)
        except Exception as error:
            if not self._told:
                remedy = _CONSEQUENCES.get(method, _LATER)
                self._warn(f"The report {self._name} raised {described(error)} in {method}. {remedy}.")
            self._told = True
            return False
        return True
