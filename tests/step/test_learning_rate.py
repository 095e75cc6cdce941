"""Tests learning rates against their formulas, and inside a Keras optimizer."""

import math

import keras
import numpy as np
import pytest
import rounding
import tensorflow as tf

from trainers.step.learning_rate import LearningRate

STEPS = [0, 1, 9, 10, 11, 50, 110, 111, 1000]
FORMULAS = {
    "constant": lambda n, done: 1.0,
    "cosine": lambda n, done: 0.1 + 0.9 * (1 + math.cos(math.pi * done)) / 2,
    "linear": lambda n, done: 0.1 + 0.9 * (1 - done),
    "inverse_square_root": lambda n, done: math.sqrt(10 / max(n, 10)),
}


@pytest.mark.parametrize("schedule", FORMULAS)
def test_rates_are_the_formulas(schedule):
    rate = LearningRate(2.0, schedule, warmup_steps=10, decay_steps=110, final=0.1)
    expected = [2.0 * min(1, (n + 1) / 10) * FORMULAS[schedule](n, min(1, max(0, (n - 10) / 100))) for n in STEPS]
    np.testing.assert_allclose([rate(n) for n in STEPS], expected, rtol=rounding.MODEL)
    np.testing.assert_allclose(
        tf.map_fn(tf.function(rate), tf.constant(STEPS), tf.float32), expected, rtol=rounding.MODEL
    )
    again = LearningRate.from_config(rate.get_config())
    assert float(again(50)) == float(rate(50))


def test_without_a_warm_up_the_first_rate_is_the_peak():
    for schedule in FORMULAS:
        assert float(LearningRate(2.0, schedule, 0, 100, 0.0)(0)) == 2.0


def test_keras_optimizers_take_each_updates_rate():
    rate = LearningRate(1.0, "linear", warmup_steps=2, decay_steps=6, final=0.0)
    optimizer, weight = keras.optimizers.SGD(rate), tf.Variable(0.0)
    for n in range(6):
        before = float(weight)
        optimizer.apply([tf.constant(1.0)], [weight])
        assert before - float(weight) == pytest.approx(float(rate(n)), rel=rounding.MODEL)
