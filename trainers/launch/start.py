"""Trains what a user asks for; the one path of the command and of Python.

    from trainers import train

    result = train("shakespeare_gru", steps=500, set={"model.units": 256})
    result.plot()
    print(result.model.generate("ROMEO:", 300))
"""

from __future__ import annotations

import contextlib
import inspect
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from charrnn import command
from charrnn.errors import UserError, nearest
from charrnn.files import paths
from charrnn.process import streams
from trainers.launch.resolve import corpus_of, resolve, settings_of

if TYPE_CHECKING:  # TensorFlow is imported with the first use
    from trainers.experiment import Experiment
    from trainers.launch.own_reports import OwnReport
    from trainers.launch.result import Result
    from trainers.loop.stopping import Stop
    from trainers.trainer import Trainer

_UNNAMED = "custom"  # the name, in config.json, of an experiment that was given as an object


def train(
    experiment: str | Experiment,
    *,
    run_dir: str | os.PathLike | None = None,
    steps: int | None = None,
    epochs: float | None = None,
    corpus: str | os.PathLike | Sequence[str | os.PathLike] | None = None,
    trainer: str | type[Trainer] | None = None,
    precision: str | None = None,
    xla: bool | None = None,
    strategy: str | None = None,
    seed: int | None = None,
    overfit_batches: int | None = None,
    init_from: str | os.PathLike | None = None,
    profile: tuple[int, int] | None = None,
    max_minutes: float | None = None,
    resume: str = "auto",
    verbosity: str = "normal",
    set: Mapping[str, object] | None = None,
    dry_run: bool = False,
    reports: Sequence[str | OwnReport] = (),
    **misplaced: object,
) -> Result:
    """Trains as `python -m trainers.run` does, in the same run directory; a second call resumes the run.

    An argument that is None keeps the experiment's value. In the main thread, an interrupt (Ctrl-C, or a notebook's
    stop button) saves and returns; the signal handlers are restored.

    Args:
        experiment: the name of one in `experiments/`, or an `Experiment`.
        run_dir: the run directory; default: runs/ and the experiment's name, "custom" for an `Experiment`.
        steps: total updates, also if the experiment counts epochs.
        epochs: total epochs, instead of steps.
        corpus: a registered corpus, a file, a glob, a list of files and globs, an encoded folder, or "-" for standard
            input.
        trainer: the curriculum: its name, "module:Class", or a class. config.json stores only the name of a class from
            a notebook or a script; to resume, give the same class, or the class after you move it to a module.
        precision: "float32", "mixed_bfloat16", "mixed_float16" or "auto".
        xla: whether XLA compiles the step.
        strategy: "auto", "one_device", "mirrored", "multi_worker" or "tpu".
        seed: the seed of weights, batch order, coins and samples.
        overfit_batches: the number of batches to train on repeatedly, to check that the model can overfit.
        init_from: the run directory of a warm start; see `trainers.launch.warm_start`.
        profile: the first and the last step that TensorFlow's profiler records.
        max_minutes: save and return after this many minutes.
        resume: "auto", "never" or "must": whether to resume the run in run_dir.
        verbosity: "quiet", "normal" or "all": what is printed.
        set: any settings, {"group.field": value}.
        dry_run: make two steps, an evaluation, samples and a save, in a directory that is then removed.
        reports: your own reports, which receive what the run measures, samples and saves: each "module:Class", a
            subclass of `trainers.Report`, which is made with the run directory, or an instance. They are no settings:
            a resumed run may have others.
        misplaced: refused, with a hint: a setting belongs in `set`.

    Returns:
        The result: the run's records, and its model.

    Raises:
        UserError: an argument is wrong; nothing was written.
        Diverged: training diverged, also after all retries; the last checkpoint is kept.
        NotWritten: the disk is full; earlier checkpoints are kept. If only standard output failed, everything is saved.
    """
    streams.repair()
    if "tensorflow" not in sys.modules:
        command.start_tensorflow()
    from trainers.launch import own_reports
    from trainers.launch.result import Result
    from trainers.loop.stopping import Stop, Stopped

    _refuse(misplaced, trainer)
    options = {
        "corpus": None if corpus is None else corpus_of(corpus),
        "steps": steps,
        "epochs": epochs,
        "precision": precision,
        "xla": xla,
        "strategy": strategy,
        "seed": seed,
        "overfit_batches": overfit_batches,
        "init_from": None if init_from is None else paths.given(init_from),
        "profile": None if profile is None else ",".join(map(str, profile)),
    }
    name = experiment if isinstance(experiment, str) else _UNNAMED
    place = os.path.join("runs", name) if run_dir is None else paths.given(run_dir)
    resolved = resolve(experiment, settings_of(set or {}), trainer, **options)
    own = own_reports.resolve(reports)
    given = {"run_dir": place, "trainer": trainer, **options, "set": set, "reports": reports or None}
    said = "".join(f", {argument}={value!r}" for argument, value in given.items() if value is not None)
    call = [f"trainers.train({name!r}{said})"]
    stop = Stop(max_minutes)
    with streams.guarded(), rehearsal(resolved, place, dry_run) as (resolved, place):
        try:
            with stop.listen():
                finished = run_until_stopped(resolved, name, place, resume, stop, call, verbosity, own)
            stopped = f"Stopped and saved in {place}; call it again to resume."
        except Stopped:
            finished, stopped = False, "Stopped before the first step; call it again to begin."
        if not finished:
            print(stopped)
        return Result.read(place, finished)


