"""Trains a model: python -m trainers.run --experiment=NAME [--run_dir=DIR] [--steps=N] [--set group.field=value …].

The same command resumes an interrupted run. Exit status: 0 finished; 2 a mistake in the arguments; 3 training diverged;
74 the disk is full; 75 interrupted, with everything saved: by Ctrl-C, SIGTERM or SIGHUP, after --max_minutes, because
the reader of its output is gone, or because another worker is lost.
"""

import functools
import json
import os
import sys
from typing import TYPE_CHECKING

from absl import flags

from charrnn import command
from charrnn.errors import UserError
from charrnn.process import streams
from trainers.distribution.cluster import leave
from trainers.launch import misplaced, resolve, start
from trainers.loop.stopping import Stop, Stopped

if TYPE_CHECKING:
    from trainers.experiment import Experiment
    from trainers.launch.own_reports import OwnReport

FLAGS = flags.FlagValues()
_string = functools.partial(flags.DEFINE_string, default=None, flag_values=FLAGS)
_path = functools.partial(command.path_flag, default=None, values=FLAGS)
_boolean = functools.partial(flags.DEFINE_boolean, default=False, flag_values=FLAGS)
_float = functools.partial(flags.DEFINE_float, default=None, flag_values=FLAGS)
_integer = functools.partial(flags.DEFINE_integer, default=None, flag_values=FLAGS)

_string("experiment", help="Name of the experiment; --list shows all.", short_name="e")
_path("run_dir", text="The run directory. Default: runs/NAME.")
_integer("steps", help="Total optimizer steps; overrides the epochs of the experiment.")
_float("epochs", help="Total epochs, instead of steps; short for --set loop.epochs=N.")
_string("corpus", help="Registered corpus, file, glob, JSON list of these, encoded folder, or - for standard input.")
_string("trainer", help="Curriculum: a registered name, or module:Class for your own.")
_string("precision", help="float32, mixed_bfloat16, mixed_float16 or auto.")
_boolean("xla", default=None, help="Compile the step with XLA.")
_string("strategy", help="auto, one_device, mirrored, multi_worker or tpu.")
_integer("seed", help="Seed of weights, batch order, own characters and dropout.", lower_bound=0, upper_bound=2**31 - 1)
_integer("overfit_batches", help="Train only on the first N batches, to see whether the model can overfit.")
_path("init_from", text="Warm start: the run directory whose weights this run starts with.")
_float("max_minutes", help="Save and exit after this many minutes; the same command resumes.")
_string("profile", help="FIRST,LAST: steps to record with TensorFlow's profiler, for TensorBoard.")
_string("resume", default="auto", help="Resume the run in --run_dir: auto, never or must.")
flags.DEFINE_multi_string("set", [], "A setting, group.field=value; --help_settings explains all.", flag_values=FLAGS)
_report = "Your own report as module:Class, a subclass of trainers.Report; may be given several times."
flags.DEFINE_multi_string("report", [], _report, flag_values=FLAGS)
_string("verbosity", default="normal", help="quiet (warnings and the last line), normal, or all (all measurements).")
_boolean("list", help="Show the experiments and exit.")
_boolean("print_config", help="Show all settings of the run as JSON and exit.")
_boolean("help_settings", help="Explain all settings, or those that start with the given PREFIX, and exit.")
_boolean("dry_run", help="Run two steps, an evaluation, samples and a save in a temporary directory.")


def main(settings: list[str]) -> int:
    """Runs the command.

    Args:
        settings: further settings, as --set takes them; with --help_settings, prefixes of settings.

    Returns:
        The exit status.

    Raises:
        UserError: a mistake in the arguments.
    """
    if FLAGS.list:
        print("\n".join(f"{name:28}{resolve.summary(name)}" for name in resolve.known()))
        return command.DONE
    if FLAGS.help_settings:
        command.start_tensorflow()
        from trainers.settings import as_text

        print("\n\n".join(map(as_text, settings or [""])))
        return command.DONE
    if FLAGS.experiment is None:
        raise UserError(f"No experiment is given: give --experiment=NAME, one of {', '.join(resolve.known())}.")
    resolve.require_experiment(FLAGS.experiment)
    stop = Stop(FLAGS.max_minutes)
    try:
        with stop.listen(kill=True):
            return _main(settings, stop)
    except Stopped:
        print("Stopped before the first step; run the same command to start.", file=sys.stderr)
        return command.STOPPED


def _main(settings: list[str], stop: Stop) -> int:
    command.start_tensorflow()
    if FLAGS.trainer is not None or FLAGS.report:
        sys.path.insert(0, os.getcwd())
    options = {name: FLAGS[name].value for name in (*resolve.SHORTHANDS, *resolve.OF_ITS_OWN)}
    experiment = resolve.resolve(FLAGS.experiment, [*FLAGS.set, *settings], FLAGS.trainer, **options)
    from trainers.launch import own_reports

    reports = own_reports.resolve(FLAGS.report)
    if FLAGS.print_config:
        from trainers.experiment import to_dict

        print(json.dumps({"experiment": FLAGS.experiment, **to_dict(experiment)}, indent=2))
        return command.DONE
    run_dir = FLAGS.run_dir or os.path.join("runs", FLAGS.experiment)
    with start.rehearsal(experiment, run_dir, FLAGS.dry_run) as place:
        return _train(*place, stop, reports)


def _train(experiment: "Experiment", run_dir: str, stop: Stop, reports: list["OwnReport"]) -> int:
    from trainers.distribution.strategies import WorkerLost
    from trainers.loop.divergence import Diverged
    from trainers.run_directory.disk import NotWritten

    try:
        how = FLAGS.resume, stop, sys.argv, FLAGS.verbosity, reports
        finished = start.run_until_stopped(experiment, FLAGS.experiment, run_dir, *how)
    except Diverged as error:
        return command.ended(f"Training diverged: {error}; the last checkpoint is kept in {run_dir}.", command.DIVERGED)
    except NotWritten as error:
        kept = f"the last checkpoint is kept in {run_dir}; free some space and run the same command to resume."
        return command.ended(f"{error}; {kept}", command.NOT_WRITTEN)
    except WorkerLost as error:
        remedy = "run the same command on all machines to resume from the last checkpoint"
        print(f"Stopped because {error}; {remedy}.", file=sys.stderr)
        return command.STOPPED
    if not finished:
        why = " because the reader of its output is gone" if streams.guard(sys.stdout).gone else ""
        print(f"Stopped and saved in {run_dir}{why}; run the same command to resume.", file=sys.stderr)
        return command.STOPPED
    return command.DONE


if __name__ == "__main__":
    leave(command.run(main, FLAGS, suggest=misplaced.suggesting(FLAGS)))
