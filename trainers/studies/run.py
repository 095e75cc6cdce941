"""Trains and measures the runs of a study, or what is left of them."""

import functools
import io
import shlex
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from charrnn import run_files
from charrnn.errors import UserError, check_epsilon, check_temperature, require
from charrnn.measures.open_loop import Protocol
from trainers.evaluation import comparison, evaluation, measures_file
from trainers.evaluation.comparison import Comparison, MeasuredRun
from trainers.experiment import Experiment
from trainers.launch import build
from trainers.loop.divergence import Diverged
from trainers.loop.stopping import Stopped
from trainers.reports.console import Console
from trainers.studies import findings
from trainers.studies.plan import Planned

MEASURES = """
    nats_per_char reference_loss own_entropy divergence_open impossible error_after_error reverse_loss curve_gap
    union_gap valid_words
""".split()
"""The measures that a study tests by default, as far as the runs have them."""


class How(NamedTuple):
    """How the runs are measured."""

    protocol: Protocol
    temperatures: tuple[float, ...] = (0.7, 0.8, 0.9, 1.0, 1.1)
    epsilons: tuple[float, ...] = (0.001, 0.004, 0.01)  # cut-offs besides the protocol's
    weights: str = "newest"  # or "best"
    measures: tuple[str, ...] = ()  # that are tested besides those that the finding needs; empty: MEASURES


class Found(NamedTuple):
    """The measured runs of a study."""

    compared: Comparison
    epsilon: float  # the first arm's best cut-off; 0: none
    diverged: dict[str, str]  # why an arm is not compared, by its name

    @property
    def finding(self) -> str:
        """The paragraph on what was found."""
        lost = [f"`{arm}` diverged and is not compared." for arm in self.diverged]
        return " ".join([findings.finding(self.compared, self.epsilon), *lost])


def refuse_mistakes(plan: Sequence[Planned], how: How) -> None:
    """Raises UserError for what would stop a study later. Builds a trainer per arm that has something to train."""
    _refuse_protocol(how)
    first = {planned.arm: planned for planned in reversed(plan)}
    if len(first) < 2:
        raise UserError("A study compares two arms or more: give two --trainers, an --arm, or a --grid.")
    same: dict[Experiment, str] = {}
    for planned in plan:
        twin = same.setdefault(planned.experiment, planned.arm)
        if twin != planned.arm:
            raise UserError(f"The arms {twin} and {planned.arm} have the same settings: leave one out.")
    for planned in first.values():
        evaluation.counted(planned.texts, how.protocol)
        gaps = ["curve_gap", "union_gap"] if any(how.epsilons) else ["curve_gap"]
        known = [*evaluation.measure_names(planned.texts, planned.experiment.data, how.protocol), *gaps]
        for name in how.measures:
            require("--measures", name, name in known, f"among {', '.join(known)}")
    left = {planned.arm: planned for planned in plan if not planned.is_complete()}
    for planned in left.values():
        build.make_trainer(planned.experiment, planned.texts)


def _refuse_protocol(how: How) -> None:
    for temperature in how.temperatures:
        check_temperature("--temperatures", temperature)
    for epsilon in how.epsilons:
        check_epsilon("--epsilons", epsilon)
    require("--temperatures", ",".join(map(str, how.temperatures)), 1.0 in how.temperatures, "a list with 1")
    require("--weights", how.weights, how.weights in ("best", "newest"), "best or newest")


def run(plan: Sequence[Planned], how: How, look: Callable[[], None], say: Callable[[str], None]) -> Found:
    """Trains unfinished runs, measures those without measures, and compares all.

    Args:
        plan: the runs.
        how: the protocol.
        look: raises Stopped if the study was asked to stop.
        say: called with a line per run.

    Returns:
        The comparison, without an arm of which a run diverged.

    Raises:
        UserError: a directory belongs to another run, or a text has changed.
        Diverged: the first arm diverged, or all others.
        Stopped: the study was asked to stop; what was done is saved.
    """
    runs: list[MeasuredRun] = []
    diverged: dict[str, str] = {}
    for number, planned in enumerate(plan, 1):
        if planned.arm in diverged:
            continue
        place, start = f"{number}/{len(plan)} {planned.run_dir}", time.perf_counter()
        try:
            _train(planned, look, functools.partial(say, f"{place}: training"))
        except Diverged as error:
            diverged[planned.arm] = f"{planned.run_dir}: {error}"
            _require_two(plan, diverged)
            say(f"{place}: diverged, {error}; the arm {planned.arm} is left out")
            continue
        look()
        runs.append(_measured(planned, how))
        loss, took = runs[-1].measures["nats_per_char"].value, time.perf_counter() - start
        say(f"{place}: {loss:.4f} nats per character, {took:.0f} s")
    runs = [each for each in runs if each.group not in diverged]
    return compared(runs, how.measures)._replace(diverged=diverged)


def _train(planned: Planned, look: Callable[[], None], begin: Callable[[], None]) -> None:
    """Trains a run, and calls `begin` first, unless it is complete. Raises Stopped if asked to stop, and Diverged."""
    if planned.is_complete():
        return
    begin()
    console = Console(io.StringIO())
    call = shlex.split(planned.command)
    if not build.run_experiment(planned.experiment, planned.name, planned.run_dir, "auto", console, look, call):
        raise Stopped


def _require_two(plan: Sequence[Planned], diverged: dict[str, str]) -> None:
    """Raises Diverged if the first arm has diverged, or all others, because then there is nothing to compare."""
    first, *others = dict.fromkeys(planned.arm for planned in plan)
    if first in diverged or all(other in diverged for other in others):
        remedy = "set optimizer.learning_rate lower, or leave the arm out"
        raise Diverged(f"{'; '.join(diverged.values())}; no two arms are left to compare: {remedy}")


def _measured(planned: Planned, how: How) -> MeasuredRun:
    """Returns a run with its measures, from its directory if they are there."""
    found = measures_file.read_or_evaluate(
        planned.run_dir, how.protocol, None, how.weights, how.temperatures, how.epsilons
    )
    if found.corpus_sha256 != planned.texts.sha256:
        corpus = planned.experiment.corpus
        raise UserError(f"{corpus} has changed during the study: restore it, or give another --study_dir.")
    return MeasuredRun(planned.run_dir, run_files.read_config(planned.run_dir), found, planned.arm)


def compared(runs: Sequence[MeasuredRun], measures: Sequence[str] = ()) -> Found:
    """Compares the first arm with the others, without a cut-off and with the best one of the first arm.

    Args:
        runs: measured runs, each with the name of its arm.
        measures: names of the measures that are tested, besides those that the finding needs; empty: those of
            MEASURES that all runs have.
    """
    runs, epsilon = comparison.with_curve_gaps(runs), 0.0
    chosen = [*(measures or MEASURES), *findings.NEEDED]
    first = comparison.group_runs(runs)[0]
    if comparison.has_cut_offs(first.evaluations[0]):
        epsilon = comparison.best_cut_off(first)
    if epsilon:
        at = [f"{name}_at_{epsilon:g}" for name in ("divergence_open", "reference_loss", "reverse_loss", "union_gap")]
        runs, chosen = comparison.with_measures_at(runs, epsilon), [*chosen, *at]
    return Found(comparison.compare(runs, list(dict.fromkeys(chosen))), epsilon, {})
