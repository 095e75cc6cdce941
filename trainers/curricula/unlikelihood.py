"""Unlikelihood: the network is taught not to write again what it wrote before.

Welleck et al. 2019, "Neural Text Generation with Unlikelihood Training", arXiv 1908.04319, the sequence-level loss. For
words they take n = 4; characters repeat 4-grams for good reasons: n is 8 here, and verse and code still repeat those
rightly. Against the symptom in greedy writing; that samples at temperature 1 get better is not claimed.
"""

import dataclasses

import tensorflow as tf

from charrnn import randomness
from charrnn.batches.sources import Batch
from charrnn.errors import require
from trainers.step import coins
from trainers.trainer import Rollout, Trainer


def repeats(ids: tf.Tensor, n: int) -> tf.Tensor:
    """Where the n characters that end there stood in the row before: ids int32 `[B, T]` -> bool `[B, T]`."""
    same = ids[:, :, None] == ids[:, None, :]  # [B, T, T]
    positions = tf.range(tf.shape(ids)[1])
    found = (positions[:, None] > positions) & (positions >= n - 1)  # the later end, the earlier; no wrapping around
    for back in range(n):
        found &= tf.roll(same, [back, back], [1, 2])
    return tf.reduce_any(found, -1)


class Unlikelihood(Trainer):
    """Some rows are rollouts after a beginning of text, with - α · log(1 - p) for each character that ends a repeat.

    The other rows, and the beginnings, are learnt as ever. The gradient flows through the state.
    """

    whole_batches = True  # penalties are divided by the batch's own characters

    @dataclasses.dataclass(frozen=True)
    class Config:
        """What is punished, and how much."""

        alpha: float = 1.0  # α
        n: int = 8  # characters that make a repeat
        rollout_share: float = 0.25  # of the rows
        gold: int = 16  # characters of the text that a rollout begins with

        def __post_init__(self):
            require("trainer.alpha", self.alpha, 0.0 <= self.alpha < float("inf"), "at least 0")
            require("trainer.n", self.n, self.n >= 1, "at least 1")
            require("trainer.rollout_share", self.rollout_share, 0.0 <= self.rollout_share <= 1.0, "between 0 and 1")
            require("trainer.gold", self.gold, self.gold >= 1, "at least 1")

    def own_inputs(self, step: tf.Tensor, batch: Batch) -> tf.Tensor:
        """Whole rows but for their beginnings: bool `[B, T]`. Graph."""
        shape, seed = tf.shape(batch.inputs), self.random_seed(randomness.Purpose.OWN_INPUTS)
        return coins.per_row(shape, self.config.rollout_share, seed) & (tf.range(shape[1]) >= self.config.gold)

    def loss(self, rollout: Rollout, batch: Batch) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Cross-entropy before the first own character, unlikelihood from there on. Graph."""
        own = tf.cast(rollout.own, tf.float32)
        loss, extra = super().loss(rollout, batch._replace(weights=batch.weights * (1 - own)))
        nats = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=rollout.fed[:, 1:], logits=rollout.logits[:, :-1])
        unlikely = -tf.math.log1p(-tf.minimum(tf.exp(-nats), 1 - 1e-6))
        punished = own * tf.cast(repeats(rollout.fed, self.config.n), tf.float32)
        count = tf.reduce_sum(own)
        penalty = tf.math.divide_no_nan(tf.reduce_sum(unlikely * punished[:, 1:]), count)
        repeated = tf.math.divide_no_nan(tf.reduce_sum(punished), count)
        return loss + self.config.alpha * penalty, {**extra, "penalty": penalty, "repeated": repeated}
