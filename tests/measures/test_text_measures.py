"""Tests the measures of text against counts with sets and dictionaries."""

import math
from collections import Counter

import numpy as np
import pytest

from charrnn.measures.text_measures import copied, jensen_shannon, repeated, reverse_loss, valid_words, words


def skewed(shape, size, seed):
    return np.minimum(np.random.default_rng(seed).geometric(0.35, shape), size - 2)


def grams(rows, n):
    return [tuple(row[i : i + n]) for row in rows.tolist() for i in range(len(row) - n + 1)]


@pytest.mark.parametrize("n", [1, 3, 5])
def test_jensen_shannon_equals_a_count(n):
    rows, others = skewed((4, 60), 8, 0), skewed((4, 60), 6, 1)
    p, q = Counter(grams(rows, n)), Counter(grams(others, n))
    p, q = ({gram: count / sum(c.values()) for gram, count in c.items()} for c in (p, q))
    entropies = [
        -sum(x * math.log2(x) for x in distribution.values())
        for distribution in ({g: (p.get(g, 0) + q.get(g, 0)) / 2 for g in p | q}, p, q)
    ]
    assert jensen_shannon(rows, others, n) == pytest.approx(entropies[0] - (entropies[1] + entropies[2]) / 2)


def test_jensen_shannon_is_0_for_the_same_text_and_1_for_wholly_different_text():
    rows = skewed((3, 50), 8, 0)
    assert jensen_shannon(rows, rows[::-1], 3) == pytest.approx(0, abs=1e-12)
    assert jensen_shannon(rows, rows + 10, 3) == pytest.approx(1)


def test_copied_equals_a_search():
    train, rows = skewed(400, 8, 0), skewed((5, 30), 8, 1)
    rows[2, 4:20] = train[100:116]
    known = set(grams(train[None], 6))
    pieces = grams(rows, 6)
    assert copied(rows, train, 6) == sum(piece in known for piece in pieces) / len(pieces) > 0


def test_repeated_counts_within_a_row_only():
    rows = np.array([[1, 2, 3, 1, 2, 3, 1], [1, 2, 3, 4, 5, 6, 7]])
    assert repeated(rows, 3) == pytest.approx(2 / 10)  # 1 2 3 and 2 3 1 come again in the first row
    rows = skewed((5, 80), 6, 0)
    fresh = sum(len(set(grams(row[None], 4))) for row in rows)
    assert repeated(rows, 4) == pytest.approx(1 - fresh / len(grams(rows, 4)))


def test_words_have_at_least_three_letters_and_valid_words_are_known():
    assert words(["O Romeo's, an\nÉtat x7yz"]) == ["romeo's", "état"]
    assert valid_words(["The cat tha", "the dog"], frozenset(["the", "cat"])) == 3 / 5
    assert valid_words(["a b"], frozenset()) is None


def test_reverse_loss_is_lower_for_samples_of_more_variety():
    random = np.random.default_rng(0)
    validation, varied = random.integers(1, 5, 2000), random.integers(1, 5, (10, 200))
    same = np.tile(varied[:1], (10, 1))
    assert reverse_loss(varied, validation, 6) == pytest.approx(math.log(4), abs=0.15)
    assert reverse_loss(same, validation, 6) > reverse_loss(varied, validation, 6) + 0.2
