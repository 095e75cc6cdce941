"""What samples are like as text: against real text of the same size, and against the training text. NumPy only.

Texts are rows of ids `[R, T]`; no n-gram reaches from one row into the next.
"""

import re
from collections.abc import Sequence

import numpy as np

from charrnn.measures.reference import KneserNey

_WORD = re.compile(r"(?:[^\W\d_]|'){3,}")  # shorter ones are nearly all valid, whoever writes them


def jensen_shannon(rows: np.ndarray, others: np.ndarray, length: int) -> float:
    """The Jensen-Shannon divergence of the n-grams of two texts, bits in [0, 1] (Lin 1991).

    It depends on the sizes: even two pieces of one text are apart. Compare texts of one size only.
    """
    codes = [_codes(text, length).ravel() for text in (rows, others)]
    _, inverse = np.unique(np.concatenate(codes), return_inverse=True)
    size = inverse.max() + 1
    p, q = (np.bincount(part, minlength=size) / len(part) for part in np.split(inverse, [len(codes[0])]))
    middle = (p + q) / 2
    return float(sum(np.sum(x[x > 0] * np.log2(x[x > 0] / middle[x > 0])) for x in (p, q)) / 2)


def copied(rows: np.ndarray, train: np.ndarray, length: int = 20) -> float:
    """The share of all pieces of `length` characters that stand in the training text `[N]` word for word."""
    return float(np.isin(_codes(rows, length), _codes(train[None], length)).mean())


def repeated(rows: np.ndarray, length: int = 8) -> float:
    """The share of all pieces of `length` characters that have stood in their row before."""
    codes = _codes(rows, length)
    return float(1 - np.mean([len(np.unique(row)) for row in codes]) / codes.shape[1])


def reverse_loss(rows: np.ndarray, validation: np.ndarray, vocabulary_size: int, order: int = 5) -> float:
    """Nats per character of the validation text `[N]` under n-grams of the samples: high where they lack variety."""
    return float(-KneserNey(rows, vocabulary_size, order).log_probs(validation[None]).mean())


def words(texts: Sequence[str]) -> list[str]:
    """The words of three letters or more, apostrophes counted, in lower case."""
    return [word for text in texts for word in _WORD.findall(text.lower())]


def valid_words(texts: Sequence[str], known: frozenset[str]) -> float | None:
    """The share of words that are `known`; None where there is no word."""
    found = words(texts)
    return sum(word in known for word in found) / len(found) if found else None


def _codes(rows: np.ndarray, length: int) -> np.ndarray:
    """A number for each piece of `length` characters, `[R, T - length + 1]`: the same for the same piece.

    Sums of random 64-bit numbers, one for each id, times powers of an odd one: among 10^12 pairs of different pieces
    one has the same number with a probability of less than 10^-6. An id has the same number in every text.
    """
    random = np.random.default_rng(0).integers(0, 2**64, int(rows.max(initial=0)) + 2, np.uint64)
    factor, letters = random[0] | np.uint64(1), random[1:][rows]
    num_pieces = rows.shape[1] - length + 1
    codes = np.zeros((len(rows), num_pieces), np.uint64)
    for i in range(length):
        codes = codes * factor + letters[:, i : i + num_pieces]
    return codes
