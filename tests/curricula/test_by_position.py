"""Tests that the share of own characters is the product of the schedule and a factor that rises with the position."""

import numpy as np
import tensorflow as tf

from trainers.curricula.by_position import ByPosition


def test_the_share_of_own_characters_rises_with_the_position(make_trainer):
    config = ByPosition.Config("constant", max_prob=0.8, half_position=3)
    trainer = make_trainer(ByPosition, config=config, data={"batch_size": 150, "seq_length": 12})
    batch, draws = trainer.batch_at(0), []
    for step in range(20):
        trainer.step.assign(step)
        draws.append(trainer.own_inputs(trainer.step, batch).numpy())
    share = np.mean(draws, (0, 1))
    expected = 0.8 * (1 - 2.0 ** (-np.arange(12) / 3))
    assert share[0] == 0
    assert (np.abs(share - expected) <= 4 * np.sqrt(expected * (1 - expected) / (20 * 150))).all()


def test_the_schedule_applies_at_all_positions(make_trainer):
    trainer = make_trainer(ByPosition, config=ByPosition.Config("linear", half_step=100, max_prob=1.0))
    first, last = (trainer.own_inputs(tf.constant(step, tf.int64), trainer.batch_at(0)) for step in (0, 200))
    assert not first.numpy().any() and last.numpy().any()
