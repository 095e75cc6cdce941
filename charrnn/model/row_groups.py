"""Splits the rows of a batch into groups, each with its own loops over time, which run side by side."""

from collections.abc import Sequence
from typing import TypeVar

import tensorflow as tf

Nest = TypeVar("Nest")

_FEW_UNITS, _MANY_ROWS = 512, 16  # up to this many units and from this many rows, two groups are faster than one


def num_groups(state: Sequence[tf.Tensor]) -> int:
    """Returns the number of groups for a state `[B, H]`.

    The operations of a small network are too short to be shared among cores, and one loop would leave all cores but one
    idle. Loops over independent rows run side by side. If the graph does not know B, it is taken to be large.
    """
    batch_size, units = state[0].shape
    splits_well = batch_size is None or (batch_size % 2 == 0 and batch_size >= _MANY_ROWS)
    return 2 if units <= _FEW_UNITS and splits_well else 1


def split(tensors: Nest, groups: int, axis: int) -> list[Nest]:
    """Returns the rows of each group.

    Args:
        tensors: a tensor, or tuples of tensors.
        groups: 1 or 2.
        axis: of the rows.
    """
    parts = zip(*(_split(tensor, groups, axis) for tensor in tf.nest.flatten(tensors)), strict=True)
    return [tf.nest.pack_sequence_as(tensors, part) for part in parts]


def join(groups: Sequence[Nest], axis: int) -> Nest:
    """Undoes `split`."""
    return tf.nest.map_structure(lambda *parts: tf.concat(parts, axis) if len(parts) > 1 else parts[0], *groups)


def _split(tensor: tf.Tensor, groups: int, axis: int) -> list[tf.Tensor]:
    if groups == 1:
        return [tensor]
    if tensor.shape[axis] is not None:
        return tf.split(tensor, groups, axis)
    size = tf.shape(tensor)[axis]
    return tf.split(tensor, [size // 2, size - size // 2], axis)
