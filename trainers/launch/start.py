"""What a user asks for becomes a run: the one path of the command and of Python.

    from trainers import train

    result = train("shakespeare_gru", steps=500, set={"model.units": 256})
    result.plot()
    print(result.model.generate("ROMEO:", 300))
"""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import importlib
import inspect
import json
import os
import pkgutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import experiments
from charrnn import command
from charrnn.errors import UserError, nearest
from charrnn.files import paths
from charrnn.process import streams
from charrnn.text import corpora

if TYPE_CHECKING:  # TensorFlow is loaded with the first use
    from trainers.experiment import Experiment
    from trainers.launch.result import Result
    from trainers.loop.stopping import Stop
    from trainers.trainer import Trainer

SHORTHANDS = {
    "steps": "loop.steps",
    "epochs": "loop.epochs",
    "precision": "runtime.precision",
    "xla": "runtime.xla",
    "strategy": "runtime.strategy",
    "overfit_batches": "data.overfit_batches",
    "profile": "loop.profile",
}
"""The settings that have names of their own, as flags and as arguments."""

OF_ITS_OWN = ("corpus", "seed", "init_from")
"""The fields of an experiment that belong to no group."""

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
    **misplaced: object,
) -> Result:
    """Trains as `python -m trainers.run` does, in the same run directory; called again, it goes on.

    What is None is as the experiment has it. In the main thread, an interrupt (Ctrl-C, or a notebook's stop button)
    saves and returns; signals are then as they were before.

    Args:
        experiment: the name of one in `experiments/`, or an `Experiment`.
        run_dir: where the run lives; default: runs/ and the experiment's name, "custom" for an `Experiment`.
        steps: updates in total, also where the experiment counts epochs.
        epochs: epochs in total, in place of steps.
        corpus: a registered corpus, a file, a glob, a list of files and globs, an encoded folder, or "-" for standard
            input.
        trainer: the curriculum: its name, "module:Class", or a class. Of a class that was defined in a notebook or a
            script config.json has the name only; to go on, the same or one that has moved to a module must be given.
        precision: "float32", "mixed_bfloat16" or "mixed_float16".
        xla: whether the step is compiled with XLA.
        strategy: "auto", "one_device", "mirrored", "multi_worker" or "tpu".
        seed: of the weights, the batches' order, coins and samples.
        overfit_batches: train on the first so many batches over and over.
        init_from: the directory of another run, with whose weights this one begins; see `trainers.warm_start`.
        profile: the first and the last of the steps that TensorFlow's profiler records.
        max_minutes: save and return after so many minutes.
        resume: "auto", "never" or "must": whether to go on with the run in run_dir.
        verbosity: "quiet", "normal" or "all": what is printed.
        set: any settings, {"group.field": value}.
        dry_run: two steps, an evaluation, samples and a save, in a directory that is removed.
        misplaced: none: a setting belongs into `set`.

    Raises:
        UserError: something that was given cannot be; nothing was written.
        Diverged: again and again; the last checkpoint is kept.
        NotWritten: the disk is full; what was saved before is kept. If only standard output cannot be written, all is
            saved.
    """
    streams.repair()
    if "tensorflow" not in sys.modules:
        command.start_tensorflow()
    from trainers.launch.result import Result
    from trainers.loop.stopping import Stop, Stopped

    _refuse(misplaced, trainer)
    options = {
        "corpus": None if corpus is None else _corpus_of(corpus),
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
    resolved = resolve(experiment, _as_settings(set or {}), trainer, **options)
    given = {"run_dir": place, "trainer": trainer, **options, "set": set}
    said = "".join(f", {argument}={value!r}" for argument, value in given.items() if value is not None)
    call = [f"trainers.train({name!r}{said})"]
    stop = Stop(max_minutes)
    with streams.guarded(), rehearsal(resolved, place, dry_run) as (resolved, place):
        try:
            with stop.listen():
                finished = run(resolved, name, place, resume, stop, call, verbosity)
            stopped = f"Stopped and saved in {place}; call it again to go on."
        except Stopped:
            finished, stopped = False, "Stopped before the first step; call it again to begin."
        if not finished:
            print(stopped)
        return Result.read(place, finished)


def _refuse(misplaced: Mapping[str, object], trainer: str | type[Trainer] | None) -> None:
    """Raises UserError for an argument that `train` does not have, with the setting of that name."""
    from trainers.experiment import Experiment, named, settable, with_trainer

    settings = settable(with_trainer(Experiment(), trainer or "teacher_forcing")) if misplaced else ()
    for name, value in misplaced.items():
        give = " or ".join(f"set={{{json.dumps(full)}: {value!r}}}" for full in named(name, settings))
        end = f": it is a setting; give {give}" if give else nearest(name, inspect.signature(train).parameters)
        raise UserError(f"train() has no argument {name}{end}.")


def known() -> dict[str, str]:
    """The path of each experiment's file, by name."""
    found = pkgutil.iter_modules(experiments.__path__)
    return {module.name: os.path.join(module.module_finder.path, f"{module.name}.py") for module in found}


def summary(path: str) -> str:
    """The first line of a file's docstring, without running the file."""
    with open(path, encoding="utf-8") as file:
        return ast.get_docstring(ast.parse(file.read())).splitlines()[0]


def require_experiment(name: str) -> None:
    """Raises UserError where there is no experiment of that name."""
    if name not in known():
        raise UserError(f"There is no experiment {name!r}{nearest(name, known())}.")


def resolve(
    experiment: str | Experiment, settings: Iterable[str], trainer: str | type[Trainer] | None = None, **options
) -> Experiment:
    """The experiment, with what the user changes.

    Args:
        experiment: its name, or itself.
        settings: "group.field=value" each.
        trainer: the curriculum: its name, "module:Class", or a class; None: the experiment's.
        options: by the names in SHORTHANDS and OF_ITS_OWN; None: as the experiment has it.

    Raises:
        UserError: something of it is unknown or not possible.
    """
    from trainers.experiment import Experiment, override, parse, with_trainer

    if isinstance(experiment, str):
        require_experiment(experiment)
        experiment = importlib.import_module(f"experiments.{experiment}").EXPERIMENT
    if not isinstance(experiment, Experiment):
        raise UserError(f"{experiment!r} is no experiment: give the name of one, or a trainers.experiment.Experiment.")
    if trainer is not None:
        experiment = with_trainer(experiment, trainer)
    given = {name: value for name, value in options.items() if value is not None}
    if "seed" in given:
        given["seed"] = parse("seed", str(given["seed"]), int)
    if "corpus" in given:
        given["corpus"] = corpora.resolve(_corpus_of(given["corpus"]))
    experiment = dataclasses.replace(experiment, **{name: given[name] for name in OF_ITS_OWN if name in given})
    short = [f"{SHORTHANDS[name]}={value}" for name, value in given.items() if name in SHORTHANDS]
    if "steps" in given and "epochs" not in given:
        short.append("loop.epochs=0")
    return override(experiment, [*short, *settings])


def _corpus_of(given: str | os.PathLike | Sequence[str | os.PathLike]) -> str:
    return corpora.joined([os.fsdecode(one) for one in (given if isinstance(given, list | tuple) else [given])])


def run(
    experiment: Experiment, name: str, run_dir: str, resume: str, stop: Stop, call: list[str], verbosity: str
) -> bool:
    """Trains until it is done, or asked to stop, or standard output fails. As `trainers.training.train`.

    Raises:
        Stopped: before the first step.
        NotWritten: the disk behind standard output is full; the run is saved.
    """
    from trainers.launch import build
    from trainers.loop.stopping import Stopped
    from trainers.reports.console import Console
    from trainers.run_directory.disk import NotWritten

    console = Console.named(verbosity)

    def look():
        stop.look()
        if console.output.gone or console.output.full:
            raise Stopped

    finished = build.train(experiment, name, run_dir, resume, console, look, call)
    if console.output.full and not finished:
        raise NotWritten(f"Standard output cannot be written ({console.output.full})")
    return finished


@contextlib.contextmanager
def rehearsal(experiment: Experiment, run_dir: str, wanted: bool) -> Iterator[tuple[Experiment, str]]:
    """What to run and where; where `wanted`, that is a dry run in a directory that is removed afterwards."""
    if not wanted:
        yield experiment, run_dir
        return
    from trainers.experiment import override

    once = ["steps=2", "epochs=0", "log_every=1", "evaluate_every=2", "save_every=2", "profile="]
    with tempfile.TemporaryDirectory() as folder:
        yield override(experiment, [f"loop.{setting}" for setting in once]), os.path.join(folder, "dry_run")


def _as_settings(given: Mapping[str, object]) -> list[str]:
    """Python values as --set takes them."""
    if not isinstance(given, Mapping):
        raise UserError(f'set={given!r} is not possible: it must be a dict such as {{"model.units": 256}}.')
    return [f"{name}={_as_text(value)}" for name, value in given.items()]


def _as_text(value: object) -> str:
    if isinstance(value, list | tuple):
        return json.dumps([str(part) for part in value])
    return str(value).lower() if isinstance(value, bool) else str(value)
