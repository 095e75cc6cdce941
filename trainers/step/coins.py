"""Which characters the network reads of its own: masks bool `[B, T]`. Stateless; eager or graph.

`shape` is `[B, T]`; `prob` float32, `[]` or `[T]`, the chance of an own character. The first character of a row is the
text's in any case: what counts the characters of a batch leaves it out.
"""

import tensorflow as tf

from charrnn import randomness


def per_character(shape: tf.Tensor, prob: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """A coin for each character."""
    return randomness.uniform(shape, seed) < tf.cast(prob, tf.float32)


def per_row(shape: tf.Tensor, prob: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """A coin for each row: all of it, or nothing."""
    return tf.broadcast_to(per_character([shape[0], 1], prob, seed), shape)


def exact_count(shape: tf.Tensor, prob: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Exactly round(prob · B · (T - 1)) characters of the batch, none of them a row's first."""
    return randomness.of_whole_batch(lambda whole: _exact_count(whole, prob, seed), shape)


def spans(shape: tf.Tensor, prob: tf.Tensor, length: int, seed: tf.Tensor) -> tf.Tensor:
    """Runs of at least `length` own characters; each character is an own one with probability `prob`.

    A coin of 1 - (1 - prob)^(1/length) starts a run at each character, and runs that meet are one. They start also
    before the row, whose beginning would else have fewer.
    """
    start_prob = 1.0 - tf.pow(1.0 - tf.cast(prob, tf.float32), 1.0 / length)
    starts = per_character([shape[0], shape[1] + length - 1], start_prob, seed)
    count = tf.pad(tf.cumsum(tf.cast(starts, tf.int32), axis=1), [[0, 0], [1, 0]])
    return count[:, length:] > count[:, :-length]


def _exact_count(shape, prob, seed):
    rows, length = shape[0], shape[1]
    drawn = randomness.draw([rows * (length - 1)], seed)
    ranks = tf.argsort(tf.argsort(drawn, stable=True), stable=True)
    count = tf.cast(tf.round(tf.cast(prob, tf.float32) * tf.cast(tf.size(drawn), tf.float32)), tf.int32)
    return tf.pad(tf.reshape(ranks < count, [rows, length - 1]), [[0, 0], [1, 0]])
