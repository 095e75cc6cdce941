"""Measures of open loop: how good a model is when it reads its own output. docs/notes/measures.md explains them.

    report = measure(reader, reference, vocabulary, train, validation, validation_loss, Protocol())
    report.measures["excess_error_1000"].value

Closed loop is teacher forcing: the model reads the text. Open loop is free running: it reads its own output. Here the
model reads pieces of validation text, and then continues each by itself: a rollout. Each measure comes with its value
for real text instead of the rollouts. This is the target, and often it is not 0.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from charrnn.encoded.array import Sharded
from charrnn.errors import UserError, check_epsilon, require, require_memory
from charrnn.generation.decode_loop import OWN
from charrnn.measures import impossible, structure, text_measures
from charrnn.measures.exact_source import ExactSource
from charrnn.measures.reference import Reference, at_ids
from charrnn.measures.rollouts import Reader
from charrnn.measures.scores import SLIPS, Scores, in_parts, score
from charrnn.text.finite_state import FiniteStateSource
from charrnn.text.plays import Plays
from charrnn.text.vocabulary import Vocabulary

GOLD_AFTER = 50  # characters of gold text over which recovery is measured …
OWN_BEFORE = (10, 50, 200)  # … after this many own characters
EXCESS_AT = (100, 1000)  # lengths of the rollouts for the excess error, characters
NUM_BINS = 20  # of a curve over the position


@dataclasses.dataclass(frozen=True)
class Protocol:
    """Number and length of the rollouts. Only results of one protocol can be compared."""

    num_rollouts: int = 100  # R
    num_chars: int = 1000  # characters of each rollout, L
    seed: int = 0  # seed of the first rollout's noise; each next rollout has the next seed
    warm_up: int = 100  # gold characters before each rollout, W
    epsilon: float = 0.0  # least probability of a character of a rollout, as in `Sampler`; 0: any

    def __post_init__(self):
        require("--num_rollouts", self.num_rollouts, self.num_rollouts >= 2, "at least 2")
        require("--num_chars", self.num_chars, self.num_chars >= GOLD_AFTER, f"at least {GOLD_AFTER}")
        num_chars = self.num_rollouts * (self.warm_up + self.num_chars)
        require_memory(16 * num_chars, "--num_rollouts times --num_chars", "set one of the two lower")
        check_epsilon("--epsilon", self.epsilon)
        require("--seed", self.seed, 0 <= self.seed < 2**31 - self.num_rollouts, "at least 0 and below 2^31")

    @property
    def seeds(self) -> np.ndarray:
        """The seed of each rollout, `[R]`."""
        return self.seed + np.arange(self.num_rollouts)

    def pieces(self, ids: np.ndarray | Sharded, split: str = "validation") -> np.ndarray:
        """Returns pieces of a text at equal distances, int64 `[R, W + L]`, of the training text `[R, L]`.

        Args:
            ids: `[N]`.
            split: "validation", or "training": its pieces stand beside rollouts, without a warm-up.

        Raises:
            UserError: the text is shorter than one piece.
        """
        warm_up = self.warm_up if split == "validation" else 0
        length = warm_up + self.num_chars
        if len(ids) < length:
            rollout = f"a rollout of {self.num_chars:,}" + (f" after {warm_up}" if warm_up else "")
            raise UserError(
                f"The {split} text has {len(ids):,} characters, but {rollout} needs {length:,}: give a smaller "
                "--num_chars, or a longer text."
            )
        starts = np.arange(self.num_rollouts) * (len(ids) - length) // (self.num_rollouts - 1)
        return np.asarray(ids[starts[:, None] + np.arange(length)], np.int64)

    def start(self, pieces: np.ndarray) -> np.ndarray:
        """Returns the pieces `[R, W + L]` with OWN in place of the ids after the warm-up."""
        rows = pieces.copy()
        rows[:, self.warm_up :] = OWN
        return rows


class Measure(NamedTuple):
    """One number about a model."""

    value: float | None  # None: it cannot be measured, for example valid words in a text without words
    real: float | None  # the value of real text; None if that has no meaning
    error: float | None = None  # the standard error over the rollouts; None if it is unknown

    def finite(self) -> "Measure":
        """Replaces non-finite numbers by None, for example 0 / 0 in a text of one repeated character."""
        return Measure(*(None if number is None or not math.isfinite(number) else number for number in self))


class Curve(NamedTuple):
    """A number at some positions of the rollouts."""

    positions: list[int]
    own: list[float]
    real: list[float]


class Report(NamedTuple):
    """All measures and curves, by name."""

    measures: dict[str, Measure]
    curves: dict[str, Curve]


def measure(
    reader: Reader,
    reference: Reference,
    vocabulary: Vocabulary,
    train: np.ndarray,
    validation: np.ndarray,
    validation_loss: float,
    protocol: Protocol,
) -> Report:
    """Computes all measures of a model: a function of its weights and the arguments. Eager.

    Args:
        reader: reads with the model.
        reference: of the training text.
        vocabulary: of the ids.
        train: ids `[N]`.
        validation: ids `[N]`.
        validation_loss: in closed loop, nats per character.
        protocol: number and length of the rollouts.

    Raises:
        UserError: a text is too short for the protocol.
    """
    pieces = protocol.pieces(validation)
    gold = score(reader, reference, pieces, protocol.seeds).after(protocol.warm_up)
    own = score(reader, reference, protocol.start(pieces), protocol.seeds, protocol.epsilon).after(protocol.warm_up)
    last = slice(-(protocol.num_chars // 5), None)
    entropy, real_entropy = (mean(nats[:, last]) for nats in (own.nats, gold.nats))
    recoveries = recovery_after(reader, pieces, protocol)
    measures = {
        **_excess_errors(own.divergence, gold.divergence),
        "reference_loss": _beside(mean, own.reference_nats, gold.reference_nats),
        "reference_loss_drift": _beside(drift, own.reference_nats, gold.reference_nats),
        **_of_choices(own, gold, isinstance(reference, ExactSource)),
        **{f"recovery_{k}": recovered for k, recovered in recoveries.items()},
        "entropy_drift": Measure(entropy[0] - validation_loss, real_entropy[0] - validation_loss, entropy[1]),
        **_of_texts(own.ids, gold.ids, vocabulary, train, validation, protocol),
        **_of_structure(own.ids, gold.ids, vocabulary, reference),
    }
    curves = {
        "divergence": _curve(own.divergence, gold.divergence),
        "reference_loss": _curve(own.reference_nats, gold.reference_nats),
        "nats_per_char": _curve(own.nats, gold.nats),
        "recovery": _recovery_curve(recoveries),
    }
    return Report({name: found.finite() for name, found in measures.items()}, curves)


def names(protocol: Protocol, source: FiniteStateSource | None) -> list[str]:
    """Returns the names of what `measure` measures.

    Args:
        protocol: number and length of the rollouts.
        source: of the text; None: it is not known, so the reference is n-grams.
    """
    slips = [f"divergence_open_slip_{slip}" for slip in SLIPS]
    of_source = ["divergence_open", *slips, "impossible", "first_impossible", "error_after_error"]
    return [
        *(f"excess_error_{length}" for length in _excess_lengths(protocol.num_chars)),
        *"reference_loss reference_loss_drift own_entropy".split(),
        *(of_source if source else ()),
        *(f"recovery_{k}" for k in OWN_BEFORE if k <= protocol.num_chars),
        *"entropy_drift reverse_loss js_1 js_2 js_3 js_4 js_5 copied_20 valid_words repeated_8".split(),
        *(structure.NAMES if isinstance(source, Plays) else ()),
    ]


def excess_error(own: np.ndarray, gold: np.ndarray) -> tuple[float, float]:
    """Computes by how much the divergence along rollouts exceeds that along gold text.

    After Arora et al. 2022, arXiv 2204.01171; here the divergence is an exact sum over the V characters.

    Args:
        own: the divergence along rollouts, nats `[R, l]`.
        gold: the divergence along gold text after the same warm-up, nats `[R, l]`.

    Returns:
        The excess in per cent, and its standard error.
    """
    ratio, error = ratio_of_means(own.mean(1), gold.mean(1))
    return 100 * (ratio - 1), 100 * error


def drift(nats: np.ndarray) -> tuple[float, float]:
    """Returns the mean over rows of the last fifth `[R, L]` minus the first fifth, and its standard error."""
    fifth = nats.shape[1] // 5
    return mean(nats[:, -fifth:] - nats[:, :fifth])


def mean(rows: np.ndarray) -> tuple[float, float]:
    """Returns the mean of `[R, T]`, and its standard error over the rows."""
    each = rows.mean(1)
    return float(each.mean()), float(each.std(ddof=1) / np.sqrt(len(each)))


def ratio_of_means(above: np.ndarray, below: np.ndarray) -> tuple[float, float]:
    """Returns mean(above) / mean(below) of paired values `[R]`, and its standard error to first order (Cochran 1977).

    Both are non-finite if mean(below) is 0.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.divide(above.mean(), below.mean())
        residuals = (above - ratio * below) / below.mean()
    return float(ratio), float(residuals.std(ddof=1) / np.sqrt(len(residuals)))


