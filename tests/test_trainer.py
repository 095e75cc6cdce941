"""Tests one update against a gradient tape and an optimizer by hand, and the effect of each hook."""

import keras
import numpy as np
import pytest
import rounding
import tensorflow as tf

import trainers
from charrnn import randomness
from charrnn.batches.carried_state import StatefulPass
from charrnn.batches.sources import Batch
from trainers.curricula.accuracy_driven import AccuracyDriven
from trainers.curricula.scheduled_sampling import ScheduledSampling
from trainers.step import coins
from trainers.trainer import Trainer

LARGE = {"batch_size": 32, "seq_length": 25}  # enough coins to measure a share


def train(trainer, first, end):
    """Trains from step `first` until before step `end`. Returns the measurements of each step as floats."""
    measured = []
    for step in range(first, end):
        numbers = trainer.train_step(trainer.batch_at(step))
        measured.append({name: float(value) for name, value in numbers.items()})
    return measured


def weights_of(trainer):
    return trainer.model.get_weights()


def optimizer_of(trainer):
    return [variable.numpy() for variable in trainer.optimizer.variables]


def gradients_by_hand(model, batch, state=None):
    """Returns the mean cross-entropy, its gradients through Keras's stock layers, and the last state."""
    model.recurrence_path = "keras"
    with tf.GradientTape() as tape:
        logits, last = model(tf.constant(batch.inputs), state)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(batch.targets, logits)
    gradients = [tf.convert_to_tensor(g) for g in tape.gradient(loss, model.trainable_variables)]
    return loss, gradients, last


def assert_equal(got, expected):
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        {"cls": ScheduledSampling, "clip_norm": 0.1, "averaging": 0.9},
        {"data": {"order": "streams", "batch_size": 4, "reset_probability": 0.4}, "accumulate": 2},
        {"xla": True},
    ],
    ids=["open loop", "streams in parts", "xla"],
)
def test_several_updates_in_one_call_equal_single_updates(make_trainer, arguments):
    """They must be equal bit for bit, because a resumed run may group its steps in another way."""
    one, several = make_trainer(**arguments), make_trainer(**arguments)
    expected = train(one, 0, 5)
    measured = []
    for steps in (range(0, 3), range(3, 4), range(4, 5)):
        batches = [several.batch_at(step) for step in steps]
        measured += several.train_steps(batches)
    assert measured == expected
    assert_equal(several.variables, one.variables)
    assert several._compiled.several.experimental_get_tracing_count() == 1


def test_gradients_equal_a_tape_and_change_nothing(make_model, make_trainer, relative_error):
    """The batch continues a text with a carried state, and the curriculum updates a variable in each step."""
    arguments = {"config": AccuracyDriven.Config(), "data": {"order": "streams"}, "clip_norm": 1e-3}
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(), 64.0)
    trainer = make_trainer(AccuracyDriven, optimizer=optimizer, **arguments)
    train(trainer, 0, 2)
    trainer.accuracy.assign(0.0)  # teacher forcing, like the reference
    batch, model = trainer.batch_at(2), make_model()
    model.set_weights(weights_of(trainer))
    before = [v.numpy() for v in (*trainer.variables, *trainer.model.variables, *trainer.optimizer.variables)]
    gradients = trainer.gradients(batch)
    assert_equal((*trainer.variables, *trainer.model.variables, *trainer.optimizer.variables), before)
    _, expected, _ = gradients_by_hand(model, batch, trainer.carried)
    assert batch.continues and list(gradients) == [variable.path for variable in model.trainable_variables]
    assert relative_error(list(gradients.values()), expected) < rounding.MODEL
    (measured,) = train(trainer, 2, 3)
    assert measured["gradient_norm"] == pytest.approx(
        float(tf.linalg.global_norm(list(gradients.values()))), rel=rounding.MODEL
    )
    assert float(trainer.accuracy) > 0  # so `gradients` had a change to undo


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_updates_equal_a_tape_and_adam_by_hand(make_model, make_trainer, relative_error, cell):
    trainer = make_trainer(model=make_model(cell=cell))
    model, adam = make_model(cell=cell), keras.optimizers.Adam(0.01)
    for step in range(3):
        (measured,) = train(trainer, step, step + 1)
        loss, gradients, _ = gradients_by_hand(model, trainer.batch_at(step))
        adam.apply(gradients, model.trainable_variables)
        assert measured["nats"] / measured["chars"] == pytest.approx(float(loss), rel=rounding.MODEL)
        assert measured["chars"] == 3 * 5
        assert measured["gradient_norm"] == pytest.approx(float(tf.linalg.global_norm(gradients)), rel=rounding.MODEL)
        assert measured["learning_rate"] == pytest.approx(0.01)
        assert measured["own_input_prob"] == measured["own_input_share"] == 0
        # Adam divides by the gradient's own size, and so enlarges the rounding of small gradients.
        assert relative_error(weights_of(trainer), model.get_weights()) < rounding.MODEL
        assert int(trainer.step) == step + 1
    assert int(trainer.skipped_updates) == 0


