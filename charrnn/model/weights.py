"""The weights as the loops over time read them: in the compute dtype, cast once for all time steps.

    network = Network(layers, output_kernel, output_bias)
    states, saved = network.advance(ids, states)     # one character
    logits = network.predict(states)

Shapes: B rows, T characters, V ids, H units, G gates.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf

from charrnn.model import dropout
from charrnn.model.cells import Cell, State, to_float32
from charrnn.model.row_groups import split


class Layer(NamedTuple):
    """One recurrent layer's weights in the compute dtype, and its dropout masks.

    With zoneout (Krueger et al. 2016, arXiv 1606.01305) each state of a step is keep · old + (1 - keep) · new. In
    training keep is 0 or 1 for each unit; otherwise it is the mean of these.
    """

    cell: Cell
    kernel: tf.Tensor  # first layer: a table [V, G·H] that includes the bias; other layers: the input kernel [H, G·H]
    bias: tf.Tensor | None  # [G·H]; None if the table includes it
    recurrent: tuple[tf.Tensor, ...]  # the recurrent kernel [H, G·H]; for a GRU also the recurrent bias [G·H]
    mask: tf.Tensor | None = None  # [B, H], dropout of the outputs; None: no dropout
    keep: tuple[tf.Tensor, ...] = ()  # for each state: [], or per position [T, B, H]; (): no zoneout

    @classmethod
    def from_keras(cls, cell: Cell, kernel: tf.Tensor, recurrent_kernel: tf.Tensor, bias: tf.Tensor) -> "Layer":
        """Makes a layer of a Keras layer's weights; a GRU's bias is `[2, 3H]`, the input's and the recurrent one."""
        bias, *recurrent_bias = tf.unstack(bias) if bias.shape.rank == 2 else (bias,)
        return cls(cell, kernel, bias, (recurrent_kernel, *recurrent_bias))

    @property
    def num_saved(self) -> int:
        """The number of tensors that `step` saves."""
        return self.cell.num_saved + len(self.keep)

    def in_groups(self, groups: int) -> "list[Layer]":
        """Returns the layer for each group of rows, with the group's part of the masks."""
        masks = [None] * groups if self.mask is None else split(self.mask, groups, 0)
        by_position = self.keep and self.keep[0].shape.rank
        keeps = split(self.keep, groups, 1) if by_position else [self.keep] * groups
        return [self._replace(mask=mask, keep=keep) for mask, keep in zip(masks, keeps, strict=True)]

    def project(self, x: tf.Tensor) -> tf.Tensor:
        """Projects ids `[…]`, mixtures of ids `[…, V]` or inputs `[…, H]` to `[…, G·H]`, the input of `step`."""
        if x.dtype.is_integer:
            return tf.gather(self.kernel, x)
        projected = tf.tensordot(x, self.kernel, 1)
        return projected if self.bias is None else projected + self.bias

    def masked(self, outputs: tf.Tensor) -> tf.Tensor:
        """Returns the outputs `[…, B, H]` with dropout, for the layer above; the states have none."""
        return outputs if self.mask is None else dropout.times(outputs, self.mask)

    def step(self, x: tf.Tensor, state: State, t: tf.Tensor | None = None) -> tuple[State, State]:
        """Runs the cell's step, with zoneout; returns the new state and the activations for `gradient`.

        Args:
            x: from `project`, `[B, G·H]`.
            state: `[B, H]` each.
            t: the position, int32 `[]`; None if `keep` is the same at all positions.
        """
        new, saved = self.cell.step(x, state, *self.recurrent)
        if not self.keep:
            return new, saved
        pairs = zip(self._keep(t), state, new, strict=True)
        mixed = (k * to_float32(a) + (1 - k) * to_float32(b) for k, a, b in pairs)
        return tuple(tf.cast(m, a.dtype) for m, a in zip(mixed, state, strict=True)), (*saved, *map(to_float32, new))

    def gradient(
        self, d_state: State, before: State, after: State, saved: State, t: tf.Tensor
    ) -> tuple[State, tuple[tf.Tensor | None, ...]]:
        """Runs the cell's `gradient` at position t, with zoneout; the other arguments and the result are the cell's."""
        if not self.keep:
            return self.cell.gradient(d_state, before, after, saved)
        keep, dtype = self._keep(t), before[0].dtype
        saved, new = saved[: self.cell.num_saved], saved[self.cell.num_saved :]
        d_new = tuple(tf.cast((1 - k) * to_float32(d), dtype) for k, d in zip(keep, d_state, strict=True))
        d_old = tuple(tf.cast(k * to_float32(d), dtype) for k, d in zip(keep, d_state, strict=True))
        d_gates, d_before = self.cell.gradient(d_new, before, tuple(tf.cast(n, dtype) for n in new), saved)
        return d_gates, tuple(a if b is None else a + b for a, b in zip(d_old, d_before, strict=True))

    def _keep(self, t):
        return [to_float32(keep[t] if keep.shape.rank else keep) for keep in self.keep]


