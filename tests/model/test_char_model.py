"""Tests the model: the fused path against Keras's stock layers, the open loop against the closed loop, and dropout."""

import dataclasses
import itertools

import keras
import numpy as np
import pytest
import rounding
import tensorflow as tf

from charrnn import randomness
from charrnn.errors import UserError
from charrnn.model import row_groups
from charrnn.model.char_model import CharModel, choose_path
from charrnn.model.config import ModelConfig

V, B, T = 7, 3, 5
MODES = ["eager", "graph", pytest.param("xla", marks=pytest.mark.slow)]
CELLS = ["gru", "lstm", "rnn"]
ARCHITECTURES = [
    pytest.param({"cell": cell, "num_layers": layers, "embedding_size": size}, id=f"{cell}-{layers}-{name}")
    for cell, layers, (size, name) in itertools.product(CELLS, [1, 3], [(5, "embedding"), (0, "one_hot")])
]
SMALL_ARCHITECTURES = [ARCHITECTURES[2], ARCHITECTURES[5]]  # for slow compilation: gru-3-embedding, lstm-1-one_hot
ONE_LAYER = [ARCHITECTURES[0], ARCHITECTURES[5]]


def random_ids(length=T, seed=0, rows=B):
    return tf.constant(np.random.default_rng(seed).integers(0, V, (rows, length)), tf.int32)


def random_state(model, rows=B):
    random = np.random.default_rng(9)
    draw = lambda s: tf.constant(random.normal(0, 0.5, s.shape), s.dtype)  # noqa: E731
    return tf.nest.map_structure(draw, model.initial_state(rows))


def silence(ids):
    """Returns noise that changes no choice."""
    return tf.zeros((*tf.unstack(tf.shape(ids))[::-1], V))


def likeliest(logits, noise, text):
    return tf.argmax(logits, -1, tf.int32)


def unlikeliest(logits, noise, text):
    return tf.argmax(-logits, -1, tf.int32)


def sampled(logits, noise, text=None):
    return tf.argmax(logits + noise, -1, tf.int32)


def measure(model, forward, ids, state=None):
    """Returns logits, last state, and the gradients of a random linear loss in all weights and in `state`."""
    random = np.random.default_rng(3)
    watched = state if state is not None else ()
    with tf.GradientTape() as tape:
        tape.watch(watched)
        logits, last = forward(ids, state)
        loss = sum(
            tf.reduce_sum(tf.cast(value, tf.float32) * random.normal(size=value.shape).astype(np.float32))
            for value in (logits, *tf.nest.flatten(last))
        )
    gradients = tape.gradient(loss, [model.trainable_variables, watched])
    return logits, last, tf.nest.map_structure(tf.convert_to_tensor, gradients)


def measure_keras(model, ids, state=None):
    model.recurrence_path = "keras"
    result = measure(model, model, ids, state)
    model.recurrence_path = "fused"
    return result


def all_text(model):
    """Returns the open loop without any own input, with the signature of a closed loop."""

    def run(ids, state):
        logits, fed, last = model.open_loop(ids, tf.zeros(ids.shape, tf.bool), likeliest, silence(ids), state)
        tf.debugging.assert_equal(fed, ids)
        return logits, last

    return run


