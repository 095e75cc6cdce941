"""What text should be like: models that samples and predictions are judged by.

    reference = KneserNey(train_ids, vocabulary.size)     # of the training text
    reference.log_probs(rows)                             # how likely each character of some text is under it
    reference.distributions(rows)                         # and what else might have stood there

Two references have this one interface: n-grams of the training text, and for the corpus `plays` the source itself.
"""

from typing import NamedTuple, Protocol

import numpy as np

from charrnn.text.finite_state import FiniteStateSource
from charrnn.text.vocabulary import Vocabulary

_NO_ESTIMATE = (0.5, 1.0, 1.5)
"""The discounts where the counts of counts give none, as with `lmplz --discount_fallback` of KenLM."""


class Reference(Protocol):
    """A distribution over the V ids at every position of a text, given all before it in its row."""

    def log_probs(self, rows: np.ndarray) -> np.ndarray:
        """ln p of each character, nats: ids int `[R, T]` -> float64 `[R, T]`."""

    def distributions(self, rows: np.ndarray) -> np.ndarray:
        """The whole distribution at each position: ids int `[R, T]` -> float64 `[R, T, V]`, sums 1 over V."""


class _Order(NamedTuple):
    """The n-grams of one length m. G n-grams, C contexts, which are the n-grams of length m - 1."""

    keys: np.ndarray  # int64 [G], sorted: the rank of the context times V, plus the last id
    shares: np.ndarray  # float64 [G], discounted count over the context's total
    backoff: np.ndarray  # float64 [C], the probability that is left for the next shorter context


class KneserNey:
    """Interpolated modified Kneser-Ney n-grams (Chen & Goodman 1999, "An empirical study of smoothing techniques").

        p(w | c) = max(a(c w) - D, 0) / Σ_w a(c w) + backoff(c) p(w | c less its first character)

    The longest n-grams are counted as often as they occur; for a shorter one, a is the number of different characters
    before it. D is one of three discounts of that length, for a = 1, 2 and 3 or more. After the single characters
    comes the uniform distribution over V: every id has a probability above 0, the unknown character too.

    Args:
        rows: the text to count, ids int `[N]`, or `[R, T]` for R texts.
        vocabulary_size: V.
        order: the n of the longest n-grams, from 1: a character depends on the n - 1 before it.
    """

    def __init__(self, rows: np.ndarray, vocabulary_size: int, order: int = 7):
        self.vocabulary_size = vocabulary_size
        rows = np.atleast_2d(rows)
        self.order = order = min(order, rows.shape[1])
        ranks = np.zeros((len(rows), rows.shape[1] + 1), np.int64)  # of the n-gram before each position
        found = []  # of each length: the keys, how often each occurs, and the rank of each less its first character
        for length in range(1, order + 1):
            places = ranks[:, :-1] * vocabulary_size + rows[:, length - 1 :]
            keys, inverse, counts = np.unique(places, return_inverse=True, return_counts=True)
            inverse = inverse.reshape(places.shape)
            suffixes = np.zeros(len(keys), np.int64)
            suffixes[inverse] = ranks[:, 1:]
            found.append((keys, counts, suffixes))
            ranks = inverse
        self._orders = []
        num_contexts = 1
        for length, (keys, counts, _) in enumerate(found, 1):
            if length < order:
                counts = np.bincount(found[length][2], minlength=len(keys))
            self._orders.append(_discounted(keys, counts, num_contexts, vocabulary_size))
            num_contexts = len(keys)

    def log_probs(self, rows: np.ndarray) -> np.ndarray:
        """ln p of each character, nats: ids int `[R, T]` -> float64 `[R, T]`."""
        probs = np.full(rows.shape, 1 / self.vocabulary_size)
        for order, (contexts, places) in zip(self._orders, self._found(rows), strict=True):
            known = contexts >= 0
            longer = order.backoff[contexts] * probs + np.where(places >= 0, order.shares[places], 0.0)
            probs = np.where(known, longer, probs)
        return np.log(probs)

    def distributions(self, rows: np.ndarray) -> np.ndarray:
        """The whole distribution at each position: ids int `[R, T]` -> float64 `[R, T, V]`, sums 1 over V."""
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
            # A context has each character once, so no place is added to twice.
            probs.ravel()[np.repeat(known * size, last - first) + order.keys[entries] % size] += order.shares[entries]
        return probs.reshape(*rows.shape, size)

    def _found(self, rows: np.ndarray):
        """For each length: the rank of the context before each position and that of the n-gram there, or -1."""
        contexts = np.zeros(rows.shape, np.int64)
        for order in self._orders:
            wanted = contexts * self.vocabulary_size + rows
            places = np.minimum(np.searchsorted(order.keys, wanted), len(order.keys) - 1)
            places[(order.keys[places] != wanted) | (contexts < 0)] = -1
            yield contexts, places
            contexts = np.full_like(places, -1)
            contexts[:, 1:] = places[:, :-1]


def _discounted(keys: np.ndarray, counts: np.ndarray, num_contexts: int, vocabulary_size: int) -> _Order:
    discounts = np.array([0.0, *_discounts(counts)])[np.minimum(counts, 3)]
    contexts = keys // vocabulary_size
    totals = np.bincount(contexts, counts, num_contexts)
    held_back = np.bincount(contexts, discounts, num_contexts)
    # A context without a total stands at the beginning of a text only: all is left for the shorter one.
    backoff = np.divide(held_back, totals, out=np.ones(num_contexts), where=totals > 0)
    return _Order(keys, (counts - discounts) / np.maximum(totals, 1)[contexts], backoff)


