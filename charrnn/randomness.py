"""Stateless randomness: every random number is a function of (seed, purpose, step), so that nothing needs saving."""

import enum

import tensorflow as tf


class Purpose(enum.IntEnum):
    """What random numbers are drawn for; two purposes never share any."""

    OWN_INPUTS = 0
    CHOICES = 1
    WINDOWS = 2
    STREAMS = 3
    GENERATION = 4
    PROMPTS = 5
    LENGTHS = 6
    NOISE = 7
    DROPOUT = 8


def seed_for(seed: int, purpose: Purpose, step: int | tf.Tensor) -> tf.Tensor:
    """The seed int32 `[2]` of TensorFlow's stateless random functions. Eager or graph."""
    fold = tf.random.experimental.stateless_fold_in
    return fold(tf.constant([seed, int(purpose)], tf.int32), tf.cast(step, tf.int32))


def uniform(shape, seed: tf.Tensor) -> tf.Tensor:
    """Uniform numbers in [0, 1), float32. Eager or graph; other numbers where XLA compiles it."""
    return tf.random.stateless_uniform(shape, seed)


def gumbel(shape, seed: tf.Tensor) -> tf.Tensor:
    """Standard Gumbel noise, float32: arg-max(logits + noise) is a sample of softmax(logits). Eager or graph."""
    smallest = 1e-20  # keeps both logarithms finite; uniform numbers of float32 are multiples of 2^-23
    return -tf.math.log(smallest - tf.math.log(uniform(shape, seed) + smallest))
