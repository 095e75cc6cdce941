"""Tests the scores of predictions against sums over one character at a time."""

import math

import numpy as np
import pytest

from charrnn.measures import scores
from charrnn.measures.ngrams import KneserNey
from charrnn.measures.open_loop import Protocol
from charrnn.measures.rollouts import Reader

ROWS, COLUMNS = np.indices((2, 30))


def test_score_predictions_sums_over_all_characters():
    random = np.random.default_rng(1)
    reference = KneserNey(random.integers(0, 5, 300), 5, 3)
    ids, logits = random.integers(0, 5, (2, 7)), random.normal(size=(2, 7, 5))
    log_probs = np.log(np.exp(logits) / np.exp(logits).sum(-1, keepdims=True))
    judged = scores.score_predictions(ids, log_probs, reference)
    probs = reference.distributions(ids)
    for r in range(2):
        for t in range(7):
            kl = sum(p * math.log(p / math.exp(q)) for p, q in zip(probs[r, t], log_probs[r, t], strict=True))
            assert judged.divergence[r, t] == pytest.approx(kl)
            assert judged.nats[r, t] == pytest.approx(-log_probs[r, t, ids[r, t]])
            assert judged.reference_nats[r, t] == pytest.approx(-math.log(probs[r, t, ids[r, t]]))


def test_choices_are_compared_with_the_reference_by_exact_sums(swap):
    *_, reference = swap
    random = np.random.default_rng(1)
    ids = random.integers(0, 4, (2, 30))
    log_probs = np.log(random.dirichlet(np.ones(4), (2, 30)))
    q = random.dirichlet(np.ones(4), (2, 30))
    q[..., 0], q[0, :9, 2] = 0, 0
    q /= q.sum(-1, keepdims=True)
    judged = scores.score_predictions(ids, log_probs, reference, np.log(np.maximum(q, 1e-300)))
    real = scores.score_predictions(ids, log_probs, reference)
    probs = reference.distributions(ids)
    for r in range(2):
        for t in range(30):
            own = [(a, p) for a, p in zip(q[r, t], probs[r, t], strict=True) if a > 0]
            assert judged.entropy[r, t] == pytest.approx(-sum(a * math.log(a) for a, _ in own))
            assert judged.open_divergence[r, t] == pytest.approx(sum(a * math.log(a / p) for a, p in own))
            source = [(p - reference.floor) / 0.9 for p in probs[r, t]]  # without the slip of 0.1
            known = [(a, p) for a, p in zip(source, probs[r, t], strict=True) if a > 0]
            assert real.entropy[r, t] == pytest.approx(-sum(a * math.log(a) for a, _ in known))
            assert real.open_divergence[r, t] == pytest.approx(sum(a * math.log(a / p) for a, p in known))
    np.testing.assert_array_equal(judged.impossible, np.isclose(probs, reference.floor)[ROWS, COLUMNS, ids])
    assert 0 < judged.impossible.mean() < 1


def test_rows_may_be_read_in_parts(make_model, monkeypatch):
    text, protocol = np.random.default_rng(0).integers(0, 7, 3000), Protocol(8, 60, seed=3, warm_up=10)
    reader, reference = Reader(make_model(), 0), KneserNey(text, 7, 3)
    rows = protocol.start(protocol.pieces(text[:900]))
    whole = scores.score(reader, reference, rows, protocol.seeds)
    monkeypatch.setattr(scores, "_MOST_FLOATS", 3 * rows.shape[1] * 7)
    monkeypatch.setattr(scores, "MOST_SCORED", 2 * rows.shape[1] * 7)
    parts = scores.score(reader, reference, rows, protocol.seeds)
    np.testing.assert_array_equal(parts.ids, whole.ids)
    np.testing.assert_allclose(parts.divergence, whole.divergence, atol=1e-5)
