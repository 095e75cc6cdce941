"""Runs that differ only in their seed form a group; each group is compared with the first one, seed by seed.

    comparison = compare(runs)
    print(table(comparison))
"""

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from charrnn.errors import UserError
from charrnn.measures.frontier import Point
from charrnn.measures.open_loop import Measure, Report
from trainers.evaluation import statistics
from trainers.evaluation.evaluation import Evaluation
from trainers.experiment import registered
from trainers.run_directory.directory import flat

_IGNORED_GROUPS = ("experiment", "corpus", "seed", "init_from", "samples", "versions", "command")
_IGNORED_SETTINGS = """
    loop.log_every loop.save_every loop.keep loop.steps_per_loop loop.histograms_every loop.profile
    runtime.strategy runtime.virtual_replicas runtime.worker_timeout optimizer.accumulate
""".split()
"""Settings that do not affect what is learnt, except for rounding. `loop.evaluate_every` does: the best weights and an
early stop are found at an evaluation, and curricula may change there."""
ERROR_RATE = 0.05  # family-wise, over all tests of a comparison
MIN_SEEDS = 3  # of a test
_POINTS_PER_LINE = 100  # of a curve, between two temperatures


class MeasuredRun(NamedTuple):
    """A run and its evaluation, which is empty if the runs are only grouped."""

    path: str  # the run directory
    config: dict  # the content of config.json
    evaluation: Evaluation = Evaluation("", "", Report({}, {}), {})
    group: str = ""  # name of its group; "": runs with the same settings are a group, named by what differs

    @property
    def seed(self) -> int:
        """Seed of the training."""
        return self.config["seed"]

    @property
    def measures(self) -> dict[str, Measure]:
        """Measures by name."""
        return self.evaluation.report.measures

    @property
    def base(self) -> str:
        """Run directory of the warm start; "" if there was none."""
        return self.config.get("init_from", "")

    @property
    def settings(self) -> dict[str, str]:
        """Settings that affect what is learnt, without the seed and the run of the warm start."""
        settings = flat({name: value for name, value in self.config.items() if name not in _IGNORED_GROUPS})
        relevant = {name: str(value) for name, value in settings.items() if name not in _IGNORED_SETTINGS}
        return {**relevant, "trainer.class": registered(relevant["trainer.class"]), "warm_start": str(self.base != "")}


class Group(NamedTuple):
    """Runs that differ only in their seed."""

    name: str
    runs: dict[int, MeasuredRun]  # by seed

    @property
    def bases(self) -> list[str]:
        """Run directories of the warm starts, each once."""
        return sorted({run.base for run in self.runs.values() if run.base})

    @property
    def evaluations(self) -> list[Evaluation]:
        """Evaluations, one per run."""
        return [run.evaluation for run in self.runs.values()]

    def values(self, measure: str) -> list[float]:
        """Returns the values of a measure, one per run that has one."""
        return list(self.by_seed(measure).values())

    def by_seed(self, measure: str) -> dict[int, float]:
        """Returns the values of a measure by seed, of the runs that have one."""
        found = {seed: run.measures[measure].value for seed, run in self.runs.items() if measure in run.measures}
        return {seed: value for seed, value in found.items() if value is not None}


class Difference(NamedTuple):
    """Difference between a group and the first one, over their common seeds."""

    mean: float
    deviation: float  # standard deviation over seeds; nan for one seed
    num_seeds: int
    p: float  # of the two-sided t test; nan for fewer than MIN_SEEDS seeds
    beyond_noise: bool  # accepted by Holm's correction over all tests of the comparison
    half_width: float = math.nan  # of the 95 % confidence interval; nan for fewer than MIN_SEEDS seeds


class Comparison(NamedTuple):
    """Groups in the given order, and the differences of the later ones from the first."""

    groups: list[Group]
    measures: list[str]
    differences: dict[tuple[str, str], Difference]  # (group, measure)


