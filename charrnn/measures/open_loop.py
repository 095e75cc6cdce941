"""Measures of open loop: how good a model is when it reads its own output. docs/notes/measures.md explains them.

    report = measure(reader, reference, vocabulary, train, validation, validation_loss, Protocol())
    report.measures["excess_error_1000"].value

The model reads pieces of validation text, and from there on writes: a rollout. Beside each measure stands that of real
text in the place of the rollouts, which is what a model should come to; often that is not 0.
"""

import dataclasses
import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from charrnn.errors import UserError, check_temperature, require, require_memory
from charrnn.generation.decode_loop import OWN
from charrnn.measures import text_measures
from charrnn.measures.reference import Reference
from charrnn.measures.rollouts import Reader
from charrnn.text.vocabulary import Vocabulary

GOLD_AFTER = 50  # characters of gold text by which recovery is measured …
OWN_BEFORE = (10, 50, 200)  # … after so many own ones
EXCESS_AT = (100, 1000)  # characters
NUM_BINS = 20  # of a curve over the position
_MOST_FLOATS = 1 << 26  # of predictions in memory at once
_JUDGED_ROWS = 10  # at once


@dataclasses.dataclass(frozen=True)
class Protocol:
    """What is rolled out. Only figures of one protocol can be compared."""

    num_rollouts: int = 100  # R
    num_chars: int = 1000  # of each rollout, L
    seed: int = 0  # of the first rollout's noise; each next one has the next
    warm_up: int = 100  # gold characters before each rollout, W

    def __post_init__(self):
        require("--num_rollouts", self.num_rollouts, self.num_rollouts >= 2, "at least 2")
        require("--num_chars", self.num_chars, self.num_chars >= GOLD_AFTER, f"at least {GOLD_AFTER}")
        num_chars = self.num_rollouts * (self.warm_up + self.num_chars)
        require_memory(16 * num_chars, "--num_rollouts times --num_chars", "set one of the two lower")
        require("--seed", self.seed, 0 <= self.seed < 2**31 - self.num_rollouts, "at least 0 and below 2^31")

    @property
    def seeds(self) -> np.ndarray:
        """One a rollout, `[R]`."""
        return self.seed + np.arange(self.num_rollouts)

    def pieces(self, ids: np.ndarray) -> np.ndarray:
        """Pieces of a text at equal distances, int64 `[R, W + L]`; UserError where it is shorter than one."""
        length = self.warm_up + self.num_chars
        if len(ids) < length:
            raise UserError(
                f"The validation text has {len(ids):,} characters, but a rollout of {self.num_chars:,} after "
                f"{self.warm_up} needs {length:,}: give a smaller --num_chars, or a longer text with --text."
            )
        starts = np.arange(self.num_rollouts) * (len(ids) - length) // (self.num_rollouts - 1)
        return ids[starts[:, None] + np.arange(length)].astype(np.int64)

    def start(self, pieces: np.ndarray) -> np.ndarray:
        """The pieces with all after the warm-up left to the model, `[R, W + L]`."""
        rows = pieces.copy()
        rows[:, self.warm_up :] = OWN
        return rows


class Measure(NamedTuple):
    """One number about a model."""

    value: float | None  # None: it cannot be measured, as valid words in a text that has none
    real: float | None  # of real text; None where that has no meaning
    error: float | None = None  # the value's standard error over the rollouts, where it is known

    def finite(self) -> "Measure":
        """None for each number that is not finite, as 0 / 0 in a text that has one character only."""
        return Measure(*(None if number is None or not math.isfinite(number) else number for number in self))


class Curve(NamedTuple):
    """A number at some positions of the rollouts."""

    positions: list[int]
    own: list[float]
    real: list[float]


class Report(NamedTuple):
    """All that was measured, by name."""

    measures: dict[str, Measure]
    curves: dict[str, Curve]


class Judged(NamedTuple):
    """Rows of text, and what model and reference say to each character, nats: `[R, T]` each."""

    ids: np.ndarray
    nats: np.ndarray  # -ln p(character) under the model
    reference_nats: np.ndarray  # the same under the reference
    divergence: np.ndarray  # KL(reference ‖ model) of the predictions, over the V characters

    def after(self, length: int) -> "Judged":
        """Without the first characters of each row."""
        return Judged(*(array[:, length:] for array in self))


