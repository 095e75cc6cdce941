"""Runs that differ in their seed only are a group; groups are compared seed by seed with the first one.

    comparison = compare(runs)
    print(table(comparison))
"""

import math
from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

import numpy as np

from charrnn.errors import UserError
from charrnn.measures.open_loop import Measure, Report
from trainers.evaluation import statistics
from trainers.evaluation.evaluation import Evaluation
from trainers.experiment import registered
from trainers.run_directory.directory import flat

_IGNORED_GROUPS = ("experiment", "corpus", "seed", "init_from", "samples", "versions", "command")
_IGNORED_SETTINGS = """
    loop.log_every loop.evaluate_every loop.save_every loop.keep loop.steps_per_loop loop.histograms_every loop.profile
    runtime.strategy runtime.virtual_replicas runtime.worker_timeout optimizer.accumulate
""".split()
"""What changes nothing that is learnt, but for rounding."""
ERROR_RATE = 0.05
MIN_SEEDS = 3
_POINTS_PER_LINE = 100  # that each line of a curve is cut into


class MeasuredRun(NamedTuple):
    """A run, and what was measured of it; groups can be made without."""

    path: str
    config: dict  # config.json
    evaluation: Evaluation = Evaluation("", "", Report({}, {}), {})

    @property
    def seed(self) -> int:
        """Of the training."""
        return self.config["seed"]

    @property
    def measures(self) -> dict[str, Measure]:
        """By name."""
        return self.evaluation.report.measures

    @property
    def base(self) -> str:
        """The run whose weights it began with; "" if it began with random ones."""
        return self.config.get("init_from", "")

    @property
    def settings(self) -> dict[str, str]:
        """All that decides what was learnt, but for the seed and for which run it was warm-started from."""
        settings = flat({name: value for name, value in self.config.items() if name not in _IGNORED_GROUPS})
        told = {name: str(value) for name, value in settings.items() if name not in _IGNORED_SETTINGS}
        return {**told, "trainer.class": registered(told["trainer.class"]), "warm_start": str(self.base != "")}


class Group(NamedTuple):
    """Runs with the same settings, by seed."""

    name: str
    runs: dict[int, MeasuredRun]

    @property
    def bases(self) -> list[str]:
        """The runs that these were warm-started from, each once."""
        return sorted({run.base for run in self.runs.values() if run.base})

    @property
    def evaluations(self) -> list[Evaluation]:
        """One a run."""
        return [run.evaluation for run in self.runs.values()]

    def values(self, measure: str) -> list[float]:
        """One a run that has one."""
        values = (run.measures[measure].value for run in self.runs.values())
        return [value for value in values if value is not None]


class Difference(NamedTuple):
    """A group less the first one, over the seeds that both have."""

    mean: float
    deviation: float  # standard, of the seeds' differences; nan for one seed
    num_seeds: int
    p: float  # of the t test, two-sided; nan where there are too few seeds
    beyond_noise: bool  # by Holm's rule over all tests of the comparison


class Comparison(NamedTuple):
    """Groups in the order in which they were given, and how each later one differs from the first."""

    groups: list[Group]
    measures: list[str]
    differences: dict[tuple[str, str], Difference]  # (group, measure)


def compare(runs: Sequence[MeasuredRun], measures: Sequence[str] = ()) -> Comparison:
    """Groups the runs and tests each measure.

    Args:
        runs: measured.
        measures: which ones; none: all that every run has. The more, the larger must a difference be.

    Raises:
        UserError: two runs have settings and seed in common.
    """
    groups = group_runs(runs)
    measures = [name for name in measures or runs[0].measures if all(_measured(run, name) for run in runs)]
    found = {}
    for name in measures:
        found.update(_differences(groups, name))
    accepted = statistics.holm({key: difference.p for key, difference in found.items()}, ERROR_RATE)
    found = {key: difference._replace(beyond_noise=key in accepted) for key, difference in found.items()}
    return Comparison(groups, measures, found)


