"""The arithmetic over time: a forward loop and a hand-written backward loop over the cells of `cells.py`.

    outputs, state = closed_loop(layer, x, state, ids=ids)    # one layer, reads what it is given
    fed, histories = open_loop(network, ids, own, choose, states)  # all layers together, read their own output
    outputs, _ = closed_loop(layer, x, state, ids=fed, histories=histories[0])  # the same values, now differentiable

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

from charrnn.model import cells
from charrnn.model.cells import State
from charrnn.model.row_groups import join, num_groups, split
from charrnn.model.weights import Layer, Network

_ONE_HOT_LIMIT = 1024  # table rows up to which one dense matmul beats a scattered sum for the table's gradient


class History(NamedTuple):
    """One layer's history, for the backward loop."""

    states: tuple[tf.TensorArray, ...]  # T + 1 entries `[B, H]`; entry 0 is the state before the first character
    saved: tuple[tf.TensorArray, ...]  # T entries `[B, H]`, as the layer's `step` gave them

    @classmethod
    def start(cls, layer: Layer, state: State, num_steps: int | tf.Tensor) -> "History":
        """An empty history that begins with `state`."""
        return cls(
            tuple(array(num_steps + 1, entry).write(0, entry) for entry in state),
            tuple(array(num_steps, cells.to_float32(state[0])) for _ in range(layer.num_saved)),
        )

    def write(self, t: tf.Tensor, state: State, saved: State) -> "History":
        """Adds the state after character `t`, and what that step saved."""
        return History(
            tuple(array.write(t + 1, entry) for array, entry in zip(self.states, state, strict=True)),
            tuple(array.write(t, entry) for array, entry in zip(self.saved, saved, strict=True)),
        )

    def last(self, num_steps: int | tf.Tensor) -> State:
        """The state after the last character."""
        return tuple(array.read(num_steps) for array in self.states)


def closed_loop(
    layer: Layer, x: tf.Tensor, state: State, ids: tf.Tensor | None = None, histories: Sequence[History] = ()
) -> tuple[tf.Tensor, State]:
    """One layer over all time steps.

    Args:
        layer: the weights; its `recurrent` ones get gradients here.
        x: projected inputs `[T, B, G·H]`; with `ids`, a table `[V, G·H]` instead.
        state: `[B, H]` each.
        ids: int32 `[T, B]`, rows of the table.
        histories: the history of each group of rows, where the loop was run already (`open_loop`): it is replayed.

    Returns:
        Outputs `[T, B, H]` and the last state. Differentiable in `x`, `layer.recurrent` and `state`.
    """
    steps = ids if ids is not None else x
    num_steps = length(steps)
    num_weights, groups = len(layer.recurrent), num_groups(state)

    @tf.custom_gradient
    def run(x, *rest):
        recurrent, start = rest[:num_weights], rest[num_weights:]
        layers = layer._replace(recurrent=recurrent).in_groups(groups)
        parts = split(x if ids is None else ids, groups, 1)
        reads = [_reader(part, None if ids is None else x) for part in parts]
        starts = zip(*(split(entry, groups, 0) for entry in start), strict=True)
        played = histories or [_forward(*part, num_steps) for part in zip(layers, reads, starts, strict=True)]
        outputs = [history.states[0].stack() for history in played]
        last = [join(entries, 0) for entries in zip(*(history.last(num_steps) for history in played), strict=True)]

        def gradient(d_outputs, *d_last):
            # Each group on its own up to the sums of the weights' gradients: so they run side by side.
            d_lasts = zip(*(split(entry, groups, 0) for entry in d_last), strict=True)
            d_xs, d_weights, d_starts = [], [], []
            for part, group, history, output, d_output, d_state in zip(
                parts, layers, played, outputs, split(d_outputs, groups, 1), d_lasts, strict=True
            ):
                d_gates, d_start = _backward(group, history, d_output, d_state, num_steps)
                d_inputs = d_gates if ids is None else [_table_gradient(x, part, d_gate) for d_gate in d_gates]
                d_xs.append(cells.input_gradient(d_inputs))
                d_weights.append(recurrent_gradients(recurrent, output, d_gates[0]))
                d_starts.append(d_start)
            d_x = join(d_xs, 1) if ids is None else tf.add_n(d_xs)
            d_start = [join(entries, 0) for entries in zip(*d_starts, strict=True)]
            return (d_x, *map(tf.add_n, zip(*d_weights, strict=True)), *d_start)

        return (join(outputs, 1)[1:], *last), gradient

    outputs, *last = run(x, *layer.recurrent, *state)
    return outputs, tuple(last)


