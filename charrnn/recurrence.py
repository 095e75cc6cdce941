"""The arithmetic over time: recurrent cells, a forward loop, and a hand-written backward loop.

    network = Network(layers, output_kernel, output_bias)     # weights, cast once for all time steps
    outputs, state = closed_loop(layer, x, state, ids=ids)    # one layer, reads what it is given
    fed, saved, state = open_loop(network, ids, own, choose, states)  # all layers together, read their own output
    outputs, _ = closed_loop(layer, x, state, ids=fed, saved=saved[0])  # the same values, now differentiable

It runs the weights of Keras's GRU, LSTM and SimpleRNN layers and gives their results, faster on a CPU:

- the first layer's input projection is a table `[V, G·H]`, looked up by id inside the loop; a higher layer's is one
  matmul over all time steps, done before the loop;
- the backward loop carries the gradient of the state and nothing else: each weight gradient is one matmul over all
  T·B rows, done after the loop.

Everything here is time-major: `[T, B, …]`; G gates, H units. Runs eager and in a graph, with and without XLA.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf

State = tuple[tf.Tensor, ...]
"""What a cell carries from one character to the next; the first entry, `[B, H]`, is also its output."""

_ONE_HOT_LIMIT = 1024  # table rows up to which one dense matmul beats a scattered sum for the table's gradient


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

    @staticmethod
    def step(x: tf.Tensor, state: State, kernel: tf.Tensor, bias: tf.Tensor) -> tuple[State, State]:
        """Projected input `[B, 3H]` and state -> new state, and what `gradient` needs besides the states."""
        (h,) = state
        x_z, x_r, x_g = tf.split(x, 3, -1)
        a_z, a_r, q = tf.split(tf.matmul(h, kernel) + bias, 3, -1)
        z, r = tf.sigmoid(x_z + a_z), tf.sigmoid(x_r + a_r)
        g = tf.tanh(x_g + r * q)
        return (z * h + (1 - z) * g,), (z, r, g, q)

    @staticmethod
    def gradient(d_state: State, before: State, after: State, saved: State) -> tuple[State, State]:
        """Gradient of one step.

        Returns:
            The gradients of the projected input and of `a`, each `[B, 3H]`; and that of the state before, less the
            part which comes through `a`.
        """
        (d_h,), (h,), (z, r, g, q) = d_state, before, saved
        d_z = d_h * (h - g) * z * (1 - z)
        d_g = d_h * (1 - z) * (1 - g * g)
        d_r = d_g * q * r * (1 - r)
        return (tf.concat([d_z, d_r, d_g], -1), tf.concat([d_z, d_r, d_g * r], -1)), (d_h * z,)


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

    @staticmethod
    def step(x: tf.Tensor, state: State, kernel: tf.Tensor) -> tuple[State, State]:
        """Projected input `[B, 4H]` and state -> new state, and what `gradient` needs besides the states."""
        h, c = state
        a_i, a_f, a_g, a_o = tf.split(x + tf.matmul(h, kernel), 4, -1)
        i, f, g, o = tf.sigmoid(a_i), tf.sigmoid(a_f), tf.tanh(a_g), tf.sigmoid(a_o)
        c = f * c + i * g
        return (o * tf.tanh(c), c), (i, f, g, o)

    @staticmethod
    def gradient(d_state: State, before: State, after: State, saved: State) -> tuple[State, State]:
        """Gradient of one step.

        Returns:
            The gradient of `a`, `[B, 4H]`, which is the projected input's too; and that of the state before, less the
            part which comes through `a`.
        """
        (d_h, d_c), (_, c), (_, c_after), (i, f, g, o) = d_state, before, after, saved
        tanh_c = tf.tanh(c_after)
        d_c += d_h * o * (1 - tanh_c * tanh_c)
        d_a = [d_c * g * i * (1 - i), d_c * c * f * (1 - f), d_c * i * (1 - g * g), d_h * tanh_c * o * (1 - o)]
        return (tf.concat(d_a, -1),), (None, d_c * f)


class RNN:
    """The simple recurrent network (Elman 1990).

        a = x + h @ U                    [B, H]
        h' = tanh(a)
    """

    num_gates = 1
    num_states = 1
    num_saved = 0

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
        return (d_state[0] * (1 - after[0] * after[0]),), (None,)


CELLS = {"gru": GRU, "lstm": LSTM, "rnn": RNN}


class Layer(NamedTuple):
    """One recurrent layer's weights, in the compute dtype."""

    cell: type[GRU] | type[LSTM] | type[RNN]
    kernel: tf.Tensor  # the first layer's table [V, G·H], bias included; above it the input kernel [H, G·H]
    bias: tf.Tensor | None  # [G·H]; None where the table includes it
    recurrent: tuple[tf.Tensor, ...]  # the recurrent kernel [H, G·H]; for a GRU also the recurrent bias [G·H]

    def project(self, x: tf.Tensor) -> tf.Tensor:
        """What the loop reads: ids `[…]`, or the layer below's outputs `[…, H]` -> `[…, G·H]`."""
        if self.bias is None:
            return tf.gather(self.kernel, x)
        return tf.tensordot(x, self.kernel, 1) + self.bias


