"""Tests which losses and weights count as diverged."""

import math

import numpy as np
import pytest

from trainers.loop.divergence import Diverged, check_loss, check_weights


def test_a_loss_counts_as_diverged_only_far_above_guessing():
    guess = math.log(50)
    for good in (0.0, guess, 9.99 * guess):
        check_loss(good, 10.0, 50)
    for bad in (10.01 * guess, math.inf, math.nan):
        with pytest.raises(Diverged, match="nats per character"):
            check_loss(bad, 10.0, 50)
    check_loss(0.5, 10.0, 1)


def test_a_non_finite_weight_or_optimizer_value_is_found(make_trainer):
    trainer = make_trainer()
    check_weights(trainer)
    for variable in (trainer.model.trainable_variables[0], trainer.optimizer.variables[-1]):
        good = variable.numpy()
        variable.assign(np.where(np.arange(good.size).reshape(good.shape) == 1, np.inf, good))
        with pytest.raises(Diverged, match="is not finite"):
            check_weights(trainer)
        variable.assign(good)
