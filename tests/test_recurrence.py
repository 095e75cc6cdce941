"""The loops against the cells' equations in NumPy and against numerical gradients, in float64."""

import numpy as np
import pytest
import tensorflow as tf

from charrnn import cells, recurrence

T, B, H, V = 4, 2, 3, 5


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(0, 0.7, shape)


@pytest.fixture(autouse=True, params=[1, 2], ids=["one_group", "two_groups"])
def groups(request, monkeypatch):
    """All of it holds for one loop over all rows, and for two over half of them each."""
    monkeypatch.setattr(recurrence, "_MANY_ROWS", {1: 99, 2: 2}[request.param])
    return request.param


def random_layer(cell, x_width=None):
    """A float64 layer with random weights: a table, or with `x_width` an input kernel and a bias."""
    width = cell.num_gates * H
    recurrent = (normal(1, H, width), normal(2, width))[: 2 if cell is cells.GRU else 1]
    kernel, bias = normal(3, x_width or V, width), normal(4, width) if x_width else None
    return recurrence.Layer(cell, tf.constant(kernel), bias, tuple(map(tf.constant, recurrent)))


def random_state(cell):
    return tuple(tf.constant(normal(10 + i, B, H)) for i in range(cell.num_states))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def numpy_step(layer, x, state):
    """One step by the textbook, gate by gate; the reset gate after the matmul."""
    kernels = np.split(layer.recurrent[0].numpy(), layer.cell.num_gates, -1)
    parts = np.split(x, layer.cell.num_gates, -1)
    if layer.cell is cells.GRU:
        (h,) = state
        (u_z, u_r, u_g), (b_z, b_r, b_g), (x_z, x_r, x_g) = kernels, np.split(layer.recurrent[1].numpy(), 3), parts
        z, r = sigmoid(x_z + h @ u_z + b_z), sigmoid(x_r + h @ u_r + b_r)
        return ((1 - z) * np.tanh(x_g + r * (h @ u_g + b_g)) + z * h,)
    if layer.cell is cells.RNN:
        return (np.tanh(x + state[0] @ layer.recurrent[0].numpy()),)
    h, c = state
    i, f, g, o = (x_part + h @ u for x_part, u in zip(parts, kernels, strict=True))
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


@pytest.mark.parametrize("cell", cells.CELLS.values())
@pytest.mark.parametrize("by_id", [False, True], ids=["projected", "by_id"])
def test_forward_is_the_cells_equations(cell, by_id):
    layer, start = random_layer(cell), random_state(cell)
    ids = np.random.default_rng(0).integers(0, V, (T, B))
    x = layer.kernel.numpy()[ids]
    if by_id:
        outputs, last = recurrence.closed_loop(layer, layer.kernel, start, ids=tf.constant(ids, tf.int32))
    else:
        outputs, last = recurrence.closed_loop(layer, tf.constant(x), start)
    state = tuple(s.numpy() for s in start)
    for t in range(T):
        state = numpy_step(layer, x[t], state)
        np.testing.assert_allclose(outputs[t], state[0], rtol=1e-12)
    for got, expected in zip(last, state, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-12)


@pytest.mark.parametrize("cell", cells.CELLS.values())
@pytest.mark.parametrize("by_id", [False, True], ids=["projected", "by_id"])
def test_backward_is_the_numerical_gradient(cell, by_id):
    layer, start = random_layer(cell), random_state(cell)
    ids = tf.constant([[0, 3], [3, 3], [1, 0], [2, 3]]) if by_id else None
    x = layer.kernel if by_id else tf.constant(normal(6, T, B, cell.num_gates * H))
    by_outputs, by_last = normal(7, T, B, H), normal(8, 2, B, H)

    def loss(x, *rest):
        recurrent, state = rest[: len(layer.recurrent)], rest[len(layer.recurrent) :]
        outputs, last = recurrence.closed_loop(layer._replace(recurrent=recurrent), x, state, ids=ids)
        return tf.reduce_sum(outputs * by_outputs) + sum(
            tf.reduce_sum(s * w) for s, w in zip(last, by_last, strict=False)
        )

    analytic, numerical = tf.test.compute_gradient(loss, [x, *layer.recurrent, *start], delta=1e-5)
    for got, expected in zip(analytic, numerical, strict=True):
        assert np.abs(expected).max() > 1e-3  # else the comparison would say nothing
        np.testing.assert_allclose(got, expected, atol=1e-8)


