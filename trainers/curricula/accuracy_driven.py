"""Accuracy-driven scheduled sampling: the better the network predicts, the more of its own output it reads.

    p = β · a,    a ← d · a + (1 - d) · accuracy of the step

The idea comes from DySI (Lin, Jwalapuram & Joty 2023, "Dynamic Scheduled Sampling with Imitation Loss",
arXiv 2301.13753), without the imitation loss; the formula is this project's. The objections to scheduled sampling (see
scheduled_sampling.py) apply.
"""

import dataclasses

import tensorflow as tf

from charrnn.batches.sources import Batch
from charrnn.errors import require
from trainers.input_curriculum import InputConfig, InputCurriculum
from trainers.trainer import Rollout


class AccuracyDriven(InputCurriculum):
    """Reads an own character with probability β · a, where a is the moving average of the accuracy; it starts at 0.

    No gradient flows through the choice of an own character, only through the state.
    """

    @dataclasses.dataclass(frozen=True)
    class Config(InputConfig):
        """The factor, and the average."""

        beta: float = 0.5  # β, the probability of an own character at an accuracy of 1
        decay: float = 0.99  # d, the decay of the moving average per step

        def __post_init__(self):
            super().__post_init__()
            require("trainer.beta", self.beta, 0.0 <= self.beta <= 1.0, "between 0 and 1")
            require("trainer.decay", self.decay, 0.0 <= self.decay < 1.0, "at least 0 and below 1")

    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self.accuracy = self.new_variable(0.0, "accuracy")

    def own_input_prob(self, step: tf.Tensor) -> tf.Tensor:
        """Returns β · a, float32 `[]`. Graph."""
        return self.config.beta * self.accuracy

    def on_step(self, rollout: Rollout, batch: Batch) -> None:
        """Updates the average with the accuracy of the step. Graph."""
        right = tf.cast(tf.argmax(rollout.logits, -1, output_type=tf.int32) == batch.targets, tf.float32)
        share = tf.math.divide_no_nan(tf.reduce_sum(right * batch.weights), tf.reduce_sum(batch.weights))
        self.accuracy.assign(self.config.decay * self.accuracy + (1 - self.config.decay) * share)
