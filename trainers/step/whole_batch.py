"""The gradients of a loss of the whole batch, if the batch is cut into parts, for replicas or for memory.

    rollout = forward(part) of all parts, concatenated
    output_gradients = d loss(rollout) / d rollout
    gradients = sum over the parts of  output_gradients · d rollout / d weights       # the chain rule

No part's activations are needed while another is read. With several parts in turn the forward pass runs twice, first
without and then with a gradient: the gradient cache of Gao et al. 2021, arXiv 2101.06983. Replicas exchange their
logits.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def gradients(
    forward: Callable, loss_fn: Callable, weights: list, first: int | tf.Tensor, mine: int, count: int
) -> tuple[list[tf.Tensor], Any, Any]:
    """Returns the whole batch's gradients; the same on each replica. Graph.

    Args:
        forward: the index of one of this replica's parts, from 0 -> a nest of tensors, rows first; the same in each
            call.
        loss_fn: the nest of the whole batch -> the loss float32 `[]`, and a nest of measurements.
        weights: the variables whose gradients are wanted.
        first: the index of this replica's first part among all.
        mine: the number of its parts.
        count: the number of all parts.

    Returns:
        A gradient for each weight, the measurements, and the nest of the whole batch.
    """
    with tf.GradientTape() as forward_tape:
        part = _in_turn(forward, mine)
    whole = gathered(part)
    with tf.GradientTape() as loss_tape:
        loss_tape.watch(_floating(whole))
        loss, measured = loss_fn(whole)
    output_gradients, direct = loss_tape.gradient(loss, (_floating(whole), weights), unconnected_gradients="zero")

    def vjp(tape, part, index):
        """Returns the product of a part's output gradients with the derivatives of its outputs by the weights."""
        given = cut(output_gradients, index, count)
        found = tape.gradient(_floating(part), weights, given, unconnected_gradients="zero")
        return [tf.convert_to_tensor(gradient) for gradient in found]

    def forward_again(i, sums):
        with tf.GradientTape() as tape:
            part = forward(i)
        return i + 1, [total + gradient for total, gradient in zip(sums, vjp(tape, part, first + i), strict=True)]

    if mine == 1:
        sums = vjp(forward_tape, part, first)
    else:
        sums = [tf.zeros_like(weight) for weight in weights]
        _, sums = tf.while_loop(
            lambda i, _: i < mine, forward_again, (0, sums), maximum_iterations=mine, parallel_iterations=1
        )
    if tf.distribute.get_strategy().num_replicas_in_sync > 1:
        sums = tf.distribute.get_replica_context().all_reduce("sum", sums)
    return [a + b for a, b in zip(sums, direct, strict=True)], measured, whole


def cut(whole: Any, index: int | tf.Tensor, count: int) -> Any:
    """Returns the rows of part `index` of `count`, of each tensor of a nest."""
    if count == 1:
        return whole
    return tf.nest.map_structure(lambda t: tf.reshape(t, [count, -1, *t.shape[1:]])[index], whole)


def gathered(part: Any) -> Any:
    """Returns the rows of all replicas, in their order, of each tensor of a nest."""
    replicas, flat = tf.distribute.get_strategy().num_replicas_in_sync, tf.nest.flatten(part)
    if replicas == 1 or not flat:
        return part
    wider = [tf.cast(t, tf.float32 if t.dtype.is_floating else tf.int32) for t in flat]  # bfloat16, bool: not supported
    wider = [tf.identity(t) for t in wider]  # on the replica's device, which an input of the step does not name
    whole = tf.distribute.get_replica_context().all_gather(wider, 0)
    whole = [_of_parts(tf.cast(w, t.dtype), t, replicas) for w, t in zip(whole, flat, strict=True)]
    return tf.nest.pack_sequence_as(part, whole)


def _in_turn(forward, count):
    """Returns the outputs of `count` parts, which are read one after the other."""
    start = forward(0)
    if count == 1:
        return start
    arrays = tf.nest.map_structure(lambda t: tf.TensorArray(t.dtype, count).write(0, t), start)

    def body(i, arrays):
        return i + 1, tf.nest.map_structure(lambda array, t: array.write(i, t), arrays, forward(i))

    loop = tf.while_loop(lambda i, _: i < count, body, (1, arrays), maximum_iterations=count, parallel_iterations=1)
    return tf.nest.map_structure(lambda array, t: _of_parts(array.concat(), t, count), loop[1], start)


def _of_parts(whole: tf.Tensor, part: tf.Tensor, count: int) -> tf.Tensor:
    """Returns the concatenation of `count` parts, with as much of its static shape as one part tells."""
    rows = part.shape[0]
    return tf.ensure_shape(whole, [rows and count * rows, *part.shape[1:]])


def _floating(nest: Any) -> list[tf.Tensor]:
    return [tensor for tensor in tf.nest.flatten(nest) if tensor.dtype.is_floating]
