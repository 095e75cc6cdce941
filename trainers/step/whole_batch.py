"""A loss that looks at the whole batch, where the batch is worked on in parts, by replicas or one after the other.

    rollout = what all parts read, put together
    slopes = d loss(rollout) / d rollout
    gradients = sum over the parts of  slopes · d rollout / d weights       # the chain rule

So no part's activations are needed while another is read. Of parts in turn each is read twice, first without and then
with a gradient: the gradient cache of Gao et al. 2021, arXiv 2101.06983. Replicas send each other what they predict.
"""

from collections.abc import Callable

import tensorflow as tf


def gradients(read: Callable, judge: Callable, weights: list, first: int | tf.Tensor, mine: int, count: int):
    """The whole batch's gradients; the same on each replica. Graph.

    Args:
        read: the index of a part -> a nest of tensors, rows first; each time the same.
        judge: that of the whole batch -> the loss float32 `[]`, and a nest of measurements.
        weights: variables, whose gradients are wanted.
        first: the index of this replica's first part.
        mine: how many parts it has.
        count: how many there are.

    Returns:
        A gradient for each weight, the measurements, and what `read` gives for the whole batch.
    """
    with tf.GradientTape() as reading:
        read_here = _in_turn(read, first, mine)
    whole = gathered(read_here)
    with tf.GradientTape() as judging:
        judging.watch(_floating(whole))
        loss, measured = judge(whole)
    slopes, direct = judging.gradient(loss, (_floating(whole), weights), unconnected_gradients="zero")

    def pulled(tape, part, index):
        given = cut(slopes, index, count)
        found = tape.gradient(_floating(part), weights, given, unconnected_gradients="zero")
        return [tf.convert_to_tensor(gradient) for gradient in found]

    def read_again(i, sums):
        with tf.GradientTape() as tape:
            part = read(first + i)
        return i + 1, [total + gradient for total, gradient in zip(sums, pulled(tape, part, first + i), strict=True)]

    if mine == 1:
        sums = pulled(reading, read_here, first)
    else:
        sums = [tf.zeros_like(weight) for weight in weights]
        _, sums = tf.while_loop(
            lambda i, _: i < mine, read_again, (0, sums), maximum_iterations=mine, parallel_iterations=1
        )
    if tf.distribute.get_strategy().num_replicas_in_sync > 1:
        sums = tf.distribute.get_replica_context().all_reduce("sum", sums)
    return [a + b for a, b in zip(sums, direct, strict=True)], measured, whole


def cut(whole, index: int | tf.Tensor, count: int):
    """The rows of part `index` of `count`, of each tensor of a nest."""
    return tf.nest.map_structure(lambda t: tf.reshape(t, [count, -1, *t.shape[1:]])[index], whole)


def gathered(part):
    """The rows of all replicas, in their order, of each tensor of a nest."""
    replicas, flat = tf.distribute.get_strategy().num_replicas_in_sync, tf.nest.flatten(part)
    if replicas == 1 or not flat:
        return part
    wide = [tf.cast(t, tf.float32 if t.dtype.is_floating else tf.int32) for t in flat]  # bfloat16, bool: not supported
    whole = tf.distribute.get_replica_context().all_gather(wide, 0)
    whole = [_of_parts(tf.cast(w, t.dtype), t, replicas) for w, t in zip(whole, flat, strict=True)]
    return tf.nest.pack_sequence_as(part, whole)


def _in_turn(read, first, count):
    """What `count` parts give, of which no two are read at a time."""
    start = read(first)
    if count == 1:
        return start
    arrays = tf.nest.map_structure(lambda t: tf.TensorArray(t.dtype, count).write(0, t), start)

    def body(i, arrays):
        return i + 1, tf.nest.map_structure(lambda array, t: array.write(i, t), arrays, read(first + i))

    loop = tf.while_loop(lambda i, _: i < count, body, (1, arrays), maximum_iterations=count, parallel_iterations=1)
    return tf.nest.map_structure(lambda array, t: _of_parts(array.concat(), t, count), loop[1], start)


def _of_parts(whole, part, count):
    """What was put together of `count` parts, with as much of its shape as is known of one's."""
    rows = part.shape[0]
    return tf.ensure_shape(whole, [rows and count * rows, *part.shape[1:]])


def _floating(nest) -> list[tf.Tensor]:
    return [tensor for tensor in tf.nest.flatten(nest) if tensor.dtype.is_floating]
