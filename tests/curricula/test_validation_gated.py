"""Tests that the gate opens while the loss stays near its best, and does not move otherwise."""

import pytest
import tensorflow as tf

from trainers.curricula.validation_gated import ValidationGated


def test_the_gate_opens_only_while_the_loss_is_near_its_best(make_trainer):
    trainer = make_trainer(ValidationGated, config=ValidationGated.Config(increment=0.2, max_prob=0.5, tolerance=0.1))
    probs = []
    for loss in (3.0, 2.0, 2.05, 2.2, float("nan"), 2.11, 2.09, 1.0):
        trainer.on_evaluation(1, {"nats_per_char": loss})
        probs.append(float(trainer.own_input_prob(tf.constant(0))))
    assert probs == pytest.approx([0.2, 0.4, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5])
    trainer.prob.assign(0.0)
    trainer.best.assign(2.0)
    opened = []
    for loss in (2.2, 2.09, float("nan"), 1.5, 1.7):  # worse; near; NaN; best; worse than the new best
        trainer.on_evaluation(1, {"nats_per_char": loss})
        opened.append(float(trainer.own_input_prob(tf.constant(0))))
    assert opened == pytest.approx([0.0, 0.2, 0.2, 0.4, 0.4])
    assert float(trainer.best) == 1.5
