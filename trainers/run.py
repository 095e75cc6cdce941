"""Trains: python -m trainers.run --experiment=NAME [--run_dir=DIR] [--steps=N] [--set group.field=value …].

Run again, the same command goes on where it was stopped. Exit status: 0 done, 2 a mistake in what was given, 3 training
diverged, 74 the disk is full, 75 stopped by a signal or after --max_minutes, with all saved, or by the loss of another
worker.
"""

import ast
import dataclasses
import functools
import importlib
import json
import os
import pkgutil
import sys
import tempfile

from absl import flags

import experiments
from charrnn import command
from charrnn.errors import UserError, check, nearest
from trainers.cluster import leave

FLAGS = flags.FlagValues()
_string = functools.partial(flags.DEFINE_string, default=None, flag_values=FLAGS)
_boolean = functools.partial(flags.DEFINE_boolean, default=False, flag_values=FLAGS)
_float = functools.partial(flags.DEFINE_float, default=None, flag_values=FLAGS)
_integer = functools.partial(flags.DEFINE_integer, default=None, flag_values=FLAGS)

_string("experiment", help="Which experiment; --list shows them.", short_name="e")
_string("run_dir", help="Where the run lives. Default: runs/ and the experiment's name.")
_integer("steps", help="Updates in total, also where the experiment counts epochs.")
_float("epochs", help="Epochs in total, in place of steps; the same as --set loop.epochs=N.")
_string("corpus", help="A registered corpus, a file, a glob, several of them with commas, or an encoded folder.")
_string("trainer", help="The curriculum: its name, or module:Class for one of your own.")
_string("precision", help="float32, mixed_bfloat16 or mixed_float16.")
_boolean("xla", default=None, help="Compile the step with XLA.")
_string("strategy", help="auto, one_device, mirrored, multi_worker or tpu.")
_integer("seed", help="Of the weights, the batches' order, coins and samples.", lower_bound=0, upper_bound=2**31 - 1)
_float("max_minutes", help="Save and leave after so many minutes; the same command goes on.")
_string("profile", help="FIRST,LAST: record these steps with TensorFlow's profiler, for TensorBoard.")
_string("resume", default="auto", help="auto, never or must: whether to go on with the run in --run_dir.")
flags.DEFINE_multi_string("set", [], "A setting, group.field=value; --print_config shows all.", flag_values=FLAGS)
_string("verbosity", default="normal", help="quiet: warnings and the last line; normal; or all that is measured.")
_boolean("list", help="Show the experiments and leave.")
_boolean("print_config", help="Show all settings as JSON and leave.")
_boolean("dry_run", help="Two steps, an evaluation, samples and a save, in a directory that is removed.")


_SHORTHANDS = {
    "steps": "loop.steps",
    "epochs": "loop.epochs",
    "precision": "runtime.precision",
    "xla": "runtime.xla",
    "strategy": "runtime.strategy",
    "profile": "loop.profile",
}
"""The settings that have flags of their own."""


def main(settings: list[str]) -> int:
    """Runs what the flags ask for; `settings` are more of what --set takes. Returns the exit status."""
    if FLAGS.list:
        print("\n".join(f"{name:28}{_summary(path)}" for name, path in _experiments().items()))
        return command.DONE
    if FLAGS.experiment is None:
        raise UserError(f"Which experiment? Give --experiment=NAME, one of {', '.join(_experiments())}.")
    if FLAGS.experiment not in _experiments():
        raise UserError(f"There is no experiment {FLAGS.experiment!r}{nearest(FLAGS.experiment, _experiments())}.")
    command.start_tensorflow()
    experiment = _resolve(settings)
    if FLAGS.print_config:
        from trainers.experiment import to_dict

        print(json.dumps({"experiment": FLAGS.experiment, **to_dict(experiment)}, indent=2))
        return command.DONE
    if FLAGS.dry_run:
        return _dry_run(experiment)
    return _train(experiment, FLAGS.run_dir or os.path.join("runs", FLAGS.experiment))


def _experiments() -> dict[str, str]:
    """The path of each experiment's file, by name."""
    found = pkgutil.iter_modules(experiments.__path__)
    return {module.name: os.path.join(module.module_finder.path, f"{module.name}.py") for module in found}


def _summary(path: str) -> str:
    """The first line of a file's docstring, without running the file."""
    with open(path, encoding="utf-8") as file:
        return ast.get_docstring(ast.parse(file.read())).splitlines()[0]


def _resolve(settings: list[str]):
    """The experiment, with what the flags and `settings` change."""
    from trainers.experiment import override, with_trainer

    experiment = importlib.import_module(f"experiments.{FLAGS.experiment}").EXPERIMENT
    if FLAGS.trainer is not None:
        sys.path.insert(0, os.getcwd())
        experiment = with_trainer(experiment, FLAGS.trainer)
    given = {name: FLAGS[name].value for name in ("corpus", "seed") if FLAGS[name].value is not None}
    experiment = dataclasses.replace(experiment, **given)
    flagged = [f"{name}={FLAGS[flag].value}" for flag, name in _SHORTHANDS.items() if FLAGS[flag].value is not None]
    if FLAGS.steps is not None and FLAGS.epochs is None:
        flagged.append("loop.epochs=0")
    return override(experiment, [*flagged, *FLAGS.set, *settings])


def _train(experiment, run_dir: str) -> int:
    from trainers.disk import NotWritten
    from trainers.divergence import Diverged
    from trainers.stopping import Stop, Stopped
    from trainers.strategies import WorkerLost
    from trainers.training import train

    stop = Stop(FLAGS.max_minutes)
    stop.listen()
    try:
        finished = train(experiment, FLAGS.experiment, run_dir, FLAGS.resume, _console(), look=stop.look)
    except Diverged as error:
        return _ended(f"Training diverged: {error}; the last checkpoint is kept in {run_dir}.", command.DIVERGED)
    except NotWritten as error:
        kept = f"what was saved before is kept in {run_dir}; make room and run the same command to go on."
        return _ended(f"{error}; {kept}", command.NOT_WRITTEN)
    except WorkerLost as error:
        print(f"Stopped, for {error}; run the same command on all to go on from the last checkpoint.", file=sys.stderr)
        return command.STOPPED
    except Stopped:
        print("Stopped before the first step; run the same command to begin.", file=sys.stderr)
        return command.STOPPED
    if not finished:
        print(f"Stopped and saved in {run_dir}; run the same command to go on.", file=sys.stderr)
        return command.STOPPED
    return command.DONE


def _console():
    """As talkative as --verbosity says: a name, or its place among the names."""
    from trainers.progress import VERBOSITIES, Console

    given = FLAGS.verbosity
    right = given in (*VERBOSITIES, *map(str, range(len(VERBOSITIES))))
    check("--verbosity", given, right, "quiet, normal or all; or 0, 1 or 2")
    return Console(verbosity=VERBOSITIES.index(given) if given in VERBOSITIES else int(given))


def _ended(sentence: str, status: int) -> int:
    print(f"error: {sentence}", file=sys.stderr)
    return status


def _dry_run(experiment) -> int:
    from trainers.experiment import override

    short = override(experiment, ["loop.steps=2", "loop.epochs=0", "loop.log_every=1", "loop.profile="])
    with tempfile.TemporaryDirectory() as folder:
        return _train(short, os.path.join(folder, "dry_run"))


if __name__ == "__main__":
    leave(command.run(main, FLAGS))
