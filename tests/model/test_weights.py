"""Tests zoneout, masks and skip connections in the loops against NumPy and numerical gradients, in float64."""

import equations
import numpy as np
import pytest
import tensorflow as tf
from equations import B, H, T, V

from charrnn.model import cells, loops, row_groups
from charrnn.model.soft_loop import soft_loop
from charrnn.model.weights import Network

BOTH = {"training": equations.random_keep, "evaluation": equations.constant_keep}
KEEPS = pytest.mark.parametrize("make_keep", BOTH.values(), ids=BOTH)
IDS = np.array([[0, 3], [3, 3], [1, 0], [2, 3]])


@pytest.fixture(autouse=True)
def two_groups(monkeypatch):
    """Gives each row its own loops, which need the row's part of the masks."""
    monkeypatch.setattr(row_groups, "_MANY_ROWS", 2)


def random_network(cell, make_keep=equations.random_keep):
    """Returns two layers with masks, zoneout and skip connections, and a readout."""
    masks = [tf.constant(np.random.default_rng(i).integers(0, 2, (B, H)) * 1.6) for i in (30, 31)]
    layers = (equations.random_layer(cell), equations.random_layer(cell, H))
    layers = tuple(layer._replace(mask=mask, keep=make_keep(cell)) for layer, mask in zip(layers, masks, strict=True))
    return Network(layers, tf.constant(equations.normal(5, H, V)), tf.constant(equations.normal(6, V)), skip=True)


def at(keep, t):
    return [k.numpy() if k.shape.rank == 0 else k[t].numpy() for k in keep]


def numpy_advance(network, x, states, t):
    """Runs mixtures `[B, V]` through the layers. Returns each layer's new state, and the input of the readout."""
    after = []
    for i, (layer, state) in enumerate(zip(network.layers, states, strict=True)):
        bias = 0 if layer.bias is None else layer.bias
        new = equations.numpy_step(layer, x @ layer.kernel.numpy() + bias, state)
        after.append(equations.numpy_zoneout(at(layer.keep, t), state, new))
        own = after[-1][0] * layer.mask.numpy()
        x = x + own if i else own
    return after, x


@pytest.mark.parametrize("cell", cells.CELLS.values())
@KEEPS
def test_zoneout_keeps_units_and_has_the_numerical_gradient(cell, make_keep):
    layer, start = equations.random_layer(cell)._replace(keep=make_keep(cell)), equations.random_state(cell)
    x = tf.constant(equations.normal(6, T, B, cell.num_gates * H))
    by_outputs, by_last = equations.normal(7, T, B, H), equations.normal(8, 2, B, H)

    def run(x, *rest):
        recurrent, state = rest[: len(layer.recurrent)], rest[len(layer.recurrent) :]
        return loops.closed_loop(layer._replace(recurrent=recurrent), x, state)

    def loss(*inputs):
        outputs, last = run(*inputs)
        return tf.reduce_sum(outputs * by_outputs) + sum(
            tf.reduce_sum(s * w) for s, w in zip(last, by_last, strict=False)
        )

    outputs, last = run(x, *layer.recurrent, *start)
    state = tuple(s.numpy() for s in start)
    for t in range(T):
        state = equations.numpy_zoneout(at(layer.keep, t), state, equations.numpy_step(layer, x[t].numpy(), state))
        np.testing.assert_allclose(outputs[t], state[0], rtol=1e-12)
    np.testing.assert_allclose(last, state, rtol=1e-10)
    equations.assert_gradient(loss, [x, *layer.recurrent, *start])


@pytest.mark.parametrize("cell", cells.CELLS.values())
@KEEPS
def test_open_loop_reads_through_masks_and_skips(cell, make_keep):
    """Each choice depends on the logits, and therefore on all masks before them."""
    network, start = random_network(cell, make_keep), (equations.random_state(cell), equations.random_state(cell))
    own = np.array([[1, 1], [1, 0], [1, 1], [0, 1]], bool)
    choose = lambda logits, noise, text: tf.argmax(logits, -1, output_type=tf.int32)  # noqa: E731
    text = tf.constant(IDS, tf.int32)
    fed, saved = loops.open_loop(network, text, tf.constant(own), choose, tf.zeros((T, B, V)), start)
    states, logits = [tuple(s.numpy() for s in state) for state in start], np.zeros((B, V))
    for t in range(T):
        read = np.where(own[t] & (t > 0), logits.argmax(-1), IDS[t])
        np.testing.assert_array_equal(fed[t], read)
        states, x = numpy_advance(network, np.eye(V)[read], states, t)
        logits = x @ network.output_kernel.numpy() + network.output_bias.numpy()
        for layer, history in enumerate(saved):
            kept = np.concatenate([part.states[0].read(t + 1) for part in history])
            np.testing.assert_allclose(kept, states[layer][0], rtol=1e-12)
    assert (fed.numpy() != IDS).any()
    predicted = network.predict([tuple(map(tf.constant, state)) for state in states])
    np.testing.assert_allclose(predicted, logits, rtol=1e-12)


@pytest.mark.parametrize("cell", cells.CELLS.values())
def test_soft_loop_equals_numpy_and_has_the_numerical_gradient(cell):
    network, start = random_network(cell), (equations.random_state(cell), equations.random_state(cell))
    own = np.array([[1, 1], [1, 0], [1, 1], [0, 1]], bool)
    noise, by_logits = equations.normal(9, T, B, V), equations.normal(11, T, B, V)
    mix = lambda logits, noise: tf.nn.softmax(2.0 * (logits + noise))  # noqa: E731
    num_weights = len(network.weights)

    def run(*inputs):
        changed = equations.with_weights(network, inputs[:num_weights])
        states = tf.nest.pack_sequence_as(start, inputs[num_weights:])
        outputs, _, last = soft_loop(changed, tf.constant(IDS), tf.constant(own), mix, tf.constant(noise), states)
        return changed.logits(outputs), last

    def loss(*inputs):
        logits, last = run(*inputs)
        return tf.reduce_sum(logits * by_logits) + sum(tf.reduce_sum(entry**3) for entry in tf.nest.flatten(last))

    inputs = [tf.convert_to_tensor(x) for x in (*network.weights, *tf.nest.flatten(start))]
    logits, _ = run(*inputs)
    states = [tuple(s.numpy() for s in state) for state in start]
    for t in range(T):
        read = np.eye(V)[IDS[t]]
        if t:
            read[own[t]] = mix(logits[t - 1], noise[t]).numpy()[own[t]]
        states, x = numpy_advance(network, read, states, t)
        np.testing.assert_allclose(logits[t], x @ network.output_kernel.numpy() + network.output_bias.numpy())
    equations.assert_gradient(loss, inputs)
