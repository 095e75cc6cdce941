"""One time step of each recurrent cell, forward and backward, with Keras's equations, gate order and weight shapes.

    state, saved = GRU.step(x, state, kernel, bias)
    d_gates, d_state = GRU.gradient(d_state, state_before, state_after, saved)

B rows, H units, G gates. If matmuls and states are in 16 bits, the gates are in float32: faster on a CPU, and more
exact.

`step` takes the projected input x `[B, G·H]`, the state and the recurrent weights: the kernel `[H, G·H]`, and for a GRU
the bias `[G·H]`. It returns the new state, and the activations that `gradient` needs besides the states.

`gradient` takes the gradient of the new state, the states before and after the step, and the saved activations. It
returns two tuples:

- the gradients of the gates' sums: of a, `[B, G·H]`, and for a GRU also of x_g, `[B, H]`, because its r stands between
  x_g and a. `input_gradient` joins them into the gradient of the projected input;
- the direct gradient of each state before the step, without the part that comes through a; None for zero.
"""

from collections.abc import Sequence

import tensorflow as tf

State = tuple[tf.Tensor, ...]
"""The tensors that a cell carries from one character to the next; the first, `[B, H]`, is also its output."""


class GRU:
    """Gated recurrent unit (Cho et al. 2014, 1406.1078), reset after the matmul as in cuDNN. Gate order z, r, g.

        a = h @ U + b                    [B, 3H], in parts a_z, a_r, q
        z = sigmoid(x_z + a_z)           how much of the old state stays
        r = sigmoid(x_r + a_r)
        g = tanh(x_g + r * q)
        h' = z * h + (1 - z) * g
    """

    num_gates = 3
    num_states = 1
    num_saved = 4  # tensors that `step` saves
    gradient_widths = (3, 1)  # of the tensors that `gradient` returns for the gates, in H

    @staticmethod
    def step(x: tf.Tensor, state: State, kernel: tf.Tensor, bias: tf.Tensor) -> tuple[State, State]:
        """Returns the new state and the saved activations."""
        (h,) = state
        x_z, x_r, x_g = tf.split(to_float32(x), 3, -1)
        a_z, a_r, q = tf.split(to_float32(tf.matmul(h, kernel) + bias), 3, -1)
        z, r = tf.sigmoid(x_z + a_z), tf.sigmoid(x_r + a_r)
        g = tf.tanh(x_g + r * q)
        return _to_state_dtype([z * to_float32(h) + (1 - z) * g], state), (z, r, g, q)

    @staticmethod
    def gradient(d_state: State, before: State, after: State, saved: State) -> tuple[State, State]:
        """Returns the gradients of the gates and of the state before the step."""
        d_h, h, (z, r, g, q) = to_float32(d_state[0]), to_float32(before[0]), saved
        d_z = _through_sigmoid(z, d_h * (h - g))
        d_g = _through_tanh(g, d_h * (1 - z))
        d_r = _through_sigmoid(r, d_g * q)
        d_a = tf.concat([d_z, d_r, d_g * r], -1)
        return _to_state_dtype([d_a, d_g], before), _to_state_dtype([d_h * z], before)


class LSTM:
    """Long short-term memory (Hochreiter & Schmidhuber 1997) with a forget gate. Gate order i, f, g, o.

        a = x + h @ U                    [B, 4H]
        i, f, o = sigmoid(a_i), sigmoid(a_f), sigmoid(a_o);  g = tanh(a_g)
        c' = f * c + i * g
        h' = o * tanh(c')
    """

    num_gates = 4
    num_states = 2
    num_saved = 4
    gradient_widths = (4,)

    @staticmethod
    def step(x: tf.Tensor, state: State, kernel: tf.Tensor) -> tuple[State, State]:
        """Returns the new state and the saved activations."""
        h, c = state
        a_i, a_f, a_g, a_o = tf.split(to_float32(x + tf.matmul(h, kernel)), 4, -1)
        i, f, g, o = tf.sigmoid(a_i), tf.sigmoid(a_f), tf.tanh(a_g), tf.sigmoid(a_o)
        c = f * to_float32(c) + i * g
        return _to_state_dtype([o * tf.tanh(c), c], state), (i, f, g, o)

    @staticmethod
    def gradient(d_state: State, before: State, after: State, saved: State) -> tuple[State, tuple[None, tf.Tensor]]:
        """Returns the gradients of the gates and of the state before the step."""
        (d_h, d_c), c, (i, f, g, o) = map(to_float32, d_state), to_float32(before[1]), saved
        tanh_c = tf.tanh(to_float32(after[1]))
        d_c += _through_tanh(tanh_c, d_h * o)
        d_i, d_f = _through_sigmoid(i, d_c * g), _through_sigmoid(f, d_c * c)
        d_g, d_o = _through_tanh(g, d_c * i), _through_sigmoid(o, d_h * tanh_c)
        d_a, d_c = _to_state_dtype([tf.concat([d_i, d_f, d_g, d_o], -1), d_c * f], before)
        return (d_a,), (None, d_c)


class RNN:
    """Simple recurrent network (Elman 1990).

        a = x + h @ U                    [B, H]
        h' = tanh(a)
    """

    num_gates = 1
    num_states = 1
    num_saved = 0
    gradient_widths = (1,)

    @staticmethod
    def step(x: tf.Tensor, state: State, kernel: tf.Tensor) -> tuple[State, State]:
        """Returns the new state; it saves no activations."""
        return (tf.tanh(x + tf.matmul(state[0], kernel)),), ()

    @staticmethod
    def gradient(d_state: State, before: State, after: State, saved: State) -> tuple[State, tuple[None]]:
        """Returns the gradient of the gate, and None for the state before the step."""
        return (_through_tanh(after[0], d_state[0]),), (None,)


Cell = type[GRU] | type[LSTM] | type[RNN]
"""A cell is used as a class, because it has no state of its own."""

CELLS: dict[str, Cell] = {"gru": GRU, "lstm": LSTM, "rnn": RNN}


def input_gradient(d_gates: Sequence[tf.Tensor]) -> tf.Tensor:
    """Returns the gradient of the projected input, `[…, G·H]`.

    Args:
        d_gates: the gradients of the gates from a cell's `gradient`, or sums of these over rows: `[…, G·H]`, and for a
            GRU also `[…, H]`.
    """
    d_a, *d_last = d_gates
    return tf.concat([d_a[..., : -d_last[0].shape[-1]], *d_last], -1) if d_last else d_a


def to_float32(x: tf.Tensor) -> tf.Tensor:
    """Casts a 16-bit tensor to float32, the dtype of the gates; leaves others as they are."""
    return tf.cast(x, tf.float32) if x.dtype.size == 2 else x


def _to_state_dtype(tensors: Sequence[tf.Tensor], state: State) -> State:
    return tuple(tf.cast(tensor, state[0].dtype) for tensor in tensors)


def _through_sigmoid(y: tf.Tensor, dy: tf.Tensor) -> tf.Tensor:
    """Returns the gradient of x for y = sigmoid(x): dy * y * (1 - y), in one operation."""
    return tf.raw_ops.SigmoidGrad(y=y, dy=dy)


def _through_tanh(y: tf.Tensor, dy: tf.Tensor) -> tf.Tensor:
    """Returns the gradient of x for y = tanh(x): dy * (1 - y * y), in one operation."""
    return tf.raw_ops.TanhGrad(y=y, dy=dy)