@pytest.mark.parametrize("limit", [0, 1024], ids=["segment_sum", "one_hot"])
def test_table_gradient_adds_up_the_rows_of_each_id(monkeypatch, limit):
    monkeypatch.setattr(recurrence, "_ONE_HOT_LIMIT", limit)
    ids = np.array([[0, 3], [3, 3], [1, 0], [3, 1]], np.int32)  # some ids several times, 2 and 4 never
    rows = normal(1, T, B, 3 * H)
    expected = np.zeros((V, 3 * H))
    np.add.at(expected, ids.ravel(), rows.reshape(-1, 3 * H))
    got = recurrence._table_gradient(tf.zeros((V, 3 * H), tf.float64), tf.constant(ids), tf.constant(rows))
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-15)
    assert not got.numpy()[[2, 4]].any()


def test_both_table_gradients_are_reached_through_the_loop(monkeypatch):
    """The limit decides between them, and nothing else changes."""
    layer, start = random_layer(cells.GRU), random_state(cells.GRU)
    ids = tf.constant([[0, 3], [3, 3], [1, 0], [2, 3]])
    gradients = []
    for limit in (V, V - 1):
        monkeypatch.setattr(recurrence, "_ONE_HOT_LIMIT", limit)
        with tf.GradientTape() as tape:
            tape.watch(layer.kernel)
            outputs, _ = recurrence.closed_loop(layer, layer.kernel, start, ids=ids)
            loss = tf.reduce_sum(outputs**2)
        gradients.append(tape.gradient(loss, layer.kernel).numpy())
    np.testing.assert_allclose(*gradients, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("cell", cells.CELLS.values())
def test_a_histories_replay_gives_the_loops_values_and_gradients(cell):
    """`open_loop` keeps what `closed_loop` would have kept: nothing is run a second time."""
    layer, start = random_layer(cell), random_state(cell)
    readout = tf.constant(normal(5, H, V), tf.float32)
    network = recurrence.Network((layer,), readout, tf.zeros(V))
    ids = tf.constant([[0, 3], [3, 3], [1, 0], [2, 3]])
    fed, saved = recurrence.open_loop(network, ids, tf.zeros((T, B), tf.bool), lambda logits, t: ids[t], (start,))
    np.testing.assert_array_equal(fed, ids)
    results = []
    for history in ((), saved[0]):
        inputs = [layer.kernel, *layer.recurrent, *start]
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs, last = recurrence.closed_loop(layer, layer.kernel, start, ids=ids, saved=history)
            loss = tf.reduce_sum(outputs**2) + tf.reduce_sum(last[-1] ** 3)
        results.append([outputs, *last, *tape.gradient(loss, inputs)])
    for run, replayed in zip(*results, strict=True):
        np.testing.assert_array_equal(run, replayed)


@pytest.mark.parametrize("cell", cells.CELLS.values())
def test_backward_has_one_matmul_a_step_and_one_weight_gradient_after_the_loop(cell, groups):
    """The reason for the hand-written backward pass: no weight gradient is summed up step by step."""
    layer, start = random_layer(cell), random_state(cell)

    @tf.function
    def gradients(x, recurrent, state):
        with tf.GradientTape() as tape:
            tape.watch((x, recurrent, state))
            outputs, _ = recurrence.closed_loop(layer._replace(recurrent=recurrent), x, state)
        return tape.gradient(outputs, (x, recurrent, state))

    x = tf.zeros((T, B, cell.num_gates * H), tf.float64)
    graph = gradients.get_concrete_function(x, layer.recurrent, start).graph.as_graph_def()
    functions = {function.signature.name: function for function in graph.library.function}
    bodies = [functions[node.attr["body"].func.name] for node in graph.node if node.op in ("While", "StatelessWhile")]
    count = [sum(node.op == "MatMul" for node in body.node_def) for body in bodies]
    assert count == [1, 1] * groups  # forward: state times kernel; backward: gradient times kernel transposed
    after_the_loop = sum(node.op == "MatMul" for node in graph.node)
    assert after_the_loop == len(layer.recurrent) * groups  # the kernel's gradient; the bias's, a sum over rows


@pytest.mark.parametrize("cell, xla", [(cells.GRU, False), (cells.LSTM, False), (cells.RNN, False), (cells.LSTM, True)])
def test_a_number_of_rows_unknown_to_the_graph_gives_the_same(cell, xla):
    """Also an odd number, and a single row, which leaves nothing to one of the groups."""
    layer = random_layer(cell)

    def results(x, state):
        with tf.GradientTape() as tape:
            tape.watch((x, state, layer.recurrent))
            outputs, last = recurrence.closed_loop(layer, x, state)
            loss = tf.reduce_sum(outputs**2) + tf.reduce_sum(last[-1] ** 3)
        return outputs, last, tape.gradient(loss, (x, state, layer.recurrent))

    unknown = tf.TensorSpec((T, None, cell.num_gates * H), tf.float64), (tf.TensorSpec((None, H), tf.float64),)
    graph = tf.function(results, jit_compile=xla).get_concrete_function(unknown[0], unknown[1] * cell.num_states)
    for rows in (1, 5):
        x = tf.constant(normal(6, T, rows, cell.num_gates * H))
        state = tuple(tf.constant(normal(10 + i, rows, H)) for i in range(cell.num_states))
        for got, expected in zip(*map(tf.nest.flatten, (graph(x, state), results(x, state))), strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-13)


def soft_network(cell):
    """Two layers and a readout, in float64."""
    first = random_layer(cell)
    return recurrence.Network((first, random_layer(cell, H)), tf.constant(normal(5, H, V)), tf.constant(normal(6, V)))


def with_weights(network, weights):
    """The network with other weights, in the order of `network.weights`."""
    weights, layers = list(weights), []
    for layer in network.layers:
        kernel, bias = weights.pop(0), None if layer.bias is None else weights.pop(0)
        recurrent = tuple(weights.pop(0) for _ in layer.recurrent)
        layers.append(layer._replace(kernel=kernel, bias=bias, recurrent=recurrent))
    return recurrence.Network(tuple(layers), *weights)


@pytest.mark.parametrize("cell", cells.CELLS.values())
def test_soft_backward_is_the_numerical_gradient(cell):
    """Of all weights and states, through mixtures of which each hangs on all before it."""
    network, start = soft_network(cell), (random_state(cell), random_state(cell))
    ids = tf.constant([[0, 3], [3, 3], [1, 0], [2, 3]])
    own = tf.constant([[True, True], [True, False], [True, True], [False, True]])
    noise, by_logits = tf.constant(normal(9, T, B, V)), normal(11, T, B, V)
    num_weights = len(network.weights)

    def loss(*inputs):
        changed = with_weights(network, inputs[:num_weights])
        states = tf.nest.pack_sequence_as(start, inputs[num_weights:])
        mix = lambda logits, noise: tf.nn.softmax(2.0 * (logits + noise))  # noqa: E731
        outputs, _, last = recurrence.soft_loop(changed, ids, own, mix, noise, states)
        by_last = sum(tf.reduce_sum(entry**3) for entry in tf.nest.flatten(last))
        return tf.reduce_sum(changed.logits(outputs) * by_logits) + by_last

    inputs = [*network.weights, *tf.nest.flatten(start)]
    analytic, numerical = tf.test.compute_gradient(tf.function(loss, autograph=False), inputs, delta=1e-5)
    for got, expected in zip(analytic, numerical, strict=True):
        assert np.abs(expected).max() > 1e-3
        np.testing.assert_allclose(got, expected, atol=1e-8)


@pytest.mark.parametrize("cell", cells.CELLS.values())
def test_soft_forward_is_the_cells_equations_over_mixtures(cell):
    layer, start = random_layer(cell), random_state(cell)
    readout = normal(5, H, V)
    network = recurrence.Network((layer,), tf.constant(readout), tf.zeros(V, tf.float64))
    ids, own = np.array([[0, 3], [3, 3], [1, 0], [2, 3]]), np.array([[1, 1], [1, 0], [0, 1], [1, 1]], bool)
    noise = normal(9, T, B, V)
    mix = lambda logits, noise: tf.nn.softmax(3.0 * (logits + noise))  # noqa: E731
    text, mask = tf.constant(ids), tf.constant(own)
    outputs, fed, last = recurrence.soft_loop(network, text, mask, mix, tf.constant(noise), (start,))
    state = tuple(s.numpy() for s in start)
    for t in range(T):
        read = np.eye(V)[ids[t]]
        if t:
            soft = np.exp(3.0 * (state[0] @ readout + noise[t]))
            read[own[t]] = (soft / soft.sum(-1, keepdims=True))[own[t]]
        np.testing.assert_allclose(fed[t], read, rtol=1e-12)
        state = numpy_step(layer, read @ layer.kernel.numpy(), state)
        np.testing.assert_allclose(outputs[t], state[0], rtol=1e-12)
    for got, expected in zip(last[0], state, strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-12)
