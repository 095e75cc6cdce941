"""Tests the layers against Keras's own: results, states, gradients, training, files, and which loop ran."""

import pathlib
import re

import keras
import numpy as np
import pytest
import rounding
import tensorflow as tf

from charrnn import layers
from charrnn.model import loops

B, T, D, H = 3, 5, 2, 4
ADDITIONS = B * T * (D + H + 1)  # in a weight's gradient: rows · steps · (inputs, units and bias)
FLOAT32 = rounding.bound("float32", ADDITIONS)
STATES = {"GRU": 1, "LSTM": 2}
both = pytest.mark.parametrize("name", STATES)


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(0, 0.7, shape).astype(np.float32)


def random_states(name, rows=B):
    return [tf.constant(normal(20 + i, rows, H)) for i in range(STATES[name])]


def pair(name, input_shape=(None, None, D), **options):
    """Returns a stock layer and ours with equal random weights, biases included."""
    stock, ours = getattr(keras.layers, name)(H, **options), getattr(layers, name)(H, **options)
    for layer in (stock, ours):
        layer.build(input_shape)
        layer.set_weights([normal(i, *weight.shape) for i, weight in enumerate(layer.get_weights())])
    return stock, ours


def results(layer, x, training=False, **arguments):
    """Returns all results of a call, and the gradients of a scalar that depends on all of them."""
    watched = [x, *arguments.get("initial_state", [])]
    with tf.GradientTape() as tape:
        tape.watch(watched)
        given = tf.nest.flatten(layer(x, training=training, **arguments))
        loss = sum(tf.reduce_sum(tf.cast(entry, tf.float32) ** 2) for entry in given)
    return given, tape.gradient(loss, [*watched, *(weight.value for weight in layer.trainable_weights)])


@pytest.fixture
def fused_calls(monkeypatch):
    """Records the arguments of each call of the fused loops, eager or traced."""
    calls, closed_loop = [], loops.closed_loop

    def spy(*arguments, **options):
        calls.append(arguments)
        return closed_loop(*arguments, **options)

    monkeypatch.setattr(loops, "closed_loop", spy)
    return calls


@both
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"return_sequences": True},
        {"return_state": True},
        {"return_sequences": True, "return_state": True},
        {"go_backwards": True, "return_state": True},
        {"go_backwards": True, "return_sequences": True},
        {"use_bias": False, "return_sequences": True},
        {"use_cudnn": False},
        {"dropout": 0.5, "recurrent_dropout": 0.5},  # no effect outside of training
        {"kernel_regularizer": "l2", "activity_regularizer": "l2", "return_sequences": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("from_state", [False, True], ids=["from_zero", "from_state"])
def test_results_and_gradients_are_keras_s(relative_error, fused_calls, name, options, from_state):
    stock, ours = pair(name, **options)
    x, arguments = tf.constant(normal(9, B, T, D)), {"initial_state": random_states(name)} if from_state else {}
    expected = results(stock, x, **arguments)
    assert not fused_calls
    assert relative_error(results(ours, x, **arguments), expected) < FLOAT32
    assert len(fused_calls) == 1
    assert relative_error(ours.losses, stock.losses) < FLOAT32


@pytest.mark.slow
@both
@pytest.mark.parametrize(
    "shape, xla",
    [((16, T, D), False), ((None, None, D), False), ((None, None, D), True)],
    ids=["fixed", "unknown", "unknown_xla"],
)
def test_graphs_give_keras_s_results(relative_error, fused_calls, name, shape, xla):
    stock, ours = pair(name, return_sequences=True, return_state=True, go_backwards=True)
    x, states = tf.constant(normal(9, 16, T, D)), random_states(name, 16)
    signature = [tf.TensorSpec(shape), [tf.TensorSpec((shape[0], H))] * len(states)]

    @tf.function(input_signature=signature, jit_compile=xla)
    def run(x, states):
        return results(ours, x, initial_state=states)

    assert relative_error(run(x, states), results(stock, x, initial_state=states)) < FLOAT32
    assert [call[1].shape[0] for call in fused_calls] == [shape[1]]


@both
@pytest.mark.parametrize(
    "options, arguments",
    [
        ({}, {"mask": tf.constant([[True] * 5, [False, True, True, False, True], [True, True, False, False, False]])}),
        ({"dropout": 0.5, "seed": 1}, {"training": True}),
        ({"recurrent_dropout": 0.5, "seed": 1}, {"training": True}),
        ({"activation": "relu"}, {}),
        ({"recurrent_activation": "hard_sigmoid"}, {}),
        ({"unroll": True}, {}),
    ],
    ids=lambda value: "_".join(value),
)
def test_keras_s_own_code_runs_unsupported_calls(relative_error, fused_calls, name, options, arguments):
    stock, ours = pair(name, **options, return_sequences=True, return_state=True)
    x = tf.constant(normal(9, B, T, D))
    assert relative_error(results(ours, x, **arguments), results(stock, x, **arguments)) == 0
    assert not fused_calls


def test_keras_s_own_code_runs_a_gru_that_resets_before_the_matmul(relative_error, fused_calls):
    stock, ours = pair("GRU", reset_after=False)
    x = tf.constant(normal(9, B, T, D))
    assert relative_error(results(ours, x), results(stock, x)) == 0
    assert not fused_calls


@both
def test_keras_s_own_code_runs_on_a_gpu(monkeypatch, relative_error, fused_calls, name):
    stock, ours = pair(name)
    x = tf.constant(normal(9, B, T, D))
    expected = results(stock, x)
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: [f"a {kind}"])
    assert relative_error(results(ours, x), expected) == 0
    assert not fused_calls