def _refuse(misplaced: Mapping[str, object], trainer: str | type[Trainer] | None) -> None:
    """Raises UserError for an argument that `train` does not have, and names the setting of that name."""
    from trainers.experiment import Experiment, named, settable, with_trainer

    settings = settable(with_trainer(Experiment(), trainer or "teacher_forcing")) if misplaced else ()
    for name, value in misplaced.items():
        give = " or ".join(f"set={{{json.dumps(full)}: {value!r}}}" for full in named(name, settings))
        end = f": it is a setting; give {give}" if give else nearest(name, inspect.signature(train).parameters)
        raise UserError(f"train() has no argument {name}{end}.")


def run_until_stopped(
    experiment: Experiment,
    name: str,
    run_dir: str,
    resume: str,
    stop: Stop,
    call: list[str],
    verbosity: str,
    reports: Sequence[OwnReport] = (),
) -> bool:
    """Trains until the run is complete, is asked to stop, or cannot write to standard output.

    Args:
        experiment: what to run.
        name: the experiment's name.
        run_dir: the run directory.
        resume: "auto", "never" or "must".
        stop: says when the run is asked to stop.
        call: the command or call, for config.json.
        verbosity: "quiet", "normal" or "all".
        reports: the user's own, from `own_reports.resolve`.

    Returns:
        True if the run is complete.

    Raises:
        Stopped: the run was stopped before the first step.
        NotWritten: the disk behind standard output is full; the run is saved.
    """
    from trainers.launch import build
    from trainers.loop.stopping import Stopped
    from trainers.reports.console import Console
    from trainers.run_directory.disk import NotWritten

    console = Console.named(verbosity)

    def look() -> None:
        stop.look()
        if console.output.gone or console.output.full:
            raise Stopped

    finished = build.run_experiment(experiment, name, run_dir, resume, console, look, call, reports)
    if console.output.full and not finished:
        raise NotWritten(f"Standard output cannot be written ({console.output.full})")
    return finished


@contextlib.contextmanager
def rehearsal(experiment: Experiment, run_dir: str, wanted: bool) -> Iterator[tuple[Experiment, str]]:
    """Yields what to run and where; if `wanted`, a dry run in a directory that is removed afterwards."""
    if not wanted:
        yield experiment, run_dir
        return
    from trainers.experiment import override

    once = ["steps=2", "epochs=0", "log_every=1", "evaluate_every=2", "save_every=2", "profile="]
    with tempfile.TemporaryDirectory() as folder:
        yield override(experiment, [f"loop.{setting}" for setting in once]), os.path.join(folder, "dry_run")
