"""The loss against log-softmax in NumPy."""

import numpy as np
import pytest

from charrnn import metrics


def test_nats_are_the_weighted_sum_of_negative_log_probabilities():
    random = np.random.default_rng(0)
    logits = random.normal(0, 3, (2, 4, 5)).astype(np.float32)
    targets, weights = random.integers(0, 5, (2, 4)), random.random((2, 4)).astype(np.float32)
    log_probabilities = logits - np.log(np.exp(logits.astype(np.float64)).sum(-1, keepdims=True))
    expected = -(weights * np.take_along_axis(log_probabilities, targets[..., None], -1)[..., 0]).sum()
    assert float(metrics.nats(logits, targets, weights)) == pytest.approx(expected, rel=1e-6)


def test_a_uniform_choice_of_eight_costs_three_bits():
    nats = float(metrics.nats(np.zeros((1, 1, 8), np.float32), [[3]], np.ones((1, 1), np.float32)))
    assert metrics.bits_per_char(nats) == pytest.approx(3, rel=1e-6)