def test_the_stock_layers_gradients_have_the_same_norm(make_model, make_trainer):
    stock = make_model()
    stock.recurrence_path = "keras"  # its embedding's gradient is sparse, with several rows for one id
    (expected,), (got,) = train(make_trainer(), 0, 1), train(make_trainer(model=stock), 0, 1)
    assert got == pytest.approx(expected, rel=rounding.MODEL)


@pytest.mark.parametrize("scaled", [False, True], ids=["plain", "loss_scale"])
@pytest.mark.parametrize("part", [0.5, 2.0])
def test_clips_by_global_norm_and_reports_the_norm_before(make_model, make_trainer, relative_error, part, scaled):
    model = make_model()
    before = model.get_weights()
    trainer = make_trainer(model=model)
    _, gradients, _ = gradients_by_hand(make_model(), trainer.batch_at(0))
    norm = np.sqrt(sum((g.numpy().astype(np.float64) ** 2).sum() for g in gradients))
    optimizer = keras.optimizers.SGD(1.0)
    optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=1024.0) if scaled else optimizer
    trainer = make_trainer(model=model, optimizer=optimizer, clip_norm=part * norm)
    (measured,) = train(trainer, 0, 1)
    assert measured["gradient_norm"] == pytest.approx(norm, rel=rounding.MODEL)
    change = [w - b for w, b in zip(weights_of(trainer), before, strict=True)]
    expected = [-g.numpy() * min(1.0, part) for g in gradients]
    assert np.sqrt(sum((c**2).sum() for c in change)) == pytest.approx(norm * min(1.0, part), rel=rounding.MODEL)
    assert relative_error(change, expected) < rounding.MODEL  # subtracting the weights loses digits


def test_loss_scaling_gives_the_same_updates(make_trainer, relative_error):
    plain = make_trainer()
    scaled = make_trainer(optimizer=keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.01)))
    for a, b in zip(train(scaled, 0, 3), train(plain, 0, 3), strict=True):
        assert a == pytest.approx(b, rel=rounding.MODEL)
    assert relative_error(weights_of(scaled), weights_of(plain)) < rounding.MODEL  # a power of two changes no digit


class Spoilt(Trainer):
    """A trainer whose loss is NaN at one step and infinite at a later step."""

    factors = ((1, np.nan), (3, np.inf))  # each: the step, the factor of its loss

    def loss(self, rollout, batch):
        loss, extra = super().loss(rollout, batch)
        for step, factor in self.factors:
            loss *= tf.where(self.step == step, factor, 1.0)
        return loss, extra


