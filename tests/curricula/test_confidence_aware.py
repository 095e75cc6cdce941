"""Tests the inputs of confidence-aware scheduled sampling below, between and above its two thresholds."""

import numpy as np
import tensorflow as tf

from charrnn.batches.sources import Batch
from trainers.curricula.confidence_aware import ConfidenceAware


def test_confidence_decides_the_inputs(make_trainer):
    config = ConfidenceAware.Config(own_above=0.1, noise_above=0.25)
    trainer = make_trainer(ConfidenceAware, config=config, data={"batch_size": 20, "seq_length": 9})
    batch = Batch(*map(tf.constant, trainer.batch_at(0)))
    rollout = trainer.forward(batch, trainer.model.initial_state(20))
    logits = trainer.model(batch.inputs)[0].numpy()
    prob = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    text, fed, own = batch.inputs.numpy(), rollout.fed.numpy(), rollout.own.numpy()
    sure = np.zeros(text.shape)
    sure[:, 1:] = np.take_along_axis(prob[:, :-1], text[:, 1:, None], -1)[..., 0]
    unsure, surer = sure <= 0.1, sure > 0.25
    np.testing.assert_array_equal(own, ~unsure & ~surer)
    assert unsure.any() and own.any() and surer.any()
    np.testing.assert_array_equal(fed[unsure], text[unsure])
    chosen = (logits[:, :-1] + trainer.noise(batch).numpy().transpose(1, 0, 2)[:, 1:]).argmax(-1)
    np.testing.assert_array_equal(fed[:, 1:][own[:, 1:]], chosen[own[:, 1:]])
    assert (fed[surer] != text[surer]).any()
    assert all(fed[row, t] in text[row] for row, t in np.argwhere(surer))
