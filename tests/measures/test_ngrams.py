"""Tests Kneser-Ney against its definition, written with dictionaries."""

import os
from collections import Counter, defaultdict

import numpy as np
import pytest

from charrnn.batches.sources import DataConfig
from charrnn.batches.texts import load_texts
from charrnn.measures.ngrams import KneserNey
from charrnn.measures.reference import at_ids


class Defined:
    """Interpolated modified Kneser-Ney, one probability at a time."""

    def __init__(self, rows, size, order):
        self.size, self.order = size, order
        self.counts = {}
        raw = {n: Counter(row[i : i + n] for row in rows for i in range(len(row) - n + 1)) for n in range(1, order + 1)}
        for n in range(1, order):
            before = defaultdict(set)
            for gram in raw[n + 1]:
                before[gram[1:]].add(gram[0])
            self.counts[n] = {gram: len(before[gram]) for gram in raw[n]}
        self.counts[order] = dict(raw[order])
        self.discounts = {n: self.estimate(counts) for n, counts in self.counts.items()}

    @staticmethod
    def estimate(counts):
        n = Counter(counts.values())
        if not all(n[k] for k in (1, 2, 3, 4)):
            return (0, 0.5, 1.0, 1.5)
        y = n[1] / (n[1] + 2 * n[2])
        found = (0, 1 - 2 * y * n[2] / n[1], 2 - 3 * y * n[3] / n[2], 3 - 4 * y * n[4] / n[3])
        return found if min(found[1:]) > 0 else (0, 0.5, 1.0, 1.5)

    def prob(self, context, letter):
        context = context[len(context) - self.order + 1 :] if len(context) >= self.order else context
        shorter = self.prob(context[1:], letter) if context else 1 / self.size
        n = len(context) + 1
        after = {gram[-1]: count for gram, count in self.counts[n].items() if gram[:-1] == context}
        total = sum(after.values())
        if not total:
            return shorter
        discounts = {a: self.discounts[n][min(3, count)] for a, count in after.items()}
        own = (after[letter] - discounts[letter]) / total if letter in after else 0.0
        return own + sum(discounts.values()) / total * shorter


def skewed(shape, size, seed):
    """Returns text with letters of very different frequency, so that all counts occur."""
    random = np.random.default_rng(seed)
    return np.minimum(random.geometric(0.35, shape), size - 2)  # size - 1 never occurs


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_kneser_ney_is_as_defined(order):
    rows, size = skewed((2, 150), 9, 0), 9
    queries = np.concatenate([skewed((2, 12), size, 1), np.random.default_rng(2).integers(0, size, (2, 12))])
    defined = Defined([tuple(row) for row in rows.tolist()], size, order)
    expected = [
        [[defined.prob(tuple(query[:t]), letter) for letter in range(size)] for t in range(len(query))]
        for query in queries.tolist()
    ]
    reference = KneserNey(rows, size, order)
    np.testing.assert_allclose(reference.distributions(queries), expected, rtol=1e-12)
    chosen = np.take_along_axis(np.array(expected), queries[..., None], -1)[..., 0]
    np.testing.assert_allclose(reference.log_probs(queries), np.log(chosen), rtol=1e-12)
    if order == 3:  # the discounts are estimated, not the default ones
        assert defined.discounts[3] != (0, 0.5, 1.0, 1.5) != defined.discounts[2]


def test_probabilities_sum_to_one_whatever_came_before():
    reference = KneserNey(skewed(3000, 12, 0), 12)
    queries = np.concatenate([skewed((3, 200), 12, 1), np.random.default_rng(2).integers(0, 12, (3, 200))])
    probs = reference.distributions(queries)
    np.testing.assert_allclose(probs.sum(-1), 1, rtol=1e-12)
    assert probs.min() > 0


def test_a_text_may_be_shorter_than_the_order():
    reference = KneserNey(np.array([1, 2, 1]), 4, order=7)
    np.testing.assert_allclose(reference.distributions(np.array([[1, 2, 1, 3]])).sum(-1), 1, rtol=1e-12)


def test_no_n_gram_reaches_over_the_end_of_a_row():
    apart, joined = KneserNey(np.array([[1, 2], [1, 3]]), 5, 2), KneserNey(np.array([1, 2, 1, 3]), 5, 2)
    pair = np.array([[2, 1]])
    assert apart.log_probs(pair)[0, 1] < joined.log_probs(pair)[0, 1]


def test_shakespeare_has_its_known_loss():
    if not os.path.exists(os.path.join(os.environ.get("CHARRNN_DATA_DIR", ""), "shakespeare.txt")):
        pytest.skip("needs shakespeare.txt in CHARRNN_DATA_DIR")
    texts = load_texts("shakespeare", DataConfig(), lambda line: None)
    log_probs = KneserNey(texts.train, texts.vocabulary.size).log_probs(texts.validation[None])
    assert -log_probs[0, 1:].mean() == pytest.approx(1.5165, abs=1e-4)


def test_n_grams_find_nothing_impossible():
    reference, rows = KneserNey(skewed(300, 9, 0), 9, 3), np.random.default_rng(0).integers(0, 9, (3, 50))
    assert (at_ids(reference.distributions(rows), rows) > reference.floor).all()
