"""Dropout masks: one set a step, functions of (seed, step, row), so that nothing needs saving.

    masks = draw(key, units, …)

Dropout here is always inverted: what stays is multiplied by 1 / (1 - rate), so that nothing changes where it is off.
"""

from typing import NamedTuple

import tensorflow as tf

from charrnn import randomness
from charrnn.cells import wide


class Key(NamedTuple):
    """What a step's masks are functions of. The same key gives the same masks, however often they are drawn."""

    seed: tf.Tensor  # int32 [2]
    share: tf.Tensor | int = 0  # which share of the whole batch's rows these are …
    num_shares: int = 1  # … of so many

    def part(self, number: int) -> "Key":
        """The key of one mask of several."""
        return self._replace(seed=tf.random.experimental.stateless_fold_in(self.seed, number))


def dropout(key: Key, shape, rate: float) -> tf.Tensor:
    """0 with probability `rate`, else 1 / (1 - rate): float32. The same for all rows."""
    return _dropped(randomness.uniform(shape, key.seed), rate)


def dropout_of_rows(key: Key, rows: int | tf.Tensor, units: int, rate: float) -> tf.Tensor:
    """The same with a mask of its own for each row, `[B, H]`."""
    return _dropped(_uniform_of_rows(key, rows, [units]), rate)


def zoneout(key: Key, rows: int | tf.Tensor, length: int | tf.Tensor, units: int, rate: float) -> tf.Tensor:
    """1 with probability `rate`, else 0: float32 `[T, B, H]`, for each row, position and unit."""
    kept = _uniform_of_rows(key, rows, [length, units]) < rate
    return tf.transpose(tf.cast(kept, tf.float32), [1, 0, 2])


def times(x: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """x times a mask, in the dtype of x; in float32 before, for 1 / (1 - rate) is no number of 16 bits."""
    return tf.cast(wide(x) * tf.cast(mask, wide(x).dtype), x.dtype)


def _dropped(drawn: tf.Tensor, rate: float) -> tf.Tensor:
    return tf.where(drawn >= rate, 1.0 / (1.0 - rate), 0.0)


def _uniform_of_rows(key: Key, rows: int | tf.Tensor, shape) -> tf.Tensor:
    """Drawn for the whole batch: so the number of replicas changes nothing."""
    drawn = randomness.uniform([rows * key.num_shares, *shape], key.seed)
    return drawn if key.num_shares == 1 else drawn[key.share * rows : (key.share + 1) * rows]
