"""Keras's GRU and LSTM layers with the loops of `loops.py` inside, for use in any Keras model.

    keras.Sequential([keras.layers.Embedding(66, 256), GRU(1024, return_sequences=True), keras.layers.Dense(66)])

Arguments, weights, config, results and gradients are the same as in `keras.layers.GRU` and `keras.layers.LSTM`; a
training step is faster on a CPU. Import this module before loading a `.keras` file that names these layers.
"""

import keras
import tensorflow as tf

from charrnn.model import cells, loops
from charrnn.model.cells import Cell
from charrnn.model.weights import Layer


class _FusedLoop(keras.layers.RNN):
    """Replaces a Keras layer's loop over time wherever `loops.py` gives the same results faster."""

    _equations: Cell

    def inner_loop(
        self, sequences: tf.Tensor, initial_state: list[tf.Tensor], mask: tf.Tensor | None, training: bool = False
    ) -> tuple[tf.Tensor, tf.Tensor, list[tf.Tensor]]:
        """Runs the loop over time for Keras's `call`. Eager or graph.

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

    def _is_fused(self, mask: tf.Tensor | None, training: bool) -> bool:
        """Returns True if the loops support this call and there is no GPU, on which cuDNN is the fastest."""
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
        """Returns the weights in the compute dtype."""
        kernel, recurrent_kernel = (self._cast(w) for w in (self.cell.kernel, self.cell.recurrent_kernel))
        if self.use_bias:
            bias = self._cast(self.cell.bias)
        else:
            bias = tf.zeros((2, kernel.shape[1]) if self._equations is cells.GRU else kernel.shape[1], kernel.dtype)
        return Layer.from_keras(self._equations, kernel, recurrent_kernel, bias)

    def _cast(self, tensor):
        return tf.cast(tf.convert_to_tensor(tensor), self.cell.compute_dtype)


@keras.saving.register_keras_serializable(package="charrnn")
class GRU(_FusedLoop, keras.layers.GRU):
    """`keras.layers.GRU`, faster on a CPU.

    Keras's own loop runs on a GPU, with a mask, with dropout in training, with `unroll=True`, and if `activation`,
    `recurrent_activation` or `reset_after` is not the default.
    """

    _equations = cells.GRU


@keras.saving.register_keras_serializable(package="charrnn")
class LSTM(_FusedLoop, keras.layers.LSTM):
    """`keras.layers.LSTM`, faster on a CPU.

    Keras's own loop runs on a GPU, with a mask, with dropout in training, with `unroll=True`, and if `activation` or
    `recurrent_activation` is not the default.
    """

    _equations = cells.LSTM
