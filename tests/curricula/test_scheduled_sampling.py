"""Tests scheduled sampling: its schedule, coins and choices, teacher forcing at probability 0, and its optimum."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from two_characters import DEPENDENT, TIME_LOCKED

from charrnn.errors import UserError
from trainers.curricula.scheduled_sampling import ScheduledSampling
from trainers.step import coins
from trainers.trainer import Trainer

Config = ScheduledSampling.Config

HALF = 500


def paper_prob(schedule, step):
    """Returns 1 - ε by the paper's formulas; ε is one half at step HALF."""
    if schedule == "linear":
        return min(1.0, 0.5 * step / HALF)
    if schedule == "exponential":
        return 1 - math.exp(-math.log(2) / HALF * step)
    low, high = 1.0, float(HALF) + 3  # k·ln k = HALF by bisection
    for _ in range(200):
        k = (low + high) / 2
        low, high = (k, high) if k * math.log(k) < HALF else (low, k)
    return 1 - k / (k + math.exp(min(step / k, 700.0)))


@pytest.mark.parametrize("schedule", ["linear", "exponential", "inverse_sigmoid"])
@pytest.mark.parametrize("limit", [0.4, 1.0])
def test_probability_is_the_papers_up_to_the_limit(make_trainer, schedule, limit):
    trainer = make_trainer(ScheduledSampling, config=Config(schedule, HALF, limit))
    for step in (0, 1, 100, HALF, 2 * HALF, 10**6):
        expected = min(limit, paper_prob(schedule, step))
        assert float(trainer.own_input_prob(tf.constant(step, tf.int64))) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("schedule", ["linear", "exponential", "inverse_sigmoid"])
def test_the_probability_is_one_half_at_half_step(make_trainer, schedule):
    for half_step in (1, 7, 2000):
        trainer = make_trainer(ScheduledSampling, config=Config(schedule, half_step, 1.0))
        assert float(trainer.own_input_prob(tf.constant(half_step, tf.int64))) == pytest.approx(0.5, abs=1e-5)


def test_constant_is_the_limit_from_the_first_step(make_trainer):
    trainer = make_trainer(ScheduledSampling, config=Config("constant", HALF, 0.3))
    for step in (0, 1, 10**9):
        assert float(trainer.own_input_prob(tf.constant(step, tf.int64))) == pytest.approx(0.3)


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_scheduled_sampling_at_probability_zero_equals_teacher_forcing_to_the_bit(make_model, make_trainer, cell):
    """It still runs the open loop: its coins are drawn, and all select the text."""
    sampling = make_trainer(ScheduledSampling, model=make_model(cell=cell), config=Config("constant", max_prob=0.0))
    forcing = make_trainer(Trainer, model=make_model(cell=cell))
    assert sampling.own_inputs(tf.constant(0, tf.int64), sampling.batch_at(0)) is not None
    before = forcing.model.get_weights()
    for step in range(3):
        batch = forcing.batch_at(step)
        one, other = sampling.train_step(batch), forcing.train_step(batch)
        assert {k: float(v) for k, v in one.items()} == {k: float(v) for k, v in other.items()}
    for a, b, start in zip(sampling.model.get_weights(), forcing.model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)
        assert (a != start).any()


def test_share_of_own_characters_is_the_probability_except_for_first_characters(make_trainer):
    data = {"batch_size": 32, "seq_length": 25}
    trainer = make_trainer(ScheduledSampling, config=Config("constant", max_prob=0.5), data=data)
    shares = [float(trainer.train_step(trainer.batch_at(step))["own_input_share"]) for step in range(4)]
    draws = 4 * 32 * 24
    assert abs(np.mean(shares) - 0.5 * 24 / 25) <= 4 * math.sqrt(0.25 / draws) * 24 / 25


@pytest.mark.parametrize(
    "field, value",
    [
        ("schedule", "sigmoid"),
        ("half_step", 0),
        ("max_prob", -0.1),
        ("max_prob", 1.1),
        ("max_prob", float("nan")),
        ("coin", "word"),
        ("temperature", 0.0),
    ],
)
def test_config_refuses(field, value):
    with pytest.raises(UserError, match=rf"trainer\.{field}={value}"):
        Config(**{field: value})


@pytest.mark.parametrize("coin, mask", [("row", coins.per_row), ("exact", coins.exact_count)])
def test_the_setting_coin_selects_the_mask(make_trainer, coin, mask):
    trainer = make_trainer(ScheduledSampling, config=Config("constant", max_prob=0.4, coin=coin))
    own = trainer.own_inputs(tf.constant(0, tf.int64), trainer.batch_at(0))
    seed = trainer.random_seed(0)  # Purpose.OWN_INPUTS
    np.testing.assert_array_equal(own, mask(tf.constant([3, 5]), 0.4, seed))


def test_choices_may_be_greedy_or_use_a_temperature(make_trainer):
    random = np.random.default_rng(0)
    logits, noise = (tf.constant(random.normal(0, 1, (50, 7)), tf.float32) for _ in range(2))
    gold = tf.zeros(50, tf.int32)
    likeliest = make_trainer(ScheduledSampling, config=Config(greedy=True)).choose(logits, noise, gold)
    np.testing.assert_array_equal(likeliest, logits.numpy().argmax(-1))
    cool = make_trainer(ScheduledSampling, config=Config(temperature=0.5)).choose(logits, noise, gold)
    np.testing.assert_array_equal(cool, (logits.numpy() / 0.5 + noise.numpy()).argmax(-1))


@pytest.mark.slow
@pytest.mark.parametrize("chain", [DEPENDENT, TIME_LOCKED], ids=["dependent", "time-locked"])
@pytest.mark.parametrize("prob", [0.0, 0.6])
def test_training_reaches_the_optimum_of_the_objective(make_model, chain, prob):
    """Huszár 2015: Q*(x2 | z) = ε·P(x2 | z) + (1 - ε)·P(x2).

    z is the input before x2. If x2 depends on x1, only teacher forcing ends at the true distribution.
    """
    model = make_model(3, units=4, embedding_size=0)
    trainer = ScheduledSampling(model, chain, keras.optimizers.Adam(0.03), Config("constant", max_prob=prob), seed=1)
    for step in range(200):
        trainer.train_step(trainer.batch_at(step))
    logits, _ = model(tf.constant([[0, 1], [0, 2]]))
    learnt = tf.nn.softmax(logits)[:, :, 1]  # the probability of an A
    assert np.ptp(chain.given_z) == pytest.approx(0.7 if chain is DEPENDENT else 0)
    np.testing.assert_allclose(learnt[:, 0], 0.7, atol=0.02)
    np.testing.assert_allclose(learnt[:, 1], (1 - prob) * chain.given_z + prob * chain.overall, atol=0.03)