def assert_same_bits(got, expected):
    for a, b in zip(tf.nest.flatten(got), tf.nest.flatten(expected), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_fused_path_equals_keras(make_model, relative_error, architecture):
    model = make_model(**architecture)
    for length, state in [(T, None), (T, random_state(model)), (1, random_state(model))]:
        ids = random_ids(length)
        assert relative_error(measure(model, model, ids, state), measure_keras(model, ids, state)) < rounding.MODEL


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_fused_path_equals_keras_in_a_graph(make_model, relative_error, architecture):
    model = make_model(**architecture)
    ids, state = random_ids(), random_state(model)
    in_graph = tf.function(lambda ids, state: measure(model, model, ids, state))
    assert relative_error(in_graph(ids, state), measure_keras(model, ids, state)) < rounding.MODEL


@pytest.mark.slow
@pytest.mark.parametrize("architecture", SMALL_ARCHITECTURES)
def test_fused_path_equals_keras_with_xla(make_model, relative_error, architecture):
    model = make_model(**architecture)
    ids, state = random_ids(), random_state(model)
    compiled = tf.function(lambda ids, state: measure(model, model, ids, state), jit_compile=True)
    assert relative_error(compiled(ids, state), measure_keras(model, ids, state)) < rounding.MODEL


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_bfloat16_equals_float32_within_its_precision(make_model, relative_error, architecture):
    """bfloat16 rounds each number by up to 2^-8 of its value."""
    exact, rounded = make_model(**architecture), make_model(precision="mixed_bfloat16", **architecture)
    ids = random_ids()
    expected = measure(exact, exact, ids, random_state(exact))
    logits, last, gradients = measure(rounded, rounded, ids, random_state(rounded))
    assert logits.dtype == tf.float32
    assert {s.dtype for s in tf.nest.flatten(last)} == {tf.bfloat16}
    assert {w.dtype for w in rounded.trainable_variables} == {"float32"}
    assert {g.dtype for g in gradients[0]} == {tf.float32}
    as_float = tf.nest.map_structure(lambda x: tf.cast(x, tf.float32), (logits, last, gradients))
    assert 1e-5 < relative_error(as_float, expected) < rounding.bound("bfloat16", rounding.ADDITIONS // B)


@pytest.mark.parametrize("cell", CELLS)
def test_weights_move_to_a_plain_keras_model(make_model, relative_error, cell):
    model = make_model(cell=cell, num_layers=2)
    layer = {"gru": keras.layers.GRU, "lstm": keras.layers.LSTM, "rnn": keras.layers.SimpleRNN}[cell]
    plain = keras.Sequential(
        [
            keras.layers.Embedding(V, 5),
            layer(6, return_sequences=True),
            layer(6, return_sequences=True),
            keras.layers.Dense(V),
        ]
    )
    plain.build((None, None))
    plain.set_weights(model.get_weights())
    ids = random_ids(9)
    assert relative_error(model(ids)[0], plain(ids)) < rounding.MODEL


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_text_in_two_parts_equals_the_whole(make_model, relative_error, architecture):
    model, ids = make_model(**architecture), random_ids(10)
    logits, last = model(ids)
    first, between = model(ids[:, :4])
    second, end = model(ids[:, 4:], between)
    assert relative_error((tf.concat([first, second], 1), end), (logits, last)) < rounding.MODEL
    assert relative_error(model(ids[:, 4:])[0], second) > 1e-3  # the state matters


@pytest.mark.slow
@pytest.mark.parametrize("architecture", SMALL_ARCHITECTURES)
def test_rows_and_length_may_be_unknown(make_model, relative_error, architecture):
    model = make_model(**architecture)
    traces = []

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.int32)])
    def gradients(ids):
        traces.append(None)
        with tf.GradientTape() as tape:
            logits, last = model(ids)
            loss = tf.reduce_sum(logits**2)
        return logits, last, tape.gradient(loss, model.trainable_variables)

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.int32)])
    def open_loop(ids):
        own = tf.ones(tf.shape(ids), tf.bool)
        state = model.initial_state(tf.shape(ids)[0])
        return model.open_loop(ids, own, likeliest, silence(ids), state)

    for rows, length in [(2, 1), (3, 6)]:
        ids = random_ids(length, rows=rows)
        assert relative_error(gradients(ids), gradients.python_function(ids)) < rounding.MODEL
        assert relative_error(open_loop(ids), open_loop.python_function(ids)) < rounding.MODEL
    assert len(traces) == 1 + 2  # one for the graph, two eager


@pytest.mark.parametrize("architecture", ONE_LAYER)
@pytest.mark.parametrize("mode", MODES)
def test_open_loop_without_own_inputs_is_the_closed_loop_to_the_bit(make_model, architecture, mode):
    model = make_model(**architecture)

    def both(ids, state):
        return measure(model, model, ids, state), measure(model, all_text(model), ids, state)

    run = both if mode == "eager" else tf.function(both, jit_compile=mode == "xla")
    closed, opened = run(random_ids(), random_state(model))
    assert_same_bits(opened, closed)


