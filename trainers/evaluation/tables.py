"""Tables of a comparison, in Markdown."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from charrnn.measures.frontier import Point
from trainers.evaluation.comparison import (
    ERROR_RATE,
    MIN_SEEDS,
    Comparison,
    Difference,
    Group,
    union_gap,
)


def table(comparison: Comparison) -> str:
    """Returns a table with one line per measure: real text (as the first group reads it), groups, and differences."""
    groups = comparison.groups
    first, *others = groups
    rows = [["measure", "real text", *(group.name for group in groups), *(f"{g.name} − first" for g in others)]]
    for name in comparison.measures:
        row = [name, _real(first, name), *(_spread(g.values(name)) for g in groups)]
        rows.append(row + [_shown(comparison.differences.get((group.name, name))) for group in others])
    seeds = [f"- {group.name}: seeds {', '.join(map(str, sorted(group.runs)))}{_bases(group)}" for group in groups]
    return "\n".join([*_aligned(rows), "", *seeds, *_partly_measured(comparison), "", _tested(comparison)])


def by_group(comparison: Comparison) -> str:
    """Returns two tables with one line per group: the values, and the differences from the first group."""
    first, *others = comparison.groups
    names = comparison.measures
    rows = [["", *names], ["real text", *(_real(first, name) for name in names)]]
    rows += [[group.name, *(_spread(group.values(name)) for name in names)] for group in comparison.groups]
    differing = [[f"less {first.name}", *names]]
    for other in others:
        differences = (comparison.differences.get((other.name, name)) for name in names)
        differing.append([other.name, *(_shown(difference, with_p=False) for difference in differences)])
    bases = [f"- {group.name}{_bases(group)}" for group in comparison.groups if len(group.bases) > 1]
    return "\n".join([*_aligned(rows), "", *_aligned(differing), "", *bases, *[""] * bool(bases), _tested(comparison)])


def values_table(groups: Sequence[Group], names: Sequence[str]) -> str:
    """Returns a table of values without tests, one line per group.

    Args:
        groups: the groups.
        names: measures that all runs have.
    """
    rows = [["", *names], ["real text", *(_real(groups[0], name) for name in names)]]
    rows += [[group.name, *(_spread(group.values(name)) for name in names)] for group in groups]
    return "\n".join(_aligned(rows))


def sweep_table(comparison: Comparison) -> str:
    """Returns a table of quality and diversity by temperature: reference loss and reverse loss, means over seeds."""
    temperatures = list(comparison.groups[0].evaluations[0].sweep)
    rows = [["reference loss, reverse loss at temperature", *(group.name for group in comparison.groups)]]
    for temperature in temperatures:
        points = [np.mean([e.sweep[temperature] for e in g.evaluations], axis=0) for g in comparison.groups]
        rows.append([f"{temperature:g}", *(", ".join(map(_point, point)) for point in points)])
    return "\n".join(_aligned(rows))


def frontier_table(groups: Sequence[Group]) -> str:
    """Returns a table of quality and diversity by cut-off and temperature, means over seeds.

    A cell has reference loss, own entropy, reverse loss, and `union_gap` to the first group's run of the same seed,
    over the seeds that both have.

    Args:
        groups: groups of runs with the same temperatures and cut-offs.
    """
    first = groups[0]
    title = "reference loss, own entropy, reverse loss, gap at epsilon and temperature"
    rows = [[title, *(group.name for group in groups)]]
    for temperature, epsilon in sorted(first.evaluations[0].frontier, key=lambda pair: pair[::-1]):
        cells = []
        for group in groups:
            points = {seed: run.evaluation.frontier[temperature, epsilon] for seed, run in group.runs.items()}
            gap = _mean_gap(points, first)
            losses = np.mean(list(points.values()), axis=0)
            cells.append(", ".join([*map(_point, losses), f"{gap:+.4f}" if math.isfinite(gap) else "–"]))
        rows.append([f"{epsilon:g}, {temperature:g}", *cells])
    return "\n".join(_aligned(rows))


def cut_off_table(groups: Sequence[Group]) -> str:
    """Returns a table of the rollouts at temperature 1, one line per group, one column per cut-off, means over seeds.

    A cell has reference loss less own entropy (KL(model ‖ reference)), and reverse loss.

    Args:
        groups: groups of runs with the same cut-offs.
    """
    epsilons = sorted(epsilon for temperature, epsilon in groups[0].evaluations[0].frontier if temperature == 1.0)
    rows = [["divergence from the reference, reverse loss at a cut-off of", *(f"{epsilon:g}" for epsilon in epsilons)]]
    for group in groups:
        cells = []
        for epsilon in epsilons:
            points = [evaluation.frontier[1.0, epsilon] for evaluation in group.evaluations]
            pairs = [(point.reference_loss - point.own_entropy, point.reverse_loss) for point in points]
            cells.append(", ".join(map(_point, np.mean(pairs, axis=0))))
        rows.append([group.name, *cells])
    return "\n".join(_aligned(rows))


def _mean_gap(points: Mapping[int, Point], first: Group) -> float:
    """Returns the mean of `union_gap` over the seeds that the first group has too; nan without such a seed."""
    gaps = [
        union_gap((point.reference_loss, point.reverse_loss), first.runs[seed].evaluation.frontier)
        for seed, point in points.items()
        if seed in first.runs
    ]
    return float(np.mean(gaps)) if gaps else math.nan


def _partly_measured(comparison: Comparison) -> list[str]:
    """Returns lines on the measures that only some runs have a value of."""
    groups = comparison.groups
    names = dict.fromkeys(name for group in groups for run in group.runs.values() for name in run.measures)
    partly = [name for name in names if any(len(group.values(name)) < len(group.runs) for group in groups)]
    common, absent = ([n for n in partly if (n in comparison.measures) == is_in] for is_in in (True, False))
    lines = {"over the seeds of the first group only": common, "left out, because some run has no value": absent}
    return [f"- {line}: {', '.join(found)}" for line, found in lines.items() if found]


def _bases(group: Group) -> str:
    """Returns the warm starts of a group if there are several: their differences contribute to its noise."""
    return f", warm-started from different runs: {', '.join(group.bases)}" if len(group.bases) > 1 else ""


def _real(group: Group, measure: str) -> str:
    reals = [real for run in group.runs.values() if (real := run.measures[measure].real) is not None]
    return _number(float(np.mean(reals)), math.nan) if len(reals) == len(group.runs) else ""


def _spread(values: Sequence[float]) -> str:
    return _number(float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else math.nan)


def _shown(difference: Difference | None, with_p: bool = True) -> str:
    if difference is None:
        return ""
    p = f" (p {difference.p:.2g})" if with_p and not math.isnan(difference.p) else ""
    star = " \\*" if difference.beyond_noise else ""
    return f"{_number(difference.mean, difference.deviation, '+')}{p}{star}"


def _number(mean: float, deviation: float, sign: str = "") -> str:
    """Returns a number with its deviation, if there is one; large numbers (per cent) have fewer digits."""
    digits = 1 if abs(mean) >= 100 or deviation >= 2 else 4
    return f"{mean:{sign}.{digits}f}" + ("" if math.isnan(deviation) else f" ± {deviation:.{digits}f}")


def _tested(comparison: Comparison) -> str:
    if len(comparison.groups) == 1:
        return "Mean ± standard deviation over seeds. There is only one group, so there is no comparison."
    count = sum(not math.isnan(difference.p) for difference in comparison.differences.values())
    how = f"No test was made, because no group has {MIN_SEEDS} seeds in common with the first one."
    if count:
        how = (
            "\\*: beyond noise, by a two-sided paired t test with Holm's correction over the "
            f"{count} tests of this table, at a family-wise error rate of {ERROR_RATE:.0%}."
        )
    return (
        "Mean ± standard deviation over seeds; real text as the first group reads it; differences are paired by seed. "
        f"{how} A group is better only if it also lies outside the first group's curve of quality and diversity."
    )


def _point(value: float) -> str:
    return f"{value:.4f}" if math.isfinite(value) else "–"


def _aligned(rows: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["| " + " | ".join(cell.ljust(n) for cell, n in zip(row, widths, strict=True)) + " |" for row in rows]
    return [lines[0], "|" + "|".join("-" * (n + 2) for n in widths) + "|", *lines[1:]]
