"""The cells' equations in NumPy, and small random layers, for the tests of the loops."""

import numpy as np
import tensorflow as tf

from charrnn.model import cells
from charrnn.model.weights import Layer

T, B, H, V = 4, 2, 3, 5


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(0, 0.7, shape)


def random_layer(cell, x_width=None):
    """Returns a float64 layer with random weights: a table `[V, G·H]`, or with `x_width` an input kernel and a bias."""
    width = cell.num_gates * H
    recurrent = (normal(1, H, width), normal(2, width))[: 2 if cell is cells.GRU else 1]
    kernel, bias = normal(3, x_width or V, width), normal(4, width) if x_width else None
    return Layer(cell, tf.constant(kernel), bias, tuple(map(tf.constant, recurrent)))


def random_state(cell):
    return tuple(tf.constant(normal(10 + i, B, H)) for i in range(cell.num_states))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def numpy_step(layer, x, state):
    """Returns the state after one step, gate by gate as in a textbook. A GRU's reset gate applies after the matmul."""
    kernels = np.split(layer.recurrent[0].numpy(), layer.cell.num_gates, -1)
    parts = np.split(x, layer.cell.num_gates, -1)
    if layer.cell is cells.GRU:
        (h,) = state
        (u_z, u_r, u_g), (b_z, b_r, b_g), (x_z, x_r, x_g) = kernels, np.split(layer.recurrent[1].numpy(), 3), parts
        z, r = sigmoid(x_z + h @ u_z + b_z), sigmoid(x_r + h @ u_r + b_r)
        return ((1 - z) * np.tanh(x_g + r * (h @ u_g + b_g)) + z * h,)
    if layer.cell is cells.RNN:
        return (np.tanh(x + state[0] @ layer.recurrent[0].numpy()),)
    h, c = state
    i, f, g, o = (x_part + h @ u for x_part, u in zip(parts, kernels, strict=True))
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def numpy_zoneout(keep, old, new):
    """Returns the state with zoneout: each unit has its old state, its new state, or a weighted mean of both."""
    return tuple(np.asarray(k) * a + (1 - np.asarray(k)) * b for k, a, b in zip(keep, old, new, strict=True))


def random_keep(cell):
    """Returns the zoneout masks of all positions, `[T, B, H]`, one per state."""
    masks = np.random.default_rng(20).random((cell.num_states, T, B, H)) < 0.4
    return tuple(tf.constant(mask, tf.float64) for mask in masks)


def constant_keep(cell):
    """Returns the share of the old state that zoneout keeps outside of training, `[]`, one per state."""
    return tuple(tf.constant(rate, tf.float64) for rate in (0.3, 0.1)[: cell.num_states])


def assert_gradient(loss, inputs):
    """Asserts that the gradient of `loss` in each input equals the difference quotient along a random direction."""
    loss = tf.function(loss, autograph=False)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        value = loss(*inputs)
    for i, gradient in enumerate(tape.gradient(value, inputs)):
        direction = normal(40 + i, *inputs[i].shape)
        sides = [loss(*inputs[:i], inputs[i] + side * 1e-5 * direction, *inputs[i + 1 :]) for side in (1, -1)]
        expected = float(sides[0] - sides[1]) / 2e-5
        assert abs(expected) > 1e-4  # otherwise the comparison would prove nothing
        np.testing.assert_allclose(np.sum(gradient * direction), expected, rtol=1e-5)


def with_weights(network, weights):
    """Returns the network with other weights, given in the order of `network.weights`."""
    weights, layers = list(weights), []
    for layer in network.layers:
        kernel, bias = weights.pop(0), None if layer.bias is None else weights.pop(0)
        recurrent = tuple(weights.pop(0) for _ in layer.recurrent)
        layers.append(layer._replace(kernel=kernel, bias=bias, recurrent=recurrent))
    return network._replace(layers=tuple(layers), output_kernel=weights[0], output_bias=weights[1])