def open_loop(
    network: Network,
    ids: tf.Tensor,
    own: tf.Tensor,
    choose: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    states: Sequence[State],
) -> tuple[tf.Tensor, list[tuple[History, ...]]]:
    """All layers together, one character at a time, reading what they wrote wherever `own` is true.

    Args:
        network: the weights.
        ids: int32 `[T, B]`, the text.
        own: bool `[T, B]`; the first row is not looked at: nothing was written yet.
        choose: (logits float32 `[B, V]`, t int32 `[]`) -> ids int32 `[B]`: what the network writes at position t,
            from its prediction after position t - 1.
        states: each layer's state before the first character.

    Returns:
        The ids that were read, int32 `[T, B]`, and each layer's history by groups of rows. No gradient flows through
        this function: the ids are a choice; feed the history to `closed_loop` for the gradient through the states.
    """
    return run_open_loop(network, ids, own, choose, states, num_groups(states[0]))


def run_open_loop(network, text, own, choose, states, groups) -> tuple[tf.Tensor, list[tuple[History, ...]]]:
    """`open_loop` in a given number of groups of rows; the text is ids `[T, B]`, or mixtures of them `[T, B, V]`."""
    num_steps = length(text)
    own = tf.logical_and(own, tf.range(num_steps)[:, None] > 0)
    own = own if text.shape.rank == 2 else own[:, :, None]
    networks = network.in_groups(groups)

    def predict(states):
        outputs = [part.output([state[0] for state in group]) for part, group in zip(networks, states, strict=True)]
        return network.logits(join(outputs, 0))

    def body(t, states, logits, fed, histories):
        read = tf.where(own[t], choose(logits, t), text[t])
        parts = zip(networks, split(read, groups, 0), states, strict=True)
        states, saved = zip(*(part.advance(ids, state, t) for part, ids, state in parts), strict=True)
        histories = tuple(
            tuple(history.write(t, *entry) for history, *entry in zip(*group, strict=True))
            for group in zip(histories, states, saved, strict=True)
        )
        return t + 1, states, predict(states), fed.write(t, read), histories

    by_group = tf.nest.map_structure(lambda entry: split(entry, groups, 0), tuple(states))
    states = tuple(tuple(tuple(parts[group] for parts in layer) for layer in by_group) for group in range(groups))
    histories = tuple(
        tuple(History.start(layer, state, num_steps) for layer, state in zip(network.layers, group, strict=True))
        for group in states
    )
    start = (tf.constant(0), states, tf.zeros_like(predict(states)), array(num_steps, text[0]), histories)
    _, _, _, fed, histories = tf.while_loop(lambda t, *_: t < num_steps, body, start, maximum_iterations=num_steps)
    return fed.stack(), list(zip(*histories, strict=True))


def length(steps: tf.Tensor) -> int | tf.Tensor:
    """T of `[T, …]`, a number where the graph knows it."""
    return steps.shape[0] if steps.shape[0] is not None else tf.shape(steps)[0]


def _reader(steps: tf.Tensor, table: tf.Tensor | None) -> Callable[[tf.Tensor], tf.Tensor]:
    """t -> projected input `[B, G·H]`: of `steps`, or the rows of the table that `steps` names."""
    return (lambda t: steps[t]) if table is None else (lambda t: tf.gather(table, steps[t]))


def array(size: int | tf.Tensor, like: tf.Tensor) -> tf.TensorArray:
    """Of `size` entries like one that is given."""
    return tf.TensorArray(like.dtype, size=size, element_shape=like.shape, clear_after_read=False)


