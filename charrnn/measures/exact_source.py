"""The exact source of a built-in corpus as a reference.

    reference = exact_source(texts, data) or KneserNey(texts.train, texts.vocabulary.size)
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from charrnn.batches.sources import DataConfig
from charrnn.batches.texts import Texts
from charrnn.text import corpora
from charrnn.text.finite_state import FiniteStateSource
from charrnn.text.vocabulary import Vocabulary


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
        self.floor = slip / vocabulary.size
        self._symbols = np.full(vocabulary.size, -1)
        self._symbols[ids] = np.arange(len(ids))
        if vocabulary.unknown_id is not None:
            self._symbols[vocabulary.unknown_id] = -1
        self._probs, self._following, visits = source.tables()
        self._id_probs = self._probs @ np.eye(vocabulary.size)[ids]  # [S, V]
        self._ids_anywhere = visits @ self._id_probs
        self._entered = [self._enter(visits, symbol) for symbol in range(len(ids))]

    def log_probs(self, rows: np.ndarray) -> np.ndarray:
        """Returns ln p of each character, nats: ids int `[R, T]` -> float64 `[R, T]`."""
        probs = np.empty(rows.shape)
        for t, belief in enumerate(self._beliefs(rows)):
            ids = rows[:, t]
            probs[:, t] = self._ids_anywhere[ids]
            placed, starts = np.unique(belief.rows, return_index=True)
            if len(placed):
                each = belief.weights * self._id_probs[belief.states, ids[belief.rows]]
                probs[placed, t] = np.add.reduceat(each, starts)
        return np.log((1 - self.slip) * probs + self.floor)

    def distributions(self, rows: np.ndarray) -> np.ndarray:
        """Returns the distribution at each position: ids int `[R, T]` -> float64 `[R, T, V]`, sums 1 over V."""
        probs = np.empty((*rows.shape, self.vocabulary.size))
        for t, belief in enumerate(self._beliefs(rows)):
            probs[:, t] = self._ids_anywhere
            placed, starts = np.unique(belief.rows, return_index=True)
            if len(placed):
                each = belief.weights[:, None] * self._id_probs[belief.states]
                probs[placed, t] = np.add.reduceat(each, starts)
        probs *= 1 - self.slip
        probs += self.floor
        return probs

    def _beliefs(self, rows: np.ndarray) -> Iterator["_Belief"]:
        """Yields the belief before each position of the rows `[R, T]`."""
        belief = _Belief(*(np.zeros(0, kind) for kind in (np.int64, np.int64, np.float64)))
        for t in range(rows.shape[1]):
            yield belief
            belief = self._after(belief, self._symbols[rows[:, t]])

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


def known_source(texts: Texts, data: DataConfig) -> FiniteStateSource | None:
    """Returns the source of a built-in corpus that is read as it is written; None for any other text.

    Args:
        texts: the corpus.
        data: the settings with which it was read.
    """
    as_written = data.order != "lines" and not data.lowercase and not data.csv_column
    return corpora.source_of(texts.name) if texts.entropy_rate is not None and as_written else None


def exact_source(texts: Texts, data: DataConfig) -> ExactSource | None:
    """Returns the `known_source` as a reference; its arguments are the same."""
    source = known_source(texts, data)
    return ExactSource(source, texts.vocabulary) if source else None