@pytest.mark.parametrize("clip_norm", [0.0, 0.1], ids=["unclipped", "clipped"])
def test_non_finite_gradients_change_nothing_but_the_counts(make_trainer, clip_norm):
    trainer, twin = make_trainer(Spoilt, clip_norm=clip_norm), make_trainer(clip_norm=clip_norm)
    for step in range(5):
        weights, optimizer = weights_of(trainer), optimizer_of(trainer)
        (measured,) = train(trainer, step, step + 1)
        assert np.isfinite(measured["gradient_norm"]) == (step not in (1, 3))
        if step in (1, 3):
            assert_equal(weights_of(trainer), weights)
            assert_equal(optimizer_of(trainer), optimizer)
        else:  # the reference run gets the same batches, except the spoilt ones
            train(twin, step, step + 1)
        assert (int(trainer.step), int(trainer.skipped_updates)) == (step + 1, (step > 0) + (step > 2))
    assert_equal(weights_of(trainer), weights_of(twin))


@pytest.mark.slow
@pytest.mark.parametrize("clip_norm", [0.0, 0.1], ids=["unclipped", "clipped"])
def test_float16_skips_an_update_and_halves_the_loss_scale(make_model, make_trainer, clip_norm):
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.01), initial_scale=256.0)
    model = make_model(precision="mixed_float16")
    trainer = make_trainer(Spoilt, model=model, optimizer=optimizer, clip_norm=clip_norm)
    for step, (scale, skipped) in enumerate([(256, 0), (128, 1), (128, 1), (64, 2), (64, 2)]):
        weights, inner = weights_of(trainer), [v.numpy() for v in optimizer.inner_optimizer.variables]
        (measured,) = train(trainer, step, step + 1)
        if step in (1, 3):
            assert_equal(weights_of(trainer), weights)
            assert_equal([v.numpy() for v in optimizer.inner_optimizer.variables], inner)
        else:
            assert np.isfinite(measured["gradient_norm"])
            assert all((a != b).any() for a, b in zip(weights_of(trainer), weights, strict=True))
        assert (float(optimizer.dynamic_scale), int(trainer.skipped_updates)) == (scale, skipped)
        assert int(trainer.step) == step + 1


class Overflowing(Spoilt):
    """A trainer whose gradients are finite, but not their squares."""

    factors = ((0, 1e25),)


@pytest.mark.parametrize("scaled", [False, True], ids=["plain", "loss_scale"])
@pytest.mark.parametrize("clip_norm", [0.0, 0.1], ids=["unclipped", "clipped"])
def test_an_update_is_skipped_too_when_only_the_norm_overflows(make_trainer, scaled, clip_norm):
    """An update that is counted as skipped changes nothing, even with a loss scale."""
    adam = keras.optimizers.Adam(0.01)
    optimizer = keras.optimizers.LossScaleOptimizer(adam, initial_scale=1.0) if scaled else adam
    trainer = make_trainer(Overflowing, optimizer=optimizer, clip_norm=clip_norm)
    weights = weights_of(trainer)
    train(trainer, 0, 1)
    assert int(trainer.skipped_updates) == 1
    assert_equal(weights_of(trainer), weights)
    assert int(adam.iterations) == 0


def test_the_loss_falls_on_a_predictable_text(make_model, make_trainer):
    """In `012321012321…` only the first prediction of a row is uncertain. Without a state, 0.46 nats would remain."""
    text = np.tile([0, 1, 2, 3, 2, 1], 100)
    trainer = make_trainer(model=make_model(4, units=16), optimizer=keras.optimizers.Adam(0.02), text=text)
    measured = [m["nats"] / m["chars"] for m in train(trainer, 0, 150)]
    assert measured[0] > 0.8 * np.log(4)
    assert np.mean(measured[-10:]) < 0.3


