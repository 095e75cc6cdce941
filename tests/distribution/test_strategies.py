"""Tests that two replicas, and gradient accumulation, compute the same as one device.

In the tests the CPU is two logical devices (fixtures.py), which `mirrored` uses as replicas.
"""

import keras
import numpy as np
import pytest
import rounding
import tensorflow as tf

from charrnn.batches.carried_state import StatefulPass
from charrnn.errors import UserError
from trainers.configs import RuntimeConfig
from trainers.curricula.accuracy_driven import AccuracyDriven
from trainers.curricula.replayed_rollouts import ReplayedRollouts
from trainers.curricula.scheduled_sampling import ScheduledSampling
from trainers.curricula.self_paced import SelfPaced
from trainers.curricula.unlikelihood import Unlikelihood
from trainers.distribution.strategies import Workers, describe, make_strategy
from trainers.loop.checkpoints import Checkpoints
from trainers.trainer import Trainer

pytestmark = pytest.mark.slow

STREAMS = {
    "model": {"weight_drop": 0.2, "output_dropout": 0.2, "zoneout": 0.1},
    "data": {"order": "streams", "batch_size": 8},
    "clip_norm": 0.1,
    "averaging": 0.9,
}


class Measuring(ScheduledSampling):
    """A curriculum that logs a mean of its own."""

    def loss(self, rollout, batch):
        loss, extra = super().loss(rollout, batch)
        return loss, {**extra, "smoothed": loss}


LINES = {
    "cls": Measuring,
    "config": ScheduledSampling.Config(half_step=2, max_prob=1.0, coin="exact"),
    "data": {"order": "lines", "batch_size": 8},
    "text": np.where(np.random.default_rng(3).random(2000) < 0.3, 0, np.arange(2000) % 6 + 1) * (np.arange(2000) > 0),
}

LOOKING_AT_ALL_ROWS = [
    ("one_device", 2, {"cls": AccuracyDriven, "config": AccuracyDriven.Config(beta=0.9, decay=0.5)}),
    ("mirrored", 1, {"cls": ReplayedRollouts, "config": ReplayedRollouts.Config(prob=0.5, batches=1, visits=2)}),
    ("mirrored", 2, {"cls": SelfPaced, "config": SelfPaced.Config(grow_steps=5), "data": STREAMS["data"]}),
    ("one_device", 4, {"cls": Unlikelihood, "config": Unlikelihood.Config(rollout_share=0.5, n=1, gold=2)}),
]
"""Strategy, number of parts, and a curriculum that computes other values if it sees one part only."""


@pytest.fixture
def build(make_trainer, make_model):
    """Builds a trainer on a strategy."""

    def make(strategy, optimizer=lambda: keras.optimizers.Adam(0.01), model=(), **arguments):
        with make_strategy(RuntimeConfig(strategy=strategy)).scope():
            return make_trainer(model=make_model(**dict(model)), optimizer=optimizer(), **arguments)

    return make


def train(trainer, first, end):
    steps = range(first, end)
    return trainer.train_steps([trainer.batch_at(step) for step in steps])


def variables(trainer):
    models = [*trainer.model.get_weights(), *trainer.averaged.get_weights()]
    with trainer.carried_by_all():
        return [*models, *(v.numpy() for v in trainer.variables)]


def assert_close(measured, expected):
    for got, right in zip(measured, expected, strict=True):
        assert got == pytest.approx(right, rel=rounding.MODEL)


class SpoiltOnOne(Trainer):
    """A curriculum whose loss is infinite at step 3 on the second replica."""

    def loss(self, rollout, batch):
        loss, extra = super().loss(rollout, batch)
        here = tf.equal(tf.distribute.get_replica_context().replica_id_in_sync_group, 1)
        return loss * tf.where(here & (self.step == 3), float("inf"), 1.0), extra


def assert_moves(trainer, moves):
    """Asserts that one step changes all weights (`moves`) or none, and that both replicas keep equal copies."""
    step, before = int(trainer.step.numpy()), everywhere(trainer)
    skipped = int(trainer.skipped_updates.numpy())
    train(trainer, step, step + 1)
    for (a, b), (c, _) in zip(everywhere(trainer), before, strict=True):
        np.testing.assert_array_equal(a, b)
        assert (a != c).any() == moves
    assert int(trainer.skipped_updates.numpy()) - skipped == (not moves)
    assert int(trainer.step.numpy()) == step + 1


def everywhere(trainer):
    """Returns the copies of each weight, one per replica."""
    strategy = make_strategy(RuntimeConfig(strategy="mirrored"))
    copies = [strategy.experimental_local_results(v.value) for v in trainer.model.trainable_variables]
    return [[copy.numpy() for copy in each] for each in copies]


def test_streams_on_two_replicas_and_in_parts_give_the_results_of_one_device(build, relative_error, tmp_path):
    one, two = build("one_device", **STREAMS), build("mirrored", cls=SpoiltOnOne, **STREAMS)
    parts = build("mirrored", accumulate=2, **STREAMS)
    expected = train(one, 0, 3)
    assert max(numbers["gradient_norm"] for numbers in expected) > 0.1  # clipped by the norm of the whole gradient
    for trainer in (two, parts):
        assert_close(train(trainer, 0, 2), expected[:2])
    Checkpoints(str(tmp_path), two, keep=1).save(2)
    again = build("one_device", **STREAMS)
    assert Checkpoints(str(tmp_path), again, keep=1).restore()
    before, expected_gradients = variables(two), list(again.gradients(again.batch_at(2)).values())
    for trainer in (two, parts):
        assert (
            relative_error(list(trainer.gradients(trainer.batch_at(2)).values()), expected_gradients)
            < rounding.MODEL
        )
    assert relative_error(variables(two), before) == 0
    for trainer in (two, parts, again):  # `again` was saved on two replicas and resumes on one device
        assert_close(train(trainer, 2, 3), expected[2:])
        assert relative_error(variables(trainer), variables(one)) < rounding.MODEL
        assert trainer._compiled.one.experimental_get_tracing_count() == 1
    text = np.random.default_rng(2).integers(0, 7, 90)
    losses = [trainer.evaluate(StatefulPass(text))["nats_per_char"] for trainer in (one, two)]
    assert losses[0] == pytest.approx(losses[1], rel=rounding.MODEL)
    assert_moves(two, False)
    Checkpoints(str(tmp_path / "one"), one, keep=1).save(3)
    assert Checkpoints(str(tmp_path / "one"), two, keep=1).restore()  # the other way: from one device to two replicas
    assert relative_error(variables(two), variables(one)) == 0