def group_runs(runs: Sequence[MeasuredRun]) -> list[Group]:
    """The groups, in the order of their first runs; each is named by what sets it apart.

    Seeds that were each warm-started from a run of their own are a group. If a seed comes twice, from two bases, then
    the bases are what is compared, and each is a group.
    """
    parts = [part for same in _alike(runs, lambda run: frozenset(run.settings.items())) for part in _by_base(same)]
    parts.sort(key=lambda part: runs.index(part[0]))
    for part in parts:
        seeds: dict[int, MeasuredRun] = {}
        for run in part:
            twin = seeds.setdefault(run.seed, run)
            if twin is not run:
                same = f"have the same settings and seed {run.seed}"
                raise UserError(f"{twin.path} and {run.path} {same}: give one of them.")
    return [Group(name, {run.seed: run for run in part}) for name, part in zip(_names(parts), parts, strict=True)]


def _alike(runs: Sequence[MeasuredRun], key: Callable[[MeasuredRun], Hashable]) -> list[list[MeasuredRun]]:
    """The runs that have the same key, together."""
    parts: dict[Hashable, list[MeasuredRun]] = {}
    for run in runs:
        parts.setdefault(key(run), []).append(run)
    return list(parts.values())


def _by_base(runs: list[MeasuredRun]) -> list[list[MeasuredRun]]:
    """One group, or one a base where a seed comes twice."""
    return _alike(runs, lambda run: run.base) if len({run.seed for run in runs}) < len(runs) else [runs]


def with_curve_gaps(runs: Sequence[MeasuredRun]) -> list[MeasuredRun]:
    """The runs with "curve_gap" among their measures: that of temperature 1 from the first group's curve, by seed."""
    curves = {seed: run.evaluation.sweep for seed, run in group_runs(runs)[0].runs.items()}
    found = []
    for run in runs:
        evaluation = run.evaluation
        if run.seed in curves and 1.0 in evaluation.sweep:
            gap = Measure(curve_gap(evaluation.sweep[1.0], curves[run.seed]), None).finite()
            report = evaluation.report._replace(measures={**evaluation.report.measures, "curve_gap": gap})
            run = run._replace(evaluation=evaluation._replace(report=report))
        found.append(run)
    return found


def curve_gap(point: tuple[float, float], curve: dict[float, tuple[float, float]]) -> float:
    """How far a point of quality and diversity lies inside of a curve, nats per character; below 0 it lies outside.

    The curve has a point that is better by so much in both, but none that is by more.

    Args:
        point: reference loss and reverse loss.
        curve: by temperature the same, with straight lines from one to the next.
    """
    points = np.array([curve[temperature] for temperature in sorted(curve)])
    places = np.linspace(0, len(points) - 1, _POINTS_PER_LINE * (len(points) - 1) + 1)
    lines = np.stack([np.interp(places, np.arange(len(points)), each) for each in points.T], 1)
    return float(np.max(np.min(np.array(point) - lines, 1)))


def _measured(run: MeasuredRun, name: str) -> bool:
    return name in run.measures and run.measures[name].value is not None


def _differences(groups: Sequence[Group], measure: str) -> dict[tuple[str, str], Difference]:
    """Of each later group from the first, by names of group and measure; the noise is that of all, where it can be."""
    first, *others = (dict(zip(group.runs, group.values(measure), strict=True)) for group in groups)
    noise = None
    if others and len(first) >= MIN_SEEDS and all(other.keys() == first.keys() for other in others):
        noise = statistics.pooled_variance(np.array([[each[seed] for seed in first] for each in (first, *others)]))
    found = {}
    for group, other in zip(groups[1:], others, strict=True):
        paired = [other[seed] - first[seed] for seed in first if seed in other]
        if paired:
            found[group.name, measure] = _difference(np.array(paired), noise)
    return found


def _difference(differences: np.ndarray, noise: tuple[float, int] | None) -> Difference:
    count = len(differences)
    deviation = float(differences.std(ddof=1)) if count > 1 else math.nan
    p = statistics.t_test(differences, noise) if count >= MIN_SEEDS else math.nan
    return Difference(float(differences.mean()), deviation, count, p, False)


def _names(alike: list[list[MeasuredRun]]) -> list[str]:
    """For each group what sets it apart: settings that all groups have, and where that does not do, all settings."""
    all_settings = [part[0].settings for part in alike]
    all_settings = [
        {**settings, "init_from": part[0].base} if all_settings.count(settings) > 1 else settings
        for settings, part in zip(all_settings, alike, strict=True)
    ]
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
    if name == "trainer.class":
        return value.rpartition(":")[2]
    return f"{name.rpartition('.')[2]}={value}"
