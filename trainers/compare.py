"""Compares trained runs: python -m trainers.compare RUN_DIR RUN_DIR … [--markdown=FILE].

Runs that differ only in their seed form a group; the others are compared with the first run's group. Writes pictures
into the first run's folder open_loop/, and the measures of each run into its open_loop/measures.json, from where the
next comparison reads them. Exit status: 0 finished; 2 a mistake in the arguments; 74 the disk behind the output is
full; 130 Ctrl-C.
"""

import functools
import os
import sys

from absl import flags

from charrnn import command
from charrnn.errors import UserError, check_epsilon, check_temperature, require
from charrnn.files import paths
from charrnn.process import outputs

FLAGS = flags.FlagValues()
_string = functools.partial(flags.DEFINE_string, flag_values=FLAGS)
_integer = functools.partial(flags.DEFINE_integer, flag_values=FLAGS)

_string("text", None, "Corpus instead of the runs'; it is split in the same way.")
_string("weights", "best", "best (by validation, else newest), newest, or the name of a checkpoint, such as step-24.")
command.path_flag("markdown", None, "Also write the tables to this file.", FLAGS)
_integer("num_rollouts", 100, "Number of rollouts per run.")
_integer("num_chars", 1000, "Characters per rollout.")
_integer("seed", 0, "Seed of the first rollout of each run; rollout i uses seed + i.")
_text = "Write the rollouts with characters of at least this probability; 0: with all."
flags.DEFINE_float("epsilon", 0.0, _text, flag_values=FLAGS)
flags.DEFINE_list("temperatures", "0.7,0.8,0.9,1,1.1", "For quality and diversity.", flag_values=FLAGS)
flags.DEFINE_list("epsilons", "", "For quality and diversity: cut-offs, with each temperature.", flag_values=FLAGS)
flags.DEFINE_boolean("pictures", True, "Draw pictures; needs matplotlib.", flag_values=FLAGS)


def main(run_dirs: list[str]) -> int:
    """Runs the command.

    Args:
        run_dirs: the run directories.

    Returns:
        The exit status.

    Raises:
        UserError: a mistake in the arguments.
    """
    if not run_dirs:
        raise UserError("No runs are given: give two or more directories that trainers.run has made.")
    run_dirs = list(map(paths.given, run_dirs))
    temperatures, epsilons = _temperatures(), command.numbers("epsilons", FLAGS)
    for epsilon in epsilons:
        check_epsilon("--epsilons", epsilon)
    if FLAGS.markdown is not None:
        outputs.require_file("--markdown", FLAGS.markdown)
    if FLAGS.pictures and os.path.isdir(run_dirs[0]):  # else a later check says what is wrong
        outputs.require_folder(run_dirs[0], "give --nopictures, or copy the run to a writable folder")
    command.start_tensorflow()
    import tensorflow as tf

    from charrnn import run_files
    from charrnn.measures.open_loop import Protocol
    from trainers.evaluation import comparison, evaluation, measures_file, pictures, tables

    protocol = Protocol(FLAGS.num_rollouts, FLAGS.num_chars, FLAGS.seed, epsilon=FLAGS.epsilon)
    runs = [comparison.MeasuredRun(run_dir, evaluation.read_config(run_dir)) for run_dir in run_dirs]
    comparison.group_runs(runs)  # refuses runs that cannot be compared before the work starts
    for run in runs:
        run_files.find_checkpoint(run.path, FLAGS.weights)
    lines: list[str] = []  # printed later, because a refusal is one line
    for i, run in enumerate(runs):
        print(f"measuring {run.path}", file=sys.stderr)
        how = protocol, FLAGS.text, FLAGS.weights, temperatures, epsilons
        runs[i] = run._replace(evaluation=measures_file.read_or_evaluate(run.path, *how, lines.append))
    for line in dict.fromkeys(lines):
        print(line, file=sys.stderr)
    compared = comparison.compare(comparison.with_curve_gaps(runs))
    text = f"{tables.table(compared)}\n\n{tables.sweep_table(compared)}"
    if any(map(comparison.has_cut_offs, compared.groups[0].evaluations)):
        text += f"\n\n{tables.frontier_table(compared.groups)}"
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
    temperatures = command.numbers("temperatures", FLAGS)
    require("--temperatures", "", bool(temperatures), "at least one number above 0")
    for temperature in temperatures:
        check_temperature("--temperatures", temperature)
    return temperatures


if __name__ == "__main__":
    sys.exit(command.run(main, FLAGS))
