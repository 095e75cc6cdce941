"""Tests the loop over mixtures against the cells' equations in NumPy and against numerical gradients, in float64."""

import numpy as np
import pytest
import tensorflow as tf
from equations import B, H, T, V, assert_gradient, normal, numpy_step, random_layer, random_state, with_weights

from charrnn.model import cells
from charrnn.model.soft_loop import soft_loop
from charrnn.model.weights import Network


def soft_network(cell):
    """Returns two layers and a readout, in float64."""
    first = random_layer(cell)
    return Network((first, random_layer(cell, H)), tf.constant(normal(5, H, V)), tf.constant(normal(6, V)))


@pytest.mark.parametrize("cell", cells.CELLS.values())
def test_soft_backward_is_the_numerical_gradient(cell):
    """Checks all weights and states. Each mixture depends on all mixtures before it."""
    network, start = soft_network(cell), (random_state(cell), random_state(cell))
    ids = tf.constant([[0, 3], [3, 3], [1, 0], [2, 3]])
    own = tf.constant([[True, True], [True, False], [True, True], [False, True]])
    noise, by_logits = tf.constant(normal(9, T, B, V)), normal(11, T, B, V)
    num_weights = len(network.weights)

    def loss(*inputs):
        changed = with_weights(network, inputs[:num_weights])
        states = tf.nest.pack_sequence_as(start, inputs[num_weights:])
        mix = lambda logits, noise: tf.nn.softmax(2.0 * (logits + noise))  # noqa: E731
        outputs, _, last = soft_loop(changed, ids, own, mix, noise, states)
        by_last = sum(tf.reduce_sum(entry**3) for entry in tf.nest.flatten(last))
        return tf.reduce_sum(changed.logits(outputs) * by_logits) + by_last

    inputs = [*network.weights, *tf.nest.flatten(start)]
    assert_gradient(loss, [tf.convert_to_tensor(x) for x in inputs])


@pytest.mark.parametrize("cell", cells.CELLS.values())
def test_soft_forward_is_the_cells_equations_over_mixtures(cell):
    layer, start = random_layer(cell), random_state(cell)
    readout = normal(5, H, V)
    network = Network((layer,), tf.constant(readout), tf.zeros(V, tf.float64))
    ids, own = np.array([[0, 3], [3, 3], [1, 0], [2, 3]]), np.array([[1, 1], [1, 0], [0, 1], [1, 1]], bool)
    noise = normal(9, T, B, V)
    mix = lambda logits, noise: tf.nn.softmax(3.0 * (logits + noise))  # noqa: E731
    text, mask = tf.constant(ids), tf.constant(own)
    outputs, fed, last = soft_loop(network, text, mask, mix, tf.constant(noise), (start,))
    state = tuple(s.numpy() for s in start)
    for t in range(T):
        read = np.eye(V)[ids[t]]
        if t:
            soft = np.exp(3.0 * (state[0] @ readout + noise[t]))
            read[own[t]] = (soft / soft.sum(-1, keepdims=True))[own[t]]
        np.testing.assert_allclose(fed[t], read, rtol=1e-12)
        state = numpy_step(layer, read @ layer.kernel.numpy(), state)
        np.testing.assert_allclose(outputs[t], state[0], rtol=1e-12)
    for got, expected in zip(last[0], state, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-12)
