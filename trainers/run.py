"""Trains: python -m trainers.run --experiment=NAME [--run_dir=DIR] [--steps=N] [--set group.field=value …].

Run again, the same command goes on where it was stopped. Exit status: 0 done, 2 a mistake in what was given, 3 training
diverged, 74 the disk is full, 75 stopped with all saved: by Ctrl-C, SIGTERM or SIGHUP, after --max_minutes, because the
reader of its output has left, or by the loss of another worker.
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

FLAGS = flags.FlagValues()
_string = functools.partial(flags.DEFINE_string, default=None, flag_values=FLAGS)
_path = functools.partial(command.path_flag, default=None, values=FLAGS)
_boolean = functools.partial(flags.DEFINE_boolean, default=False, flag_values=FLAGS)
_float = functools.partial(flags.DEFINE_float, default=None, flag_values=FLAGS)
_integer = functools.partial(flags.DEFINE_integer, default=None, flag_values=FLAGS)

_string("experiment", help="Which experiment; --list shows them.", short_name="e")
_path("run_dir", text="Where the run lives. Default: runs/ and the experiment's name.")
_integer("steps", help="Updates in total, also where the experiment counts epochs.")
_float("epochs", help="Epochs in total, in place of steps; the same as --set loop.epochs=N.")
_string("corpus", help="A registered corpus, a file, a glob, several as a JSON list, an encoded folder, or -.")
_string("trainer", help="The curriculum: its name, or module:Class for one of your own.")
_string("precision", help="float32, mixed_bfloat16 or mixed_float16.")
_boolean("xla", default=None, help="Compile the step with XLA.")
_string("strategy", help="auto, one_device, mirrored, multi_worker or tpu.")
_integer("seed", help="Of the weights, the batches' order, coins and samples.", lower_bound=0, upper_bound=2**31 - 1)
_integer("overfit_batches", help="Train on the first so many batches over and over: can it learn by heart?")
_path("init_from", text="The directory of another run, with whose weights this one begins.")
_float("max_minutes", help="Save and leave after so many minutes; the same command goes on.")
_string("profile", help="FIRST,LAST: record these steps with TensorFlow's profiler, for TensorBoard.")
_string("resume", default="auto", help="auto, never or must: whether to go on with the run in --run_dir.")
flags.DEFINE_multi_string("set", [], "A setting, group.field=value; --print_config shows all.", flag_values=FLAGS)
_string("verbosity", default="normal", help="quiet: warnings and the last line; normal; or all that is measured.")
_boolean("list", help="Show the experiments and leave.")
_boolean("print_config", help="Show all settings as JSON and leave.")
_boolean("help_settings", help="Show each setting with its type, default and meaning, or those that begin with PREFIX.")
_boolean("dry_run", help="Two steps, an evaluation, samples and a save, in a directory that is removed.")


def main(settings: list[str]) -> int:
    """Runs what the flags ask for. Returns the exit status.

    Args:
        settings: more of what --set takes; with --help_settings, prefixes of settings.
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
        raise UserError(f"Which experiment? Give --experiment=NAME, one of {', '.join(resolve.known())}.")
    resolve.require_experiment(FLAGS.experiment)
    stop = Stop(FLAGS.max_minutes)
    try:
        with stop.listen(kill=True):
            return _main(settings, stop)
    except Stopped:
        print("Stopped before the first step; run the same command to begin.", file=sys.stderr)
        return command.STOPPED


def _main(settings: list[str], stop: Stop) -> int:
    command.start_tensorflow()
    if FLAGS.trainer is not None:
        sys.path.insert(0, os.getcwd())
    options = {name: FLAGS[name].value for name in (*resolve.SHORTHANDS, *resolve.OF_ITS_OWN)}
    experiment = resolve.resolve(FLAGS.experiment, [*FLAGS.set, *settings], FLAGS.trainer, **options)
    if FLAGS.print_config:
        from trainers.experiment import to_dict

        print(json.dumps({"experiment": FLAGS.experiment, **to_dict(experiment)}, indent=2))
        return command.DONE
    run_dir = FLAGS.run_dir or os.path.join("runs", FLAGS.experiment)
    with start.rehearsal(experiment, run_dir, FLAGS.dry_run) as place:
        return _train(*place, stop)


def _train(experiment: "Experiment", run_dir: str, stop: Stop) -> int:
    from trainers.distribution.strategies import WorkerLost
    from trainers.loop.divergence import Diverged
    from trainers.run_directory.disk import NotWritten

    try:
        how = FLAGS.resume, stop, sys.argv, FLAGS.verbosity
        finished = start.run_until_stopped(experiment, FLAGS.experiment, run_dir, *how)
    except Diverged as error:
        return command.ended(f"Training diverged: {error}; the last checkpoint is kept in {run_dir}.", command.DIVERGED)
    except NotWritten as error:
        kept = f"what was saved before is kept in {run_dir}; make room and run the same command to resume."
        return command.ended(f"{error}; {kept}", command.NOT_WRITTEN)
    except WorkerLost as error:
        print(f"Stopped, for {error}; run the same command on all to go on from the last checkpoint.", file=sys.stderr)
        return command.STOPPED
    if not finished:
        why = ", because nobody reads its output any more" if streams.guard(sys.stdout).gone else ""
        print(f"Stopped and saved in {run_dir}{why}; run the same command to resume.", file=sys.stderr)
        return command.STOPPED
    return command.DONE


if __name__ == "__main__":
    leave(command.run(main, FLAGS, suggest=misplaced.suggesting(FLAGS)))
