"""Tests that the probability of an own character follows the moving average of the accuracy, one step later."""

import numpy as np
import pytest
import rounding
import tensorflow as tf

from trainers.curricula.accuracy_driven import AccuracyDriven


def test_the_probability_follows_the_accuracy(make_model, make_trainer):
    config = AccuracyDriven.Config(beta=0.5, decay=0.75)
    model = make_model()
    trainer = make_trainer(AccuracyDriven, model=model, config=config, data={"batch_size": 20, "seq_length": 9})
    batch = trainer.batch_at(0)
    logits, _ = make_model()(tf.constant(batch.inputs))  # the first step is teacher forcing
    accuracy = 0.25 * np.mean(logits.numpy().argmax(-1) == batch.targets)
    measured = [trainer.train_step(trainer.batch_at(step)) for step in range(2)]
    assert [float(step["own_input_prob"]) for step in measured] == pytest.approx(
        [0.0, 0.5 * accuracy], rel=rounding.MODEL
    )
    assert accuracy > 0
    assert float(measured[0]["own_input_share"]) == 0 < float(measured[1]["own_input_share"])
