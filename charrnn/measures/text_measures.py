"""Compares samples, as text, with real text of the same size and with the training text. NumPy only.

Texts are rows of ids `[R, T]`; no n-gram crosses from one row into the next.
"""

import re
from collections.abc import Sequence

import numpy as np

from charrnn.measures.ngrams import KneserNey

_WORD = re.compile(r"(?:[^\W\d_]|'){3,}")  # nearly all shorter words are valid, in any text


def jensen_shannon(rows: np.ndarray, others: np.ndarray, length: int) -> float:
    """Returns the Jensen-Shannon divergence of the n-grams of two texts, bits in [0, 1] (Lin 1991).

    It depends on the sizes, and is above 0 even for two pieces of one text. Compare only texts of equal size.

    Args:
        rows: ids `[R, T]`.
        others: ids `[R, T]`.
        length: n.
    """
    codes = [_codes(text, length).ravel() for text in (rows, others)]
    _, inverse = np.unique(np.concatenate(codes), return_inverse=True)
    size = inverse.max() + 1
    p, q = (np.bincount(part, minlength=size) / len(part) for part in np.split(inverse, [len(codes[0])]))
    middle = (p + q) / 2
    return float(sum(np.sum(x[x > 0] * np.log2(x[x > 0] / middle[x > 0])) for x in (p, q)) / 2)


def copied(rows: np.ndarray, train: np.ndarray, length: int = 20) -> float:
    """Returns the share of all pieces of `length` characters that also occur in the training text `[N]`."""
    return float(np.isin(_codes(rows, length), _codes(train[None], length)).mean())


def repeated(rows: np.ndarray, length: int = 8) -> float:
    """Returns the share of all pieces of `length` characters that occurred earlier in their row."""
    codes = _codes(rows, length)
    return float(1 - np.mean([len(np.unique(row)) for row in codes]) / codes.shape[1])


def reverse_loss(rows: np.ndarray, validation: np.ndarray, vocabulary_size: int, order: int = 5) -> float:
    """Returns nats per character of the validation text `[N]` under n-grams of the samples: high without variety."""
    return float(-KneserNey(rows, vocabulary_size, order).log_probs(validation[None]).mean())


def words(texts: Sequence[str]) -> list[str]:
    """Returns the words of three letters or more, apostrophes counted, in lower case."""
    return [word for text in texts for word in _WORD.findall(text.lower())]


def valid_words(texts: Sequence[str], known: frozenset[str]) -> float | None:
    """Returns the share of words that are `known`; None if there are no words."""
    found = words(texts)
    return sum(word in known for word in found) / len(found) if found else None


def _codes(rows: np.ndarray, length: int) -> np.ndarray:
    """Returns a number for each piece of `length` characters, uint64 `[R, T - length + 1]`: equal for equal pieces.

    The number is a sum of random 64-bit numbers, one per id, times powers of an odd one. Among 10^12 pairs of different
    pieces, the probability of a collision is below 10^-6. An id has the same random number in every text.
    """
    random = np.random.default_rng(0).integers(0, 2**64, int(rows.max(initial=0)) + 2, np.uint64)
    factor, letters = random[0] | np.uint64(1), random[1:][rows]
    num_pieces = rows.shape[1] - length + 1
    codes = np.zeros((len(rows), num_pieces), np.uint64)
    for i in range(length):
        codes = codes * factor + letters[:, i : i + num_pieces]
    return codes