@pytest.mark.parametrize("reset_probability", [0.0, 0.2])  # with 0.2, step 3 continues one row and resets two
def test_streams_carry_the_state_and_start_epochs_from_zero(
    make_model, make_trainer, relative_error, reset_probability
):
    data = {"order": "streams", "batch_size": 3, "seq_length": 5, "reset_probability": reset_probability}
    optimizer = keras.optimizers.SGD(0.1)
    model = make_model(cell="lstm", num_layers=2)
    trainer = make_trainer(model=model, optimizer=optimizer, text=np.arange(3 * 5 * 3) % 7, data=data)
    assert trainer.source.steps_per_epoch == 2
    reference, state = make_model(cell="lstm", num_layers=2), None
    for step in range(4):
        batch = trainer.batch_at(step)
        goes_on = np.full(3, step not in (0, 2)) & batch.continues  # an epoch has two steps
        state = state and tf.nest.map_structure(lambda s, keep=goes_on: s * keep[:, None], state)
        loss, gradients, state = gradients_by_hand(reference, batch, state)
        for variable, gradient in zip(reference.trainable_variables, gradients, strict=True):
            variable.assign_sub(0.1 * gradient)
        (measured,) = train(trainer, step, step + 1)
        assert measured["nats"] / measured["chars"] == pytest.approx(float(loss), rel=rounding.MODEL)
        assert relative_error(trainer.carried, state) < rounding.MODEL
        assert relative_error(weights_of(trainer), reference.get_weights()) < rounding.MODEL
        if goes_on.any():  # otherwise the test would not notice a dropped state
            assert abs(measured["nats"] / 15 / float(gradients_by_hand(reference, batch)[0]) - 1) > 1e-4


def test_positions_of_weight_zero_do_not_matter(make_trainer):
    first, second = make_trainer(), make_trainer()
    batch = first.batch_at(0)
    weights = np.array([[1, 1, 1, 0, 0], [1, 0.5, 0, 0, 0], [1, 1, 1, 1, 1]], np.float32)
    unread = np.cumsum(weights[:, ::-1], 1)[:, ::-1] == 0  # no target with a weight comes later
    other = Batch(np.where(unread, 6 - batch.inputs, batch.inputs), np.where(weights == 0, 0, batch.targets), weights)
    assert (other.inputs != batch.inputs).any() and (other.targets != batch.targets).any()
    measured = first.train_step(batch._replace(weights=weights))
    assert_equal(measured.values(), second.train_step(other).values())
    assert_equal(weights_of(first), weights_of(second))
    assert float(measured["chars"]) == 9.5


class OwnLoss(Trainer):
    """Teacher forcing whose loss might read the logits of any position."""

    def loss(self, rollout, batch):
        return super().loss(rollout, batch)


class Coins(Trainer):
    def own_input_prob(self, step):
        return 0.5


class CoinsAndOwnLoss(Coins, OwnLoss):
    pass


@pytest.mark.parametrize("arguments", [{}, {"accumulate": 3}], ids=["one", "accumulate"])
@pytest.mark.parametrize("curricula", [(Trainer, OwnLoss), (Coins, CoinsAndOwnLoss)], ids=["closed", "open"])
@pytest.mark.parametrize("path", ["fused", "keras"])
def test_last_targets_need_the_last_logits_only(make_model, make_trainer, relative_error, curricula, arguments, path):
    found, lengths = [], []
    for cls in curricula:
        model = make_model()
        model.recurrence_path = path
        trainer = make_trainer(cls, model, data={"targets": "last"}, **arguments)
        batch = Batch(*map(tf.convert_to_tensor, trainer.batch_at(0)))
        lengths.append(trainer.forward(batch, model.initial_state(3)).logits.shape[1])
        found.append((trainer.gradients(batch), trainer.train_step(batch)))
    assert lengths == [1, 5]
    assert relative_error(*found) < rounding.MODEL
    assert float(found[0][1]["chars"]) == 3 and float(found[0][1]["chars_read"]) == 15


def test_the_loss_is_a_mean_over_the_weights(make_trainer):
    first, second = make_trainer(), make_trainer()
    whole = train(first, 0, 1)[0]["gradient_norm"]
    batch_at = second.batch_at
    second.batch_at = lambda step: batch_at(step)._replace(weights=batch_at(step).weights / 2)
    assert train(second, 0, 1)[0]["gradient_norm"] == pytest.approx(whole, rel=rounding.MODEL)


def test_a_step_is_traced_once(make_trainer):
    traces = []

    class Counting(Trainer):
        def loss(self, rollout, batch):
            traces.append(None)
            return super().loss(rollout, batch)

    trainer = make_trainer(Counting, data={"order": "streams"})
    train(trainer, 0, 4)
    assert len(traces) == 1
    assert {trainer.batch_at(step).continues for step in range(4)} == {False, True}


