"""Tests that the extra loss is the distance between the states, and trains only the states of the open loop."""

import numpy as np
import pytest
import rounding
import tensorflow as tf

from charrnn.batches.sources import Batch
from trainers.curricula.state_matching import StateMatching


def test_the_gap_is_the_distance_of_the_outputs_and_the_text_is_learnt_in_closed_loop(make_trainer, relative_error):
    config = StateMatching.Config("constant", max_prob=0.7, weight=3.0)
    trainer = make_trainer(StateMatching, config=config)
    model, batch = trainer.model, Batch(*map(tf.constant, trainer.batch_at(0)))
    weights = np.random.default_rng(0).uniform(0, 1, (3, 5)).astype(np.float32)
    batch = batch._replace(weights=tf.constant(weights))
    with tf.GradientTape() as tape:
        rollout = trainer.forward(batch, model.initial_state(3))
        loss, extra = trainer.loss(rollout, batch)
    got = list(map(tf.convert_to_tensor, tape.gradient(loss, model.trainable_variables)))

    assert (rollout.fed.numpy() != batch.inputs.numpy()).any()
    model.recurrence_path = "keras"
    _, closed, _ = model.hidden(batch.inputs, model.initial_state(3))
    with tf.GradientTape() as tape:
        _, opened, _ = model.hidden(rollout.fed, model.initial_state(3))
        gap = tf.reduce_sum(tf.reduce_mean((opened - closed.numpy()) ** 2, -1) * weights) / weights.sum()
        logits, _ = model(batch.inputs)
        nats = tf.nn.sparse_softmax_cross_entropy_with_logits(batch.targets, logits)
        expected = tf.reduce_sum(nats * weights) / weights.sum() + 3.0 * gap
    assert float(extra["state_gap"]) == pytest.approx(float(gap), rel=rounding.MODEL) and float(gap) > 0
    assert float(loss) == pytest.approx(float(expected), rel=rounding.MODEL)
    gradients = map(tf.convert_to_tensor, tape.gradient(expected, model.trainable_variables))
    assert relative_error(got, list(gradients)) < rounding.MODEL
