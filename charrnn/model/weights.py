"""A network's weights as the loops over time read them: in the compute dtype, cast once for all time steps.

    network = Network(layers, output_kernel, output_bias)
    states, saved = network.advance(ids, states)     # one character
    logits = network.predict(states)
"""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from charrnn.model import dropout
from charrnn.model.cells import Cell, State, to_float32
from charrnn.model.row_groups import split


class Layer(NamedTuple):
    """One recurrent layer's weights, in the compute dtype, and what is dropped of its outputs and states.

    With zoneout (Krueger et al. 2016, arXiv 1606.01305) each state of a step is keep · old + (1 - keep) · new, where
    keep is 0 or 1 for each unit in training, and its mean elsewhere.
    """

    cell: Cell
    kernel: tf.Tensor  # the first layer's table [V, G·H], bias included; above it the input kernel [H, G·H]
    bias: tf.Tensor | None  # [G·H]; None where the table includes it
    recurrent: tuple[tf.Tensor, ...]  # the recurrent kernel [H, G·H]; for a GRU also the recurrent bias [G·H]
    mask: tf.Tensor | None = None  # [B, H], by which its outputs are multiplied on their way up; None: nothing is
    keep: tuple[tf.Tensor, ...] = ()  # for each state: [], or of each position [T, B, H]; (): no zoneout

    @classmethod
    def from_keras(cls, cell: Cell, kernel: tf.Tensor, recurrent_kernel: tf.Tensor, bias: tf.Tensor) -> "Layer":
        """From the weights of a Keras layer; a GRU's bias is `[2, 3H]`: the input's, and the recurrent one."""
        bias, *recurrent_bias = tf.unstack(bias) if bias.shape.rank == 2 else (bias,)
        return cls(cell, kernel, bias, (recurrent_kernel, *recurrent_bias))

    @property
    def num_saved(self) -> int:
        """How many tensors `step` gives besides the state."""
        return self.cell.num_saved + len(self.keep)

    def in_groups(self, groups: int) -> "list[Layer]":
        """The layer as each group of rows reads it."""
        layers = [self] * groups
        if self.mask is not None:
            layers = [part._replace(mask=mask) for part, mask in zip(layers, split(self.mask, groups, 0), strict=True)]
        if self.keep and self.keep[0].shape.rank:
            shares = zip(*(split(keep, groups, 1) for keep in self.keep), strict=True)
            layers = [part._replace(keep=keep) for part, keep in zip(layers, shares, strict=True)]
        return layers

    def project(self, x: tf.Tensor) -> tf.Tensor:
        """Ids `[…]`, mixtures of them `[…, V]`, or what the layer reads `[…, H]` -> what the loop reads."""
        if x.dtype.is_integer:
            return tf.gather(self.kernel, x)
        projected = tf.tensordot(x, self.kernel, 1)
        return projected if self.bias is None else projected + self.bias

    def masked(self, outputs: tf.Tensor) -> tf.Tensor:
        """The outputs `[…, B, H]` on their way up; the states stay whole."""
        return outputs if self.mask is None else dropout.times(outputs, self.mask)

    def step(self, x: tf.Tensor, state: State, t: tf.Tensor | None = None) -> tuple[State, State]:
        """The cell's step at position t, with zoneout -> new state, and what `gradient` needs besides the states."""
        new, saved = self.cell.step(x, state, *self.recurrent)
        if not self.keep:
            return new, saved
        pairs = zip(self._keep(t), state, new, strict=True)
        mixed = (k * to_float32(a) + (1 - k) * to_float32(b) for k, a, b in pairs)
        return tuple(tf.cast(m, a.dtype) for m, a in zip(mixed, state, strict=True)), (*saved, *map(to_float32, new))

    def gradient(
        self, d_state: State, before: State, after: State, saved: State, t: tf.Tensor
    ) -> tuple[State, State]:
        """The cell's `gradient` at position t, with zoneout."""
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
    skip: bool = False  # whether a layer above the first hands up the sum of what it reads and what it writes

    def logits(self, outputs: tf.Tensor) -> tf.Tensor:
        """What the readout reads `[…, H]` -> logits float32 `[…, V]`."""
        return tf.tensordot(tf.cast(outputs, self.output_kernel.dtype), self.output_kernel, 1) + self.output_bias

    def predict(self, states: Sequence[State]) -> tf.Tensor:
        """Each layer's state after a character -> logits float32 `[B, V]` of the next."""
        return self.logits(self.output([state[0] for state in states]))

    def output(self, outputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """Each layer's outputs `[…, B, H]` -> what the readout reads, `[…, B, H]`."""
        x = None
        for i, own in enumerate(outputs):
            x = self.layer_input(i, own, x)
        return x

    def layer_input(self, i: int, outputs: tf.Tensor, x: tf.Tensor | None) -> tf.Tensor:
        """What layer i + 1, or the readout, reads: the outputs of layer i, which has read x; `[…, B, H]` each."""
        own = self.layers[i].masked(outputs)
        return x + own if self.skip and i else own

    @property
    def weights(self) -> list[tf.Tensor]:
        """The layers' kernels, biases where they have one, and recurrent weights; the readout's kernel and bias."""
        layers = [(layer.kernel, layer.bias, *layer.recurrent) for layer in self.layers]
        found = [weight for layer in layers for weight in layer if weight is not None]
        return [*found, self.output_kernel, self.output_bias]

    def in_groups(self, groups: int) -> "list[Network]":
        """The network as each group of rows reads it."""
        parts = zip(*(layer.in_groups(groups) for layer in self.layers), strict=True)
        return [self._replace(layers=layers) for layers in parts]

    def advance(
        self, ids: tf.Tensor, states: Sequence[State], t: tf.Tensor | None = None
    ) -> tuple[tuple[State, ...], tuple[State, ...]]:
        """One character, ids `[B]` or mixtures `[B, V]`: each layer's new state, and what its gradient needs.

        Where the layers' `keep` differs by position, t says which.
        """
        x, after, all_saved = ids, [], []
        for i, (layer, state) in enumerate(zip(self.layers, states, strict=True)):
            state, saved = layer.step(layer.project(x), state, t)
            after.append(state)
            all_saved.append(saved)
            x = self.layer_input(i, state[0], x)
        return tuple(after), tuple(all_saved)