def compare(runs: Sequence[MeasuredRun], measures: Sequence[str] = ()) -> Comparison:
    """Groups the runs and tests each measure.

    Args:
        runs: measured runs.
        measures: names of measures; empty: all that every run has. A gap to the first group's curves needs no value
            for a seed that this group does not have. With more tests, a difference must be larger to be accepted.

    Raises:
        UserError: two runs have the same settings and seed.
    """
    groups = group_runs(runs)
    measures = [name for name in measures or runs[0].measures if _is_measured(groups, name)]
    found = {}
    for name in measures:
        found.update(_differences(groups, name))
    accepted = statistics.holm({key: difference.p for key, difference in found.items()}, ERROR_RATE)
    found = {key: difference._replace(beyond_noise=key in accepted) for key, difference in found.items()}
    return Comparison(groups, measures, found)


def _is_measured(groups: Sequence[Group], measure: str) -> bool:
    """Returns whether all runs have a value, except those without a first run of their seed, which have no gap."""

    def needed(group):
        return {seed for seed, run in group.runs.items() if seed in groups[0].runs or measure in run.measures}

    return all(needed(group) and group.by_seed(measure).keys() >= needed(group) for group in groups)


def group_runs(runs: Sequence[MeasuredRun]) -> list[Group]:
    """Groups runs, in the order of their first runs.

    Runs that name a group belong to it. The others form groups by their settings, named by those that differ.

    Runs that were each warm-started from another run form one group. If a seed occurs twice, with two warm starts, the
    warm starts are compared, and each forms a group.

    Args:
        runs: at least one.

    Raises:
        UserError: two runs have the same settings and seed.
    """
    alike = _alike(runs, lambda run: run.group or frozenset(run.settings.items()))
    parts = [part for same in alike for part in _by_base(same)]
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
    """Returns lists of runs with the same key."""
    parts: dict[Hashable, list[MeasuredRun]] = {}
    for run in runs:
        parts.setdefault(key(run), []).append(run)
    return list(parts.values())


def _by_base(runs: list[MeasuredRun]) -> list[list[MeasuredRun]]:
    """Returns one list, or one per warm start if a seed occurs twice."""
    return _alike(runs, lambda run: run.base) if len({run.seed for run in runs}) < len(runs) else [runs]


def with_curve_gaps(runs: Sequence[MeasuredRun]) -> list[MeasuredRun]:
    """Returns the runs with their gaps at temperature 1 to the first group's curves of the same seed.

    "curve_gap" is to its curve over temperatures, and "union_gap" to its curves at all cut-offs, if it has several.

    Args:
        runs: measured runs.
    """
    first = {seed: run.evaluation for seed, run in group_runs(runs)[0].runs.items()}
    found = []
    for run in runs:
        evaluation = run.evaluation
        if run.seed in first and 1.0 in evaluation.sweep:
            point, base = evaluation.sweep[1.0], first[run.seed]
            gaps = {"curve_gap": curve_gap(point, base.sweep)}
            if has_cut_offs(base):
                gaps["union_gap"] = union_gap(point, base.frontier)
            found_gaps = {name: Measure(gap, None).finite() for name, gap in gaps.items()}
            report = evaluation.report._replace(measures={**evaluation.report.measures, **found_gaps})
            run = run._replace(evaluation=evaluation._replace(report=report))
        found.append(run)
    return found


def best_cut_off(group: Group) -> float:
    """Returns the cut-off whose rollouts, at temperature 1, are best in quality and diversity together.

    They have the smallest sum of reference loss less own entropy, which is KL(model ‖ reference), and reverse loss; the
    mean over the runs counts.

    Args:
        group: runs with the same cut-offs.
    """
    found: dict[float, list[float]] = {}
    for evaluation in group.evaluations:
        for (temperature, epsilon), point in evaluation.frontier.items():
            if temperature == 1.0:
                cost = point.reference_loss - point.own_entropy + point.reverse_loss
                found.setdefault(epsilon, []).append(cost)
    return min(sorted(found), key=lambda epsilon: float(np.mean(found[epsilon])))


