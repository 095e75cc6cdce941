"""Tests unlikelihood: repeats against a string search, the rollouts, and the two parts of the loss by hand."""

import numpy as np
import pytest
import rounding
import tensorflow as tf

from charrnn.batches.sources import Batch
from trainers.curricula.unlikelihood import Unlikelihood, repeats
from trainers.trainer import Rollout


@pytest.mark.parametrize("n", [1, 2, 3, 9, 40])
def test_repeats_equal_the_results_of_a_string_search(n):
    ids = np.random.default_rng(n).integers(0, 2, (4, 30)).astype(np.int32)
    ids[0] = 1  # repeats that overlap
    expected = np.zeros(ids.shape, bool)
    for row, marks in zip(ids, expected, strict=True):
        text = "".join(map(str, row))
        for end in range(n, len(text) + 1):
            marks[end - 1] = text[end - n : end] in text[: end - 1]
    np.testing.assert_array_equal(repeats(tf.constant(ids), n), expected)
    assert expected.any() == (n < 30)


def test_rollouts_begin_with_text_and_last_to_the_end(make_trainer):
    config = Unlikelihood.Config(rollout_share=0.5, gold=3)
    trainer = make_trainer(Unlikelihood, config=config, data={"batch_size": 40, "seq_length": 9})
    own = trainer.own_inputs(trainer.step, trainer.batch_at(0)).numpy()
    assert not own[:, :3].any() and (own[:, 3:] == own[:, 3:4]).all()
    assert 0.5 - 4 * np.sqrt(0.25 / 40) <= own[:, 3].mean() <= 0.5 + 4 * np.sqrt(0.25 / 40)


def test_the_loss_is_the_cross_entropy_plus_the_penalty(make_trainer):
    trainer = make_trainer(Unlikelihood, config=Unlikelihood.Config(alpha=0.7, n=2))
    random = np.random.default_rng(1)
    logits = random.normal(0, 1, (2, 6, 7)).astype(np.float32)
    targets = random.integers(0, 7, (2, 6)).astype(np.int32)
    fed = np.array([[1, 2, 1, 2, 1, 2], [1, 2, 3, 1, 2, 2]], np.int32)
    own = np.array([[0] * 6, [0, 0, 1, 1, 1, 1]], bool)
    prob = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    gold = -np.log(np.take_along_axis(prob, targets[..., None], -1)[..., 0])
    penalty = -np.log(1 - prob[1, 3, 2]) / 4  # the 2 at position 4 ends the repeat of "12"; row 0 is text
    rollout = Rollout(tf.constant(logits), tf.constant(fed), tf.constant(own), ())
    loss, extra = trainer.loss(rollout, Batch(fed, tf.constant(targets), tf.ones((2, 6))))
    assert float(extra["penalty"]) == pytest.approx(penalty, rel=rounding.MODEL)
    assert float(extra["repeated"]) == 1 / 4
    assert float(loss) == pytest.approx(gold[~own].mean() + 0.7 * penalty, rel=rounding.MODEL)
