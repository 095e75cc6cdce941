"""Keras's GRU and LSTM layers with the loops of `loops.py` inside, for a Keras model of one's own.

    keras.Sequential([keras.layers.Embedding(66, 256), GRU(1024, return_sequences=True), keras.layers.Dense(66)])

Arguments, weights, config, results and gradients are those of `keras.layers.GRU` and `keras.layers.LSTM`; on a CPU a
step of training is faster. Import this module before loading a `.keras` file that names these layers.
"""

import keras
import tensorflow as tf

from charrnn.model import cells, loops
from charrnn.model.cells import Cell
from charrnn.model.weights import Layer


class _FusedLoop:
    """Takes the place of a Keras layer's loop over time wherever it gives the same results sooner."""

    _equations: Cell

    def inner_loop(self, sequences, initial_state, mask, training=False):
        """What Keras's `call` leaves to the layer. Eager or graph.

        Args:
            sequences: `[B, T, …]`; B and T may be unknown.
            initial_state: a list of `[B, H]`; a stateful layer's variables.
            mask: bool `[B, T]` or None.
            training: whether dropout applies.

        Returns:
            The last output `[B, H]`; all outputs `[B, T, H]`, or without `return_sequences` the last, `[B, 1, H]`; and
            the last state.
        """
        if not self._is_fused(mask, training):
            return super().inner_loop(sequences, initial_state, mask, training)
        layer = self._recurrence_layer()
        x = tf.transpose(self._cast(sequences), [1, 0, 2])
        x = layer.project(tf.reverse(x, [0]) if self.go_backwards else x)
        outputs, state = loops.closed_loop(layer, x, tuple(map(self._cast, initial_state)))
        last = state[0]
        outputs = tf.transpose(outputs, [1, 0, 2]) if self.return_sequences else last[:, None]
        return last, outputs, list(state)

    def _is_fused(self, mask, training) -> bool:
        """Whether the fused loops compute what this call asks for, and no GPU is there: cuDNN is the fastest on one."""
        return (
            mask is None
            and not (training and (self.dropout or self.recurrent_dropout))
            and self.activation is keras.activations.tanh
            and self.recurrent_activation is keras.activations.sigmoid
            and getattr(self, "reset_after", True)
            and not self.unroll
            and self.use_cudnn is not True  # without a GPU, Keras refuses
            and not tf.config.list_logical_devices("GPU")
        )

    def _recurrence_layer(self) -> Layer:
        """The weights in the compute dtype."""
        kernel, recurrent_kernel = (self._cast(w) for w in (self.cell.kernel, self.cell.recurrent_kernel))
        if self.use_bias:
            bias = self._cast(self.cell.bias)
        else:
            bias = tf.zeros((2, kernel.shape[1]) if self._equations is cells.GRU else kernel.shape[1], kernel.dtype)
        return Layer.from_keras(self._equations, kernel, recurrent_kernel, bias)

    def _cast(self, given):
        return tf.cast(tf.convert_to_tensor(given), self.cell.compute_dtype)


@keras.saving.register_keras_serializable(package="charrnn")
class GRU(_FusedLoop, keras.layers.GRU):
    """`keras.layers.GRU`, faster on a CPU.

    Keras's own code runs on a GPU, with a mask, with dropout in training, with `unroll=True`, and with other than the
    default `activation`, `recurrent_activation` and `reset_after`.
    """

    _equations = cells.GRU


@keras.saving.register_keras_serializable(package="charrnn")
class LSTM(_FusedLoop, keras.layers.LSTM):
    """`keras.layers.LSTM`, faster on a CPU.

    Keras's own code runs on a GPU, with a mask, with dropout in training, with `unroll=True`, and with other than the
    default `activation` and `recurrent_activation`.
    """

    _equations = cells.LSTM
