"""The share of own characters by position, and its product with the schedule."""

import numpy as np
import tensorflow as tf

from trainers.curricula.by_position import ByPosition


def test_the_later_the_more(make_trainer):
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


def test_the_schedule_holds_at_all_positions(make_trainer):
    trainer = make_trainer(ByPosition, config=ByPosition.Config("linear", half_step=100, max_prob=1.0))
    assert not trainer.own_inputs(tf.constant(0, tf.int64), trainer.batch_at(0)).numpy().any()
