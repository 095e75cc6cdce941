"""State matching: the states in free running are trained to equal those of teacher forcing.

    loss = cross-entropy + w · mean((h_open - stop_gradient(h_closed))²)

The direct form of Professor Forcing (Lamb et al. 2016, arXiv 1610.09038) without its discriminator: states are compared
position by position, where the paper compares distributions. Different texts should have different states, so a large w
teaches the network to forget what it read. A step takes more than twice as long as with teacher forcing.
"""

import dataclasses

import tensorflow as tf

from charrnn.batches.sources import Batch
from charrnn.errors import require
from charrnn.model.char_model import States
from trainers.curricula.schedules import RisingProbability
from trainers.trainer import Rollout, Trainer


class StateMatching(Trainer):
    """Adds the mean square between the last layer's outputs in open loop and in closed loop (teacher forcing).

    The gradient flows through the open loop's states, not through its choices. The closed loop's states are the target,
    and are trained by the cross-entropy only.
    """

    @dataclasses.dataclass(frozen=True)
    class Config(RisingProbability):
        """The probability of an own character in the open loop, and w."""

        weight: float = 1.0  # w, the weight of the mean square

        def __post_init__(self):
            super().__post_init__()
            require("trainer.weight", self.weight, 0.0 <= self.weight < float("inf"), "at least 0")

    def own_input_prob(self, step: tf.Tensor) -> tf.Tensor:
        """Returns 1 - ε, float32 `[]`. Graph."""
        return self.config.prob(step)

    def forward(self, batch: Batch, state: States) -> Rollout:
        """Runs the closed loop over the text, and over the input ids of the open loop. Graph."""
        rollout = super().forward(batch, state)
        logits, closed, after = self.model.hidden(batch.inputs, state, training=self.mask_key())
        _, opened, _ = self.model.hidden(rollout.fed, state, training=self.mask_key())
        gap = tf.reduce_mean(tf.square(tf.cast(opened - tf.stop_gradient(closed), tf.float32)), -1)
        return Rollout(logits, rollout.fed, rollout.own, after, extra=gap)

    def loss(self, rollout: Rollout, batch: Batch) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Returns the cross-entropy plus the weighted mean square, which is logged as "state_gap". Graph."""
        loss, extra = super().loss(rollout, batch)
        gap = tf.math.divide_no_nan(tf.reduce_sum(rollout.extra * batch.weights), tf.reduce_sum(batch.weights))
        return loss + self.config.weight * gap, {**extra, "state_gap": gap}
