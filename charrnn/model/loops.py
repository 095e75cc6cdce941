"""The loops over time: a forward loop and a hand-written backward loop over the cells of `cells.py`.

    outputs, state = closed_loop(layer, x, state, ids=ids)  # one layer, reads its input
    fed, histories = open_loop(network, ids, own, choose, noise, states)  # all layers together, read their own output
    outputs, _ = closed_loop(layer, x, state, ids=fed, histories=histories[0])  # the same values, now differentiable

Closed loop is teacher forcing: the network reads the text. Open loop is free running: it reads its own output.

The loops run the weights of Keras's GRU, LSTM and SimpleRNN layers and give the same results, faster on a CPU:

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
_CROWDED = 4096  # columns whose rows collide in the cache of some processors: the transpose takes half the time there

_SMALL_STATE, _STEPS_A_ROUND = 4096, 4  # up to so many numbers in a state, so many steps share a round of the loop

Arrays = tuple[tf.TensorArray, ...]


class History(NamedTuple):
    """One layer's states and saved activations, for the backward loop."""

    states: Arrays  # T + 1 entries `[B, H]`; entry 0 is the state before the first character
    saved: Arrays  # T entries `[B, H]`, from the layer's `step`

    @classmethod
    def start(cls, layer: Layer, state: State, num_steps: int | tf.Tensor) -> "History":
        """Makes an empty history that begins with `state`."""
        return cls(
            tuple(array(num_steps + 1, entry).write(0, entry) for entry in state),
            tuple(array(num_steps, cells.to_float32(state[0])) for _ in range(layer.num_saved)),
        )

    def write(self, t: tf.Tensor, state: State, saved: State) -> "History":
        """Adds the state after character `t`, and the activations that its step saved."""
        return History(write(self.states, t + 1, state), write(self.saved, t, saved))

    def last(self, num_steps: int | tf.Tensor) -> State:
        """Returns the state after the last character."""
        return tuple(array.read(num_steps) for array in self.states)


def closed_loop(
    layer: Layer, x: tf.Tensor, state: State, ids: tf.Tensor | None = None, histories: Sequence[History] = ()
) -> tuple[tf.Tensor, State]:
    """Runs one layer over all time steps.

    Args:
        layer: the weights; its `recurrent` ones get gradients here.
        x: projected inputs `[T, B, G·H]`; with `ids`, a table `[V, G·H]` instead.
        state: the state before the first character, `[B, H]` each.
        ids: int32 `[T, B]`, rows of the table.
        histories: of each group of rows, from `open_loop`: replayed instead of computed.

    Returns:
        Outputs `[T, B, H]` and the last state. Differentiable in `x`, `layer.recurrent` and `state`.
    """
    inputs = x if ids is None else ids
    num_steps = length(inputs)
    num_weights, groups = len(layer.recurrent), num_groups(state)
    layers, parts, starts = layer.in_groups(groups), split(inputs, groups, 1), split(state, groups, 0)
    tables, lengths = [None if ids is None else x] * groups, [num_steps] * groups
    histories = histories or list(map(_forward, layers, parts, starts, tables, lengths))

    @tf.custom_gradient
    def differentiable(x, *rest):
        recurrent = rest[:num_weights]
        outputs = [history.states[0].stack() for history in histories]
        last = join([history.last(num_steps) for history in histories], 0)

        def gradient(d_outputs, *d_last):
            # Each group alone up to the sums of the weights' gradients, so that the groups run side by side.
            d_xs, d_weights, d_starts = [], [], []
            for part, group, history, output, d_output, d_state in zip(
                parts, layers, histories, outputs, split(d_outputs, groups, 1), split(d_last, groups, 0), strict=True
            ):
                d_gates, d_start = _backward(group, history, d_output, d_state, num_steps)
                d_inputs = d_gates if ids is None else [_table_gradient(x, part, d_gate) for d_gate in d_gates]
                d_xs.append(cells.input_gradient(d_inputs))
                d_weights.append(recurrent_gradients(recurrent, output, d_gates[0]))
                d_starts.append(d_start)
            d_x = join(d_xs, 1) if ids is None else tf.add_n(d_xs)
            return (d_x, *map(tf.add_n, zip(*d_weights, strict=True)), *join(d_starts, 0))

        return (join(outputs, 1)[1:], *last), gradient

    outputs, *last = differentiable(x, *layer.recurrent, *state)
    return outputs, tuple(last)


