"""metrics.jsonl and samples.jsonl: one JSON object a line."""

import json
import math
import os

import tensorflow as tf

from charrnn import corpora
from charrnn.errors import UserError
from trainers.samples import Sample

METRICS = "metrics.jsonl"
SAMPLES = "samples.jsonl"


class Records:
    """Appends to the two files of a run directory. A value that is not finite becomes null.

    Args:
        run_dir: the run directory.
        step: where the run goes on: lines of later steps, written by a run that was killed, are taken out.
    """

    def __init__(self, run_dir: str, step: int):
        self._metrics, self._samples = (os.path.join(run_dir, name) for name in (METRICS, SAMPLES))
        self._step = step

    def start(self) -> None:
        """Takes out the lines that will be written anew."""
        for path in (self._metrics, self._samples):
            if tf.io.gfile.exists(path):
                _keep_until(path, self._step)

    def scalars(self, step: int, split: str, values: dict[str, float]) -> None:
        """One line of metrics.jsonl."""
        finite = {name: value if math.isfinite(value) else None for name, value in values.items()}
        _append(self._metrics, {"step": step, "split": split, **finite})

    def samples(self, step: int, samples: list[Sample]) -> None:
        """A line of samples.jsonl each."""
        for sample in samples:
            line = {"step": step, **sample._asdict()}
            del line["label"]
            _append(self._samples, line)

    def flush(self) -> None:
        """Nothing to do: each line is written through."""


def _append(path: str, line: dict) -> None:
    with tf.io.gfile.GFile(path, "a") as file:
        file.write(json.dumps(line, ensure_ascii=False) + "\n")


def _keep_until(path: str, step: int) -> None:
    # Bytes: a line may be torn in the middle of a character.
    with corpora.file_errors(path), tf.io.gfile.GFile(path, "rb") as file:
        *lines, torn = file.read().split(b"\n")  # the last line has no end where its writer was killed
    try:
        kept = [line for line in lines if json.loads(line)["step"] <= step]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"{path} is damaged: a line is not a JSON object with a step ({error}).") from error
    if kept == lines and not torn:
        return
    temporary = f"{path}.{os.getpid()}.tmp"
    with tf.io.gfile.GFile(temporary, "wb") as file:
        file.write(b"".join(line + b"\n" for line in kept))
    tf.io.gfile.rename(temporary, path, overwrite=True)
