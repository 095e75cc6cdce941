"""Rows of a batch in groups, each with loops over time of its own, that run side by side."""

from collections.abc import Sequence

import tensorflow as tf

_FEW_UNITS, _MANY_ROWS = 512, 16  # where loops over two groups of rows are faster than one


def num_groups(state: Sequence[tf.Tensor]) -> int:
    """Into how many groups the rows of a state `[B, H]` are split.

    The operations of a small network are too short to be shared among cores, and one loop would leave all cores but one
    idle. Loops over independent rows run side by side. A number of rows unknown to the graph is taken for many.
    """
    batch_size, units = state[0].shape
    splits_well = batch_size is None or (batch_size % 2 == 0 and batch_size >= _MANY_ROWS)
    return 2 if units <= _FEW_UNITS and splits_well else 1


def split(tensor: tf.Tensor, groups: int, axis: int) -> list[tf.Tensor]:
    """The rows of each group."""
    if groups == 1 or tensor.shape[axis] is not None:
        return tf.split(tensor, groups, axis) if groups > 1 else [tensor]
    size = tf.shape(tensor)[axis]
    return tf.split(tensor, [size // 2, size - size // 2], axis)


def join(parts: Sequence[tf.Tensor], axis: int) -> tf.Tensor:
    """The rows of all groups, in their order."""
    return tf.concat(parts, axis) if len(parts) > 1 else parts[0]
