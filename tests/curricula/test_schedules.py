"""Tests the schedules against the paper's formulas in double precision."""

import math

import numpy as np
import pytest
import tensorflow as tf

from trainers.curricula import schedules

STEPS = [0, 1, 2, 10, 99, 100, 101, 1000, 5000]


@pytest.mark.parametrize("step", STEPS)
def test_each_schedule_is_one_minus_the_papers_epsilon(step):
    assert float(schedules.linear(step, 0.003)) == pytest.approx(1 - max(0, 1 - 0.003 * step), abs=1e-6)
    assert float(schedules.exponential(step, 0.998)) == pytest.approx(1 - 0.998**step, abs=1e-6)
    epsilon = 200 / (200 + math.exp(step / 200))
    assert float(schedules.inverse_sigmoid(step, 200)) == pytest.approx(1 - epsilon, abs=1e-6)


@pytest.mark.parametrize("k", [1.5, 20, 300])
def test_inverse_sigmoid_is_half_at_k_ln_k(k):
    assert float(schedules.inverse_sigmoid(tf.constant(k * math.log(k)), k)) == pytest.approx(0.5, abs=1e-6)


@pytest.mark.parametrize("half_step", [1, 2, 3, 10, 2000, 10**6, 10**9])
def test_inverse_sigmoid_k_solves_its_equation(half_step):
    k = schedules.inverse_sigmoid_k(half_step)
    assert k >= 1
    assert k * math.log(k) == pytest.approx(half_step, rel=1e-9)


@pytest.mark.parametrize(
    "schedule",
    [
        lambda step: schedules.linear(step, 1e-3),
        lambda step: schedules.exponential(step, 0.999),
        lambda step: schedules.inverse_sigmoid(step, 100.0),
        lambda step: schedules.inverse_sigmoid(step, 1.0),
    ],
    ids=["linear", "exponential", "inverse_sigmoid", "inverse_sigmoid_steepest"],
)
def test_schedules_rise_to_one_without_overflow(schedule):
    steps = tf.constant([0, 1, 10, 100, 1000, 10**4, 10**5, 10**9, 2**62], tf.int64)
    for values in (schedule(steps), tf.function(schedule)(steps)):
        assert values.dtype == tf.float32
        assert np.isfinite(values).all() and (np.diff(values) >= 0).all()
        assert 0 <= values[0] <= 0.5 and values[-2] == values[-1] == 1
    assert float(schedule(10**9)) == 1
