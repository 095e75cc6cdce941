"""Self-paced learning: at first only from the rows that the network finds easy.

Kumar, Packer & Koller 2010, "Self-Paced Learning for Latent Variable Models", NIPS. A row weighs [its loss < λ], and λ
grows. Here λ is what lets a rising share of each batch pass, so that it needs no scale of its own. What is easy is
learnt twice over: the model is fitted to another distribution than the text's until all rows pass.
"""

import dataclasses

import tensorflow as tf

from charrnn.batches.sources import Batch
from charrnn.errors import require
from trainers.trainer import Rollout, Trainer


class SelfPaced(Trainer):
    """The loss of the easiest rows of a batch: a share that rises to all of them. Teacher forcing, full gradient."""

    whole_batches = True  # the limit is the batch's

    @dataclasses.dataclass(frozen=True)
    class Config:
        """The share."""

        start_share: float = 0.5  # at step 0
        grow_steps: int = 2000  # until it is 1

        def __post_init__(self):
            require("trainer.start_share", self.start_share, 0.0 < self.start_share <= 1.0, "above 0 and at most 1")
            require("trainer.grow_steps", self.grow_steps, self.grow_steps >= 1, "at least 1")

    def share(self, step: tf.Tensor) -> tf.Tensor:
        """Which part of a batch's rows is learnt from, float32 `[]`. Eager or graph."""
        grown = tf.minimum(1.0, tf.cast(step, tf.float32) / self.config.grow_steps)
        return self.config.start_share + (1.0 - self.config.start_share) * grown

    def loss(self, rollout: Rollout, batch: Batch) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """That of the easiest rows; logs λ as "loss_limit". Graph."""
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=batch.targets, logits=rollout.logits)
        weights = batch.weights
        rows = tf.math.divide_no_nan(tf.reduce_sum(losses * weights, 1), tf.reduce_sum(weights, 1))
        count = tf.cast(tf.math.ceil(self.share(self.step) * tf.cast(tf.size(rows), tf.float32)), tf.int32)
        limit = tf.sort(rows)[count - 1]
        learnt = tf.cast(rows <= limit, tf.float32)[:, None]
        loss, extra = super().loss(rollout, batch._replace(weights=weights * learnt))
        return loss, {**extra, "loss_limit": limit}