class Network(NamedTuple):
    """All weights that turn an id and a state into logits."""

    layers: tuple[Layer, ...]
    output_kernel: tf.Tensor  # float32 [H, V]
    output_bias: tf.Tensor  # float32 [V]

    def logits(self, outputs: tf.Tensor) -> tf.Tensor:
        """The last layer's outputs `[…, H]` -> logits float32 `[…, V]`."""
        return tf.tensordot(tf.cast(outputs, tf.float32), self.output_kernel, 1) + self.output_bias

    def advance(self, ids: tf.Tensor, states: Sequence[State]) -> tuple[tuple[State, ...], tuple[State, ...]]:
        """One character through all layers: ids int32 `[B]` -> each layer's new state, and what its gradient needs."""
        x, after, saved = ids, [], []
        for layer, state in zip(self.layers, states, strict=True):
            state, kept = layer.cell.step(layer.project(x), state, *layer.recurrent)
            after.append(state)
            saved.append(kept)
            x = state[0]
        return tuple(after), tuple(saved)


class Saved(NamedTuple):
    """One layer's history, for the backward loop."""

    states: tuple[tf.TensorArray, ...]  # T + 1 entries `[B, H]`; entry 0 is the state before the first character
    kept: tuple[tf.TensorArray, ...]  # T entries `[B, H]`, as the cell's `step` gave them

    @classmethod
    def start(cls, cell: type, state: State, num_steps: int | tf.Tensor) -> "Saved":
        """An empty history that begins with `state`."""
        return cls(
            tuple(_array(num_steps + 1, entry).write(0, entry) for entry in state),
            tuple(_array(num_steps, state[0]) for _ in range(cell.num_saved)),
        )

    def write(self, t: tf.Tensor, state: State, kept: State) -> "Saved":
        """Adds the state after character `t`, and what that step kept."""
        return Saved(
            tuple(array.write(t + 1, entry) for array, entry in zip(self.states, state, strict=True)),
            tuple(array.write(t, entry) for array, entry in zip(self.kept, kept, strict=True)),
        )


def closed_loop(
    layer: Layer, x: tf.Tensor, state: State, ids: tf.Tensor | None = None, saved: Saved | None = None
) -> tuple[tf.Tensor, State]:
    """One layer over all time steps.

    Args:
        layer: the weights; its `recurrent` ones get gradients here.
        x: projected inputs `[T, B, G·H]`; with `ids`, a table `[V, G·H]` instead.
        state: `[B, H]` each.
        ids: int32 `[T, B]`, rows of the table.
        saved: the history where the loop was run already (`open_loop`); it is replayed, not run again.

    Returns:
        Outputs `[T, B, H]` and the last state. Differentiable in `x`, `layer.recurrent` and `state`.
    """
    steps = ids if ids is not None else x
    num_steps = steps.shape[0] if steps.shape[0] is not None else tf.shape(steps)[0]
    num_weights = len(layer.recurrent)

    @tf.custom_gradient
    def run(x, *rest):
        recurrent, start = rest[:num_weights], rest[num_weights:]
        read = (lambda t: x[t]) if ids is None else (lambda t: tf.gather(x, ids[t]))
        history = saved or _forward(layer.cell, read, recurrent, start, num_steps)
        outputs = history.states[0].stack()

        def gradient(d_outputs, *d_last):
            d_x, d_recurrent, d_start = _backward(layer.cell, history, recurrent, outputs, d_outputs, d_last, num_steps)
            return (d_x if ids is None else _table_gradient(x, ids, d_x), *d_recurrent, *d_start)

        return (outputs[1:], *(array.read(num_steps) for array in history.states)), gradient

    outputs, *last = run(x, *layer.recurrent, *state)
    return outputs, tuple(last)