def test_steps_within_the_scope_of_the_strategy_equal_steps_outside_of_it(build, relative_error):
    outside, within = (build("mirrored", data={"batch_size": 4}) for _ in range(2))
    batch = outside.batch_at(0)
    right = outside.gradients(batch)
    expected = [float(outside.train_step(batch)["nats"]), *(row["nats"] for row in train(outside, 1, 3))]
    with make_strategy(RuntimeConfig(strategy="mirrored")).scope():
        within.check(10)
        assert relative_error(list(within.gradients(batch).values()), list(right.values())) == 0
        measured = [float(within.train_step(batch)["nats"]), *(row["nats"] for row in train(within, 1, 3))]
    assert measured == expected
    assert relative_error(variables(within), variables(outside)) == 0


def test_lines_of_unequal_weight_read_the_same_own_characters(build, relative_error):
    one, two = build("one_device", **LINES), build("mirrored", accumulate=2, **LINES)
    expected = train(one, 0, 3)
    assert expected[-1]["own_input_share"] > 0.3
    weights = one.batch_at(0).weights.reshape(4, -1).sum(1)
    assert len(set(weights)) > 1  # otherwise a mean of the parts' means would be correct too
    assert_close(train(two, 0, 3), expected)
    assert relative_error(variables(two), variables(one)) < rounding.MODEL


@pytest.mark.parametrize("strategy, accumulate, arguments", LOOKING_AT_ALL_ROWS)
def test_a_curriculum_that_looks_at_all_rows_sees_them(build, relative_error, strategy, accumulate, arguments):
    arguments = {"data": {"batch_size": 8, "seq_length": 9}, "clip_norm": 0.1, **arguments}
    one, other = build("one_device", **arguments), build(strategy, accumulate=accumulate, **arguments)
    assert_close(train(other, 0, 3), train(one, 0, 3))
    assert relative_error(variables(other), variables(one)) < rounding.MODEL
    assert other._compiled.one.experimental_get_tracing_count() == 1


def test_a_loss_scale_is_halved_once_by_an_infinity_on_one_replica(build):
    def scaled():
        return keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.01), initial_scale=256.0)

    trainer = build("mirrored", scaled, cls=SpoiltOnOne, data={"batch_size": 4}, clip_norm=0.1)
    for moves in (True, True, True, False):
        assert_moves(trainer, moves)
    assert trainer.optimizer.dynamic_scale.numpy() == 128


@pytest.mark.parametrize(
    "arguments, says",
    [
        ({"data": {"batch_size": 3}}, "batch_size asks for 3 rows, which replicas times optimizer.accumulate = 2 does"),
        ({"data": {"batch_size": 6}, "accumulate": 2}, "6 rows, which .* = 4 does not divide: give a multiple of 4"),
        ({"xla": True, "data": {"batch_size": 4}}, "--xla compiles for one device"),
    ],
)
def test_settings_that_replicas_cannot_use_are_refused(build, arguments, says):
    with pytest.raises(UserError, match=says):
        build("mirrored", **arguments)


def test_make_strategy_returns_the_configured_strategy_or_refuses_it(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert make_strategy(RuntimeConfig()) is make_strategy(RuntimeConfig(strategy="one_device"))
    assert list(describe(make_strategy(RuntimeConfig()), 8)) == []
    two = make_strategy(RuntimeConfig(strategy="mirrored"))
    assert make_strategy(RuntimeConfig(virtual_replicas=2)) is two
    (line,) = describe(two, 8)
    assert all(said in line for said in ("2 replicas", "MirroredStrategy", "4 of", "8"))
    with pytest.raises(UserError, match="virtual_replicas=3 must be known before TensorFlow starts"):
        make_strategy(RuntimeConfig(virtual_replicas=3))
    for config in (RuntimeConfig(strategy="multi_worker"), RuntimeConfig(strategy="tpu")):
        with pytest.raises(UserError, match=r"TF_CONFIG|TPU"):
            make_strategy(config)
    monkeypatch.setenv("TF_CONFIG", "{")
    with pytest.raises(UserError, match=r"TF_CONFIG=\{ is not understood"):
        make_strategy(RuntimeConfig())
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: ["one"] if kind == "CPU" else [])
    with pytest.raises(UserError, match="needs several devices"):
        make_strategy(RuntimeConfig(strategy="mirrored"))


def test_a_process_alone_is_the_chief_and_agrees_with_itself():
    workers = Workers(make_strategy(RuntimeConfig(strategy="one_device")))
    assert workers.is_chief
    workers.check_same("step", 3, "")
    asked = lambda: True  # noqa: E731
    assert workers.agreeing_to_stop(asked) is asked
    with pytest.raises(tf.errors.AbortedError), workers.watched():  # not mistaken for the loss of another worker
        raise tf.errors.AbortedError(None, None, "")
