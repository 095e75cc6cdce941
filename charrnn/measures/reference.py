"""References: distributions of text that the model's samples and predictions are compared with.

    reference = KneserNey(train_ids, vocabulary.size)     # of the training text
    reference.log_probs(rows)                             # ln p of each character of some text
    reference.distributions(rows)                         # the probability of every character at each position

There are two: n-grams of the training text, and for a built-in corpus the exact source.
"""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np

from charrnn.batches.sources import DataConfig
from charrnn.batches.texts import Texts
from charrnn.text import corpora
from charrnn.text.finite_state import FiniteStateSource
from charrnn.text.vocabulary import Vocabulary

_NO_ESTIMATE = (0.5, 1.0, 1.5)
"""The discounts if the counts of counts give none, as with `lmplz --discount_fallback` of KenLM."""


class Reference(Protocol):
    """A distribution over the V ids at each position of a text, given the ids before it in its row."""

    floor: float  # probability of a character that cannot come next; 0 if there is none

    def log_probs(self, rows: np.ndarray) -> np.ndarray:
        """Returns ln p of each character, nats: ids int `[R, T]` -> float64 `[R, T]`."""

    def distributions(self, rows: np.ndarray) -> np.ndarray:
        """Returns the distribution at each position: ids int `[R, T]` -> float64 `[R, T, V]`, sums 1 over V."""


def at_ids(values: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Returns the entry of each id: values `[R, T, V]`, ids int `[R, T]` -> `[R, T]`."""
    return np.take_along_axis(values, ids[..., None].astype(np.int64), -1)[..., 0]


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


class ExactSource:
    """A finite-state source as a reference: exact for text that begins anywhere in the source's output.

    The source's state is unknown at first. It is inferred from the row by Bayes' rule, starting from the stationary
    distribution over all states. A character that the source cannot have written has the probability slip / V, because
    the reference is (1 - slip) · source + slip · uniform. After such a character the inference starts again.

    Args:
        source: the source of the training text.
        vocabulary: of the ids.
        slip: the share of the uniform distribution.

    Attributes:
        source, vocabulary, slip: the arguments.
    """

    def __init__(self, source: FiniteStateSource, vocabulary: Vocabulary, slip: float = 1e-4):
        self.source, self.vocabulary, self.slip = source, vocabulary, slip
        ids = vocabulary.encode(source.characters)  # of the source's symbols, one per character
        self._to_ids, self.floor = np.eye(vocabulary.size)[ids], slip / vocabulary.size
        self._symbols = np.full(vocabulary.size, -1)
        self._symbols[ids] = np.arange(len(ids))
        if vocabulary.unknown_id is not None:
            self._symbols[vocabulary.unknown_id] = -1
        self._probs, self._following, visits = source.tables()
        self._anywhere = visits @ self._probs
        self._entered = [self._enter(visits, symbol) for symbol in range(len(ids))]

    def log_probs(self, rows: np.ndarray) -> np.ndarray:
        """Returns ln p of each character, nats: ids int `[R, T]` -> float64 `[R, T]`."""
        return np.log(at_ids(self.distributions(rows), rows))

    def distributions(self, rows: np.ndarray) -> np.ndarray:
        """Returns the distribution at each position: ids int `[R, T]` -> float64 `[R, T, V]`, sums 1 over V."""
        size = self._to_ids.shape[1]
        result = np.empty((*rows.shape, size))
        belief = _Belief(*(np.zeros(0, kind) for kind in (np.int64, np.int64, np.float64)))
        for t in range(rows.shape[1]):
            probs = np.tile(self._anywhere, (len(rows), 1))
            placed, starts = np.unique(belief.rows, return_index=True)
            if len(placed):
                probs[placed] = np.add.reduceat(belief.weights[:, None] * self._probs[belief.states], starts)
            result[:, t] = (1 - self.slip) * probs @ self._to_ids + self.floor
            belief = self._after(belief, self._symbols[rows[:, t]])
        return result

    def at_slip(self, probs: np.ndarray, slip: float) -> np.ndarray:
        """Returns probabilities as if the share of the uniform distribution were another one.

        Args:
            probs: from `distributions`, of any shape.
            slip: the other share.
        """
        return (1 - slip) / (1 - self.slip) * (probs - self.floor) + slip / self.vocabulary.size

    def _after(self, belief: "_Belief", symbols: np.ndarray) -> "_Belief":
        """Returns the belief after each row's next symbol, int `[R]`; -1: not a symbol of the source."""
        read = symbols[belief.rows]
        weights = np.where(read >= 0, belief.weights * self._probs[belief.states, read], 0.0)
        possible = weights > 0
        parts = [_Belief(belief.rows[possible], self._following[belief.states, read][possible], weights[possible])]
        for row in np.setdiff1d(np.flatnonzero(symbols >= 0), parts[0].rows):
            states, entered = self._entered[symbols[row]]
            parts.append(_Belief(np.full(len(states), row), states, entered))
        rows, states, weights = (np.concatenate(column) for column in zip(*parts, strict=True))
        # Paths that meet in one state are one hypothesis.
        places, inverse = np.unique(rows * len(self._probs) + states, return_inverse=True)
        rows, weights = places // len(self._probs), np.bincount(inverse, weights, len(places))
        return _Belief(rows, places % len(self._probs), weights / np.bincount(rows, weights, len(symbols))[rows])

    def _enter(self, visits: np.ndarray, symbol: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns the states after one symbol if nothing is known before it, and their weights."""
        weights = visits * self._probs[:, symbol]
        before = np.flatnonzero(weights)
        states, inverse = np.unique(self._following[before, symbol], return_inverse=True)
        return states, np.bincount(inverse, weights[before])


class _Belief(NamedTuple):
    """Hypotheses about the source's state: one entry each, sorted by row. The weights of a row sum to 1."""

    rows: np.ndarray  # int64 [N]; a row without an entry has an unknown state
    states: np.ndarray  # int64 [N]
    weights: np.ndarray  # float64 [N]


def exact_source(texts: Texts, data: DataConfig) -> ExactSource | None:
    """Returns the source of a built-in corpus that is read as it is written; None for any other text.

    Args:
        texts: the corpus.
        data: the settings with which it was read.
    """
    as_written = data.order != "lines" and not data.lowercase and not data.csv_column
    if texts.entropy_rate is None or not as_written:
        return None
    return ExactSource(corpora.source_of(texts.name), texts.vocabulary)