def _discounts(counts: np.ndarray) -> tuple[float, float, float]:
    """For counts of 1, 2, and 3 or more by the closed form of Chen & Goodman 1999."""
    of_count = np.bincount(np.minimum(counts, 5), minlength=6)
    if not of_count[1:5].all():
        return _NO_ESTIMATE
    y = of_count[1] / (of_count[1] + 2 * of_count[2])
    discounts = tuple(k - (k + 1) * y * of_count[k + 1] / of_count[k] for k in (1, 2, 3))
    return discounts if min(discounts) > 0 else _NO_ESTIMATE


def _ranges(first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """All of first[0] … last[0] - 1, then all of first[1] … last[1] - 1, and so on."""
    lengths = last - first
    return np.arange(lengths.sum()) + np.repeat(first - np.cumsum(lengths) + lengths, lengths)


class ExactSource:
    """A finite-state source as a reference: exact for text that begins anywhere in what the source writes.

    Where in its process the source stands is not known at first. It is inferred from the row, by Bayes' rule over all
    states from their stationary distribution. What the source cannot have written is given the probability slip / V:
    the reference is (1 - slip) · source + slip · uniform. After such a character the state is inferred anew.

    Args:
        source: what wrote the training text.
        vocabulary: whose ids the rows are in.
        slip: the share of the uniform distribution.
    """

    def __init__(self, source: FiniteStateSource, vocabulary: Vocabulary, slip: float = 1e-4):
        ids = vocabulary.encode(source.characters)  # of the source's symbols, one a character
        self._slip, self._to_ids = slip, np.eye(vocabulary.size)[ids]
        self._symbols = np.full(vocabulary.size, -1)
        self._symbols[ids] = np.arange(len(ids))
        if vocabulary.unknown_id is not None:
            self._symbols[vocabulary.unknown_id] = -1
        self._probs, self._following, visits = source.tables()
        self._anywhere = visits @ self._probs
        self._entered = [self._enter(visits, symbol) for symbol in range(len(ids))]

    def log_probs(self, rows: np.ndarray) -> np.ndarray:
        """ln p of each character, nats: ids int `[R, T]` -> float64 `[R, T]`."""
        chosen = np.take_along_axis(self.distributions(rows), rows[..., None].astype(np.int64), -1)
        return np.log(chosen[..., 0])

    def distributions(self, rows: np.ndarray) -> np.ndarray:
        """The whole distribution at each position: ids int `[R, T]` -> float64 `[R, T, V]`, sums 1 over V."""
        size = self._to_ids.shape[1]
        result = np.empty((*rows.shape, size))
        belief = _Belief(*(np.zeros(0, kind) for kind in (np.int64, np.int64, np.float64)))
        for t in range(rows.shape[1]):
            probs = np.tile(self._anywhere, (len(rows), 1))
            placed, starts = np.unique(belief.rows, return_index=True)
            if len(placed):
                probs[placed] = np.add.reduceat(belief.weights[:, None] * self._probs[belief.states], starts)
            result[:, t] = (1 - self._slip) * probs @ self._to_ids + self._slip / size
            belief = self._after(belief, self._symbols[rows[:, t]])
        return result

    def _after(self, belief: "_Belief", symbols: np.ndarray) -> "_Belief":
        """The belief after each row's next symbol, int `[R]`; -1: none of the source's."""
        read = symbols[belief.rows]
        weights = np.where(read >= 0, belief.weights * self._probs[belief.states, read], 0.0)
        possible = weights > 0
        parts = [_Belief(belief.rows[possible], self._following[belief.states, read][possible], weights[possible])]
        for row in np.setdiff1d(np.flatnonzero(symbols >= 0), parts[0].rows):
            states, entered = self._entered[symbols[row]]
            parts.append(_Belief(np.full(len(states), row), states, entered))
        rows, states, weights = (np.concatenate(column) for column in zip(*parts, strict=True))
        # Paths that have met in one state are one hypothesis.
        places, inverse = np.unique(rows * len(self._probs) + states, return_inverse=True)
        rows, weights = places // len(self._probs), np.bincount(inverse, weights, len(places))
        return _Belief(rows, places % len(self._probs), weights / np.bincount(rows, weights, len(symbols))[rows])

    def _enter(self, visits: np.ndarray, symbol: int) -> tuple[np.ndarray, np.ndarray]:
        """The states after one symbol that is read with nothing known before it, and their weights."""
        weights = visits * self._probs[:, symbol]
        before = np.flatnonzero(weights)
        states, inverse = np.unique(self._following[before, symbol], return_inverse=True)
        return states, np.bincount(inverse, weights[before])


class _Belief(NamedTuple):
    """Where the source may stand in each row: one entry a hypothesis, sorted by row. Weights sum to 1 in a row."""

    rows: np.ndarray  # int64 [N]; a row with no entry: nothing is known
    states: np.ndarray  # int64 [N]
    weights: np.ndarray  # float64 [N]
