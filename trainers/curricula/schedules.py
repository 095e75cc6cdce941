"""Numbers that change with the step: the probability that the network reads its own output.

Each is 1 - ε of scheduled sampling (Bengio et al. 2015, 1506.03099), where ε_i, the probability of the text's own
character, decays with the step i. Eager or graph; `step` is any integer or integer tensor; float32 `[]`.
"""

import math

import tensorflow as tf


def linear(step: tf.Tensor, slope: float) -> tf.Tensor:
    """ε = max(0, 1 - slope·i)."""
    return tf.clip_by_value(slope * tf.cast(step, tf.float32), 0.0, 1.0)


def exponential(step: tf.Tensor, k: float) -> tf.Tensor:
    """ε = k^i, k < 1."""
    return -tf.math.expm1(tf.cast(step, tf.float32) * math.log(k))


def inverse_sigmoid(step: tf.Tensor, k: float) -> tf.Tensor:
    """ε = k / (k + exp(i / k)), k ≥ 1. One half at i = k·ln k."""
    return tf.sigmoid(tf.cast(step, tf.float32) / k - math.log(k))  # the same, without an overflow for large i


def inverse_sigmoid_k(half_step: float) -> float:
    """The k for which `inverse_sigmoid` is one half at `half_step`: solves k·ln k = half_step by Newton's method."""
    k = max(math.e, half_step / math.log(half_step + math.e))
    for _ in range(50):
        k -= (k * math.log(k) - half_step) / (math.log(k) + 1)
    return k