class Network(NamedTuple):
    """All weights that turn an id and a state into logits."""

    layers: tuple[Layer, ...]
    output_kernel: tf.Tensor  # float32 [H, V]
    output_bias: tf.Tensor  # float32 [V]
    skip: bool = False  # True if each layer from the second on passes up the sum of its input and its output

    def logits(self, outputs: tf.Tensor) -> tf.Tensor:
        """Applies the readout to its inputs `[…, H]`; returns logits float32 `[…, V]`."""
        return tf.tensordot(tf.cast(outputs, self.output_kernel.dtype), self.output_kernel, 1) + self.output_bias

    def predict(self, states: Sequence[State]) -> tf.Tensor:
        """Returns the logits of the next character, float32 `[B, V]`, for each layer's state."""
        return self.logits(self.output([state[0] for state in states]))

    def output(self, outputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """Returns the input of the readout `[…, B, H]` for each layer's outputs `[…, B, H]`."""
        x = None
        for i, own in enumerate(outputs):
            x = self.layer_input(i, own, x)
        return x

    def layer_input(self, i: int, outputs: tf.Tensor, x: tf.Tensor | None) -> tf.Tensor:
        """Returns the input of layer i + 1, or of the readout, for outputs and input x of layer i: `[…, B, H]` each."""
        own = self.layers[i].masked(outputs)
        return x + own if self.skip and i else own

    @property
    def weights(self) -> list[tf.Tensor]:
        """The layers' kernels, biases if they have one, and recurrent weights; the readout's kernel and bias."""
        layers = [(layer.kernel, layer.bias, *layer.recurrent) for layer in self.layers]
        found = [weight for layer in layers for weight in layer if weight is not None]
        return [*found, self.output_kernel, self.output_bias]

    def map(self, function: Callable[[tf.Tensor], tf.Tensor | tf.Variable]) -> "Network":
        """Returns the network with a function applied to each tensor."""
        return tf.nest.map_structure(lambda entry: function(entry) if tf.is_tensor(entry) else entry, self)

    def in_groups(self, groups: int) -> "list[Network]":
        """Returns the network for each group of rows."""
        parts = zip(*(layer.in_groups(groups) for layer in self.layers), strict=True)
        return [self._replace(layers=layers) for layers in parts]

    def advance(
        self, inputs: tf.Tensor, states: Sequence[State], t: tf.Tensor | None = None
    ) -> tuple[tuple[State, ...], tuple[State, ...]]:
        """Reads one character.

        Args:
            inputs: ids `[B]`, or mixtures of ids `[B, V]`.
            states: each layer's.
            t: the position, int32 `[]`; None if no layer's `keep` differs by position.

        Returns:
            Each layer's new state, and the activations that its `gradient` needs.
        """
        x, after, all_saved = inputs, [], []
        for i, (layer, state) in enumerate(zip(self.layers, states, strict=True)):
            state, saved = layer.step(layer.project(x), state, t)
            after.append(state)
            all_saved.append(saved)
            x = self.layer_input(i, state[0], x)
        return tuple(after), tuple(all_saved)
