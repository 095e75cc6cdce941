"""The cells' equations in NumPy, and small random layers, for the tests of the loops."""

import numpy as np
import tensorflow as tf

from charrnn import cells
from charrnn.network import Layer

T, B, H, V = 4, 2, 3, 5


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(0, 0.7, shape)


def random_layer(cell, x_width=None):
    """A float64 layer with random weights: a table, or with `x_width` an input kernel and a bias."""
    width = cell.num_gates * H
    recurrent = (normal(1, H, width), normal(2, width))[: 2 if cell is cells.GRU else 1]
    kernel, bias = normal(3, x_width or V, width), normal(4, width) if x_width else None
    return Layer(cell, tf.constant(kernel), bias, tuple(map(tf.constant, recurrent)))


def random_state(cell):
    return tuple(tf.constant(normal(10 + i, B, H)) for i in range(cell.num_states))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def numpy_step(layer, x, state):
    """One step by the textbook, gate by gate; the reset gate after the matmul."""
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
