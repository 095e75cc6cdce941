"""Dropout masks: one set per step, a function of (seed, step, row), so that nothing needs saving.

    masks = draw(key, config, vocabulary_size, batch_size, length)

Dropout is always inverted: what stays is multiplied by 1 / (1 - rate), so that evaluation needs no correction.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import tensorflow as tf

from charrnn import randomness
from charrnn.model.cells import CELLS, to_float32
from charrnn.model.config import ModelConfig

Key: TypeAlias = tf.Tensor
"""The seed of a step's masks, int32 `[2]`. The same key gives the same masks, however often they are drawn."""


class Masks(NamedTuple):
    """All differences between training and evaluation. A mask is float32, or None if nothing is dropped."""

    embedding: tf.Tensor | None  # [V, 1]
    recurrent: tuple[tf.Tensor | None, ...]  # of each layer, [H, G·H]
    outputs: tuple[tf.Tensor | None, ...]  # of each layer, [B, H]
    keep: tuple[tuple[tf.Tensor, ...], ...]  # of each layer and state: the share that zoneout keeps, [T, B, H] or []
    temperature: float = 1.0  # divisor of the logits


def nothing(config: ModelConfig) -> Masks:
    """Returns the masks of an evaluation: zoneout keeps its mean share, and `config.temperature` divides the logits."""
    none, keep = (None,) * config.num_layers, tuple(map(tf.constant, config.state_rates))
    return Masks(None, none, none, (keep,) * config.num_layers, config.temperature)


def draw(
    key: Key, config: ModelConfig, vocabulary_size: int, batch_size: int | tf.Tensor, length: int | tf.Tensor
) -> Masks:
    """Draws all masks of a training step. Eager or graph.

    Args:
        key: int32 `[2]`, the seed.
        config: gives the rates and the sizes.
        vocabulary_size: V.
        batch_size: B.
        length: T, characters per row.
    """
    layers, units = range(config.num_layers), config.units
    width = CELLS[config.cell].num_gates * units
    keys = iter(part(key, number) for number in range(1 + 4 * config.num_layers))

    def drawn(function: Callable[..., tf.Tensor], *sizes: int | tf.Tensor | list[int], rate: float) -> tf.Tensor | None:
        key = next(keys)
        return function(key, *sizes, rate) if rate else None

    return Masks(
        drawn(dropout, [vocabulary_size, 1], rate=config.embedding_dropout),
        tuple(drawn(dropout, [units, width], rate=config.weight_drop) for _ in layers),
        tuple(drawn(dropout_of_rows, batch_size, units, rate=config.dropout_of_layer(i)) for i in layers),
        tuple(
            tuple(zoneout(next(keys), batch_size, length, units, rate) for rate in config.state_rates) for _ in layers
        ),
    )


def part(key: Key, number: int) -> Key:
    """Returns the key of the mask with this number."""
    return tf.random.experimental.stateless_fold_in(key, number)


def dropout(key: Key, shape: list[int], rate: float) -> tf.Tensor:
    """Returns a mask for all rows: 0 with probability `rate`, else 1 / (1 - rate); float32 of the given shape."""
    return _dropped(randomness.draw(shape, key), rate)


def dropout_of_rows(key: Key, batch_size: int | tf.Tensor, units: int, rate: float) -> tf.Tensor:
    """Returns a separate mask for each row: 0 with probability `rate`, else 1 / (1 - rate); float32 `[B, H]`."""
    return _dropped(randomness.uniform([batch_size, units], key), rate)


def zoneout(key: Key, batch_size: int | tf.Tensor, length: int | tf.Tensor, units: int, rate: float) -> tf.Tensor:
    """Returns 1 with probability `rate`, else 0, for each position, row and unit: float32 `[T, B, H]`."""
    return tf.cast(randomness.uniform([length, batch_size, units], key, rows=1) < rate, tf.float32)


def times(x: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Returns x times a mask, in the dtype of x. Multiplies in float32, because 16 bits cannot hold 1 / (1 - rate)."""
    x32 = to_float32(x)
    return tf.cast(x32 * tf.cast(mask, x32.dtype), x.dtype)


def _dropped(drawn: tf.Tensor, rate: float) -> tf.Tensor:
    return tf.where(drawn >= rate, 1.0 / (1.0 - rate), 0.0)
