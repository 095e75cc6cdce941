"""Random masks of own inputs, bool `[B, T]`. Stateless; eager or graph.

`shape` is `[B, T]`; `prob` is the probability of an own character, float32 `[]` or `[T]`. The first character of a row
is always the text's, so functions that count characters leave it out.
"""

import tensorflow as tf

from charrnn import randomness


def per_character(shape: tf.Tensor, prob: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Returns a mask with an independent coin for each character."""
    return randomness.uniform(shape, seed) < tf.cast(prob, tf.float32)


def per_row(shape: tf.Tensor, prob: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Returns a mask with one coin for each row: all of it, or nothing."""
    return tf.broadcast_to(per_character([shape[0], 1], prob, seed), shape)


def exact_count(shape: tf.Tensor, prob: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Returns a mask with exactly round(prob · B · (T - 1)) characters, none of them the first of a row."""
    return randomness.of_whole_batch(lambda whole: _exact_count(whole, prob, seed), shape)


def spans(shape: tf.Tensor, prob: tf.Tensor, length: int, seed: tf.Tensor) -> tf.Tensor:
    """Returns a mask with runs of at least `length` own characters; each character is one with probability `prob`.

    A run starts at each character with probability 1 - (1 - prob)^(1/length); runs that overlap join. Runs also start
    before the row, because its beginning would otherwise have fewer own characters.
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