def recovery_after(reader: Reader, pieces: np.ndarray, protocol: Protocol) -> dict[int, Measure]:
    """Measures how much worse the model predicts gold text after own characters.

        R_k = (E_own - E_gold) / (E_unrelated - E_gold)

    Each E is the loss of the GOLD_AFTER gold characters that follow the warm-up. For E_gold the model reads them
    directly after it; for E_own after k own characters; for E_unrelated after k characters of another piece. R is 0
    without damage, and 1 if own characters are as bad as unrelated text. For real text, the k characters are gold.

    Args:
        reader: reads with the model.
        pieces: from `Protocol.pieces`, `[R, W + L]`.
        protocol: number and length of the rollouts.

    Returns:
        R_k for each k of OWN_BEFORE that is not longer than a rollout.
    """
    start, rest = np.split(pieces, [protocol.warm_up], axis=1)
    gold = rest[:, :GOLD_AFTER]
    unrelated = np.roll(rest, len(rest) // 2, axis=0)

    def loss(between):
        rows = np.concatenate([start, between, gold], axis=1)
        nats = []
        for part in in_parts(reader, rows):
            ids, log_probs = reader.read(rows[part], protocol.seeds[part], epsilon=protocol.epsilon)
            nats.append(-at_ids(log_probs, ids)[:, -GOLD_AFTER:].mean(1, dtype=np.float64))
        return np.concatenate(nats)

    after_gold = loss(rest[:, :0])
    measures = {}
    for k in OWN_BEFORE:
        if k <= protocol.num_chars:
            damage = loss(unrelated[:, :k]) - after_gold
            value, error = ratio_of_means(loss(np.full_like(rest[:, :k], OWN)) - after_gold, damage)
            measures[k] = Measure(value, ratio_of_means(loss(rest[:, :k]) - after_gold, damage)[0], error)
    return measures


def _excess_errors(own: np.ndarray, gold: np.ndarray) -> dict[str, Measure]:
    lengths = _excess_lengths(own.shape[1])
    found = {length: excess_error(own[:, :length], gold[:, :length]) for length in lengths}
    return {f"excess_error_{length}": Measure(value, 0.0, error) for length, (value, error) in found.items()}


def _excess_lengths(num_chars: int) -> list[int]:
    return [length for length in EXCESS_AT if length <= num_chars] or [num_chars]


def _of_choices(own: Scores, gold: Scores, is_exact: bool) -> dict[str, Measure]:
    """Measures the distributions from which the rollouts were chosen; more if the source of the text is known."""
    entropy = _beside(mean, own.entropy, gold.entropy)
    if not is_exact:
        return {"own_entropy": entropy._replace(real=None)}
    (after, error), (real_after, _) = (impossible.after_error(scores.impossible) for scores in (own, gold))
    firsts = (impossible.before_first(scores.impossible) for scores in (own, gold))
    return {
        "own_entropy": entropy,
        "divergence_open": _beside(mean, own.open_divergence, gold.open_divergence),
        **{
            f"divergence_open_slip_{slip}": _beside(mean, *(x.slip_divergences[..., i] for x in (own, gold)))
            for i, slip in enumerate(SLIPS)
        },
        "impossible": _beside(mean, 1000 * own.impossible, 1000 * gold.impossible),
        "first_impossible": Measure(*firsts),
        "error_after_error": Measure(after, real_after, error),
    }


def _of_texts(
    own: np.ndarray,
    gold: np.ndarray,
    vocabulary: Vocabulary,
    train: np.ndarray,
    validation: np.ndarray,
    protocol: Protocol,
) -> dict[str, Measure]:
    """Measures the rollouts as text. Measures against validation text take training text as the real one."""
    elsewhere = protocol.pieces(train, "training")
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


def _of_structure(
    own: np.ndarray, gold: np.ndarray, vocabulary: Vocabulary, reference: Reference
) -> dict[str, Measure]:
    """Measures the rollouts against the laws of `plays`; nothing if the text is another one."""
    if not (isinstance(reference, ExactSource) and isinstance(reference.source, Plays)):
        return {}
    laws = structure.Structure(reference.source)
    found, real = (laws.measure([vocabulary.decode(row) for row in rows]) for rows in (own, gold))
    return {name: Measure(value, real[name][0], error) for name, (value, error) in found.items()}


def _beside(function: Callable[[np.ndarray], tuple[float, float]], own: np.ndarray, gold: np.ndarray) -> Measure:
    value, error = function(own)
    return Measure(value, function(gold)[0], error)


def _recovery_curve(recoveries: dict[int, Measure]) -> Curve:
    own, real, _ = zip(*recoveries.values(), strict=True)
    return Curve(list(recoveries), list(own), list(real))


def _curve(own: np.ndarray, gold: np.ndarray) -> Curve:
    """Returns the means of bins, each at the position where the bin ends."""
    ends = np.unique(np.linspace(0, own.shape[1], NUM_BINS + 1).astype(int))
    bins = [slice(a, b) for a, b in itertools.pairwise(ends)]
    return Curve(ends[1:].tolist(), *([float(nats[:, part].mean()) for part in bins] for nats in (own, gold)))
