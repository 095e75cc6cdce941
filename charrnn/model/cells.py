"""One time step of each recurrent cell, forward and backward.

Keras's equations, gate order and weight shapes. H units, B rows. Where matmuls and states are in 16 bits, the gates
between them are in float32: faster on a CPU, and more exact.
"""

from collections.abc import Sequence

import tensorflow as tf

State = tuple[tf.Tensor, ...]
"""What a cell carries from one character to the next; the first entry, `[B, H]`, is also its output."""


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
    num_saved = 4
    gradient_widths = (3, 1)  # the widths, in H, of what `gradient` gives

    @staticmethod
    def step(x: tf.Tensor, state: State, kernel: tf.Tensor, bias: tf.Tensor) -> tuple[State, State]:
        """Projected input `[B, 3H]` and state -> new state, and what `gradient` needs besides the states."""
        (h,) = state
        x_z, x_r, x_g = tf.split(to_float32(x), 3, -1)
        a_z, a_r, q = tf.split(to_float32(tf.matmul(h, kernel) + bias), 3, -1)
        z, r = tf.sigmoid(x_z + a_z), tf.sigmoid(x_r + a_r)
        g = tf.tanh(x_g + r * q)
        return _to_state_dtype([z * to_float32(h) + (1 - z) * g], state), (z, r, g, q)

    @staticmethod
    def gradient(d_state: State, before: State, after: State, saved: State) -> tuple[State, State]:
        """Gradient of one step.

        Returns:
            The gradient of `a`, `[B, 3H]`; that of x_g, `[B, H]`, by which the projected input's differs from it; and
            that of the state before, less the part which comes through `a`.
        """
        d_h, h, (z, r, g, q) = to_float32(d_state[0]), to_float32(before[0]), saved
        d_z = _through_sigmoid(z, d_h * (h - g))
        d_g = _through_tanh(g, d_h * (1 - z))
        d_r = _through_sigmoid(r, d_g * q)
        return _to_state_dtype([tf.concat([d_z, d_r, d_g * r], -1), d_g], before), _to_state_dtype([d_h * z], before)


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
        """Projected input `[B, 4H]` and state -> new state, and what `gradient` needs besides the states."""
        h, c = state
        a_i, a_f, a_g, a_o = tf.split(to_float32(x + tf.matmul(h, kernel)), 4, -1)
        i, f, g, o = tf.sigmoid(a_i), tf.sigmoid(a_f), tf.tanh(a_g), tf.sigmoid(a_o)
        c = f * to_float32(c) + i * g
        return _to_state_dtype([o * tf.tanh(c), c], state), (i, f, g, o)

    @staticmethod
    def gradient(d_state: State, before: State, after: State, saved: State) -> tuple[State, State]:
        """Gradient of one step.

        Returns:
            The gradient of `a`, `[B, 4H]`, which is the projected input's too; and that of the state before, less the
            part which comes through `a`.
        """
        (d_h, d_c), c, (i, f, g, o) = map(to_float32, d_state), to_float32(before[1]), saved
        tanh_c = tf.tanh(to_float32(after[1]))
        d_c += _through_tanh(tanh_c, d_h * o)
        d_i, d_f = _through_sigmoid(i, d_c * g), _through_sigmoid(f, d_c * c)
        d_g, d_o = _through_tanh(g, d_c * i), _through_sigmoid(o, d_h * tanh_c)
        return _to_state_dtype([tf.concat([d_i, d_f, d_g, d_o], -1)], before), (
            None,
            *_to_state_dtype([d_c * f], before),
        )


class RNN:
    """The simple recurrent network (Elman 1990).

    a = x + h @ U                    [B, H]
    h' = tanh(a)
    """

    num_gates = 1
    num_states = 1
    num_saved = 0
    gradient_widths = (1,)

    @staticmethod
    def step(x: tf.Tensor, state: State, kernel: tf.Tensor) -> tuple[State, State]:
        """Projected input `[B, H]` and state -> new state; `gradient` needs no more than the states."""
        return (tf.tanh(x + tf.matmul(state[0], kernel)),), ()

    @staticmethod
    def gradient(d_state: State, before: State, after: State, saved: State) -> tuple[State, State]:
        """Gradient of one step.

        Returns:
            The gradient of `a`, `[B, H]`, which is the projected input's too; and no more of the state before than what
            comes through `a`.
        """
        return (_through_tanh(after[0], d_state[0]),), (None,)


def input_gradient(d_gates: Sequence[tf.Tensor]) -> tf.Tensor:
    """The gradient `[…, G·H]` of the projected input, from those that a cell's `gradient` gives, or sums of them."""
    d_a, *d_last = d_gates
    return tf.concat([d_a[..., : -d_last[0].shape[-1]], *d_last], -1) if d_last else d_a


def to_float32(x: tf.Tensor) -> tf.Tensor:
    """The dtype of the gates: float32 in place of 16 bits."""
    return tf.cast(x, tf.float32) if x.dtype.size == 2 else x


def _to_state_dtype(tensors: Sequence[tf.Tensor], like: State) -> State:
    """Back to the dtype of the states."""
    return tuple(tf.cast(tensor, like[0].dtype) for tensor in tensors)


def _through_sigmoid(y: tf.Tensor, dy: tf.Tensor) -> tf.Tensor:
    """The gradient of x where y = sigmoid(x): dy * y * (1 - y), in one operation."""
    return tf.raw_ops.SigmoidGrad(y=y, dy=dy)


def _through_tanh(y: tf.Tensor, dy: tf.Tensor) -> tf.Tensor:
    """The gradient of x where y = tanh(x): dy * (1 - y * y), in one operation."""
    return tf.raw_ops.TanhGrad(y=y, dy=dy)


CELLS = {"gru": GRU, "lstm": LSTM, "rnn": RNN}
Cell = type[GRU] | type[LSTM] | type[RNN]
"""A cell is used as a class: it has no state of its own."""