@pytest.mark.slow
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("mode", ["eager", "graph"])
def test_open_loop_of_three_layers_without_own_inputs_is_the_closed_loop(make_model, relative_error, cell, mode):
    """Equal up to rounding: the open loop projects a higher layer's input step by step, the closed loop at once."""
    model = make_model(cell=cell, num_layers=3)

    def both(ids, state):
        return measure(model, model, ids, state), measure(model, all_text(model), ids, state)

    closed, opened = (both if mode == "eager" else tf.function(both))(random_ids(), random_state(model))
    assert relative_error(opened, closed) < rounding.MODEL


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_open_loop_equals_a_step_by_step_run(make_model, relative_error, monkeypatch, architecture):
    model, length, rows = make_model(**architecture), 12, 4
    ids, start = random_ids(length, rows=rows), random_state(model, rows)
    own = np.random.default_rng(4).random((rows, length)) < 0.6
    own[:, 0] = True  # ignored, because there is no output yet
    noise = tf.constant(np.random.default_rng(5).gumbel(size=(length, rows, V)), tf.float32)

    logits, fed, last = model.open_loop(ids, tf.constant(own), sampled, noise, start)
    monkeypatch.setattr(row_groups, "_MANY_ROWS", 2)
    np.testing.assert_array_equal(model.open_loop(ids, tf.constant(own), sampled, noise, start)[1], fed)

    state, expected_fed, expected_logits = start, [], []
    for t in range(length):
        read = ids[:, t] if t == 0 else tf.where(own[:, t], sampled(expected_logits[-1], noise[t]), ids[:, t])
        step_logits, state = model(read[:, None], state)
        expected_fed.append(read)
        expected_logits.append(step_logits[:, 0])
    np.testing.assert_array_equal(fed, tf.stack(expected_fed, 1))
    np.testing.assert_array_equal(fed[:, 0], ids[:, 0])
    assert (fed.numpy() != ids.numpy()).any()
    assert relative_error((logits, last), (tf.stack(expected_logits, 1), state)) < rounding.MODEL


@pytest.mark.parametrize("architecture", SMALL_ARCHITECTURES)
@pytest.mark.parametrize("mode", MODES)
def test_open_loop_has_the_closed_loop_gradient_on_its_input_ids(make_model, relative_error, architecture, mode):
    """No gradient flows through the choice of an id, only through the state."""
    model = make_model(**architecture)
    ids, own, state = random_ids(), tf.constant(np.random.default_rng(1).random((B, T)) < 0.7), random_state(model)

    def run(ids, state):
        read = []

        def forward(ids, state):
            logits, fed, last = model.open_loop(ids, own, unlikeliest, silence(ids), state)
            read.append(fed)
            return logits, last

        return measure(model, forward, ids, state), read[0]

    opened, fed = (run if mode == "eager" else tf.function(run, jit_compile=mode == "xla"))(ids, state)
    assert (fed.numpy() != ids.numpy()).any()
    assert relative_error(opened, measure(model, model, fed, state)) < rounding.MODEL


@pytest.mark.parametrize("architecture", SMALL_ARCHITECTURES)
def test_initial_weights_are_a_function_of_the_seed(architecture):
    config = ModelConfig(units=6, **architecture)
    first, again, other = (CharModel(config, V, seed=seed).get_weights() for seed in (3, 3, 4))
    assert_same_bits(first, again)
    for a, b in zip(first, other, strict=True):
        if a.ndim == 2 and a.shape[0] > 2:  # a kernel, not a bias
            assert (a != b).mean() > 0.9
    kernels = [w for w in first if w.ndim == 2 and w.shape[0] > 2]
    for a, b in itertools.combinations(kernels, 2):  # no two weights share their random numbers
        if a.shape == b.shape:
            assert (a != b).mean() > 0.9


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_units_start_with_memories_up_to_the_longest(cell):
    """With zero kernels, each character multiplies a state by u / (1 + u)."""
    model = CharModel(ModelConfig(cell=cell, units=6, embedding_size=0, longest_memory=50), V)
    for layer in model.recurrent_layers:
        kernel, recurrent, bias = layer.get_weights()
        layer.set_weights([0 * kernel, 0 * recurrent, bias])
    _, last = model(random_ids(1), tf.nest.map_structure(tf.ones_like, model.initial_state(B)))
    u = np.linspace(1, 49, 6)
    np.testing.assert_allclose(last[0][-1], np.tile(u / (1 + u), (B, 1)), rtol=rounding.MODEL)
    plain, remembering = (CharModel(c, V) for c in (dataclasses.replace(model.config, longest_memory=0), model.config))
    assert_same_bits(*(m.recurrent_layers[0].get_weights()[:2] for m in (plain, remembering)))


