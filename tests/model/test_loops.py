"""Tests the loops against the cells' equations in NumPy and against numerical gradients, in float64."""

import functools
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf
from equations import B, H, T, V, assert_gradient, normal, numpy_step, random_layer, random_state

from charrnn.model import cells, loops, row_groups
from charrnn.model.weights import Network


@pytest.fixture(autouse=True, params=[1, 2], ids=["one_group", "two_groups"])
def groups(request, monkeypatch):
    """Runs each test with one loop over all rows, and with two loops over half of the rows each."""
    monkeypatch.setattr(row_groups, "_MANY_ROWS", {1: 99, 2: 2}[request.param])
    return request.param


@pytest.mark.parametrize("cell", cells.CELLS.values())
@pytest.mark.parametrize("by_id", [False, True], ids=["projected", "by_id"])
def test_forward_is_the_cells_equations(cell, by_id):
    layer, start = random_layer(cell), random_state(cell)
    ids = np.random.default_rng(0).integers(0, V, (T, B))
    x = layer.kernel.numpy()[ids]
    if by_id:
        outputs, last = loops.closed_loop(layer, layer.kernel, start, ids=tf.constant(ids, tf.int32))
    else:
        outputs, last = loops.closed_loop(layer, tf.constant(x), start)
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
        outputs, last = loops.closed_loop(layer._replace(recurrent=recurrent), x, state, ids=ids)
        return tf.reduce_sum(outputs * by_outputs) + sum(
            tf.reduce_sum(s * w) for s, w in zip(last, by_last, strict=False)
        )

    assert_gradient(loss, [x, *layer.recurrent, *start])


@pytest.mark.parametrize("limit", [0, 1024], ids=["segment_sum", "one_hot"])
def test_table_gradient_adds_up_the_rows_of_each_id(monkeypatch, limit):
    monkeypatch.setattr(loops, "_ONE_HOT_LIMIT", limit)
    ids = np.array([[0, 3], [3, 3], [1, 0], [3, 1]], np.int32)  # some ids several times, 2 and 4 never
    rows = normal(1, T, B, 3 * H)
    expected = np.zeros((V, 3 * H))
    np.add.at(expected, ids.ravel(), rows.reshape(-1, 3 * H))
    got = loops._table_gradient(tf.zeros((V, 3 * H), tf.float64), tf.constant(ids), tf.constant(rows))
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-15)
    assert not got.numpy()[[2, 4]].any()


