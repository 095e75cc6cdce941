"""metrics.jsonl and samples.jsonl: one JSON object per line."""

import contextlib
import json
import os
from collections.abc import Callable, Iterator

import tensorflow as tf

from charrnn import run_files
from charrnn.errors import UserError
from charrnn.files import atomic, strict_json
from charrnn.text import corpora
from trainers.reports.reports import Report
from trainers.reports.samples import Sample
from trainers.run_directory import disk


class Records(Report):
    """Appends to the two files of a run directory. Non-finite values become null."""

    def __init__(self, run_dir: str):
        super().__init__(run_dir)
        self._metrics, self._samples = (os.path.join(run_dir, name) for name in (run_files.METRICS, run_files.SAMPLES))

    def start(self, step: int, measured: int) -> None:
        """Removes the lines that a killed run wrote and the resumed run will write again.

        Args:
            step: last step whose training lines are kept.
            measured: last step whose evaluations and samples are kept.

        Raises:
            UserError: a line is damaged.
        """
        _keep(self._metrics, lambda line: line["step"] <= (step if line.get("split") == "train" else measured))
        _keep(self._samples, lambda line: line["step"] <= measured)

    def scalars(self, step: int, split: str, values: dict[str, float]) -> None:
        """Writes one line of metrics.jsonl."""
        _append(self._metrics, {"step": step, "split": split, **values})

    def samples(self, step: int, samples: list[Sample]) -> None:
        """Writes one line of samples.jsonl per sample."""
        for sample in samples:
            line = {"step": step, **sample._asdict()}
            del line["label"]
            _append(self._samples, line)


def read(run_dir: str, name: str) -> list[dict]:
    """Reads a file of records.

    Args:
        run_dir: the run directory.
        name: `run_files.METRICS` or `run_files.SAMPLES`.

    Returns:
        One dict per line; none if there is no such file.

    Raises:
        UserError: a line is damaged.
    """
    path = os.path.join(run_dir, name)
    if not tf.io.gfile.exists(path):
        return []
    lines, _ = _lines(path)
    with _damage_reported(path):
        return [json.loads(line) for line in lines]


def _append(path: str, line: dict) -> None:
    size = tf.io.gfile.stat(path).length if tf.io.gfile.exists(path) else 0
    try:
        with disk.writing(path), tf.io.gfile.GFile(path, "a") as file:
            file.write(strict_json.dumps(line, ensure_ascii=False) + "\n")
    except disk.NotWritten:
        with contextlib.suppress(OSError), open(path, "r+b") as file:
            file.truncate(size)  # a full disk leaves no partial line
        raise


def _keep(path: str, stays: Callable[[dict], bool]) -> None:
    if not tf.io.gfile.exists(path):
        return
    lines, partial = _lines(path)
    with _damage_reported(path):
        kept = [line for line in lines if stays(json.loads(line))]
    if kept != lines or partial:
        with disk.writing(path):
            atomic.replace(path, b"".join(line + b"\n" for line in kept))


def _lines(path: str) -> tuple[list[bytes], bytes]:
    """Returns the lines of a file, and the partial line that a killed writer left at its end.

    Bytes, because a line may end within a character.
    """
    with corpora.file_errors(path), tf.io.gfile.GFile(path, "rb") as file:
        *lines, partial = file.read().split(b"\n")
    return lines, partial


@contextlib.contextmanager
def _damage_reported(path: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"{path} is damaged: a line is not a JSON object with a step ({error}).") from error