def test_evaluation_is_the_mean_loss_with_the_state_carried(make_model, make_trainer):
    ids = np.random.default_rng(2).integers(0, 7, 90)
    trainer = make_trainer()
    weights = weights_of(trainer)
    got = trainer.evaluate(StatefulPass(ids, length=16))
    model = make_model()
    model.recurrence_path = "keras"
    logits, _ = model(tf.constant(ids[None, :-1], tf.int32))
    loss = float(keras.losses.SparseCategoricalCrossentropy(from_logits=True)(ids[None, 1:], logits))
    assert got["nats_per_char"] == pytest.approx(loss, rel=rounding.MODEL)
    assert got["bits_per_char"] == pytest.approx(loss / np.log(2), rel=rounding.MODEL)
    assert_equal(weights_of(trainer), weights)
    assert int(trainer.step) == 0


def assert_share(share, expected, draws):
    assert abs(share - expected) <= 4 * np.sqrt(expected * (1 - expected) / draws)


@pytest.mark.parametrize("as_tensor", [False, True], ids=["number", "tensor"])
def test_own_input_prob_alone_makes_a_curriculum(make_trainer, as_tensor):
    class Third(Trainer):
        def own_input_prob(self, step):
            return tf.constant(0.3) if as_tensor else 0.3

    measured = train(make_trainer(Third, data=LARGE), 0, 2)
    draws = 32 * 24  # a row's first character is not drawn
    for numbers in measured:
        assert numbers["own_input_prob"] == pytest.approx(0.3)
        assert_share(numbers["own_input_share"] * 25 / 24, 0.3, draws)
    assert measured[0]["own_input_share"] != measured[1]["own_input_share"]  # each step has other coins
    trainer = make_trainer(Third, data=LARGE)
    seed = randomness.seed_for(0, randomness.Purpose.OWN_INPUTS, 0)  # the coins depend on no other random numbers
    expected = coins.per_character([32, 25], 0.3, seed)
    np.testing.assert_array_equal(trainer.own_inputs(trainer.step, trainer.batch_at(0)), expected)


def test_own_input_prob_may_rise_with_the_step_in_one_trace(make_trainer):
    class Rising(Trainer):
        def own_input_prob(self, step):
            return tf.cast(step, tf.float32) / 4

    measured = train(make_trainer(Rising, data=LARGE), 0, 5)
    assert [numbers["own_input_prob"] for numbers in measured] == [0, 0.25, 0.5, 0.75, 1]
    assert measured[0]["own_input_share"] == 0
    assert measured[-1]["own_input_share"] == pytest.approx(24 / 25)
    for numbers in measured[1:-1]:
        assert_share(numbers["own_input_share"] * 25 / 24, numbers["own_input_prob"], 32 * 24)


def test_own_input_prob_is_logged_as_it_was_before_on_step(make_trainer):
    class Growing(Trainer):
        def __init__(self, *arguments, **named):
            super().__init__(*arguments, **named)
            self.prob = self.new_variable(0.0, "prob")

        def own_input_prob(self, step):
            return self.prob

        def on_step(self, rollout, batch):
            self.prob.assign_add(0.25)

    assert [numbers["own_input_prob"] for numbers in train(make_trainer(Growing), 0, 3)] == [0, 0.25, 0.5]


def test_own_inputs_alone_makes_a_curriculum(make_trainer):
    class EverySecond(Trainer):
        def own_inputs(self, step, batch):
            return tf.broadcast_to(tf.range(5) % 2 == 0, tf.shape(batch.inputs))

    (measured,) = train(make_trainer(EverySecond), 0, 1)
    assert measured["own_input_share"] == pytest.approx(2 / 5)  # positions 2 and 4; position 0 is the text's
    assert measured["own_input_prob"] == 0


