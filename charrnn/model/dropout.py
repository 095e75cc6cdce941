"""Dropout masks: one set a step, functions of (seed, step, row), so that nothing needs saving.

    masks = draw(key, config, vocabulary_size, batch_size, length)

Dropout here is always inverted: what stays is multiplied by 1 / (1 - rate), so that nothing changes where it is off.
"""

from typing import NamedTuple

import tensorflow as tf

from charrnn import randomness
from charrnn.model.cells import CELLS, to_float32
from charrnn.model.config import ModelConfig

Key = tf.Tensor
"""What a step's masks are functions of: a seed, int32 `[2]`. The same gives the same, however often they are drawn."""


class Masks(NamedTuple):
    """In what training and use differ. Masks are float32, or None where nothing is dropped."""

    embedding: tf.Tensor | None = None  # [V, 1]
    recurrent: tuple[tf.Tensor | None, ...] = ()  # each layer's, [H, G·H]
    outputs: tuple[tf.Tensor | None, ...] = ()  # each layer's, [B, H]
    keep: tuple[tuple[tf.Tensor, ...], ...] = ()  # each layer's: for each state what zoneout keeps, [T, B, H] or []
    temperature: float = 1.0  # by which logits are divided


def nothing(config: ModelConfig) -> Masks:
    """Outside of training: nothing is dropped, zoneout keeps its mean, logits are divided by the temperature."""
    none, keep = (None,) * config.num_layers, tuple(map(tf.constant, config.state_rates))
    return Masks(None, none, none, (keep,) * config.num_layers, config.temperature)


def draw(
    key: Key, config: ModelConfig, vocabulary_size: int, batch_size: int | tf.Tensor, length: int | tf.Tensor
) -> Masks:
    """All masks of a step that reads `batch_size` rows of `length` characters."""
    layers, units = range(config.num_layers), config.units
    width = CELLS[config.cell].num_gates * units
    parts = iter(part(key, number) for number in range(1 + 4 * config.num_layers))

    def drawn(function, *sizes, rate):
        key = next(parts)
        return function(key, *sizes, rate) if rate else None

    return Masks(
        drawn(dropout, [vocabulary_size, 1], rate=config.embedding_dropout),
        tuple(drawn(dropout, [units, width], rate=config.weight_drop) for _ in layers),
        tuple(drawn(dropout_of_rows, batch_size, units, rate=config.dropout_of_layer(i)) for i in layers),
        tuple(
            tuple(zoneout(next(parts), batch_size, length, units, rate) for rate in config.state_rates) for _ in layers
        ),
    )


def part(key: Key, number: int) -> Key:
    """The key of one mask of several."""
    return tf.random.experimental.stateless_fold_in(key, number)


def dropout(key: Key, shape, rate: float) -> tf.Tensor:
    """0 with probability `rate`, else 1 / (1 - rate): float32. The same for all rows."""
    return _dropped(randomness.draw(shape, key), rate)


def dropout_of_rows(key: Key, batch_size: int | tf.Tensor, units: int, rate: float) -> tf.Tensor:
    """The same with a mask of its own for each row, `[B, H]`."""
    return _dropped(randomness.uniform([batch_size, units], key), rate)


def zoneout(key: Key, batch_size: int | tf.Tensor, length: int | tf.Tensor, units: int, rate: float) -> tf.Tensor:
    """1 with probability `rate`, else 0: float32 `[T, B, H]`, for each row, position and unit."""
    return tf.cast(randomness.uniform([length, batch_size, units], key, rows=1) < rate, tf.float32)


def times(x: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """x times a mask, in the dtype of x; in float32 before, for 1 / (1 - rate) is no number of 16 bits."""
    return tf.cast(to_float32(x) * tf.cast(mask, to_float32(x).dtype), x.dtype)


def _dropped(drawn: tf.Tensor, rate: float) -> tf.Tensor:
    return tf.where(drawn >= rate, 1.0 / (1.0 - rate), 0.0)