def open_loop(
    network: Network, text: tf.Tensor, own: tf.Tensor, choose: Callable, noise: tf.Tensor, states: Sequence[State]
) -> tuple[tf.Tensor, list[tuple[History, ...]]]:
    """Runs all layers together, one character at a time, reading the network's own output wherever `own` is true.

    Args:
        network: the weights.
        text: int32 `[T, B]`.
        own: bool `[T, B]`; the first row is ignored, because there is no output yet.
        choose: (logits float32 `[N, V]`, noise `[N, V]`, text of this position int32 `[N]`) -> ids int32 `[N]`: the
            output of N rows at a position, from the prediction after the position before. It works row by row.
        noise: `[T, B, V]`, the second argument of `choose` at each position.
        states: each layer's state before the first character.

    Returns:
        The input ids, int32 `[T, B]`, and each layer's history by groups of rows. No gradient flows through this
        function, because the ids are a choice. `closed_loop` with the histories gives the gradient through the states.
    """
    groups = num_groups(states[0])
    parts = zip(
        network.in_groups(groups), split((text, own, noise), groups, 1), split(tuple(states), groups, 0), strict=True
    )
    results = [open_loop_of_group(part, *steps, start, choose) for part, steps, start in parts]
    fed, histories = zip(*results, strict=True)
    return join(fed, 1), list(zip(*histories, strict=True))


def open_loop_of_group(
    network: Network, text: tf.Tensor, own: tf.Tensor, noise: tf.Tensor, states: Sequence[State], choose: Callable
) -> tuple[tf.Tensor, tuple[History, ...]]:
    """Runs `open_loop` for one group of rows, whose text and inputs may also be mixtures of ids, `[T, B, V]`."""
    num_steps = length(text)
    own = tf.logical_and(own, tf.range(num_steps)[:, None] > 0)
    own = own if text.shape.rank == 2 else own[:, :, None]

    def body(t, states, logits, fed, histories):
        read = tf.where(own[t], choose(logits, noise[t], text[t]), text[t])
        states, saved = network.advance(read, states, t)
        histories = tuple(history.write(t, *entry) for history, *entry in zip(histories, states, saved, strict=True))
        return t + 1, states, network.predict(states), fed.write(t, read), histories

    histories = tuple(map(History.start, network.layers, states, [num_steps] * len(states)))
    states = tuple(states)
    start = (tf.constant(0), states, tf.zeros_like(network.predict(states)), array(num_steps, text[0]), histories)
    _, _, _, fed, histories = _repeated(body, start, num_steps, states[0])
    return fed.stack(), histories


def _repeated(body: Callable, start: tuple, num_steps: int | tf.Tensor, state: State) -> tuple:
    """Calls `body` once for each time step.

    Args:
        body: takes the loop's variables, and returns their new values.
        start: the variables before the first step.
        num_steps: the number of steps.
        state: of one layer. If it is small, the operations of a step take no longer than the work of `tf.while_loop`
            itself, so several steps share a round of the loop. Closed loops, with fewer operations, gain nothing by it.

    Returns:
        The variables after the last step.
    """
    numbers = state[0].shape.num_elements()
    small = isinstance(num_steps, int) and numbers is not None and numbers <= _SMALL_STATE
    in_a_round = _STEPS_A_ROUND if small else 1

    def steps(count: int, variables: tuple) -> tuple:
        for _ in range(count):
            variables = body(*variables)
        return variables

    rounds = num_steps // in_a_round
    variables = tf.while_loop(
        lambda *_: True, lambda *variables: steps(in_a_round, variables), start, maximum_iterations=rounds
    )
    return steps(num_steps % in_a_round, variables) if small else variables


def length(steps: tf.Tensor) -> int | tf.Tensor:
    """Returns T of `[T, …]`, as a Python number if the graph knows it."""
    return steps.shape[0] if steps.shape[0] is not None else tf.shape(steps)[0]


def array(size: int | tf.Tensor, like: tf.Tensor) -> tf.TensorArray:
    """Makes an array of `size` entries with the dtype and shape of `like`."""
    return tf.TensorArray(like.dtype, size=size, element_shape=like.shape, clear_after_read=False)


def write(arrays: Arrays, t: tf.Tensor, entries: Sequence[tf.Tensor]) -> Arrays:
    """Writes one entry to each array, at t."""
    return tuple(array.write(t, entry) for array, entry in zip(arrays, entries, strict=True))


def _forward(
    layer: Layer, inputs: tf.Tensor, state: State, table: tf.Tensor | None, num_steps: int | tf.Tensor
) -> History:
    def body(t, state, history):
        x = inputs[t] if table is None else tf.gather(table, inputs[t])
        state, saved = layer.step(x, state, t)
        return t + 1, state, history.write(t, state, saved)

    start = (tf.constant(0), tuple(state), History.start(layer, state, num_steps))
    return tf.while_loop(lambda t, *_: t < num_steps, body, start, maximum_iterations=num_steps)[-1]