@both
def test_cudnn_is_refused_without_a_gpu_as_by_keras(name):
    for layer in pair(name, use_cudnn=True):
        with pytest.raises(ValueError, match="use_cudnn=True was specified"):
            layer(normal(9, B, T, D))


@both
@pytest.mark.parametrize("policy", ["float64", "mixed_float16", "mixed_bfloat16"])
def test_other_precisions_give_keras_s_results(relative_error, fused_calls, name, policy):
    stock, ours = pair(name, dtype=policy, return_sequences=True, return_state=True)
    dtype, x = ours.compute_dtype, tf.constant(normal(9, B, T, D))
    arguments = {"initial_state": random_states(name)}
    got, expected = results(ours, x, **arguments), results(stock, x, **arguments)
    assert {entry.dtype for entry in got[0]} == {tf.as_dtype(dtype)}
    assert [entry.dtype for entry in got[1]] == [entry.dtype for entry in expected[1]]
    assert relative_error(got, expected) < rounding.bound(dtype, ADDITIONS)
    assert fused_calls[0][1].dtype == dtype


@both
def test_whole_numbers_are_read_as_by_keras(relative_error, fused_calls, name):
    stock, ours = pair(name)
    x = tf.constant(np.random.default_rng(0).integers(-3, 3, (B, T, D)))
    assert relative_error(ours(x), stock(x)) < FLOAT32
    assert fused_calls


@both
def test_second_derivatives_are_keras_s(relative_error, fused_calls, name):
    """A penalty on the gradient needs second derivatives."""
    x, second = tf.constant(normal(9, B, T, D)), []
    for layer in pair(name):
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                loss = tf.reduce_sum(layer(x) ** 2)
            penalty = tf.reduce_sum(inner.gradient(loss, x) ** 2)
        second.append(outer.gradient(penalty, [x, *(weight.value for weight in layer.trainable_weights)]))
    assert relative_error(second[1], second[0]) < FLOAT32
    assert fused_calls


@both
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_state_is_carried_from_batch_to_batch(relative_error, fused_calls, name, policy):
    stock, ours = pair(name, (B, None, D), stateful=True, return_sequences=True, dtype=policy)
    outputs = []
    for t in range(3):
        x = tf.constant(normal(9 + t, B, T, D))
        tolerance = rounding.bound(ours.compute_dtype, (t + 1) * ADDITIONS)
        got, expected = results(ours, x), results(stock, x)
        assert relative_error(got, expected) < tolerance
        assert relative_error([s.numpy() for s in ours.states], [s.numpy() for s in stock.states]) < tolerance
        outputs.append(got[0][0])
    again = ours(normal(9, B, T, D))
    assert np.abs(again - outputs[0]).max() > 0.01  # so the state matters
    ours.reset_state()
    np.testing.assert_array_equal(ours(normal(9, B, T, D)), outputs[0])
    assert len(fused_calls) == 5


@both
@pytest.mark.parametrize("masked", [False, True], ids=["plain", "masked"])
def test_bidirectional_layers_give_keras_s_results(relative_error, fused_calls, name, masked):
    wrapped = [
        keras.layers.Bidirectional(getattr(module, name)(H, return_sequences=True, return_state=True))
        for module in (keras.layers, layers)
    ]
    for layer in wrapped:
        layer.build((None, None, D))
        layer.set_weights([normal(i, *weight.shape) for i, weight in enumerate(layer.get_weights())])
    mask = {"mask": tf.constant([[True] * 5, [False, True, True, False, True], [True] * 5])} if masked else {}
    expected, got = (results(layer, tf.constant(normal(9, B, T, D)), **mask) for layer in wrapped)
    assert relative_error(got, expected) < FLOAT32
    assert len(fused_calls) == (0 if masked else 2)


def sequential(module, name, **options):
    """Returns a small compiled language model. Its initial weights are the same for both modules."""
    keras.utils.set_random_seed(3)
    recurrent = getattr(module, name)(H, return_sequences=True, recurrent_regularizer="l2", name="recurrent")
    model = keras.Sequential([keras.layers.Embedding(7, D), recurrent, keras.layers.Dense(7)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.05), loss, **options)
    return model


