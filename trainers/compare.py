"""Compares trained runs: python -m trainers.compare RUN_DIR RUN_DIR … [--markdown=FILE].

Runs that differ in their seed only are a group; the first run's group is what the others are compared with. Pictures
go to the first run's folder open_loop/. What was measured of a run is kept in its open_loop/measures.json and read from
there the next time. Exit status: 0 done, 2 a mistake in what was given, 74 the disk behind the output is full, 130
Ctrl-C.
"""

import functools
import os
import sys

from absl import flags

from charrnn import command
from charrnn.errors import UserError, check_temperature, require
from charrnn.files import paths
from charrnn.process import outputs

FLAGS = flags.FlagValues()
_string = functools.partial(flags.DEFINE_string, flag_values=FLAGS)
_integer = functools.partial(flags.DEFINE_integer, flag_values=FLAGS)

_string("text", None, "A corpus in the place of the runs'; split as each run's was.")
_string("weights", "best", "best (by validation, if measured, else newest), newest, or a name, such as step-24.")
command.path_flag("markdown", None, "Write the tables to this file too.", FLAGS)
_integer("num_rollouts", 100, "How many texts each model writes.")
_integer("num_chars", 1000, "How many characters each.")
_integer("seed", 0, "Of the first rollout; each next one has the next. The same for all runs.")
flags.DEFINE_list("temperatures", "0.7,0.8,0.9,1,1.1", "Where to measure quality and diversity.", flag_values=FLAGS)
flags.DEFINE_boolean("pictures", True, "Draw pictures; they need matplotlib.", flag_values=FLAGS)


def main(run_dirs: list[str]) -> int:
    """Compares the runs. Returns the exit status."""
    if not run_dirs:
        raise UserError("Which runs? Give the directories of two or more, which trainers.run has made.")
    run_dirs = list(map(paths.given, run_dirs))
    temperatures = _temperatures()
    if FLAGS.markdown is not None:
        outputs.require_file("--markdown", FLAGS.markdown)
    if FLAGS.pictures and os.path.isdir(run_dirs[0]):  # else it is refused for what it is
        outputs.require_folder(run_dirs[0], "give --nopictures, or copy the run to where you may write")
    command.start_tensorflow()
    import tensorflow as tf

    from charrnn import run_files
    from charrnn.measures.open_loop import Protocol
    from trainers.evaluation import comparison, evaluation, measures_file, pictures, tables

    protocol = Protocol(FLAGS.num_rollouts, FLAGS.num_chars, FLAGS.seed)
    runs = [comparison.MeasuredRun(run_dir, evaluation.read_config(run_dir)) for run_dir in run_dirs]
    comparison.group_runs(runs)  # what cannot be compared is refused before the work begins
    for run in runs:
        run_files.find_checkpoint(run.path, FLAGS.weights)
    for i, run in enumerate(runs):
        print(f"measuring {run.path}", file=sys.stderr)
        measured = measures_file.read_or_evaluate(run.path, protocol, FLAGS.text, FLAGS.weights, temperatures)
        runs[i] = run._replace(evaluation=measured)
    compared = comparison.compare(comparison.with_curve_gaps(runs))
    text = f"{tables.table(compared)}\n\n{tables.sweep_table(compared)}"
    print(text)
    if FLAGS.markdown:
        try:
            with tf.io.gfile.GFile(FLAGS.markdown, "w") as file:
                file.write(text + "\n")
        except tf.errors.OpError as error:
            raise UserError(f"--markdown={FLAGS.markdown} cannot be written ({error.message}): give a file.") from error
    if FLAGS.pictures:
        pictures.show(run_dirs[0], "comparison", functools.partial(pictures.draw, compared))
    return command.DONE


def _temperatures() -> list[float]:
    try:
        temperatures = [float(text) for text in FLAGS.temperatures]
    except ValueError as error:
        raise UserError(f"--temperatures={','.join(FLAGS.temperatures)} is not a list of numbers.") from error
    require("--temperatures", "", bool(temperatures), "at least one number above 0")
    for temperature in temperatures:
        check_temperature("--temperatures", temperature)
    return temperatures


if __name__ == "__main__":
    sys.exit(command.run(main, FLAGS))
