"""Dropout masks: one set a step, functions of (seed, step, row), so that nothing needs saving.

    masks = draw(key, units, …)

Dropout here is always inverted: what stays is multiplied by 1 / (1 - rate), so that nothing changes where it is off.
"""

import tensorflow as tf

from charrnn import randomness
from charrnn.cells import wide

Key = tf.Tensor
"""What a step's masks are functions of: a seed, int32 `[2]`. The same gives the same, however often they are drawn."""


def part(key: Key, number: int) -> Key:
    """The key of one mask of several."""
    return tf.random.experimental.stateless_fold_in(key, number)


def dropout(key: Key, shape, rate: float) -> tf.Tensor:
    """0 with probability `rate`, else 1 / (1 - rate): float32. The same for all rows."""
    return _dropped(randomness.draw(shape, key), rate)


def dropout_of_rows(key: Key, rows: int | tf.Tensor, units: int, rate: float) -> tf.Tensor:
    """The same with a mask of its own for each row, `[B, H]`."""
    return _dropped(randomness.uniform([rows, units], key), rate)


def zoneout(key: Key, rows: int | tf.Tensor, length: int | tf.Tensor, units: int, rate: float) -> tf.Tensor:
    """1 with probability `rate`, else 0: float32 `[T, B, H]`, for each row, position and unit."""
    return tf.cast(randomness.uniform([length, rows, units], key, rows=1) < rate, tf.float32)


def times(x: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """x times a mask, in the dtype of x; in float32 before, for 1 / (1 - rate) is no number of 16 bits."""
    return tf.cast(wide(x) * tf.cast(mask, wide(x).dtype), x.dtype)


def _dropped(drawn: tf.Tensor, rate: float) -> tf.Tensor:
    return tf.where(drawn >= rate, 1.0 / (1.0 - rate), 0.0)