def _backward(
    layer: Layer, history: History, d_outputs: tf.Tensor, d_last: State, num_steps: int | tf.Tensor
) -> tuple[list[tf.Tensor], State]:
    """Returns the gradients of the gates, `[T, B, …]`, and of the state before the first character."""
    transposed = tf.transpose(layer.recurrent[0])  # once, not at every time step

    def body(t, d_state, arrays):
        d_gates, d_state = step_back(layer, history, transposed, t, d_outputs[t], d_state)
        return t - 1, d_state, write(arrays, t, d_gates)

    arrays = gradient_arrays(layer, d_outputs, num_steps)
    start = (tf.convert_to_tensor(num_steps - 1), tuple(d_last), arrays)
    _, d_start, arrays = tf.while_loop(lambda t, *_: t >= 0, body, start, maximum_iterations=num_steps)
    return [array.stack() for array in arrays], d_start


def step_back(
    layer: Layer, history: History, transposed: tf.Tensor, t: tf.Tensor, d_output: tf.Tensor, d_state: State
) -> tuple[State, State]:
    """Goes one character back.

    Args:
        layer: the weights.
        history: of the layer.
        transposed: the recurrent kernel, `[G·H, H]`.
        t: the character's position, int32 `[]`.
        d_output: the gradient of the output after the character, `[B, H]`.
        d_state: the gradient of the state after it, less the output's.

    Returns:
        The gradients of the gates, `[B, …]`, and of the state before the character.
    """
    d_state = (d_state[0] + d_output, *d_state[1:])
    before, after = (tuple(array.read(i) for array in history.states) for i in (t, t + 1))
    d_gates, (d_direct, *others) = layer.gradient(d_state, before, after, tuple(a.read(t) for a in history.saved), t)
    through = tf.matmul(d_gates[0], transposed)
    return d_gates, (through if d_direct is None else d_direct + through, *others)


def gradient_arrays(layer: Layer, d_outputs: tf.Tensor, num_steps: int | tf.Tensor) -> Arrays:
    """Makes arrays for the gradients of a layer's gates, T entries `[B, …]` each."""
    kernel = layer.recurrent[0]
    shapes = [tf.TensorShape([d_outputs.shape[1], width * kernel.shape[0]]) for width in layer.cell.gradient_widths]
    return tuple(tf.TensorArray(kernel.dtype, size=num_steps, element_shape=shape) for shape in shapes)


def recurrent_gradients(recurrent: Sequence[tf.Tensor], outputs: tf.Tensor, d_gate: tf.Tensor) -> list[tf.Tensor]:
    """Returns the gradients of the recurrent kernel, and of the recurrent bias if there is one.

    Args:
        recurrent: the weights.
        outputs: `[T + 1, B, H]`, from the one before the first character on.
        d_gate: the first of the gates' gradients, `[T, B, G·H]`.
    """
    return [kernel_gradient(outputs[:-1], d_gate), *(_column_sums(_flat(d_gate)) for _ in recurrent[1:])]


def kernel_gradient(inputs: tf.Tensor, d_outputs: tf.Tensor) -> tf.Tensor:
    """Returns a kernel's gradient by one matmul over all time steps: `[T, B, N]`, `[T, B, M]` -> `[N, M]`."""
    x, d_y = _flat(inputs), _flat(d_outputs)
    if d_y.shape[1] % _CROWDED == 0 and d_y.dtype == tf.float32:
        return tf.transpose(tf.matmul(d_y, x, transpose_a=True))
    return tf.matmul(x, d_y, transpose_a=True)


def _flat(steps: tf.Tensor) -> tf.Tensor:
    """`[T, B, N]` -> `[T·B, N]`."""
    return tf.reshape(steps, [-1, steps.shape[-1]])


def _column_sums(rows: tf.Tensor) -> tf.Tensor:
    """`[N, M]` -> `[M]`, by a matmul: it uses all cores, and takes a quarter of `tf.reduce_sum`'s time."""
    return tf.linalg.matvec(rows, tf.ones_like(rows[:, 0]), transpose_a=True)


def _table_gradient(table: tf.Tensor, ids: tf.Tensor, d_rows: tf.Tensor) -> tf.Tensor:
    """Sums the gradients `[T, B, N]` of looked-up rows, or of some columns, into those of the table, `[V, N]`."""
    flat_ids, rows = tf.reshape(ids, [-1]), _flat(d_rows)
    if table.shape[0] > _ONE_HOT_LIMIT:
        return tf.math.unsorted_segment_sum(rows, flat_ids, table.shape[0])
    return tf.matmul(tf.one_hot(flat_ids, table.shape[0], axis=0, dtype=rows.dtype), rows)
