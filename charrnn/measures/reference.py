"""The references that the model's samples and predictions are compared with: distributions of text.

    reference.log_probs(rows)       # ln p of each character of some text
    reference.distributions(rows)   # the probability of every character at each position

There are two: `ngrams.py` of the training text, and for a built-in corpus `exact_source.py`.
"""

from typing import Protocol

import numpy as np


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
