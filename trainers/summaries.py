"""All that is written for TensorBoard: one writer a split, so that both lines share a chart."""

import os
import re

import tensorflow as tf

from trainers.samples import Sample


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


def fenced(text: str) -> str:
    """The text as a Markdown code block that nothing in it can end."""
    longest = max((len(ticks) for ticks in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"
