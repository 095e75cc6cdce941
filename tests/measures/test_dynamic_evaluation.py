"""Tests dynamic evaluation against its formula in NumPy, with gradients from Keras's own layers."""

import numpy as np
import pytest
import tensorflow as tf

from charrnn.batches.carried_state import StatefulPass
from charrnn.errors import UserError
from charrnn.measures.dynamic_evaluation import Dynamic, dynamic_loss

CONFIG = Dynamic(rate=0.5, decay=0.1, segment=4, batches=2)


def gradients_of(model, batch, state):
    """Returns the summed loss, the state, and the gradients of the mean loss."""
    with tf.GradientTape() as tape:
        logits, state = model(tf.constant(batch.inputs), state)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(batch.targets, logits)
        nats = tf.reduce_sum(losses * batch.weights)
        loss = nats / batch.weights.sum()
    gradients = tape.gradient(loss, model.trainable_variables)
    return float(nats), state, [tf.convert_to_tensor(g).numpy() for g in gradients]


def test_each_segment_is_predicted_and_then_learnt(make_model):
    model, by_hand = make_model(), make_model()
    by_hand.recurrence_path = "keras"
    train, ids = (np.random.default_rng(i).integers(0, 7, size) for i, size in ((1, 200), (2, 11)))
    start, squares, state = model.get_weights(), 0.0, None
    for batch in list(StatefulPass(train, least=1, length=4))[:2]:
        _, state, gradients = gradients_of(by_hand, batch, state)
        squares = squares + np.array([g**2 / 2 for g in gradients], object)
    roots = [np.sqrt(square) for square in squares]
    mean = np.concatenate([r.ravel() for r in roots]).mean()
    total, state = 0.0, None
    for batch in StatefulPass(ids, rows=1, length=4):
        nats, state, gradients = gradients_of(by_hand, batch, state)
        total += nats
        steps = zip(by_hand.get_weights(), start, gradients, roots, strict=True)
        by_hand.set_weights(
            [w + np.minimum(0.1 * r / mean, 1) * (s - w) - 0.5 * g / (r + mean) for w, s, g, r in steps]
        )
    got = dynamic_loss(model, train, ids, CONFIG)
    assert got == pytest.approx(total / 10, rel=1e-4)
    assert dynamic_loss(model, train, ids, Dynamic(rate=1e-12)) != pytest.approx(got, rel=1e-2)
    for before, after in zip(start, model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


def test_impossible_settings_are_refused():
    for settings in ({"rate": 0.0}, {"rate": float("nan")}, {"decay": 1.5}):
        with pytest.raises(UserError, match="--dynamic_"):
            Dynamic(**settings)


def test_a_character_that_is_missing_in_training_barely_raises_the_loss(make_model):
    model, random = make_model(), np.random.default_rng(3)
    bias = model.readout.trainable_weights[1]
    bias.assign([*bias.numpy()[:6], -12.0])  # the model is sure that it never occurs
    train, ids = random.integers(0, 6, 2000), random.integers(0, 6, 2000)
    before = dynamic_loss(model, train, ids, Dynamic(rate=0.01))
    ids[100] = 6
    assert dynamic_loss(model, train, ids, Dynamic(rate=0.01)) < before + 0.02