def test_recurrent_kernels_are_orthogonal():
    model = CharModel(ModelConfig(units=8, num_layers=2), V)
    for layer in model.recurrent_layers:
        kernel = layer.trainable_weights[1].numpy()
        np.testing.assert_allclose(kernel @ kernel.T, np.eye(8), atol=rounding.MODEL)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_number_of_parameters_equals_the_formula(architecture):
    config, h = ModelConfig(units=6, **architecture), 6
    gates, biases = {"gru": (3, 2), "lstm": (4, 1), "rnn": (1, 1)}[config.cell]
    width, expected = config.embedding_size or V, V * config.embedding_size
    for _ in range(config.num_layers):
        expected += gates * h * (width + h + biases)
        width = h
    expected += (h + 1) * V
    model = CharModel(config, V)
    assert model.count_params() == expected
    assert sum(w.numpy().size for w in model.trainable_variables) == expected


def test_initial_state_is_zero_in_the_compute_dtype():
    for cell, size in [("gru", 1), ("lstm", 2)]:
        model = CharModel(ModelConfig(cell=cell, units=6, num_layers=2), V, "mixed_bfloat16")
        state = model.initial_state(4)
        assert [len(layer) for layer in state] == [size, size]
        for entry in tf.nest.flatten(state):
            assert entry.shape == (4, 6) and entry.dtype == tf.bfloat16 and not np.any(entry)


@pytest.mark.parametrize(
    "field, value",
    [("cell", "rmn"), ("units", 0), ("num_layers", 0), ("embedding_size", -1), ("recurrent_initializer", "ortogonal")],
)
def test_config_refuses(field, value):
    with pytest.raises(UserError, match=rf"model\.{field}.*{value}"):
        ModelConfig(**{field: value})


def test_path_is_chosen_by_request_then_xla_then_device(monkeypatch):
    devices = []
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: devices)
    assert choose_path("keras", xla=True)[0] == "keras"
    assert choose_path("auto", xla=False)[0] == "fused"
    devices.append("a GPU")
    assert choose_path("auto", xla=False)[0] == "keras"
    assert choose_path("auto", xla=True)[0] == "fused"
    assert choose_path("fused", xla=False)[0] == "fused"


@pytest.mark.slow
@pytest.mark.parametrize("compiled", [None, False, True], ids=["eager", "graph", "xla"])
def test_rows_in_two_groups_give_the_results_of_one_group(make_model, relative_error, monkeypatch, compiled):
    """The closed loop equals one group up to rounding, and the open loop the closed loop, without XLA bit for bit."""
    model, ids = make_model(cell="lstm"), random_ids(rows=4)
    state, own = random_state(model, rows=4), tf.zeros((4, T), tf.bool)

    def run():
        with tf.GradientTape(persistent=True) as tape:
            logits, last = model(ids, state)
            open_logits, fed, open_last = model.open_loop(ids, own, likeliest, silence(ids), state)
        weights = model.trainable_variables
        closed = (logits, last, tape.gradient(logits, weights))
        return closed, (open_logits, open_last, tape.gradient(open_logits, weights)), fed

    call = run if compiled is None else lambda: tf.function(run, autograph=False, jit_compile=compiled)()
    one_group, _, _ = call()
    monkeypatch.setattr(row_groups, "_MANY_ROWS", 2)
    closed, opened, fed = call()
    assert relative_error(closed, one_group) < rounding.MODEL
    np.testing.assert_array_equal(fed, ids)
    if compiled:
        assert relative_error(opened, closed) < rounding.MODEL
        return
    for a, b in zip(tf.nest.flatten(closed), tf.nest.flatten(opened), strict=True):
        np.testing.assert_array_equal(a, b)


KEY = tf.constant([3, 4], tf.int32)
DROPOUT = {"weight_drop": 0.4, "embedding_dropout": 0.3, "layer_dropout": 0.3, "output_dropout": 0.5}
DROPPING = {**DROPOUT, "skip_connections": True, "num_layers": 2}