def open_loop(
    network: Network,
    ids: tf.Tensor,
    own: tf.Tensor,
    choose: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    states: Sequence[State],
) -> tuple[tf.Tensor, tuple[Saved, ...]]:
    """All layers together, one character at a time, reading what they wrote wherever `own` is true.

    Args:
        network: the weights.
        ids: int32 `[T, B]`, the text.
        own: bool `[T, B]`; the first row is not looked at: nothing was written yet.
        choose: (logits float32 `[B, V]`, t int32 `[]`) -> ids int32 `[B]`: what the network writes at position t,
            from its prediction after position t - 1.
        states: each layer's state before the first character.

    Returns:
        The ids that were read, int32 `[T, B]`, and each layer's history. No gradient flows through this function: the
        ids are a choice; feed the history to `closed_loop` for the gradient through the states.
    """
    num_steps = ids.shape[0] if ids.shape[0] is not None else tf.shape(ids)[0]
    own = tf.logical_and(own, tf.range(num_steps)[:, None] > 0)

    def body(t, states, logits, fed, saved):
        read = tf.where(own[t], choose(logits, t), ids[t])
        states, kept = network.advance(read, states)
        saved = tuple(s.write(t, *entry) for s, *entry in zip(saved, states, kept, strict=True))
        return t + 1, states, network.logits(states[-1][0]), fed.write(t, read), saved

    states = tuple(states)
    saved = tuple(
        Saved.start(layer.cell, state, num_steps) for layer, state in zip(network.layers, states, strict=True)
    )
    logits = tf.zeros_like(network.logits(states[-1][0]))
    start = (tf.constant(0), states, logits, _array(num_steps, ids[0]), saved)
    _, _, _, fed, saved = tf.while_loop(lambda t, *_: t < num_steps, body, start, maximum_iterations=num_steps)
    return fed.stack(), saved


def _array(size, like) -> tf.TensorArray:
    return tf.TensorArray(like.dtype, size=size, element_shape=like.shape, clear_after_read=False)


def _forward(cell, read, recurrent, state, num_steps) -> Saved:
    def body(t, state, saved):
        state, kept = cell.step(read(t), state, *recurrent)
        return t + 1, state, saved.write(t, state, kept)

    start = (tf.constant(0), tuple(state), Saved.start(cell, state, num_steps))
    return tf.while_loop(lambda t, *_: t < num_steps, body, start, maximum_iterations=num_steps)[-1]


def _backward(cell, saved, recurrent, outputs, d_outputs, d_last, num_steps):
    """Gradients of the projected inputs `[T, B, G·H]`, of the recurrent weights and of the state before the text."""
    kernel, *bias = recurrent
    transposed = tf.transpose(kernel)  # once, not at every time step

    def body(t, d_state, arrays):
        d_state = (d_state[0] + d_outputs[t], *d_state[1:])
        before, after = (tuple(array.read(i) for array in saved.states) for i in (t, t + 1))
        d_sums, (d_direct, *others) = cell.gradient(d_state, before, after, tuple(a.read(t) for a in saved.kept))
        through = tf.matmul(d_sums[-1], transposed)
        d_state = (through if d_direct is None else d_direct + through, *others)
        return t - 1, d_state, tuple(array.write(t, d) for array, d in zip(arrays, d_sums, strict=True))

    wide = tf.TensorShape([outputs.shape[1], kernel.shape[1]])
    arrays = tuple(
        tf.TensorArray(kernel.dtype, size=num_steps, element_shape=wide) for _ in range(1 + len(bias))
    )
    start = (tf.convert_to_tensor(num_steps - 1), tuple(d_last), arrays)
    _, d_start, arrays = tf.while_loop(lambda t, *_: t >= 0, body, start, maximum_iterations=num_steps)
    stacked = [array.stack() for array in arrays]
    rows = tf.reshape(stacked[-1], [-1, kernel.shape[1]])
    d_recurrent = [tf.matmul(tf.reshape(outputs[:-1], [-1, kernel.shape[0]]), rows, transpose_a=True)]
    if bias:
        d_recurrent.append(tf.reduce_sum(rows, 0))
    return stacked[0], d_recurrent, d_start


def _table_gradient(table, ids, d_rows) -> tf.Tensor:
    """Sums the gradients `[T, B, G·H]` of looked-up rows into those of the table `[V, G·H]`."""
    flat_ids, rows = tf.reshape(ids, [-1]), tf.reshape(d_rows, [-1, table.shape[1]])
    if table.shape[0] > _ONE_HOT_LIMIT:
        return tf.math.unsorted_segment_sum(rows, flat_ids, table.shape[0])
    return tf.matmul(tf.one_hot(flat_ids, table.shape[0], dtype=rows.dtype), rows, transpose_a=True)
