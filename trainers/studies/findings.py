"""The findings of a study, in words."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from trainers.evaluation import statistics
from trainers.evaluation.comparison import ERROR_RATE, MIN_SEEDS, Comparison, Difference, Group

NEEDED = "divergence_open", "reverse_loss", "curve_gap", "union_gap"
"""The measures that a finding is about, as far as the runs have them."""


class _Claim(NamedTuple):
    """The measures that decide whether an arm writes better text than the first one."""

    when: str  # start of the sentence
    distance: str  # measure that must be lower; for a known source, the proper one
    gap: str  # measure that must be below 0: the arm lies outside the first one's curves
    diversity: str  # measure that must not be higher


def finding(compared: Comparison, epsilon: float = 0.0) -> str:
    """Returns a paragraph: which arms write better text than the first one, and which write worse.

    An arm is better only if its distance from the text is lower, it lies outside the first arm's curves of quality and
    diversity, both beyond noise, and its reverse loss is not higher. With a known source, the distance is
    `divergence_open`; else it is the gap to these curves. The gap is compared with 0, with Bonferroni's correction over
    the arms, and over both claims if a cut-off is best.

    Args:
        compared: the arms.
        epsilon: the first arm's best cut-off; 0: no cut-off was measured, or none is best.
    """
    first, *others = compared.groups
    found = [_claim(compared, ""), _claim(compared, f"_at_{epsilon:g}", epsilon) if epsilon else None]
    claims = [claim for claim in found if claim]
    if not claims:
        return "Nothing is found, because some run has no finite reference loss or reverse loss."
    if all(math.isnan(difference.p) for difference in compared.differences.values()):
        return _untested(first, others, claims[0].distance)
    level = ERROR_RATE / (len(others) * len(claims))
    clauses = [_clause(compared, claim, level) for claim in claims]
    return " ".join([*_cut_off_alone(first, claims), *clauses, _how(compared, claims[0])])


def _claim(compared: Comparison, end: str, epsilon: float = 0.0) -> _Claim | None:
    """Returns None if some run has no gap to the curves."""
    gaps = [name for name in (f"union_gap{end}", f"curve_gap{end}") if name in compared.measures]
    if not gaps:
        return None
    exact = f"divergence_open{end}" in compared.measures
    when = f"With a cut-off of {epsilon:g}, " if epsilon else "Without a cut-off, "
    return _Claim(when, f"divergence_open{end}" if exact else gaps[0], gaps[0], f"reverse_loss{end}")


def _clause(compared: Comparison, claim: _Claim, level: float) -> str:
    """Returns a sentence on the arms that are better, nearer only, and worse. `level` is that of the test of a gap."""
    first, *others = compared.groups
    better: list[str] = []
    nearer: list[str] = []
    worse: list[str] = []
    for group in others:
        distance, dullness = (
            _sign(compared.differences.get((group.name, n))) for n in (claim.distance, claim.diversity)
        )
        told = f"`{group.name}` ({_effect(first, group, claim.distance)})"
        if distance > 0:
            worse.append(told)
        elif distance < 0:
            outside = dullness <= 0 and _below_0(group.values(claim.gap), level)
            (better if outside else nearer).append(told)
    parts = [f"{claim.when}{_verb(better or ['no arm'], 'writes', 'write')} better text than `{first.name}`"]
    if nearer:
        parts.append(f"{_verb(nearer, 'is', 'are')} nearer to the text, but less diverse or not outside the curves")
    if worse:
        parts.append(f"{_verb(worse, 'writes', 'write')} worse")
    return f"{'; '.join(parts)}."


def _verb(arms: Sequence[str], one: str, several: str) -> str:
    """Returns arms and the form of a verb that fits them."""
    return f"{_listed(arms)} {several if len(arms) > 1 else one}"


def _sign(difference: Difference | None) -> int:
    """Returns 1 for a measure that is higher beyond noise, -1 for one that is lower, else 0."""
    return 0 if difference is None or not difference.beyond_noise else 1 if difference.mean > 0 else -1


def _below_0(values: Sequence[float], level: float) -> bool:
    """Returns whether a mean is below 0 beyond noise, by a t test."""
    return float(np.mean(values)) < 0 and statistics.t_test(np.array(values)) <= level


def _effect(first: Group, group: Group, measure: str) -> str:
    """Returns the change of a measure: in per cent of the first arm's value, or as it is if that may be 0."""
    base, value = (float(np.mean(each.values(measure))) for each in (first, group))
    if measure.startswith("divergence_open") and base > 0:
        return f"{measure} {100 * (value / base - 1):+.0f} %"
    return f"{measure} {value - base:+.4f}"


def _cut_off_alone(first: Group, claims: Sequence[_Claim]) -> list[str]:
    """Returns a sentence on what the cut-off alone does to the first arm, if its distance is known."""
    names = [claim.distance for claim in claims]
    if len(names) < 2 or not names[0].startswith("divergence_open"):
        return []
    without, with_it = (float(np.mean(first.values(name))) for name in names)
    if without <= 0:  # a change in per cent has no meaning
        return []
    epsilon = names[1].rpartition("_")[2]
    change = f"{without:.4f} to {with_it:.4f} ({100 * (with_it / without - 1):+.0f} %)"
    return [f"A cut-off of {epsilon} alone changes divergence_open of `{first.name}` from {change}."]


def _untested(first: Group, others: Sequence[Group], measure: str) -> str:
    means = {group.name: float(np.mean(group.values(measure))) for group in (first, *others)}
    best = min(means, key=lambda name: means[name])
    told = f"`{best}` has the lowest {measure}, {means[best]:.4f}"
    told += f"; `{first.name}` has {means[first.name]:.4f}" if best != first.name else ""
    return f"{told}. Nothing is tested, because that takes {MIN_SEEDS} seeds."


_MEANINGS = {
    "divergence_open": "distance of its rollouts from the source",
    "union_gap": "distance from the first arm's curves of quality and diversity",
    "curve_gap": "distance from the first arm's curve of quality and diversity",
}


def _how(compared: Comparison, claim: _Claim) -> str:
    """Returns a sentence on what better text is, and one on the tests."""
    count = sum(not math.isnan(difference.p) for difference in compared.differences.values())
    name = claim.distance.partition("_at_")[0]
    curves = "the first arm's curves of quality and diversity"
    outside = "" if claim.distance == claim.gap else f", it lies outside {curves},"
    return (
        f"An arm is better only if {name} ({_MEANINGS[name]}, nats per character) is lower beyond "
        f"noise{outside} and it is no less diverse. {counted(len(compared.groups[0].runs), 'seed')}; "
        f"{counted(count, 'test')} at a family-wise error rate of {ERROR_RATE:.0%}."
    )


def counted(number: int, what: str) -> str:
    """Returns a number and its noun: "1 seed", "5 seeds"."""
    return f"{number:,} {what}{'s' if number != 1 else ''}"


def _listed(parts: Sequence[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
