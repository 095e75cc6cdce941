"""Tests soft inputs: mixtures are characters for α → ∞; straight-through inputs have the gradient of the mixture."""

import numpy as np
import pytest
import rounding
import tensorflow as tf

from charrnn.batches.sources import Batch
from trainers.curricula.scheduled_sampling import ScheduledSampling
from trainers.curricula.soft_inputs import SoftInputs

OFTEN = {"schedule": "constant", "max_prob": 0.7}


def roll_out(trainer):
    batch = Batch(*map(tf.constant, trainer.batch_at(0)))
    with tf.GradientTape() as tape:
        rollout = trainer.forward(batch, trainer.model.initial_state(3))
        loss, _ = trainer.loss(rollout, batch)
    gradients = tape.gradient(loss, trainer.model.trainable_variables)
    return rollout, list(map(tf.convert_to_tensor, gradients))


@pytest.mark.parametrize("gumbel", [True, False], ids=["sample", "arg_max"])
@pytest.mark.parametrize("layers", [1, 2])
def test_soft_inputs_with_alpha_to_infinity_are_characters(make_model, make_trainer, relative_error, gumbel, layers):
    model = make_model(num_layers=layers)
    soft = make_trainer(SoftInputs, model=model, config=SoftInputs.Config(**OFTEN, alpha=1e9, gumbel=gumbel))
    hard = make_trainer(ScheduledSampling, model=model, config=ScheduledSampling.Config(**OFTEN, greedy=not gumbel))
    (got, got_gradients), (expected, gradients) = roll_out(soft), roll_out(hard)
    np.testing.assert_array_equal(got.own, expected.own)
    np.testing.assert_array_equal(got.fed, expected.fed)
    assert (got.fed.numpy() != soft.batch_at(0).inputs).any()
    assert relative_error(got.logits, expected.logits) < rounding.MODEL
    assert relative_error(got_gradients, gradients) < rounding.MODEL  # a mixture of one character has no slope
    warm = make_trainer(SoftInputs, model=model, config=SoftInputs.Config(**OFTEN, alpha=1.0, gumbel=gumbel))
    assert relative_error(roll_out(warm)[0].logits, expected.logits) > 1e-2


def test_straight_through_reads_characters_with_the_mixtures_slope(make_trainer, relative_error):
    through = make_trainer(SoftInputs, config=SoftInputs.Config(**OFTEN, alpha=2.0, straight_through=True))
    hard = make_trainer(ScheduledSampling, config=ScheduledSampling.Config(**OFTEN))
    (got, got_gradients), (expected, gradients) = roll_out(through), roll_out(hard)
    np.testing.assert_array_equal(got.fed, expected.fed)
    assert relative_error(got.logits, expected.logits) < rounding.MODEL
    assert relative_error(got_gradients, gradients) > 1e-2
    logits, noise = tf.random.stateless_normal((2, 4), [0, 1]), tf.random.stateless_normal((2, 4), [0, 2])
    by = tf.random.stateless_normal((2, 4), [0, 3])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(logits)
        mixtures = through.mix(logits, noise), tf.nn.softmax(2.0 * (logits + noise))
    slopes = [tape.gradient(mixture, logits, by) for mixture in mixtures]
    assert relative_error(*slopes) < rounding.MODEL
    assert sorted(set(mixtures[0].numpy().ravel())) == [0, 1]


def test_a_step_agrees_in_a_graph_and_in_bfloat16(make_model, make_trainer):
    trainers = [
        make_trainer(SoftInputs, model=make_model(precision=p), config=SoftInputs.Config(**OFTEN))
        for p in ("float32", "mixed_bfloat16")
    ]
    eager = float(trainers[0].loss(roll_out(trainers[0])[0], trainers[0].batch_at(0))[0])
    plain, coarse = (trainer.train_step(trainer.batch_at(0)) for trainer in trainers)
    assert float(plain["nats"] / plain["chars"]) == pytest.approx(eager, rel=rounding.MODEL)
    assert float(coarse["nats"]) == pytest.approx(float(plain["nats"]), rel=0.02)
    assert np.isfinite(float(coarse["gradient_norm"]))
