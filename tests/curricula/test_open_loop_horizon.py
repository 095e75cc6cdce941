"""Tests the positions of own characters, and the growth of their number."""

import numpy as np
import pytest
import tensorflow as tf

from charrnn.errors import UserError
from trainers.curricula.open_loop_horizon import OpenLoopHorizon

Config = OpenLoopHorizon.Config


def test_the_horizon_doubles_up_to_its_limit(make_trainer):
    trainer = make_trainer(OpenLoopHorizon, config=Config(gold=3, grow_every=10, max_horizon=6))
    steps = [0, 9, 10, 19, 20, 30, 40, 10**6, 10**12]
    assert [int(trainer.horizon(tf.constant(s, tf.int64))) for s in steps] == [0, 0, 1, 1, 2, 4, 6, 6, 6]


@pytest.mark.parametrize(
    "step, row", [(0, "..........."), (10, "...o...o..."), (20, "...oo...oo."), (30, "...oooo...o")]
)
def test_gold_characters_alternate_with_own_characters(make_trainer, step, row):
    config = Config(gold=3, grow_every=10, max_horizon=6)
    trainer = make_trainer(OpenLoopHorizon, config=config, data={"seq_length": 11})
    own = trainer.own_inputs(tf.constant(step, tf.int64), trainer.batch_at(0))
    np.testing.assert_array_equal(own, [[character == "o" for character in row]] * 3)


@pytest.mark.parametrize("field, value", [("gold", 0), ("grow_every", 0), ("max_horizon", -1)])
def test_config_refuses(field, value):
    with pytest.raises(UserError, match=f"trainer.{field}={value}"):
        Config(**{field: value})
