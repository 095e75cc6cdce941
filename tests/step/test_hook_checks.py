"""Tests that a hook's mistake is reported before any update, in one sentence with the wrong and the wanted result."""

import numpy as np
import pytest
import tensorflow as tf

from charrnn.batches.sources import Batch
from charrnn.errors import UserError
from trainers.step import hook_checks
from trainers.trainer import Rollout, Trainer


def spoilt(hook, returned, **more):
    """Returns a curriculum whose `hook` calls `returned` with its arguments."""
    return type("Mine", (Trainer,), {hook: lambda self, *arguments: returned(*arguments), **more})


OPEN = {"own_input_prob": lambda self, step: 0.5}

WHOLE = {"needs_whole_batch": True}

MISTAKES = {
    "prob above": (spoilt("own_input_prob", lambda step: tf.cast(step, tf.float32) / 50), "1.02 at step 51"),
    "prob below": (spoilt("own_input_prob", lambda step: -0.1), "-0.1 at step 0 where a probability from 0 to 1"),
    "prob nan": (spoilt("own_input_prob", lambda step: np.nan), "nan at step 0"),
    "prob vector": (spoilt("own_input_prob", lambda step: tf.zeros(3)), r"float32 \[3\] where float32 \[\]"),
    "prob none": (spoilt("own_input_prob", lambda step: None), "None where float32"),
    "own floats": (spoilt("own_inputs", lambda s, batch: tf.zeros([3, 5])), r"float32 \[3, 5\] where bool \[B, T\]"),
    "own shape": (spoilt("own_inputs", lambda s, batch: tf.zeros([5], bool)), r"bool \[5\] where .*here \[3, 5\]"),
    "choose type": (spoilt("choose", lambda logits, *_: logits, **OPEN), r"float32 \[3, 7\] where int32 \[B\]"),
    "choose shape": (spoilt("choose", lambda *_: tf.zeros([3, 1], tf.int32), **OPEN), r"int32 \[3, 1\] where"),
    "choose none": (spoilt("choose", lambda *_: None, **OPEN), "None where int32"),
    "forward": (spoilt("forward", lambda batch, state: batch.inputs), "where a trainers.trainer.Rollout"),
    "forward logits": (
        spoilt("forward", lambda batch, state: Rollout(tf.zeros([3, 5, 6]), batch.inputs, batch.inputs > 0, state)),
        r"logits returned float32 \[3, 5, 6\] where float32 \[B, T, V\], here \[3, 5, 7\]",
    ),
    "forward state": (
        spoilt("forward", lambda batch, state: Rollout(tf.zeros([3, 5, 7]), batch.inputs, batch.inputs > 0, ())),
        "a state of another structure",
    ),
    "loss alone": (spoilt("loss", lambda rollout, batch: tf.constant(1.0)), "where the pair of"),
    "loss vector": (spoilt("loss", lambda rollout, batch: (tf.zeros(3), {})), r"float32 \[3\] where float32 \[\]"),
    "loss extra": (spoilt("loss", lambda rollout, batch: (tf.zeros([]), {"a": tf.zeros(2)})), "'a' as float32"),
    "loss reserved": (spoilt("loss", lambda *_: (tf.zeros([]), {"nats": tf.zeros([])})), "'nats', a name that"),
    "loss unnamed": (spoilt("loss", lambda *_: (tf.zeros([]), {3: tf.zeros([])})), "named 3"),
    "loss empty name": (spoilt("loss", lambda *_: (tf.zeros([]), {" ": tf.zeros([])})), "named ' '"),
    "loss surrogate": (spoilt("loss", lambda *_: (tf.zeros([]), {"\ud800": 0.0})), "named .*ud800"),
    "loss reserved spaced": (spoilt("loss", lambda *_: (tf.zeros([]), {" nats": 0.0})), "named ' nats'"),
    "loss none": (spoilt("loss", lambda *_: (tf.zeros([]), {"a": None})), "'a' as None"),
    "loss text": (spoilt("loss", lambda *_: (tf.zeros([]), {"a": "much"})), "'a' as a str"),
    "batch": (spoilt("batch_at", lambda step: np.zeros([3, 5], np.int32)), r"int32 \[3, 5\] where a Batch"),
    "batch type": (
        spoilt("batch_at", lambda step: Batch(*np.zeros([3, 3, 5], np.int64))),
        r"int64 \[3, 5\] where int32 \[B, T\]",
    ),
    "batch shape": (
        spoilt("batch_at", lambda step: Batch(*np.zeros([2, 3, 5], np.int32), np.zeros([3, 4], np.float32))),
        r"float32 \[3, 4\] where float32 \[B, T\], here \[3, 5\]",
    ),
}


@pytest.mark.parametrize("name, more", [*((name, {}) for name in hook_checks.RESERVED), ("nats", WHOLE)])
def test_a_loss_cannot_log_a_name_that_every_run_logs(make_trainer, name, more):
    trainer = make_trainer(spoilt("loss", lambda rollout, batch: (tf.zeros([]), {name: tf.zeros([])}), **more))
    with pytest.raises(UserError, match=rf"^Mine\.loss returned '{name}'"):
        trainer.check(10)


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_reported_before_the_first_update(make_trainer, name):
    cls, said = MISTAKES[name]
    trainer = make_trainer(cls)
    with pytest.raises(UserError, match=said) as error:
        trainer.check(100)
    sentence = str(error.value)
    assert sentence.startswith("Mine.") and sentence.endswith("is wanted.") and "\n" not in sentence
    assert int(trainer.step) == 0


def test_right_hooks_pass_and_cost_no_second_trace(make_trainer):
    traces = []

    class Right(Trainer):
        def own_input_prob(self, step):
            return tf.cast(step, tf.float64) / 100  # any floating type

        def own_inputs(self, step, batch):
            return np.ones([3, 5], bool)  # any array

        def loss(self, rollout, batch):
            traces.append(None)
            return super().loss(rollout, batch)

    trainer = make_trainer(Right)
    trainer.check(100)
    assert int(trainer.step) == 0 and float(trainer.optimizer.iterations) == 0
    trainer.train_step(trainer.batch_at(0))
    assert len(traces) == 1
