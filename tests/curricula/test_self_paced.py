"""Tests that self-paced learning uses only the easiest rows, whose share grows to 1."""

import numpy as np
import pytest
import rounding
import tensorflow as tf

from charrnn.batches.sources import Batch
from trainers.curricula.self_paced import SelfPaced
from trainers.trainer import Rollout


@pytest.mark.parametrize("step, count", [(0, 2), (5, 4), (10, 5), (100, 5)])
def test_the_loss_counts_only_the_easiest_rows(make_trainer, step, count):
    trainer = make_trainer(SelfPaced, config=SelfPaced.Config(start_share=0.4, grow_steps=10))
    trainer.step.assign(step)
    random = np.random.default_rng(1)
    logits = random.normal(0, 2, (5, 4, 7)).astype(np.float32)
    targets, weights = random.integers(0, 7, (5, 4)), random.uniform(0.5, 1, (5, 4)).astype(np.float32)
    nats = np.log(np.exp(logits).sum(-1)) - np.take_along_axis(logits, targets[..., None], -1)[..., 0]
    rows = (nats * weights).sum(1) / weights.sum(1)
    easy = np.argsort(rows)[:count]
    rollout = Rollout(tf.constant(logits), None, None, ())
    loss, extra = trainer.loss(rollout, Batch(targets, tf.constant(targets, tf.int32), tf.constant(weights)))
    assert float(loss) == pytest.approx((nats * weights)[easy].sum() / weights[easy].sum(), rel=rounding.MODEL)
    assert float(extra["loss_limit"]) == pytest.approx(np.sort(rows)[count - 1], rel=rounding.MODEL)
