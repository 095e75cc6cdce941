"""Unlikelihood: the network is trained not to repeat what it wrote.

    loss = cross-entropy - α / N · Σ log(1 - p)    over the own characters that end a repeat; N: all own characters

Welleck et al. 2019, "Neural Text Generation with Unlikelihood Training", arXiv 1908.04319, the sequence-level loss. The
paper takes n = 4 for words. Characters repeat 4-grams for good reasons, so n is 8 here; verse and code still repeat
8-grams rightly. This treats the symptom in greedy decoding; it does not claim to improve samples at temperature 1.
"""

import dataclasses

import tensorflow as tf

from charrnn import randomness
from charrnn.batches.sources import Batch
from charrnn.errors import check_row_chars, require
from trainers.step import coins
from trainers.trainer import Rollout, Trainer


def repeats(ids: tf.Tensor, n: int) -> tf.Tensor:
    """Finds repeats.

    Args:
        ids: int32 `[B, T]`.
        n: length of a repeat, in characters.

    Returns:
        bool `[B, T]`: whether the n characters that end here occurred earlier in the sequence.
    """
    same = ids[:, :, None] == ids[:, None, :]  # [B, T, T]
    positions = tf.range(tf.shape(ids)[1])
    found = (positions[:, None] > positions) & (positions >= n - 1)  # later end, earlier end; tf.roll wraps around
    for back in range(n):
        found &= tf.roll(same, [back, back], [1, 2])
    return tf.reduce_any(found, -1)


class Unlikelihood(Trainer):
    """Turns some sequences into rollouts after a prefix of the text, and penalises repeats in them.

    All else has the cross-entropy loss. The gradient flows through the state.
    """

    needs_whole_batch = True  # penalties are divided by the number of own characters in the batch

    @dataclasses.dataclass(frozen=True)
    class Config:
        """The penalty, and the rollouts."""

        alpha: float = 1.0  # α, the weight of the penalty
        n: int = 8  # length of a repeat, in characters
        rollout_share: float = 0.25  # share of the sequences that are rollouts
        gold: int = 16  # characters of the text at the start of a rollout

        def __post_init__(self):
            require("trainer.alpha", self.alpha, 0.0 <= self.alpha < float("inf"), "at least 0")
            require("trainer.n", self.n, 1 <= self.n <= 1000, "from 1 to 1000")
            require("trainer.rollout_share", self.rollout_share, 0.0 <= self.rollout_share <= 1.0, "between 0 and 1")
            check_row_chars("trainer.gold", self.gold)

    def own_inputs(self, step: tf.Tensor, batch: Batch) -> tf.Tensor:
        """Returns whole sequences except for their prefixes, bool `[B, T]`. Graph."""
        shape, seed = tf.shape(batch.inputs), self.random_seed(randomness.Purpose.OWN_INPUTS)
        return coins.per_row(shape, self.config.rollout_share, seed) & (tf.range(shape[1]) >= self.config.gold)

    def loss(self, rollout: Rollout, batch: Batch) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Returns the cross-entropy before the first own character, and the penalty from there on. Graph."""
        own = tf.cast(rollout.own, tf.float32)
        loss, extra = super().loss(rollout, batch._replace(weights=batch.weights * (1 - own)))
        nats = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=rollout.fed[:, 1:], logits=rollout.logits[:, :-1])
        unlikely = -tf.math.log1p(-tf.minimum(tf.exp(-nats), 1 - 1e-6))
        penalised = own * tf.cast(repeats(rollout.fed, self.config.n), tf.float32)
        count = tf.reduce_sum(own)
        penalty = tf.math.divide_no_nan(tf.reduce_sum(unlikely * penalised[:, 1:]), count)
        repeated = tf.math.divide_no_nan(tf.reduce_sum(penalised), count)
        return loss + self.config.alpha * penalty, {**extra, "penalty": penalty, "repeated": repeated}
