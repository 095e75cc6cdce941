"""All that is written for TensorBoard: one writer a split, so that both lines share a chart."""

import contextlib
import os
import re
from collections.abc import Iterator

import tensorflow as tf

from charrnn.errors import UserError
from charrnn.open_loop import Curve
from trainers.samples import Sample

OPEN_LOOP = "open_loop"


class Summaries:
    """Scalars and sample text, under `train/` and `validation/` of a run directory."""

    def __init__(self, run_dir: str):
        self._writers = {
            split: tf.summary.create_file_writer(os.path.join(run_dir, split)) for split in ("train", "validation")
        }

    def scalars(self, step: int, split: str, values: dict[str, float]) -> None:
        """A point on each value's curve."""
        with self._writers[split].as_default(step):
            for name, value in values.items():
                tf.summary.scalar(name, value)

    def samples(self, step: int, samples: list[Sample]) -> None:
        """The texts, one tag a label and temperature."""
        with self._writers["validation"].as_default(step):
            for sample in samples:
                label = sample.label or sample.prompt.strip() or "line break"
                tag = f"samples/{label}/temperature {sample.temperature:g}"
                tf.summary.text(tag, fenced(sample.prompt + sample.text))

    def flush(self) -> None:
        """Writes what is buffered."""
        for writer in self._writers.values():
            writer.flush()


def open_loop_folder(run_dir: str) -> str:
    """For what `evaluate` and `compare` write; made if it is not there. UserError where it cannot be."""
    folder = os.path.join(run_dir, OPEN_LOOP)
    try:
        tf.io.gfile.makedirs(folder)
    except tf.errors.OpError as error:
        raise UserError(f"{folder} cannot be made ({error.message}): copy the run to where you may write.") from error
    return folder


def write_curves(run_dir: str, curves: dict[str, Curve]) -> None:
    """Curves over the position in a rollout, in the place of the step; own and real text share a chart.

    They take the place of those that an earlier evaluation left.
    """
    for which in ("own", "real"):
        with _fresh_writer(os.path.join(open_loop_folder(run_dir), which)):
            for name, curve in curves.items():
                for position, value in zip(curve.positions, getattr(curve, which), strict=True):
                    tf.summary.scalar(f"open loop/{name}", value, position)


def write_pictures(run_dir: str, paths: list[str]) -> None:
    """PNG files as images, in the place of those that an earlier comparison left."""
    with _fresh_writer(os.path.join(open_loop_folder(run_dir), "comparison")):
        for path in paths:
            image = tf.io.decode_png(tf.io.read_file(path), channels=3)
            tf.summary.image(os.path.splitext(os.path.basename(path))[0], image[None], step=0)


@contextlib.contextmanager
def _fresh_writer(folder: str) -> Iterator[None]:
    """Writes to a folder, without what was there: two writers' curves would be drawn as one that zigzags."""
    for path in tf.io.gfile.glob(os.path.join(folder, "events.out.tfevents.*")):
        tf.io.gfile.remove(path)
    writer = tf.summary.create_file_writer(folder)
    with writer.as_default():
        yield
    writer.close()


def fenced(text: str) -> str:
    """The text as a Markdown code block that nothing in it can end."""
    longest = max((len(ticks) for ticks in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"
