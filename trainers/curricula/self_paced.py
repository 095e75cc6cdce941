"""Self-paced learning: at first the network learns only from the sequences that it finds easy.

    loss = mean over the sequences whose own loss is at most λ

Kumar, Packer & Koller 2010, "Self-Paced Learning for Latent Variable Models", NIPS. In the paper λ grows; here a
growing share of each batch sets it, so it needs no scale. Until all sequences are included, the model is fitted to
another distribution than the text's.
"""

import dataclasses

import tensorflow as tf

from charrnn.batches.sources import Batch
from charrnn.errors import require
from trainers.trainer import Rollout, Trainer


class SelfPaced(Trainer):
    """Learns from the easiest sequences of a batch, a share that grows to 1. Teacher forcing, full gradient."""

    needs_whole_batch = True  # λ depends on all sequences of the batch

    @dataclasses.dataclass(frozen=True)
    class Config:
        """The share of each batch."""

        start_share: float = 0.5  # share of the sequences at step 0
        grow_steps: int = 2000  # steps until the share is 1

        def __post_init__(self):
            require("trainer.start_share", self.start_share, 0.0 < self.start_share <= 1.0, "above 0 and at most 1")
            require("trainer.grow_steps", self.grow_steps, self.grow_steps >= 1, "at least 1")

    def share(self, step: tf.Tensor) -> tf.Tensor:
        """Returns the share of a batch's sequences that is learnt from, float32 `[]`. Eager or graph."""
        grown = tf.minimum(1.0, tf.cast(step, tf.float32) / self.config.grow_steps)
        return self.config.start_share + (1.0 - self.config.start_share) * grown

    def loss(self, rollout: Rollout, batch: Batch) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Returns the loss of the easiest sequences; logs λ as "loss_limit". Graph."""
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=batch.targets, logits=rollout.logits)
        weights = batch.weights
        by_sequence = tf.math.divide_no_nan(tf.reduce_sum(losses * weights, 1), tf.reduce_sum(weights, 1))
        count = tf.cast(tf.math.ceil(self.share(self.step) * tf.cast(tf.size(by_sequence), tf.float32)), tf.int32)
        limit = tf.sort(by_sequence)[count - 1]
        learnt = tf.cast(by_sequence <= limit, tf.float32)[:, None]
        loss, extra = super().loss(rollout, batch._replace(weights=weights * learnt))
        return loss, {**extra, "loss_limit": limit}
