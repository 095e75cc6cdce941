"""What counts as diverged, and which data come after it."""

import math

import numpy as np
import pytest

from charrnn.batches.sources import DataConfig, Streams
from trainers.loop.divergence import Diverged, Skipping, check_loss, check_weights


def test_a_loss_far_above_guessing_has_diverged_and_one_near_it_has_not():
    guess = math.log(50)
    for good in (0.0, guess, 9.99 * guess):
        check_loss(good, 10.0, 50)
    for bad in (10.01 * guess, math.inf, math.nan):
        with pytest.raises(Diverged, match="nats per character"):
            check_loss(bad, 10.0, 50)
    check_loss(0.5, 10.0, 1)


def test_any_number_that_is_not_finite_is_found(make_trainer):
    trainer = make_trainer()
    check_weights(trainer)
    for variable in (trainer.model.trainable_variables[0], trainer.optimizer.variables[-1]):
        good = variable.numpy()
        variable.assign(np.where(np.arange(good.size).reshape(good.shape) == 1, np.inf, good))
        with pytest.raises(Diverged, match="is not finite"):
            check_weights(trainer)
        variable.assign(good)


def test_data_after_a_roll_back_are_those_after_the_gap():
    source = Streams(np.arange(200), DataConfig(order="streams", seq_length=4, batch_size=2), seed=0)
    roll_backs = []
    skipping = Skipping(source, roll_backs)

    def read(steps):
        return [int(skipping.batch_at(step).inputs[0, 0]) for step in steps]

    plain = [int(source.batch_at(step).inputs[0, 0]) for step in range(20)]
    assert read(range(20)) == plain and skipping.continues(5)
    roll_backs.append({"at": 8, "to": 5})
    assert read([5, 6, 7]) == plain[8:11]
    assert [skipping.continues(step) for step in (5, 6)] == [False, True]
    roll_backs.append({"at": 6, "to": 5})
    assert read([5, 6]) == plain[9:11]
    roll_backs.clear()  # as a restore may do
    assert read([5]) == plain[5:6] and skipping.continues(5)


def test_no_stream_goes_on_over_a_gap():
    config = DataConfig(order="streams", seq_length=4, batch_size=8, reset_probability=0.5)
    source = Streams(np.arange(400), config, seed=0)
    skipping = Skipping(source, [{"at": 8, "to": 5}])
    assert source.continues(8).any()
    np.testing.assert_array_equal(skipping.continues(5), np.zeros(8, bool))  # rows, as at other steps
    np.testing.assert_array_equal(skipping.continues(6), source.continues(9))
