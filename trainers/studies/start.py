"""Studies what a user asks for; the one path of the command and of Python.

    import trainers

    study = trainers.study("quickstart", ["teacher_forcing", "scheduled_sampling"], seeds=3)
    print(study.finding)
"""

from __future__ import annotations

import dataclasses
import functools
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from charrnn import command
from charrnn.files import paths
from charrnn.process import streams

if TYPE_CHECKING:  # TensorFlow is imported with the first use
    from trainers.evaluation.comparison import Comparison
    from trainers.experiment import Experiment
    from trainers.studies.plan import Planned
    from trainers.studies.run import How
    from trainers.trainer import Trainer


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Study:
    """A finished study."""

    study_dir: str  # folder of the runs, of the page, of the figures and of the pictures
    finding: str  # a paragraph
    comparison: Comparison  # of the arms
    diverged: dict[str, str]  # why an arm is not compared, by its name

    def __repr__(self):
        return f"<Study {self.study_dir}: {self.finding}>"


def study(
    experiment: str | Experiment,
    trainers: Sequence[str | type[Trainer]] = ("teacher_forcing",),
    *,
    arms: Mapping[str, tuple[str | type[Trainer], Mapping[str, object]]] | None = None,
    grid: Mapping[str, Sequence[object]] | None = None,
    seeds: int = 5,
    set: Mapping[str, object] | None = None,
    corpus: str | None = None,
    steps: int | None = None,
    study_dir: str | os.PathLike | None = None,
    num_rollouts: int = 100,
    num_chars: int = 1000,
    temperatures: Sequence[float] = (0.7, 0.8, 0.9, 1.0, 1.1),
    epsilons: Sequence[float] = (0.001, 0.004, 0.01),
    weights: str = "newest",
    measures: Sequence[str] = (),
    pictures: bool = True,
    max_minutes: float | None = None,
) -> Study | None:
    """Trains curricula side by side, measures them in open loop, and tells which of them helps.

    Does what `python -m trainers.study` does. Runs and measurements stay in the folder, so a second call resumes; runs
    that were trained elsewhere, with the same settings and in folders of the same names, are used.

    Args:
        experiment: the name of one in `experiments/`, or an `Experiment`.
        trainers: curricula: names, "module:Class", or classes. The others are compared with the first.
        arms: further arms: name -> (curriculum, its settings).
        grid: setting -> values; each arm that has the setting becomes one per value.
        seeds: the number of seeds, from 0. Tests need 3.
        set: settings of all arms.
        corpus: as in `train`.
        steps: as in `train`.
        study_dir: the folder; default: runs/studies/ and the experiment's name.
        num_rollouts: rollouts per run.
        num_chars: characters per rollout.
        temperatures: of the curves of quality and diversity; 1 among them.
        epsilons: cut-offs of these curves, besides 0.
        weights: "newest" or "best".
        measures: names of the measures that are tested, besides those that the finding needs; empty: those of
            `trainers.studies.run.MEASURES`.
        pictures: whether to draw, if matplotlib is installed.
        max_minutes: save and return after this many minutes.

    Returns:
        The study; None if it was interrupted, and the same call resumes it.

    Raises:
        UserError: an argument is wrong; nothing was written.
        Diverged: the first arm diverged, or all others. An arm of the others that diverges is left out.
        NotWritten: the disk is full; what was done is saved.
    """
    streams.repair()
    if "tensorflow" not in sys.modules:
        command.start_tensorflow()
    from charrnn.measures.open_loop import Protocol
    from trainers.launch.resolve import settings_of
    from trainers.loop.stopping import Stop, Stopped
    from trainers.studies.arguments import listed, listed_numbers, whole
    from trainers.studies.plan import make_arms, make_plan
    from trainers.studies.run import How

    folder = study_dir_of(experiment, study_dir)
    plan = make_plan(experiment, make_arms(trainers, arms, grid), seeds, folder, settings_of(set or {}), corpus, steps)
    how = How(
        Protocol(whole("num_rollouts", num_rollouts), whole("num_chars", num_chars)),
        tuple(listed_numbers("temperatures", temperatures)),
        tuple(listed_numbers("epsilons", epsilons)),
        weights,
        tuple(listed("measures", measures)),
    )
    stop = Stop(max_minutes)
    with streams.guarded():
        try:
            with stop.listen():
                return finish(plan, how, folder, stop.look, functools.partial(print, flush=True), pictures)
        except Stopped:
            print(f"Stopped and saved in {folder}; call it again to resume.")
            return None


def study_dir_of(experiment: str | Experiment, given: str | os.PathLike | None) -> str:
    """Returns the folder of a study: the given one, or that of the experiment's name."""
    name = experiment if isinstance(experiment, str) else "custom"
    return os.path.join("runs", "studies", name) if given is None else paths.given(given)


def finish(
    plan: Sequence[Planned],
    how: How,
    study_dir: str,
    look: Callable[[], None],
    say: Callable[[str], None],
    with_pictures: bool,
) -> Study:
    """Trains and measures what is left, and writes page, figures and pictures.

    Args:
        plan: the runs.
        how: the protocol.
        study_dir: the folder.
        look: raises Stopped if the study was asked to stop.
        say: called with each line for the user.
        with_pictures: whether to draw, if matplotlib is installed.

    Returns:
        The study.

    Raises:
        UserError: a mistake in the arguments; nothing was written.
        Diverged: the first arm diverged, or all others.
        NotWritten: the disk is full; what was done is saved.
        Stopped: the study was asked to stop; what was done is saved.
    """
    from trainers.studies import output
    from trainers.studies.run import refuse_mistakes, run

    refuse_mistakes(plan, how)
    output.prepare(study_dir)
    found = run(plan, how, look, say)
    say(f"\n{output.write(plan, how, found, study_dir, with_pictures, say)}")
    return Study(study_dir, found.finding, found.compared, found.diverged)
