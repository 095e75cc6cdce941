"""Trains and measures the runs of a study, or what is left of them."""

import io
import shlex
import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from charrnn import run_files
from charrnn.errors import UserError, require
from charrnn.measures.open_loop import Protocol
from trainers.evaluation import comparison, measures_file
from trainers.evaluation.comparison import Comparison, MeasuredRun
from trainers.launch import build
from trainers.loop.divergence import Diverged
from trainers.loop.stopping import Stopped
from trainers.reports.console import Console
from trainers.studies.plan import Planned

MEASURES = """
    nats_per_char reference_loss own_entropy divergence_open impossible error_after_error reverse_loss curve_gap
    union_gap valid_words
""".split()
"""The measures that a study tests unless it is told which, as far as the runs have them."""


class How(NamedTuple):
    """How the runs are measured."""

    protocol: Protocol
    temperatures: tuple[float, ...] = (0.7, 0.8, 0.9, 1.0, 1.1)
    epsilons: tuple[float, ...] = (0.001, 0.004, 0.01)  # cut-offs besides the protocol's
    weights: str = "newest"  # or "best"
    measures: tuple[str, ...] = ()  # that are tested; empty: MEASURES


class Found(NamedTuple):
    """The measured runs of a study."""

    compared: Comparison
    epsilon: float  # the first arm's best cut-off; 0: none


def refuse_mistakes(plan: Sequence[Planned], how: How) -> None:
    """Raises UserError for what would stop a study later. Builds a trainer per arm that has something to train."""
    require("--temperatures", ",".join(map(str, how.temperatures)), 1.0 in how.temperatures, "a list with 1")
    require("--weights", how.weights, how.weights in ("best", "newest"), "best or newest")
    if len({planned.arm for planned in plan}) < 2:
        raise UserError("A study compares two arms or more: give two --trainers, an --arm, or a --grid.")
    tried = set()
    for planned in plan:
        how.protocol.pieces(planned.texts.validation)
        if not planned.is_complete() and planned.arm not in tried:
            tried.add(planned.arm)
            build.make_trainer(planned.experiment, planned.texts)


def run(plan: Sequence[Planned], how: How, look: Callable[[], None], say: Callable[[str], None]) -> Found:
    """Trains what is left of the runs, measures what is not yet measured, and compares.

    Args:
        plan: the runs.
        how: the protocol.
        look: raises Stopped if the study was asked to stop.
        say: called with a line per run.

    Raises:
        UserError: a directory belongs to another run, or there is no measure of a name.
        Diverged: a run diverged.
        Stopped: the study was asked to stop; what was done is saved.
    """
    runs = []
    for number, planned in enumerate(plan, 1):
        start = time.perf_counter()
        _train(planned, look)
        look()
        evaluation = measures_file.read_or_evaluate(
            planned.run_dir, how.protocol, None, how.weights, how.temperatures, how.epsilons
        )
        for name in how.measures:
            require("--measures", name, name in evaluation.report.measures, _among(evaluation.report.measures))
        runs.append(MeasuredRun(planned.run_dir, run_files.read_config(planned.run_dir), evaluation, planned.arm))
        loss, took = evaluation.report.measures["nats_per_char"].value, time.perf_counter() - start
        say(f"{number}/{len(plan)} {planned.run_dir}: {loss:.4f} nats per character, {took:.0f} s")
    return compared(runs, how.measures)


def _among(names: Iterable[str]) -> str:
    return f"among {', '.join(names)}"


def _train(planned: Planned, look: Callable[[], None]) -> None:
    """Trains a run unless it is complete; raises Stopped if asked to stop, and Diverged with the remedy."""
    if planned.is_complete():
        return
    console = Console(io.StringIO())
    call = shlex.split(planned.command)
    try:
        if not build.run_experiment(planned.experiment, planned.name, planned.run_dir, "auto", console, look, call):
            raise Stopped
    except Diverged as error:
        raise Diverged(f"{planned.run_dir}: {error}; leave the arm {planned.arm} out") from error


def compared(runs: Sequence[MeasuredRun], measures: Sequence[str] = ()) -> Found:
    """Compares the first arm with the others, without a cut-off and with the best one of the first arm.

    Args:
        runs: measured runs, each with the name of its arm.
        measures: names of the measures that are tested; empty: those of MEASURES that all runs have.
    """
    runs, epsilon = comparison.with_curve_gaps(runs), 0.0
    chosen = list(measures or MEASURES)
    first = comparison.group_runs(runs)[0]
    if comparison.has_cut_offs(first.evaluations[0]):
        epsilon = comparison.best_cut_off(first)
    if epsilon:
        at = [f"{name}_at_{epsilon:g}" for name in ("divergence_open", "reference_loss", "reverse_loss", "union_gap")]
        runs, chosen = comparison.with_measures_at(runs, epsilon), [*chosen, *at]
    chosen += [name for name in ("curve_gap", "union_gap") if name not in chosen]
    return Found(comparison.compare(runs, chosen), epsilon)