def _forward(layer, read, state, num_steps) -> History:
    def body(t, state, history):
        state, saved = layer.step(read(t), state, t)
        return t + 1, state, history.write(t, state, saved)

    start = (tf.constant(0), tuple(state), History.start(layer, state, num_steps))
    return tf.while_loop(lambda t, *_: t < num_steps, body, start, maximum_iterations=num_steps)[-1]


def _backward(layer, history, d_outputs, d_last, num_steps) -> tuple[list[tf.Tensor], State]:
    """The gradients `[T, B, …]` of the cell's sums; and that of the state before the text."""
    transposed = tf.transpose(layer.recurrent[0])  # once, not at every time step

    def body(t, d_state, arrays):
        d_gates, d_state = step_back(layer, history, transposed, t, d_outputs[t], d_state)
        return t - 1, d_state, write(arrays, t, d_gates)

    arrays = gradient_arrays(layer, d_outputs, num_steps)
    start = (tf.convert_to_tensor(num_steps - 1), tuple(d_last), arrays)
    _, d_start, arrays = tf.while_loop(lambda t, *_: t >= 0, body, start, maximum_iterations=num_steps)
    return [array.stack() for array in arrays], d_start


def step_back(layer, history, transposed, t, d_output, d_state) -> tuple[tuple[tf.Tensor, ...], State]:
    """One character back: the gradients `[B, …]` of the cell's sums, and that of the state before."""
    d_state = (d_state[0] + d_output, *d_state[1:])
    before, after = (tuple(array.read(i) for array in history.states) for i in (t, t + 1))
    d_gates, (d_direct, *others) = layer.gradient(d_state, before, after, tuple(a.read(t) for a in history.saved), t)
    through = tf.matmul(d_gates[0], transposed)
    return d_gates, (through if d_direct is None else d_direct + through, *others)


def gradient_arrays(layer, d_outputs, num_steps) -> tuple[tf.TensorArray, ...]:
    """For the gradients of a cell's sums, T entries `[B, …]` each."""
    kernel = layer.recurrent[0]
    shapes = [tf.TensorShape([d_outputs.shape[1], gates * kernel.shape[0]]) for gates in layer.cell.gradient_widths]
    return tuple(tf.TensorArray(kernel.dtype, size=num_steps, element_shape=shape) for shape in shapes)


def write(arrays, t, entries) -> tuple[tf.TensorArray, ...]:
    """Writes one entry to each array."""
    return tuple(array.write(t, entry) for array, entry in zip(arrays, entries, strict=True))


def recurrent_gradients(recurrent, outputs, d_gate) -> list[tf.Tensor]:
    """Of the recurrent kernel, one matmul over all rows of all time steps; and of the recurrent bias, if any."""
    kernel, *bias = recurrent
    rows = tf.reshape(d_gate, [-1, kernel.shape[1]])
    d_kernel = tf.matmul(tf.reshape(outputs[:-1], [-1, kernel.shape[0]]), rows, transpose_a=True)
    return [d_kernel, *(_column_sums(rows) for _ in bias)]


def _column_sums(rows) -> tf.Tensor:
    """`[N, M]` -> `[M]`, by a matmul: it uses all cores, and takes a quarter of `tf.reduce_sum`'s time."""
    return tf.linalg.matvec(rows, tf.ones_like(rows[:, 0]), transpose_a=True)


def _table_gradient(table, ids, d_rows) -> tf.Tensor:
    """Sums the gradients `[T, B, N]` of looked-up rows, or of some columns, into those of the table, `[V, N]`."""
    flat_ids, rows = tf.reshape(ids, [-1]), tf.reshape(d_rows, [-1, d_rows.shape[-1]])
    if table.shape[0] > _ONE_HOT_LIMIT:
        return tf.math.unsorted_segment_sum(rows, flat_ids, table.shape[0])
    return tf.matmul(tf.one_hot(flat_ids, table.shape[0], axis=0, dtype=rows.dtype), rows)