def in_training(model):
    """Returns the closed loop with the masks of KEY, with the signature of a closed loop without masks."""
    return lambda ids, state: model(ids, state, training=KEY)


def by_keras_layers(model, ids):
    """Returns logits and gradients of plain Keras layers, whose weights and gradients are multiplied by the masks."""
    plain = CharModel(dataclasses.replace(model.config, **dict.fromkeys(DROPOUT, 0.0)), V)
    dropped = model._masks(ids, KEY)
    factors = [np.ones(w.shape) for w in model.trainable_variables]
    first = 1 if model.config.embedding_size else 0
    factors[0] = factors[0] * dropped.embedding  # without an embedding, the input kernel's rows are the characters
    for i, mask in enumerate(dropped.recurrent):
        factors[first + 3 * i + 1] = mask.numpy()
    plain.set_weights([w * f for w, f in zip(model.get_weights(), factors, strict=True)])
    with tf.GradientTape() as tape:
        x = plain.embedding(ids) if first else tf.one_hot(ids, V)
        for i, layer in enumerate(plain.recurrent_layers):
            own = layer(x)[0] * dropped.outputs[i][:, None]
            x = own + x if i else own
        logits = plain.readout(x)
        loss = tf.reduce_sum(logits**2)
    gradients = tape.gradient(loss, plain.trainable_variables)
    return logits, [tf.convert_to_tensor(g) * f for g, f in zip(gradients, factors, strict=True)]


@pytest.mark.slow
@pytest.mark.parametrize("path", ["fused", "keras"])
@pytest.mark.parametrize("cell, embedding_size", [("gru", 5), ("lstm", 0), ("rnn", 5)])
def test_dropout_equals_masked_keras_layers(make_model, relative_error, cell, embedding_size, path):
    model, ids = make_model(cell=cell, embedding_size=embedding_size, **DROPPING), random_ids()
    model.recurrence_path = path

    def run(ids):
        with tf.GradientTape() as tape:
            logits, _ = model(ids, training=KEY)
            loss = tf.reduce_sum(logits**2)
        return logits, [tf.convert_to_tensor(g) for g in tape.gradient(loss, model.trainable_variables)]

    expected = by_keras_layers(model, ids)
    assert relative_error(run(ids), expected) < rounding.MODEL
    assert relative_error(tf.function(run)(ids), expected) < rounding.MODEL
    assert relative_error(model(ids)[0], expected[0]) > 0.1  # without a key nothing is dropped


@pytest.mark.parametrize("cell", CELLS)
def test_open_loop_and_its_gradient_have_one_set_of_masks(make_model, relative_error, cell):
    """The closed loop over the input ids gives the same logits and gradients. Each choice follows from these logits."""
    zoneout = {"zoneout": 0.3, **({"zoneout_cell": 0.5} if cell == "lstm" else {})}
    model = make_model(cell=cell, **DROPPING, **zoneout)
    ids, state = random_ids(), random_state(model)
    read, own = [], tf.constant(np.random.default_rng(1).random((B, T)) < 0.7)

    def opened(ids, state):
        logits, fed, last = model.open_loop(ids, own, unlikeliest, silence(ids), state, KEY)
        read.append(fed)
        return logits, last

    got = measure(model, opened, ids, state)
    assert (read[0].numpy() != ids.numpy()).any()
    assert relative_error(got, measure(model, in_training(model), read[0], state)) < rounding.MODEL
    likeliest = tf.argmax(-got[0][:, :-1], -1, output_type=tf.int32)  # each choice was made from these logits
    np.testing.assert_array_equal(read[0][:, 1:], tf.where(own[:, 1:], likeliest, ids[:, 1:]))


def test_soft_loop_without_own_inputs_is_the_closed_loop_with_dropout(make_model, relative_error):
    model = make_model(zoneout=0.3, **DROPPING)
    ids, state = random_ids(), random_state(model)
    none, noise = tf.zeros((B, T), tf.bool), tf.zeros((T, B, V))

    def soft(ids, state):
        logits, _, last = model.soft_loop(ids, none, lambda logits, noise: tf.nn.softmax(logits), noise, state, KEY)
        return logits, last

    assert (
        relative_error(measure(model, soft, ids, state), measure(model, in_training(model), ids, state))
        < rounding.MODEL
    )


