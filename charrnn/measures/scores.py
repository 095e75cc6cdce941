"""Rows of text, real or the model's own, with what the model and a reference predict at each character.

    scores = score(reader, reference, rows, seeds)
    scores.divergence                    # KL(reference ‖ model) at each character, [R, T]
"""

import math
from typing import NamedTuple

import numpy as np

from charrnn.measures.exact_source import ExactSource
from charrnn.measures.reference import Reference, at_ids
from charrnn.measures.rollouts import Reader

SLIPS = (0.001, 0.01)  # other slips of an exact source at which the divergence of the choices is reported
MOST_SCORED = 1 << 22  # predictions in memory at once while they are scored, in float64
_MOST_FLOATS = 1 << 26  # the same while they are read
_TINY = np.finfo(np.float64).tiny


class Scores(NamedTuple):
    """Rows of text with the scores of each character, in nats: `[R, T]` each, one with an axis more."""

    ids: np.ndarray
    nats: np.ndarray  # -ln p(character) under the model
    reference_nats: np.ndarray  # the same under the reference
    divergence: np.ndarray  # KL(reference ‖ model) of the predictions, over the V characters
    entropy: np.ndarray  # entropy of the choices' distribution, which may differ from the prediction
    open_divergence: np.ndarray  # KL(choices' distribution ‖ reference), over the V characters
    impossible: np.ndarray  # bool: the source of the text cannot write the character
    slip_divergences: np.ndarray  # `open_divergence` at each of SLIPS, [R, T, 2]; [R, T, 0] without an exact source

    def after(self, length: int) -> "Scores":
        """Returns the scores without the first `length` characters of each row."""
        return Scores(*(array[:, length:] for array in self))


def score(
    reader: Reader, reference: Reference, rows: np.ndarray, seeds: np.ndarray, epsilon: float | None = None
) -> Scores:
    """Reads rows, and scores each character with model and reference. Eager.

    Args:
        reader: reads with the model.
        reference: of the training text.
        rows: int `[R, T]`, ids or OWN.
        seeds: int `[R]`, of the rows' own choices.
        epsilon: the least probability of an own choice; None: the rows are real text, and the choices those of the
            reference.
    """
    scores = []
    for part in in_parts(reader, rows):
        ids, log_probs = reader.read(rows[part], seeds[part], epsilon=epsilon or 0.0)
        for few in in_parts(reader, ids, MOST_SCORED):
            choices = None if epsilon is None else reader.choices(log_probs[few], epsilon=epsilon)
            scores.append(score_predictions(ids[few], log_probs[few], reference, choices))
    return Scores(*map(np.concatenate, zip(*scores, strict=True)))


def score_predictions(
    ids: np.ndarray, log_probs: np.ndarray, reference: Reference, choices: np.ndarray | None = None
) -> Scores:
    """Scores rows with a model's predictions and the reference's.

    Args:
        ids: int `[R, T]`.
        log_probs: the model's prediction of each character, ln p `[R, T, V]`.
        reference: of the training text.
        choices: the distribution from which each character was chosen, ln q `[R, T, V]`; None: the reference's,
            without what it gives to impossible characters.
    """
    probs = reference.distributions(ids)
    logs = np.log(np.maximum(probs, _TINY))  # 0 · ln 0 is 0
    if choices is None:
        chosen = probs - reference.floor
        chosen /= chosen.sum(-1, keepdims=True)
        choices = np.log(np.maximum(chosen, _TINY))
    else:
        chosen = np.exp(choices)
    entropy = entropies(chosen, choices)
    return Scores(
        ids,
        -at_ids(log_probs, ids).astype(np.float64),
        -at_ids(logs, ids),
        np.sum(probs * (logs - log_probs), -1),
        entropy,
        -np.sum(chosen * logs, -1) - entropy,
        at_ids(probs, ids) <= reference.floor,
        _slip_divergences(chosen, probs, reference, entropy),
    )


def _slip_divergences(chosen: np.ndarray, probs: np.ndarray, reference: Reference, entropy: np.ndarray) -> np.ndarray:
    """Returns the divergence of choices `[R, T, V]` from the reference `[R, T, V]` at each of SLIPS.

    All impossible characters have one probability, and few characters are possible. So logarithms of these suffice.
    """
    if not isinstance(reference, ExactSource):
        return np.zeros((*entropy.shape, 0))
    possible = probs > reference.floor
    elsewhere = np.sum(chosen, -1, dtype=np.float64, where=~possible)
    positions = np.flatnonzero(possible) // probs.shape[-1]
    found = []
    for slip in SLIPS:
        nats = -chosen[possible] * np.log(reference.at_slip(probs[possible], slip))
        nats = np.bincount(positions, nats, entropy.size).reshape(entropy.shape)
        found.append(nats - elsewhere * math.log(slip / reference.vocabulary.size) - entropy)
    return np.stack(found, -1)


def entropies(probs: np.ndarray, logs: np.ndarray) -> np.ndarray:
    """Returns the entropies, nats: p `[R, T, V]` and ln p -> float64 `[R, T]`."""
    return np.asarray(-np.sum(probs * logs, -1, dtype=np.float64))


def in_parts(reader: Reader, rows: np.ndarray, most_floats: int | None = None) -> list[slice]:
    """Returns slices of the rows whose predictions fit into memory."""
    at_once = max(1, (most_floats or _MOST_FLOATS) // (rows.shape[1] * reader.vocabulary_size))
    return [slice(i, i + at_once) for i in range(0, len(rows), at_once)]