def test_both_table_gradients_agree_through_the_loop(monkeypatch):
    """Up to `_ONE_HOT_LIMIT` ids, the gradient is a one-hot matmul; above it, a segment sum."""
    layer, start = random_layer(cells.GRU), random_state(cells.GRU)
    ids = tf.constant([[0, 3], [3, 3], [1, 0], [2, 3]])
    gradients = []
    for limit in (V, V - 1):
        monkeypatch.setattr(loops, "_ONE_HOT_LIMIT", limit)
        with tf.GradientTape() as tape:
            tape.watch(layer.kernel)
            outputs, _ = loops.closed_loop(layer, layer.kernel, start, ids=ids)
            loss = tf.reduce_sum(outputs**2)
        with mock.patch.object(tf.math, "unsorted_segment_sum", wraps=tf.math.unsorted_segment_sum) as scattered:
            gradients.append(tape.gradient(loss, layer.kernel).numpy())
        assert scattered.called == (limit < V)
    np.testing.assert_allclose(*gradients, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("cell", cells.CELLS.values())
def test_replay_of_a_history_gives_the_values_and_gradients_of_the_loop(cell):
    """`closed_loop` replays the history that `open_loop` recorded, so that no step runs twice."""
    layer, start = random_layer(cell), random_state(cell)
    readout = tf.constant(normal(5, H, V), tf.float32)
    network = Network((layer,), readout, tf.zeros(V))
    ids = tf.constant([[0, 3], [3, 3], [1, 0], [2, 3]])
    own, noise = tf.zeros((T, B), tf.bool), tf.zeros((T, B, V))
    fed, saved = loops.open_loop(network, ids, own, lambda logits, noise, text: text, noise, (start,))
    np.testing.assert_array_equal(fed, ids)
    results = []
    for history in ((), saved[0]):
        inputs = [layer.kernel, *layer.recurrent, *start]
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs, last = loops.closed_loop(layer, layer.kernel, start, ids=ids, histories=history)
            loss = tf.reduce_sum(outputs**2) + tf.reduce_sum(last[-1] ** 3)
        results.append([outputs, *last, *tape.gradient(loss, inputs)])
    for run, replayed in zip(*results, strict=True):
        np.testing.assert_array_equal(run, replayed)


@pytest.mark.parametrize(("numbers", "traced"), [(4096, 4 + 3), (4097, 1)])
def test_steps_of_a_small_state_share_rounds_of_the_loop(numbers, traced):
    state, calls = (tf.zeros([1, numbers]),), []

    def body(t, total):
        calls.append(t)
        return t + 1, 2 * total + t

    def run(num_steps):
        return loops._repeated(body, (tf.constant(0), tf.constant(1)), num_steps, state)

    for num_steps in (1, 4, 11):
        expected = functools.reduce(lambda total, t: 2 * total + t, range(num_steps), 1)
        calls.clear()
        assert list(map(int, tf.function(lambda n=num_steps: run(n))())) == [num_steps, expected]
        assert num_steps != 11 or len(calls) == traced
        assert list(map(int, run(num_steps))) == [num_steps, expected]
        unknown = tf.function(run, input_signature=[tf.TensorSpec([], tf.int32)])
        assert list(map(int, unknown(num_steps))) == [num_steps, expected]


@pytest.mark.parametrize("cell", cells.CELLS.values())
def test_backward_has_one_matmul_a_step_and_one_weight_gradient_after_the_loop(cell, groups):
    """This is the reason for the hand-written backward pass: no weight gradient is summed step by step."""
    layer, start = random_layer(cell), random_state(cell)

    @tf.function
    def gradients(x, recurrent, state):
        with tf.GradientTape() as tape:
            tape.watch((x, recurrent, state))
            outputs, _ = loops.closed_loop(layer._replace(recurrent=recurrent), x, state)
        return tape.gradient(outputs, (x, recurrent, state))

    x = tf.zeros((T, B, cell.num_gates * H), tf.float64)
    graph = gradients.get_concrete_function(x, layer.recurrent, start).graph.as_graph_def()
    functions = {function.signature.name: function for function in graph.library.function}
    bodies = [functions[node.attr["body"].func.name] for node in graph.node if node.op in ("While", "StatelessWhile")]
    count = [sum(node.op == "MatMul" for node in body.node_def) for body in bodies]
    assert count == [1, 1] * groups  # forward: state times kernel; backward: gradient times kernel transposed
    after_the_loop = sum(node.op == "MatMul" for node in graph.node)
    assert after_the_loop == len(layer.recurrent) * groups  # the kernel's gradient, and a GRU's bias gradient


@pytest.mark.slow
@pytest.mark.parametrize("cell, xla", [(cells.GRU, False), (cells.LSTM, False), (cells.RNN, False), (cells.LSTM, True)])
def test_a_number_of_rows_unknown_to_the_graph_gives_the_same_results(cell, xla):
    """Includes an odd number of rows, and a single row, which leaves one of the groups empty."""
    layer = random_layer(cell)

    def results(x, state):
        with tf.GradientTape() as tape:
            tape.watch((x, state, layer.recurrent))
            outputs, last = loops.closed_loop(layer, x, state)
            loss = tf.reduce_sum(outputs**2) + tf.reduce_sum(last[-1] ** 3)
        return outputs, last, tape.gradient(loss, (x, state, layer.recurrent))

    unknown = tf.TensorSpec((T, None, cell.num_gates * H), tf.float64), (tf.TensorSpec((None, H), tf.float64),)
    graph = tf.function(results, jit_compile=xla).get_concrete_function(unknown[0], unknown[1] * cell.num_states)
    for rows in (1, 5):
        x = tf.constant(normal(6, T, rows, cell.num_gates * H))
        state = tuple(tf.constant(normal(10 + i, rows, H)) for i in range(cell.num_states))
        for got, expected in zip(*map(tf.nest.flatten, (graph(x, state), results(x, state))), strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("columns", [96, 4096])
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "graph"])
def test_a_kernels_gradient_is_the_sum_of_outer_products(columns, compiled):
    """4096 columns take the transposed form of the product, 96 columns the plain one."""
    x, d_y = normal(1, 3, 2, 5).astype(np.float32), normal(2, 3, 2, columns).astype(np.float32)
    call = tf.function(loops.kernel_gradient) if compiled else loops.kernel_gradient
    expected = np.einsum("tbn,tbm->nm", x.astype(np.float64), d_y)
    np.testing.assert_allclose(call(tf.constant(x), tf.constant(d_y)), expected, rtol=0, atol=6 * 2**-24 * 30)
