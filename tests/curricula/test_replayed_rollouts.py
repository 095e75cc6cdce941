"""Tests that the inputs of a batch's first visit are read again at its other visits, before the next batches."""

import numpy as np
import pytest
import tensorflow as tf

from charrnn.errors import UserError
from trainers.curricula.replayed_rollouts import ReplayedRollouts


def test_batches_are_visited_in_turn(make_trainer):
    trainer = make_trainer(ReplayedRollouts, config=ReplayedRollouts.Config(batches=2, visits=3))
    order = [0, 1, 0, 1, 0, 1, 2, 3, 2, 3, 2, 3, 4]
    for step, source_step in enumerate(order):
        np.testing.assert_array_equal(trainer.batch_at(step).inputs, trainer.source.batch_at(source_step).inputs)


def test_batches_that_do_not_fit_into_memory_are_refused(make_trainer):
    with pytest.raises(UserError, match=r"^trainer\.batches=1000000000000 takes at least 60,000 GB"):
        make_trainer(ReplayedRollouts, config=ReplayedRollouts.Config(batches=10**12))


def test_written_characters_are_read_again(make_trainer):
    config = ReplayedRollouts.Config(prob=0.6, batches=2, visits=3)
    trainer = make_trainer(ReplayedRollouts, config=config)
    shares, kept = [], []
    for step in range(8):
        shares.append(float(trainer.train_step(trainer.batch_at(step))["own_input_share"]))
        kept.append(trainer.kept.numpy().copy())
    assert shares[0:2] == shares[2:4] == shares[4:6] and min(shares) > 0
    assert (kept[0][1] == -1).all()  # the second batch is not written yet
    for later in kept[2:6]:
        np.testing.assert_array_equal(later, kept[1])
    assert (kept[6][0] != kept[1][0]).any() and (kept[7][1] != kept[1][1]).any()
    assert (kept[1][:, :, 0] == -1).all()  # a row's first character is the text's
    assert tf.reduce_max(trainer.kept) < 7
