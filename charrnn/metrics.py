"""What a prediction cost, in nats and bits."""

import math

import tensorflow as tf

NATS_PER_BIT = math.log(2.0)


def nats(logits: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Σ weights · -ln p(target): logits float32 `[B, T, V]`, targets and weights `[B, T]` -> float32 `[]`, nats."""
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=targets, logits=logits)
    return tf.reduce_sum(losses * weights)


def bits_per_char(nats_per_char: float) -> float:
    """Nats per character in bits."""
    return nats_per_char / NATS_PER_BIT
