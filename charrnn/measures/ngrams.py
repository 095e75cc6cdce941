"""N-grams of the training text, the reference for any text.

    reference = KneserNey(train_ids, vocabulary.size)
    reference.log_probs(rows)
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

_NO_ESTIMATE = (0.5, 1.0, 1.5)
"""The discounts if the counts of counts give none, as with `lmplz --discount_fallback` of KenLM."""


class _Order(NamedTuple):
    """The n-grams of one length m: G n-grams, and C contexts, which are the n-grams of length m - 1."""

    keys: np.ndarray  # int64 [G], sorted: the rank of the context times V, plus the last id
    shares: np.ndarray  # float64 [G], discounted count over the context's total
    backoff: np.ndarray  # float64 [C], the probability left for the next shorter context


class KneserNey:
    """Interpolated modified Kneser-Ney n-grams (Chen & Goodman 1999, "An empirical study of smoothing techniques").

        p(w | c) = max(a(c w) - D, 0) / Σ_w a(c w) + backoff(c) p(w | c less its first character)

    For the longest n-grams a is the number of occurrences; for a shorter one it is the number of different characters
    before it. D is one of three discounts of that length, for a = 1, 2 and 3 or more. Below the single characters
    is the uniform distribution over V, so that every id has a probability above 0, even the unknown character.

    Args:
        rows: ids int, one text `[N]` or R texts `[R, T]`.
        vocabulary_size: V.
        order: n of the longest n-grams, at least 1. A character depends on the n - 1 before it.
    """

    floor = 0.0

    def __init__(self, rows: np.ndarray, vocabulary_size: int, order: int = 7):
        self.vocabulary_size = vocabulary_size
        rows = np.atleast_2d(rows)
        self.order = order = min(order, rows.shape[1])
        found = count_ngrams(rows, vocabulary_size, order)
        self._orders = []
        num_contexts = 1
        for length, (keys, counts, _) in enumerate(found, 1):
            if length < order:
                counts = np.bincount(found[length][2], minlength=len(keys))
            self._orders.append(_discounted(keys, counts, num_contexts, vocabulary_size))
            num_contexts = len(keys)

    def log_probs(self, rows: np.ndarray) -> np.ndarray:
        """Returns ln p of each character, nats: ids int `[R, T]` -> float64 `[R, T]`."""
        probs = np.full(rows.shape, 1 / self.vocabulary_size)
        for order, (contexts, places) in zip(self._orders, self._found(rows), strict=True):
            known = contexts >= 0
            longer = order.backoff[contexts] * probs + np.where(places >= 0, order.shares[places], 0.0)
            probs = np.where(known, longer, probs)
        return np.log(probs)

    def distributions(self, rows: np.ndarray) -> np.ndarray:
        """Returns the distribution at each position: ids int `[R, T]` -> float64 `[R, T, V]`, sums 1 over V."""
        size = self.vocabulary_size
        probs = np.full((rows.size, size), 1 / size)
        for order, (contexts, _) in zip(self._orders, self._found(rows), strict=True):
            known = np.flatnonzero(contexts >= 0)
            of_known = contexts.ravel()[known]
            first, last = (np.searchsorted(order.keys, (of_known + i) * size) for i in (0, 1))
            entries = _ranges(first, last)
            if len(known) < len(probs):
                probs[known] *= order.backoff[of_known, None]
            else:
                probs *= order.backoff[of_known, None]
            # A context has each character once, so no place gets two additions.
            probs.ravel()[np.repeat(known * size, last - first) + order.keys[entries] % size] += order.shares[entries]
        return probs.reshape(*rows.shape, size)

    def _found(self, rows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields for each length the ranks of the context before each position and of the n-gram there; -1: none."""
        contexts = np.zeros(rows.shape, np.int64)
        for order in self._orders:
            wanted = contexts * self.vocabulary_size + rows
            places = np.minimum(np.searchsorted(order.keys, wanted), len(order.keys) - 1)
            places[(order.keys[places] != wanted) | (contexts < 0)] = -1
            yield contexts, places
            contexts = np.full_like(places, -1)
            contexts[:, 1:] = places[:, :-1]


class Counted(NamedTuple):
    """The n-grams of one length m in a text, sorted: G of them."""

    keys: np.ndarray  # int64 [G]: the rank of the context, an n-gram of length m - 1, times V, plus the last id
    counts: np.ndarray  # int64 [G], occurrences
    suffixes: np.ndarray  # int64 [G], the rank of the n-gram without its first id among those of length m - 1


def count_ngrams(rows: np.ndarray, vocabulary_size: int, order: int) -> list[Counted]:
    """Counts the n-grams of the lengths 1 to `order`: ids int `[R, T]`, of at least `order` columns."""
    ranks = np.zeros((len(rows), rows.shape[1] + 1), np.int64)  # of the n-gram before each position
    found = []
    for length in range(1, order + 1):
        places = ranks[:, :-1] * vocabulary_size + rows[:, length - 1 :]
        keys, inverse, counts = np.unique(places, return_inverse=True, return_counts=True)
        inverse = inverse.reshape(places.shape)
        suffixes = np.zeros(len(keys), np.int64)
        suffixes[inverse] = ranks[:, 1:]
        found.append(Counted(keys, counts, suffixes))
        ranks = inverse
    return found


def _discounted(keys: np.ndarray, counts: np.ndarray, num_contexts: int, vocabulary_size: int) -> _Order:
    discounts = np.array([0.0, *discounts_for(counts)])[np.minimum(counts, 3)]
    contexts = keys // vocabulary_size
    totals = np.bincount(contexts, counts, num_contexts)
    held_back = np.bincount(contexts, discounts, num_contexts)
    # A context without a total occurs only at the beginning of a text: all probability is left for the shorter one.
    backoff = np.divide(held_back, totals, out=np.ones(num_contexts), where=totals > 0)
    return _Order(keys, (counts - discounts) / np.maximum(totals, 1)[contexts], backoff)


def discounts_for(counts: np.ndarray) -> tuple[float, float, float]:
    """Returns Kneser-Ney discounts for counts of 1, 2, and 3 or more, by the closed form of Chen & Goodman 1999."""
    of_count = np.bincount(np.minimum(counts, 5), minlength=6)
    if not of_count[1:5].all():
        return _NO_ESTIMATE
    y = of_count[1] / (of_count[1] + 2 * of_count[2])
    discounts = tuple(k - (k + 1) * y * of_count[k + 1] / of_count[k] for k in (1, 2, 3))
    return discounts if min(discounts) > 0 else _NO_ESTIMATE


def _ranges(first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Returns first[0] … last[0] - 1, then first[1] … last[1] - 1, and so on."""
    lengths = last - first
    return np.arange(lengths.sum()) + np.repeat(first - np.cumsum(lengths) + lengths, lengths)