def test_dropout_in_bfloat16_equals_float32_within_its_precision(make_model, relative_error):
    exact, rounded = (make_model(precision=p, zoneout=0.3, **DROPPING) for p in ("float32", "mixed_bfloat16"))
    ids = random_ids()
    expected = measure(exact, in_training(exact), ids, random_state(exact))
    got = measure(rounded, in_training(rounded), ids, random_state(rounded))
    as_float = tf.nest.map_structure(lambda x: tf.cast(x, tf.float32), got)
    assert 1e-5 < relative_error(as_float, expected) < rounding.bound("bfloat16", rounding.ADDITIONS // B)


def test_rows_of_a_part_have_the_masks_of_the_whole_batch(make_model, relative_error):
    model, ids = make_model(zoneout=0.3, **DROPPING), random_ids(rows=4)
    whole, _ = model(ids, training=KEY)
    parts = []
    for i in range(2):
        with randomness.part_of_batch(i, 2):
            parts.append(model(ids[2 * i : 2 * i + 2], training=KEY)[0])
    assert relative_error(tf.concat(parts, 0), whole) < rounding.MODEL


def test_zoneout_in_evaluation_is_the_mean_of_old_and_new(make_model, relative_error):
    model = make_model(cell="lstm", num_layers=1, zoneout=0.25, zoneout_cell=0.5)
    plain, ids = make_model(cell="lstm", num_layers=1), random_ids()
    state, expected = plain.initial_state(B), []
    for t in range(T):
        _, new = plain(ids[:, t : t + 1], state)
        state = (tuple(k * a + (1 - k) * b for k, a, b in zip((0.25, 0.5), state[0], new[0], strict=True)),)
        expected.append(plain.readout(state[0][0]))
    assert relative_error(model(ids)[0], tf.stack(expected, 1)) < rounding.MODEL


def test_only_a_model_with_dropout_needs_a_key(make_model):
    model, ids = make_model(output_dropout=0.5), random_ids()
    own = tf.zeros(ids.shape, tf.bool)
    for call in (
        lambda: model(ids, training=True),
        lambda: model.open_loop(ids, own, sampled, silence(ids), model.initial_state(B)),
    ):
        with pytest.raises(UserError, match=r"training=self\.mask_key\(\)"):
            call()
    plain = make_model()
    assert_same_bits(plain(ids, training=KEY), plain(ids))
    assert_same_bits(plain(ids, training=True), plain(ids))


@pytest.mark.parametrize("path", ["fused", "keras"])
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_temperature_divides_logits_outside_of_training(make_model, relative_error, path, dropout):
    plain, cool = (make_model(output_dropout=dropout, temperature=t) for t in (1.0, 0.8))
    plain.recurrence_path = cool.recurrence_path = path
    ids = random_ids()
    assert relative_error(cool(ids)[0] * 0.8, plain(ids)[0]) < rounding.MODEL
    assert_same_bits(cool(ids, training=KEY), plain(ids, training=KEY))


@pytest.mark.parametrize("name", ["weight_drop", "embedding_dropout", "layer_dropout", "output_dropout", "zoneout"])
def test_impossible_rates_are_refused(name):
    for rate in (1.0, -0.1, float("nan")):
        with pytest.raises(UserError, match=rf"model\.{name}=.* at least 0 and below 1"):
            ModelConfig(**{name: rate})
    for settings in ({"longest_memory": 2}, {"longest_memory": -5}, {"longest_memory": 9, "cell": "rnn"}):
        with pytest.raises(UserError, match=r"model\.longest_memory="):
            ModelConfig(**settings)
    with pytest.raises(UserError, match=r"model\.zoneout_cell=0\.1 .*model\.cell=gru"):
        ModelConfig(zoneout_cell=0.1)


def test_zoneout_runs_in_the_fused_loops_only():
    config = ModelConfig(zoneout=0.1)
    with pytest.raises(UserError, match=r"model\.zoneout works with the fused recurrence only"):
        choose_path("keras", xla=False, config=config)
    assert choose_path("auto", xla=False, config=config) == ("fused", "Keras's layers have no zoneout")
    assert choose_path("keras", xla=False, config=ModelConfig(weight_drop=0.1))[0] == "keras"
