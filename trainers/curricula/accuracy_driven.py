"""Accuracy-driven scheduled sampling: the better the network predicts, the more of its own output it reads.

After DySI (Lin, Jwalapuram & Joty 2023, "Dynamic Scheduled Sampling with Imitation Loss", arXiv 2301.13753), whose idea
it is; without their imitation loss, and the formula is ours. The objections to scheduled sampling (see
scheduled_sampling.py) hold here too.
"""

import dataclasses

import tensorflow as tf

from charrnn.batches.sources import Batch
from charrnn.errors import require
from trainers.trainer import Rollout, Trainer


class AccuracyDriven(Trainer):
    """A coin of p = β · accuracy for each character; accuracy is a moving average over the steps so far, at first 0.

    The gradient flows through the state, not through the choice.
    """

    @dataclasses.dataclass(frozen=True)
    class Config:
        """How accuracy becomes a probability."""

        beta: float = 0.5  # β
        decay: float = 0.99  # of the moving average, a step

        def __post_init__(self):
            require("trainer.beta", self.beta, 0.0 <= self.beta <= 1.0, "between 0 and 1")
            require("trainer.decay", self.decay, 0.0 <= self.decay < 1.0, "at least 0 and below 1")

    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self.accuracy = self.new_variable(0.0, "accuracy")

    def own_input_prob(self, step: tf.Tensor) -> tf.Tensor:
        """β · accuracy, float32 `[]`. Graph."""
        return self.config.beta * self.accuracy

    def on_step(self, rollout: Rollout, batch: Batch) -> None:
        """Takes the step's accuracy into the average. Graph."""
        right = tf.cast(tf.argmax(rollout.logits, -1, output_type=tf.int32) == batch.targets, tf.float32)
        share = tf.math.divide_no_nan(tf.reduce_sum(right * batch.weights), tf.reduce_sum(batch.weights))
        self.accuracy.assign(self.config.decay * self.accuracy + (1 - self.config.decay) * share)