def test_choose_alone_decides_the_inputs(make_trainer):
    read = []

    class Open(Trainer):
        def own_input_prob(self, step):
            return 1.0

        def forward(self, batch, state):
            rollout = super().forward(batch, state)
            read.append(rollout.fed)
            return rollout

    class Text(Open):
        def choose(self, logits, noise, gold):
            return gold

    class Two(Open):
        def choose(self, logits, noise, gold):
            return tf.fill(tf.shape(gold), 2)

    tf.config.run_functions_eagerly(True)  # so that the inputs can be recorded
    try:
        forced, text, two = make_trainer(), make_trainer(Text), make_trainer(Two)
        for trainer in (forced, text, two):
            train(trainer, 0, 1)
    finally:
        tf.config.run_functions_eagerly(False)
    inputs = forced.batch_at(0).inputs
    np.testing.assert_array_equal(read[0], inputs)
    np.testing.assert_array_equal(read[1][:, 0], inputs[:, 0])
    assert (read[1][:, 1:].numpy() == 2).all()
    assert_equal(weights_of(text), weights_of(forced))  # it writes the text itself, which equals teacher forcing
    assert any((a != b).any() for a, b in zip(weights_of(two), weights_of(forced), strict=True))


def test_the_default_choice_is_a_sample(make_model, make_trainer):
    """The kernel of the readout is zero, so the biases alone give the expected shares."""
    model = make_model(3)
    shares = np.array([0.6, 0.3, 0.1])
    model.readout.set_weights([np.zeros((6, 3)), np.log(shares)])

    class Open(Trainer):
        def own_input_prob(self, step):
            return 1.0

        def loss(self, rollout, batch):
            loss, extra = super().loss(rollout, batch)
            counts = tf.reduce_sum(tf.one_hot(rollout.fed[:, 1:], 3), [0, 1])
            return loss, {**extra, **{f"share_{i}": counts[i] / (32 * 24) for i in range(3)}}

    (fed,) = train(make_trainer(Open, model=model, data=LARGE), 0, 1)
    for i, share in enumerate(shares):
        assert_share(fed[f"share_{i}"], share, 32 * 24)


def test_loss_alone_makes_a_curriculum(make_trainer):
    """Half the loss gives half the gradient. "nats" is measured in the same way for every curriculum."""

    class Half(Trainer):
        def loss(self, rollout, batch):
            loss, _ = super().loss(rollout, batch)
            return loss / 2, {"halved": loss / 2}

    (whole,), (half,) = train(make_trainer(), 0, 1), train(make_trainer(Half), 0, 1)
    assert half["nats"] == whole["nats"]
    assert half["halved"] == pytest.approx(whole["nats"] / whole["chars"] / 2, rel=rounding.MODEL)
    assert half["gradient_norm"] == pytest.approx(whole["gradient_norm"] / 2, rel=rounding.MODEL)
    assert set(half) - set(whole) == {"halved"}


def test_randomness_is_a_function_of_seed_and_step(make_trainer):
    class Open(Trainer):
        def own_input_prob(self, step):
            return 0.5

    first, again, other = (make_trainer(Open, seed=seed) for seed in (1, 1, 2))
    for trainer in (first, again, other):
        train(trainer, 0, 2)
    assert_equal(weights_of(first), weights_of(again))
    assert any((a != b).any() for a, b in zip(weights_of(first), weights_of(other), strict=True))


@pytest.mark.slow
def test_xla_gives_the_same_update(make_trainer, relative_error):
    """The test uses teacher forcing, because XLA draws other stateless random numbers."""
    plain, compiled = make_trainer(), make_trainer(xla=True)
    assert train(compiled, 0, 2) == [pytest.approx(numbers, rel=rounding.MODEL) for numbers in train(plain, 0, 2)]
    assert relative_error(weights_of(compiled), weights_of(plain)) < rounding.MODEL


def test_a_trainer_tracks_a_curriculums_variables(make_trainer):
    class Counted(Trainer):
        def __init__(self, *arguments, **named):
            super().__init__(*arguments, **named)
            self.good_evaluations = tf.Variable(0)

    trainer = make_trainer(Counted, data={"order": "streams"})
    held = {id(variable) for variable in trainer.variables}
    expected = [trainer.good_evaluations, trainer.step, trainer.skipped_updates, *tf.nest.flatten(trainer.carried)]
    assert {id(variable) for variable in expected} <= held