def measure(
    reader: Reader,
    reference: Reference,
    vocabulary: Vocabulary,
    train: np.ndarray,
    validation: np.ndarray,
    validation_loss: float,
    protocol: Protocol,
) -> Report:
    """All measures of a model: a function of its weights and the arguments. Eager.

    Args:
        reader: reads with the model.
        reference: for the training text.
        vocabulary: of the ids.
        train: ids `[N]`.
        validation: ids `[N]`.
        validation_loss: in closed loop, nats per character.
        protocol: what is rolled out.

    Raises:
        UserError: the validation text is too short.
    """
    pieces = protocol.pieces(validation)
    gold = judge(reader, reference, pieces, protocol.seeds).after(protocol.warm_up)
    own = judge(reader, reference, protocol.start(pieces), protocol.seeds).after(protocol.warm_up)
    last = slice(-(protocol.num_chars // 5), None)
    entropy, real_entropy = (mean(nats[:, last]) for nats in (own.nats, gold.nats))
    recoveries = recovery_after(reader, pieces, protocol)
    measures = {
        **_excess_errors(own.divergence, gold.divergence),
        "reference_loss": Measure(*_beside(mean, own.reference_nats, gold.reference_nats)),
        "reference_loss_drift": Measure(*_beside(drift, own.reference_nats, gold.reference_nats)),
        **{f"recovery_{k}": recovered for k, recovered in recoveries.items()},
        "entropy_drift": Measure(entropy[0] - validation_loss, real_entropy[0] - validation_loss, entropy[1]),
        **_of_texts(own.ids, gold.ids, vocabulary, train, validation, protocol),
    }
    curves = {
        "divergence": _curve(own.divergence, gold.divergence),
        "reference_loss": _curve(own.reference_nats, gold.reference_nats),
        "nats_per_char": _curve(own.nats, gold.nats),
        "recovery": Curve(list(recoveries), *([recovered[i] for recovered in recoveries.values()] for i in (0, 1))),
    }
    return Report({name: found.finite() for name, found in measures.items()}, curves)


def sweep(
    reader: Reader,
    reference: Reference,
    vocabulary: Vocabulary,
    validation: np.ndarray,
    protocol: Protocol,
    temperatures: Sequence[float],
) -> dict[float, tuple[float, float]]:
    """Quality and diversity: for each temperature reference loss and reverse loss of the rollouts, nats per character.

    One model is better than another only outside the other's curve (Caccia et al. 2018, arXiv 1811.02549).
    """
    for temperature in temperatures:
        check_temperature("temperatures", temperature)
    rows, points = protocol.start(protocol.pieces(validation)), {}
    for temperature in temperatures:
        parts = _parts(reader, rows)
        ids = np.concatenate([reader.read(rows[part], protocol.seeds[part], temperature).ids for part in parts])
        nats = -reference.log_probs(ids)[:, protocol.warm_up :]
        reverse = text_measures.reverse_loss(ids[:, protocol.warm_up :], validation, vocabulary.size)
        points[temperature] = (float(nats.mean()), reverse)
    return points


def judge(reader: Reader, reference: Reference, rows: np.ndarray, seeds: np.ndarray) -> Judged:
    """Reads rows of ids or OWN, and lets model and reference say how likely each character was. Eager."""
    judged = []
    for part in _parts(reader, rows):
        ids, log_probs = reader.read(rows[part], seeds[part])
        for i in range(0, len(ids), _JUDGED_ROWS):
            judged.append(compare(ids[i : i + _JUDGED_ROWS], log_probs[i : i + _JUDGED_ROWS], reference))
    return Judged(*map(np.concatenate, zip(*judged, strict=True)))


def compare(ids: np.ndarray, log_probs: np.ndarray, reference: Reference) -> Judged:
    """Rows of ids `[R, T]` with a model's predictions of them, ln p `[R, T, V]`, beside the reference's."""
    probs = reference.distributions(ids)
    chosen = ids[..., None].astype(np.int64)
    logs = np.log(np.maximum(probs, np.finfo(np.float64).tiny))  # 0 · ln 0 is 0
    return Judged(
        ids,
        -np.take_along_axis(log_probs, chosen, -1)[..., 0].astype(np.float64),
        -np.take_along_axis(logs, chosen, -1)[..., 0],
        np.sum(probs * (logs - log_probs), -1),
    )


def excess_error(own: np.ndarray, gold: np.ndarray) -> tuple[float, float]:
    """How much larger the divergence is along own rollouts than along gold text, per cent, and its standard error.

    After Arora et al. 2022, arXiv 2204.01171; here the divergence is an exact sum over the V characters.

    Args:
        own: the divergence along rollouts `[R, l]`.
        gold: the same along gold text after the same beginnings.
    """
    ratio, error = ratio_of_means(own.mean(1), gold.mean(1))
    return 100 * (ratio - 1), 100 * error


def drift(nats: np.ndarray) -> tuple[float, float]:
    """The last fifth of each row `[R, L]` less the first: mean over rows, and its standard error."""
    fifth = nats.shape[1] // 5
    return mean(nats[:, -fifth:] - nats[:, :fifth])


def mean(rows: np.ndarray) -> tuple[float, float]:
    """The mean of `[R, T]`, and its standard error over the rows."""
    each = rows.mean(1)
    return float(each.mean()), float(each.std(ddof=1) / np.sqrt(len(each)))


def ratio_of_means(above: np.ndarray, below: np.ndarray) -> tuple[float, float]:
    """mean(above) / mean(below) of paired values `[R]`, and its standard error to first order (Cochran 1977).

    Not finite where mean(below) is 0.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.divide(above.mean(), below.mean())
        residuals = (above - ratio * below) / below.mean()
    return float(ratio), float(residuals.std(ddof=1) / np.sqrt(len(residuals)))


def recovery_after(reader: Reader, pieces: np.ndarray, protocol: Protocol) -> dict[int, Measure]:
    """By how many own characters the model has read: how much worse it then predicts gold text.

        R_k = (E_own - E_gold) / (E_unrelated - E_gold)

    Each E is the loss of the GOLD_AFTER characters that follow the warm-up in the gold text, after the warm-up and k
    own characters; nothing, for E_gold; or k characters of another piece. 0: no damage, 1: as after unrelated text.
    For real text the k characters are those that follow the warm-up.
    """
    start, rest = np.split(pieces, [protocol.warm_up], axis=1)
    gold = rest[:, :GOLD_AFTER]
    unrelated = np.roll(rest, len(rest) // 2, axis=0)

    def loss(between):
        rows = np.concatenate([start, between, gold], axis=1)
        nats = []
        for part in _parts(reader, rows):
            reading = reader.read(rows[part], protocol.seeds[part])
            logs = np.take_along_axis(reading.log_probs, reading.ids[..., None].astype(np.int64), -1)[..., 0]
            nats.append(-logs[:, -GOLD_AFTER:].mean(1, dtype=np.float64))
        return np.concatenate(nats)

    after_gold = loss(rest[:, :0])
    measures = {}
    for k in OWN_BEFORE:
        if k <= protocol.num_chars:
            damage = loss(unrelated[:, :k]) - after_gold
            value, error = ratio_of_means(loss(np.full_like(rest[:, :k], OWN)) - after_gold, damage)
            measures[k] = Measure(value, ratio_of_means(loss(rest[:, :k]) - after_gold, damage)[0], error)
    return measures


def _parts(reader: Reader, rows: np.ndarray) -> list[slice]:
    """All rows at once, or as many as their predictions leave room for."""
    at_once = max(1, _MOST_FLOATS // (rows.shape[1] * reader.vocabulary_size))
    return [slice(i, i + at_once) for i in range(0, len(rows), at_once)]


def _excess_errors(own, gold) -> dict[str, Measure]:
    lengths = [length for length in EXCESS_AT if length <= own.shape[1]] or [own.shape[1]]
    found = {length: excess_error(own[:, :length], gold[:, :length]) for length in lengths}
    return {f"excess_error_{length}": Measure(value, 0.0, error) for length, (value, error) in found.items()}


def _of_texts(own, gold, vocabulary, train, validation, protocol) -> dict[str, Measure]:
    """The measures of the rollouts as text. Where validation text is the yardstick, training text stands for real."""
    sized = dataclasses.replace(protocol, warm_up=0)
    elsewhere = sized.pieces(train)
    known = frozenset(text_measures.words([vocabulary.decode(train)]))
    valid = [text_measures.valid_words([vocabulary.decode(row) for row in rows], known) for rows in (own, gold)]
    reverse = [text_measures.reverse_loss(rows, validation, vocabulary.size) for rows in (own, elsewhere)]
    return {
        "reverse_loss": Measure(*reverse),
        **{
            f"js_{n}": Measure(*(text_measures.jensen_shannon(rows, gold, n) for rows in (own, elsewhere)))
            for n in range(1, 6)
        },
        "copied_20": Measure(*(text_measures.copied(rows, train) for rows in (own, gold))),
        "valid_words": Measure(*valid),
        "repeated_8": Measure(*map(text_measures.repeated, (own, gold))),
    }


def _beside(function, own, gold) -> tuple[float, float, float]:
    value, error = function(own)
    return value, function(gold)[0], error


def _curve(own: np.ndarray, gold: np.ndarray) -> Curve:
    """Means of bins, each at the position where it ends."""
    ends = np.unique(np.linspace(0, own.shape[1], NUM_BINS + 1).astype(int))
    bins = [slice(a, b) for a, b in pairwise(ends)]
    return Curve(ends[1:].tolist(), *([float(nats[:, part].mean()) for part in bins] for nats in (own, gold)))
