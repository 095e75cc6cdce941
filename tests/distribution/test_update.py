"""Tests that every optimizer applies summed gradients to all copies of the weights without summing them again."""

import keras
import numpy as np
import pytest
import rounding
import tensorflow as tf

from trainers.configs import RuntimeConfig, optimizers
from trainers.distribution.strategies import make_strategy
from trainers.step.update import Update

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", [*optimizers(), "adamw in float16"])
def test_an_optimizer_moves_all_copies_as_on_one_device(name, make_model, relative_error):
    def update(strategy):
        with strategy.scope():
            model, averaged = make_model(), make_model()
            kind, scaled = name.removesuffix(" in float16"), name.endswith("in float16")
            decay = {"weight_decay": 0.1} if kind == "adamw" else {}
            optimizer = optimizers()[kind](learning_rate=0.01, **decay)
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer) if scaled else optimizer
            optimizer.build(model.trainable_variables)
            step, skipped = (tf.Variable(tf.constant(value, tf.int64)) for value in (5, 0))
        made = tf.function(Update(model, optimizer, step, skipped, strategy, 0.5, 0.9, averaged))
        random = np.random.default_rng(1)
        for number in range(4):
            gradients = [tf.constant(random.normal(size=v.shape), tf.float32) for v in model.trainable_variables]
            made([gradient * (np.nan if number == 2 else 1.0) for gradient in gradients])
        assert int(skipped.numpy()) == 1
        weights = [*model.trainable_variables, *averaged.trainable_variables, *optimizer.variables]
        return [strategy.experimental_local_results(getattr(v, "value", v)) for v in weights]

    one, two = (update(make_strategy(RuntimeConfig(strategy=name))) for name in ("one_device", "mirrored"))
    for copies in two:
        assert len(copies) == 2
        np.testing.assert_array_equal(*copies)
    assert relative_error([copies[0] for copies in two], [copies[0] for copies in one]) < rounding.MODEL
