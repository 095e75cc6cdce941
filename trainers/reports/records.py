"""metrics.jsonl and samples.jsonl: one JSON object a line."""

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
    """Appends to the two files of a run directory. A value that is not finite becomes null."""

    def __init__(self, run_dir: str):
        self._metrics, self._samples = (os.path.join(run_dir, name) for name in (run_files.METRICS, run_files.SAMPLES))

    def start(self, step: int, measured: int) -> None:
        """Takes out the lines that will be written anew, left by a run that was killed.

        Args:
            step: the run goes on after it: training's lines stay up to there.
            measured: lines of evaluations and samples stay up to there.
        """
        _keep(self._metrics, lambda line: line["step"] <= (step if line.get("split") == "train" else measured))
        _keep(self._samples, lambda line: line["step"] <= measured)

    def scalars(self, step: int, split: str, values: dict[str, float]) -> None:
        """One line of metrics.jsonl."""
        _append(self._metrics, {"step": step, "split": split, **values})

    def samples(self, step: int, samples: list[Sample]) -> None:
        """A line of samples.jsonl each."""
        for sample in samples:
            line = {"step": step, **sample._asdict()}
            del line["label"]
            _append(self._samples, line)


def read(run_dir: str, name: str) -> list[dict]:
    """The lines of `run_files.METRICS` or SAMPLES; none where there is no such file. UserError where it is damaged."""
    path = os.path.join(run_dir, name)
    if not tf.io.gfile.exists(path):
        return []
    lines, _ = _lines(path)
    with _telling_of_damage(path):
        return [json.loads(line) for line in lines]


def _append(path: str, line: dict) -> None:
    size = tf.io.gfile.stat(path).length if tf.io.gfile.exists(path) else 0
    try:
        with disk.writing(path), tf.io.gfile.GFile(path, "a") as file:
            file.write(strict_json.dumps(line, ensure_ascii=False) + "\n")
    except disk.NotWritten:
        with contextlib.suppress(OSError), open(path, "r+b") as file:
            file.truncate(size)  # no half of a line stays where the disk was full
        raise


def _keep(path: str, stays: Callable[[dict], bool]) -> None:
    if not tf.io.gfile.exists(path):
        return
    lines, torn = _lines(path)
    with _telling_of_damage(path):
        kept = [line for line in lines if stays(json.loads(line))]
    if kept != lines or torn:
        with disk.writing(path):
            atomic.replace(path, b"".join(line + b"\n" for line in kept))


def _lines(path: str) -> tuple[list[bytes], bytes]:
    """The lines of a file, and what comes after the last line's end where its writer was killed.

    Bytes: a line may be torn in the middle of a character.
    """
    with corpora.file_errors(path), tf.io.gfile.GFile(path, "rb") as file:
        *lines, torn = file.read().split(b"\n")
    return lines, torn


@contextlib.contextmanager
def _telling_of_damage(path: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"{path} is damaged: a line is not a JSON object with a step ({error}).") from error
