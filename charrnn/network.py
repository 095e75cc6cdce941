"""A network's weights as the loops over time read them: in the compute dtype, cast once for all time steps.

    network = Network(layers, output_kernel, output_bias)
    states, kept = network.advance(ids, states)     # one character
    logits = network.logits(states[-1][0])
"""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from charrnn.cells import Cell, State


class Layer(NamedTuple):
    """One recurrent layer's weights, in the compute dtype."""

    cell: Cell
    kernel: tf.Tensor  # the first layer's table [V, G·H], bias included; above it the input kernel [H, G·H]
    bias: tf.Tensor | None  # [G·H]; None where the table includes it
    recurrent: tuple[tf.Tensor, ...]  # the recurrent kernel [H, G·H]; for a GRU also the recurrent bias [G·H]

    @classmethod
    def from_keras(cls, cell: Cell, kernel: tf.Tensor, recurrent_kernel: tf.Tensor, bias: tf.Tensor) -> "Layer":
        """From the weights of a Keras layer; a GRU's bias is `[2, 3H]`: the input's, and the recurrent one."""
        bias, *recurrent_bias = tf.unstack(bias) if bias.shape.rank == 2 else (bias,)
        return cls(cell, kernel, bias, (recurrent_kernel, *recurrent_bias))

    def project(self, x: tf.Tensor) -> tf.Tensor:
        """Ids `[…]`, mixtures of them `[…, V]`, or the layer below's outputs `[…, H]` -> what the loop reads."""
        if x.dtype.is_integer:
            return tf.gather(self.kernel, x)
        projected = tf.tensordot(x, self.kernel, 1)
        return projected if self.bias is None else projected + self.bias


class Network(NamedTuple):
    """All weights that turn an id and a state into logits."""

    layers: tuple[Layer, ...]
    output_kernel: tf.Tensor  # float32 [H, V]
    output_bias: tf.Tensor  # float32 [V]

    def logits(self, outputs: tf.Tensor) -> tf.Tensor:
        """The last layer's outputs `[…, H]` -> logits float32 `[…, V]`."""
        return tf.tensordot(tf.cast(outputs, self.output_kernel.dtype), self.output_kernel, 1) + self.output_bias

    @property
    def weights(self) -> list[tf.Tensor]:
        """The layers' kernels, biases where they have one, and recurrent weights; the readout's kernel and bias."""
        layers = [(layer.kernel, layer.bias, *layer.recurrent) for layer in self.layers]
        found = [weight for layer in layers for weight in layer if weight is not None]
        return [*found, self.output_kernel, self.output_bias]

    def advance(self, ids: tf.Tensor, states: Sequence[State]) -> tuple[tuple[State, ...], tuple[State, ...]]:
        """One character, ids `[B]` or mixtures `[B, V]`: each layer's new state, and what its gradient needs."""
        x, after, saved = ids, [], []
        for layer, state in zip(self.layers, states, strict=True):
            state, kept = layer.cell.step(layer.project(x), state, *layer.recurrent)
            after.append(state)
            saved.append(kept)
            x = state[0]
        return tuple(after), tuple(saved)