def with_measures_at(runs: Sequence[MeasuredRun], epsilon: float) -> list[MeasuredRun]:
    """Returns the runs with the measures at temperature 1 and a cut-off: "reference_loss_at_0.004" and others.

    "union_gap_at_0.004" is the gap to the first group's curves of the same seed. "divergence_open_at_0.004" is there if
    the run has a "divergence_open".

    Args:
        runs: measured runs.
        epsilon: one of their cut-offs.
    """
    first = {seed: run.evaluation for seed, run in group_runs(runs)[0].runs.items()}
    found = []
    for run in runs:
        point, report = run.evaluation.frontier[1.0, epsilon], run.evaluation.report
        values = {"reference_loss": point.reference_loss, "reverse_loss": point.reverse_loss}
        if "divergence_open" in report.measures:
            values["divergence_open"] = point.reference_loss - point.own_entropy
        if run.seed in first:
            values["union_gap"] = union_gap((point.reference_loss, point.reverse_loss), first[run.seed].frontier)
        at = {f"{name}_at_{epsilon:g}": Measure(value, None).finite() for name, value in values.items()}
        report = report._replace(measures={**report.measures, **at})
        found.append(run._replace(evaluation=run.evaluation._replace(report=report)))
    return found


def curve_gap(point: tuple[float, float], curve: dict[float, tuple[float, float]]) -> float:
    """Returns the distance of a point of quality and diversity to a curve; negative if the point is better.

    The distance is the largest d such that a point of the curve is better by d in both losses.

    Args:
        point: reference loss and reverse loss, nats per character.
        curve: temperature -> such a point; straight lines connect them.

    Returns:
        Nats per character.
    """
    points = np.array([curve[temperature] for temperature in sorted(curve)])
    places = np.linspace(0, len(points) - 1, _POINTS_PER_LINE * (len(points) - 1) + 1)
    lines = np.stack([np.interp(places, np.arange(len(points)), each) for each in points.T], 1)
    return float(np.max(np.min(np.array(point) - lines, 1)))


def has_cut_offs(evaluation: Evaluation) -> bool:
    """Returns whether an evaluation has points at more than one cut-off."""
    return len({epsilon for _, epsilon in evaluation.frontier}) > 1


def union_gap(point: tuple[float, float], frontier: Mapping[tuple[float, float], Point]) -> float:
    """Returns the distance of a point to the union of the curves at all cut-offs: the largest `curve_gap` to one.

    Args:
        point: reference loss and reverse loss, nats per character.
        frontier: (temperature, epsilon) -> a point; a curve has the temperatures of one epsilon.

    Returns:
        Nats per character.
    """
    curves: dict[float, dict[float, tuple[float, float]]] = {}
    for (temperature, epsilon), place in frontier.items():
        curves.setdefault(epsilon, {})[temperature] = place.reference_loss, place.reverse_loss
    return max(curve_gap(point, curve) for curve in curves.values())


def _differences(groups: Sequence[Group], measure: str) -> dict[tuple[str, str], Difference]:
    """Returns the differences by (group, measure)."""
    first, *others = (group.by_seed(measure) for group in groups)
    found = {}
    for group, other in zip(groups[1:], others, strict=True):
        paired = [other[seed] - first[seed] for seed in first if seed in other]
        if paired:
            found[group.name, measure] = _difference(np.array(paired))
    return found


def _difference(differences: np.ndarray) -> Difference:
    count = len(differences)
    deviation = float(differences.std(ddof=1)) if count > 1 else math.nan
    p = half_width = math.nan
    if count >= MIN_SEEDS:
        p, half_width = statistics.t_test(differences), statistics.half_width(differences, 1 - ERROR_RATE)
    return Difference(float(differences.mean()), deviation, count, p, False, half_width)


def _names(alike: list[list[MeasuredRun]]) -> list[str]:
    """Returns a name per group: the differing settings that all groups have, or all differing settings if needed."""
    if all(part[0].group for part in alike):
        return [part[0].group for part in alike]
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