def test_trainer_is_an_attribute_of_the_package():
    assert trainers.Trainer is Trainer
    with pytest.raises(AttributeError, match="Trianer"):
        _ = trainers.Trianer


def test_averages_follow_the_weights_and_are_evaluated(make_trainer, relative_error):
    trainer = make_trainer(averaging=0.9)
    average, ids = trainer.averaged.get_weights(), np.random.default_rng(2).integers(0, 7, 90)
    assert_equal(average, weights_of(trainer))
    for step in range(100):
        train(trainer, step, step + 1)
        decay = min(0.9, step / (step + 10))
        average = [decay * a + (1 - decay) * w for a, w in zip(average, weights_of(trainer), strict=True)]
    assert relative_error(trainer.averaged.get_weights(), average) < rounding.MODEL
    assert relative_error(trainer.averaged.get_weights(), weights_of(trainer)) > 1e-3
    other = make_trainer()
    other.model.set_weights(average)
    batches = lambda: StatefulPass(ids, length=16)  # noqa: E731
    assert trainer.evaluate(batches()) == pytest.approx(other.evaluate(batches()), rel=rounding.MODEL)
    plain = make_trainer()
    train(plain, 0, 100)
    assert_equal(weights_of(plain), weights_of(trainer))  # averaging does not affect training


@pytest.mark.parametrize("scaled", [False, True], ids=["plain", "loss_scale"])
def test_a_skipped_update_moves_no_average(make_trainer, scaled):
    optimizer = keras.optimizers.Adam(0.01)
    trainer = make_trainer(
        averaging=0.9, optimizer=keras.optimizers.LossScaleOptimizer(optimizer, 8.0) if scaled else optimizer
    )
    start = trainer.averaged.get_weights()
    train(trainer, 0, 3)
    before = trainer.averaged.get_weights()
    assert any((a != b).any() for a, b in zip(start, before, strict=True))
    batch = trainer.batch_at(3)
    trainer.train_step(batch._replace(weights=np.full_like(batch.weights, np.inf)))
    assert int(trainer.skipped_updates) == 1
    assert_equal(trainer.averaged.get_weights(), before)


@pytest.mark.slow
def test_dropout_differs_between_steps_and_is_equal_for_equal_seeds_and_steps(make_model, make_trainer):
    def made(seed=1):
        return make_trainer(model=make_model(weight_drop=0.5, output_dropout=0.5), seed=seed)

    class Open(Trainer):
        def own_inputs(self, step, batch):
            return tf.zeros_like(batch.inputs, tf.bool)

    still = keras.optimizers.SGD(1e-9)
    trainer = make_trainer(model=make_model(output_dropout=0.5), optimizer=still, seed=1)
    batch = trainer.batch_at(0)
    losses = [float(trainer.train_step(batch)["nats"]) for _ in range(4)]
    assert len({round(loss, 3) for loss in losses}) == 4
    first, again, other = made(), made(), made(seed=2)
    for each in (first, again, other):
        train(each, 0, 3)
    assert_equal(weights_of(first), weights_of(again))
    assert any((a != b).any() for a, b in zip(weights_of(first), weights_of(other), strict=True))
    opened = make_trainer(Open, model=make_model(weight_drop=0.5, output_dropout=0.5), seed=1)
    train(opened, 0, 3)
    assert_equal(weights_of(opened), weights_of(first))  # with one layer, equal bit for bit


def test_label_smoothing_changes_the_loss_and_not_the_report(make_trainer):
    plain, smooth = make_trainer(), make_trainer(label_smoothing=0.3)
    (expected,), (got,) = train(plain, 0, 1), train(smooth, 0, 1)
    assert got["nats"] == expected["nats"]
    assert got["gradient_norm"] != pytest.approx(expected["gradient_norm"], rel=1e-3)
