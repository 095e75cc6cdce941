"""Runs that differ in their seed only are a group; groups are compared seed by seed with the first one.

    comparison = compare(runs)
    print(table(comparison))
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from charrnn.errors import UserError
from charrnn.open_loop import Measure
from trainers.evaluation import Evaluation
from trainers.run_directory import flat

_NO_SETTINGS = ("experiment", "corpus", "seed", "samples", "versions", "command")
_NO_SETTING_OF_THE_LOOP = ("loop.log_every", "loop.evaluate_every", "loop.save_every", "loop.keep")
_LEVEL = 0.05
_FEWEST_SEEDS = 3


class Run(NamedTuple):
    """A run, and what was measured of it; groups can be made without."""

    path: str
    config: dict  # config.json
    evaluation: Evaluation | None = None

    @property
    def seed(self) -> int:
        """Of the training."""
        return self.config["seed"]

    @property
    def measures(self) -> dict[str, Measure]:
        """By name."""
        return self.evaluation.report.measures

    @property
    def settings(self) -> dict[str, object]:
        """All that decides what was learnt, but for the seed."""
        settings = flat({name: value for name, value in self.config.items() if name not in _NO_SETTINGS})
        return {name: str(value) for name, value in settings.items() if name not in _NO_SETTING_OF_THE_LOOP}


class Group(NamedTuple):
    """Runs with the same settings, by seed."""

    name: str
    runs: dict[int, Run]

    @property
    def evaluations(self) -> list[Evaluation]:
        """One a run."""
        return [run.evaluation for run in self.runs.values()]

    def values(self, measure: str) -> list[float]:
        """One a run."""
        return [run.measures[measure].value for run in self.runs.values()]


class Difference(NamedTuple):
    """A group less the first one, over the seeds that both have."""

    mean: float
    deviation: float  # standard, of the seeds' differences; nan for one seed
    num_seeds: int
    p: float  # of the paired t test, two-sided; nan where there are too few seeds
    beyond_noise: bool  # by Holm's rule over all tests of the comparison


class Comparison(NamedTuple):
    """Groups in the order in which they were given, and how each later one differs from the first."""

    groups: list[Group]
    measures: list[str]
    differences: dict[tuple[str, str], Difference]  # (group, measure)


def compare(runs: Sequence[Run]) -> Comparison:
    """Groups the runs and tests each measure.

    Raises:
        UserError: two runs have settings and seed in common.
    """
    groups = group(runs)
    measures = [name for name in runs[0].measures if all(_measured(run, name) for run in runs)]
    found = {}
    for other in groups[1:]:
        common = [seed for seed in groups[0].runs if seed in other.runs]
        for name in measures if common else ():
            pairs = ((other.runs[seed].measures[name], groups[0].runs[seed].measures[name]) for seed in common)
            found[other.name, name] = _difference(np.array([new.value - old.value for new, old in pairs]))
    accepted = holm({key: difference.p for key, difference in found.items()}, _LEVEL)
    found = {key: difference._replace(beyond_noise=key in accepted) for key, difference in found.items()}
    return Comparison(groups, measures, found)


def group(runs: Sequence[Run]) -> list[Group]:
    """The groups, in the order of their first runs; each is named by what sets it apart."""
    alike: list[list[Run]] = []
    for run in runs:
        same = next((others for others in alike if others[0].settings == run.settings), None)
        if same is None:
            alike.append([run])
            continue
        twin = next((other for other in same if other.seed == run.seed), None)
        if twin is not None:
            raise UserError(f"{twin.path} and {run.path} have the same settings and seed {run.seed}: give one of them.")
        same.append(run)
    return [Group(name, {run.seed: run for run in part}) for name, part in zip(_names(alike), alike, strict=True)]


def t_test(differences: np.ndarray) -> float:
    """The two-sided p of the paired t test: how often chance alone makes a mean as far from 0 as that of `[N]`.

    Student's distribution by Abramowitz & Stegun 1964, 26.7.3 and 26.7.4. N at least 2.
    """
    error = differences.std(ddof=1) / math.sqrt(len(differences))
    if error == 0:
        return 1.0 if differences.mean() == 0 else 0.0
    freedom = len(differences) - 1
    angle = math.atan(abs(differences.mean() / error) / math.sqrt(freedom))
    odd = freedom % 2
    total, term = 0.0, math.cos(angle) if odd else 1.0
    for k in range(1 + odd, freedom, 2):
        total += term
        term *= math.cos(angle) ** 2 * k / (k + 1)
    inside = math.sin(angle) * total
    return 1 - (2 / math.pi * (angle + inside) if odd else inside)


def holm(ps: dict, level: float) -> set:
    """The tests that hold together: the chance that any of them errs is `level` at most (Holm 1979)."""
    tested = sorted((p, key) for key, p in ps.items() if not math.isnan(p))
    accepted = set()
    for i, (p, key) in enumerate(tested):
        if p > level / (len(tested) - i):
            break
        accepted.add(key)
    return accepted


def table(comparison: Comparison) -> str:
    """Markdown: each measure for real text as the first group reads it, and for every group; and how it was tested."""
    groups = comparison.groups
    first, *others = groups
    rows = [["measure", "real text", *(group.name for group in groups), *(f"{g.name} − first" for g in others)]]
    for name in comparison.measures:
        reals = [run.measures[name].real for run in first.runs.values()]
        row = [name, "" if reals[0] is None else f"{np.mean(reals):.4f}", *(_spread(g.values(name)) for g in groups)]
        rows.append(row + [_told(comparison.differences.get((group.name, name))) for group in others])
    seeds = [f"{group.name}: seeds {', '.join(map(str, sorted(group.runs)))}" for group in groups]
    return "\n".join([*_aligned(rows), "", *(f"- {line}" for line in seeds), "", _tested(comparison)])


def sweep_table(comparison: Comparison) -> str:
    """Markdown: quality and diversity by temperature, means over seeds."""
    temperatures = list(comparison.groups[0].evaluations[0].sweep)
    rows = [["temperature", *(f"{group.name}: reference loss, reverse loss" for group in comparison.groups)]]
    for temperature in temperatures:
        points = [np.mean([e.sweep[temperature] for e in g.evaluations], axis=0) for g in comparison.groups]
        rows.append([f"{temperature:g}", *(f"{quality:.4f}, {reverse:.4f}" for quality, reverse in points)])
    return "\n".join(_aligned(rows))


def _measured(run: Run, name: str) -> bool:
    return name in run.measures and run.measures[name].value is not None


def _difference(differences: np.ndarray) -> Difference:
    count = len(differences)
    deviation = float(differences.std(ddof=1)) if count > 1 else math.nan
    p = t_test(differences) if count >= _FEWEST_SEEDS else math.nan
    return Difference(float(differences.mean()), deviation, count, p, False)


def _names(alike: list[list[Run]]) -> list[str]:
    """For each group what sets it apart: settings that all groups have, and where that does not do, all settings."""
    all_settings = [part[0].settings for part in alike]
    known = dict.fromkeys(name for settings in all_settings for name in settings)
    differing = [name for name in known if len({settings.get(name) for settings in all_settings}) > 1]
    shared = [name for name in differing if all(name in settings for settings in all_settings)]
    for telling in (shared, differing):
        names = [", ".join(_setting(n, s[n]) for n in telling if n in s) for s in all_settings]
        names = [name or part[0].config["experiment"] for name, part in zip(names, alike, strict=True)]
        if len(set(names)) == len(names):
            return names
    return [part[0].path for part in alike]


def _setting(name: str, value: str) -> str:
    return value.rpartition(":")[2] if name == "trainer.class" else f"{name.rpartition('.')[2]}={value}"


def _spread(values: Sequence[float]) -> str:
    deviation = f" ± {np.std(values, ddof=1):.4f}" if len(values) > 1 else ""
    return f"{np.mean(values):.4f}{deviation}"


def _told(difference: Difference | None) -> str:
    if difference is None:
        return ""
    deviation = "" if math.isnan(difference.deviation) else f" ± {difference.deviation:.4f}"
    p = "" if math.isnan(difference.p) else f" (p {difference.p:.2g})"
    star = " \\*" if difference.beyond_noise else ""
    return f"{difference.mean:+.4f}{deviation}{p}{star}"


def _tested(comparison: Comparison) -> str:
    if len(comparison.groups) == 1:
        return "Mean ± standard deviation over seeds. There is one group only: nothing to compare it with."
    count = sum(not math.isnan(difference.p) for difference in comparison.differences.values())
    how = f"Nothing was tested, for no group has {_FEWEST_SEEDS} seeds in common with the first."
    if count:
        how = (
            "\\*: beyond noise by a two-sided paired t test, with Holm's correction over the "
            f"{count} tests of this table, at {_LEVEL:.0%} together."
        )
    return (
        "Mean ± standard deviation over seeds; real text as the first group reads it; differences are paired by seed. "
        f"{how} Better is only what also lies outside the first group's curve of quality and diversity."
    )


def _aligned(rows: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["| " + " | ".join(cell.ljust(n) for cell, n in zip(row, widths, strict=True)) + " |" for row in rows]
    return [lines[0], "|" + "|".join("-" * (n + 2) for n in widths) + "|", *lines[1:]]
