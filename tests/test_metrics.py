"""Tests the losses against NumPy, Keras and Bayes' rule."""

import keras
import numpy as np
import pytest
import rounding

from charrnn import metrics


def test_nats_are_the_weighted_sum_of_negative_log_probabilities():
    random = np.random.default_rng(0)
    logits = random.normal(0, 3, (2, 4, 5)).astype(np.float32)
    targets, weights = random.integers(0, 5, (2, 4)), random.random((2, 4)).astype(np.float32)
    log_probabilities = logits - np.log(np.exp(logits.astype(np.float64)).sum(-1, keepdims=True))
    expected = -(weights * np.take_along_axis(log_probabilities, targets[..., None], -1)[..., 0]).sum()
    assert float(metrics.nats(logits, targets, weights)) == pytest.approx(expected, rel=rounding.MODEL)


def test_a_uniform_choice_of_eight_costs_three_bits():
    nats = float(metrics.nats(np.zeros((1, 1, 8), np.float32), [[3]], np.ones((1, 1), np.float32)))
    assert metrics.bits_per_char(nats) == pytest.approx(3, rel=rounding.MODEL)


def test_label_smoothing_is_keras_own():
    random = np.random.default_rng(0)
    logits, targets = random.normal(size=(2, 3, 5)).astype(np.float32), random.integers(0, 5, (2, 3))
    weights = np.array([[1, 0, 1], [0.5, 1, 1]], np.float32)
    theirs = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.2, reduction=None)
    expected = np.sum(theirs(np.eye(5)[targets], logits) * weights)
    np.testing.assert_allclose(metrics.nats(logits, targets, weights, 0.2), expected, rtol=rounding.MODEL)


def test_interpolation_weighs_by_the_text_so_far():
    """Bayes' rule, applied to each character, gives the expected loss. The best fixed weight gives a lower bound."""
    random = np.random.default_rng(0)
    p, q = random.uniform(0.01, 1, (2, 400))
    shares = np.linspace(0, 1, 11)
    posterior, total = np.full(11, 1 / 11), 0.0
    for a, b in zip(p, q, strict=True):
        each = shares * a + (1 - shares) * b
        total -= np.log(posterior @ each)
        posterior = posterior * each / (posterior @ each)
    got = metrics.interpolated_loss(np.log(p), np.log(q), 11)
    assert got == pytest.approx(total / 400, rel=1e-9)
    best = min(-np.log(w * p + (1 - w) * q).mean() for w in shares)
    assert best <= got <= best + np.log(11) / 400
    assert got < min(-np.log(p).mean(), -np.log(q).mean())