def text(rows=32):
    """Returns ids of a periodic text, and at each position the next id."""
    ids = (np.random.default_rng(0).integers(0, 7, (rows, 1)) + np.arange(T + 1)) % 7
    return ids[:, :-1], ids[:, 1:]


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, jit_compile, rows, traced_rows",
    [("GRU", "auto", 40, None), ("LSTM", "auto", 40, None), ("GRU", True, 32, 16)],
    ids=["GRU", "LSTM", "XLA"],  # 40 is no multiple of the batch size: the graph cannot know the rows
)
def test_fit_learns_as_with_stock_layers(relative_error, fused_calls, name, jit_compile, rows, traced_rows):
    losses, weights = [], []
    for module in (keras.layers, layers):
        assert not fused_calls
        model = sequential(module, name, jit_compile=jit_compile if module is layers else False)
        losses.append(model.fit(*text(rows), batch_size=16, epochs=4, verbose=0).history["loss"])
        weights.append(model.get_weights())
    assert {call[1].shape[1] for call in fused_calls} == {traced_rows}
    assert model.jit_compile is (jit_compile is True)
    assert losses[1][3] < 0.95 * losses[1][0]
    assert relative_error(losses[1], losses[0]) < FLOAT32
    assert relative_error(weights[1], weights[0]) < 1e-4


@both
def test_a_functional_model_may_pass_a_state_between_layers(relative_error, fused_calls, name):
    """An encoder's state is the decoder's initial state; both lengths and the number of rows are unknown."""
    outputs = []
    for module in (keras.layers, layers):
        keras.utils.set_random_seed(3)
        source, target = keras.Input((None, D)), keras.Input((None, D))
        _, *state = getattr(module, name)(H, return_state=True)(source)
        decoded = getattr(module, name)(H, return_sequences=True)(target, initial_state=state)
        model = keras.Model([source, target], decoded)
        assert decoded.shape == (None, None, H)
        outputs.append(model.predict([normal(1, B, T, D), normal(2, B, T + 2, D)], verbose=0))
    assert relative_error(outputs[1], outputs[0]) < FLOAT32
    assert len(fused_calls) == 2


@pytest.mark.slow
@both
def test_a_saved_model_continues_where_it_stopped(tmp_path, fused_calls, name):
    model = sequential(layers, name)
    model.fit(*text(), batch_size=16, shuffle=False, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded.layers[1]) is getattr(layers, name)
    fused_calls.clear()
    on, again = (m.fit(*text(), batch_size=16, shuffle=False, verbose=0).history["loss"] for m in (model, loaded))
    assert fused_calls
    np.testing.assert_allclose(again, on, rtol=FLOAT32)


@both
def test_config_is_keras_s_and_gives_the_layer_back(name):
    options = {"return_sequences": True, "go_backwards": True, "dropout": 0.1, "dtype": "mixed_float16", "name": "own"}
    stock, ours = (getattr(module, name)(H, **options) for module in (keras.layers, layers))
    assert ours.get_config() == stock.get_config()
    for again in (type(ours).from_config(ours.get_config()), keras.layers.deserialize(keras.layers.serialize(ours))):
        assert type(again) is type(ours) and again.get_config() == ours.get_config()


@both
def test_weights_move_to_and_from_stock_layers(tmp_path, name):
    """A file carries them in both directions, because names and shapes are the same."""
    stock, ours = (sequential(module, name) for module in (keras.layers, layers))
    for model in (stock, ours):
        model.build((None, T))
    named = [[(w.path.partition("/")[2], w.shape) for w in model.layers[1].weights] for model in (stock, ours)]
    assert named[1] == named[0] and named[0][0][0] == f"recurrent/{name.lower()}_cell/kernel"
    for seed, (source, destination) in enumerate([(stock, ours), (ours, stock)]):
        source.set_weights([normal(seed + i, *weight.shape) for i, weight in enumerate(source.get_weights())])
        source.save_weights(tmp_path / f"{seed}.weights.h5")
        destination.load_weights(tmp_path / f"{seed}.weights.h5")
        for got, expected in zip(destination.get_weights(), source.get_weights(), strict=True):
            np.testing.assert_array_equal(got, expected)
    np.testing.assert_allclose(ours(text()[0]), stock(text()[0]), atol=FLOAT32)


@both
def test_a_mask_of_the_embedding_is_kept(relative_error, fused_calls, name):
    outputs = []
    for module in (keras.layers, layers):
        keras.utils.set_random_seed(3)
        model = keras.Sequential([keras.layers.Embedding(7, D, mask_zero=True), getattr(module, name)(H)])
        outputs.append(model(tf.constant([[3, 4, 0, 0], [1, 0, 2, 5]])))
    assert relative_error(outputs[1], outputs[0]) == 0
    assert not fused_calls


@pytest.mark.slow
def test_the_model_on_the_page_runs_as_it_stands(fused_calls):
    page = pathlib.Path("docs/generation.md").read_text()
    (code,) = re.findall(r"```python\n(import keras\n.*?)```", page, flags=re.DOTALL)
    names = {}
    exec(code, names)
    assert fused_calls
    assert names["model"].history.history["loss"][0] < np.log(256)
