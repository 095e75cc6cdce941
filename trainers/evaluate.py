"""Evaluates a trained run: python -m trainers.evaluate --run_dir=DIR [--text=FILE] [--json].

Measures teacher forcing (closed loop) and free running (open loop), each beside its value for real text;
docs/evaluation.md explains the measures. Writes curves over the position in a rollout into the run directory, for
TensorBoard and as a picture. --dynamic, --ensemble, --ngram and --calibrate add the losses of other systems: a model
that continues to learn, the average with other runs, n-grams with and without the model, and the model at its best
temperature. Exit status: 0 finished; 2 a mistake in the arguments; 74 the disk behind the output is full; 130 Ctrl-C.
"""

import functools
import math
import os
import sys
from typing import TYPE_CHECKING

from absl import flags

from charrnn import command
from charrnn.errors import UserError, check_epsilon, check_temperature
from charrnn.files import strict_json
from charrnn.process import outputs

if TYPE_CHECKING:
    from trainers.evaluation.evaluation import Evaluation

FLAGS = flags.FlagValues()
_string = functools.partial(flags.DEFINE_string, flag_values=FLAGS)
_integer = functools.partial(flags.DEFINE_integer, flag_values=FLAGS)
_float = functools.partial(flags.DEFINE_float, flag_values=FLAGS)
_numbers = functools.partial(flags.DEFINE_list, flag_values=FLAGS)


def _boolean(name: str, text: str, default: bool = False) -> None:
    flags.DEFINE_boolean(name, default, text, flag_values=FLAGS)


command.path_flag("run_dir", None, "The run directory.", FLAGS)
_string("text", None, "Corpus instead of the run's: a name, a file or a glob; it is split in the same way.")
_string("weights", "best", "best (by validation, else newest), newest, or the name of a checkpoint, such as step-24.")
_integer("num_rollouts", 100, "Number of rollouts.")
_integer("num_chars", 1000, "Characters per rollout.")
_integer("seed", 0, "Seed of the first rollout; rollout i uses seed + i.")
_float("epsilon", 0.0, "Write the rollouts with characters of at least this probability; 0: with all.")
_numbers("temperatures", "", "Also measure quality and diversity at these temperatures.")
_numbers("epsilons", "", "Cut-offs for --temperatures, each with every temperature, besides --epsilon.")
_boolean("dynamic", "Also evaluate a model that continues to learn from the text (dynamic evaluation).")
_float("dynamic_rate", 5e-5, "Learning rate of --dynamic.")
_float("dynamic_decay", 1e-3, "Decay of --dynamic towards the trained weights.")
command.paths_flag("ensemble", "Also evaluate the average with this run directory.", FLAGS)
_boolean("ngram", "Also evaluate n-grams of the training text, and their interpolation with the model.")
_boolean("calibrate", "Also find the best model.temperature for the text.")
_boolean("pictures", "Draw the curves; needs matplotlib.", default=True)
_boolean("json", "Print one JSON object.")


def main(beside: list[str]) -> int:
    """Runs the command.

    Args:
        beside: arguments that are no flags; none are allowed.

    Returns:
        The exit status.

    Raises:
        UserError: a mistake in the arguments.
    """
    if beside:
        raise UserError(f"{beside[0]!r} belongs to no flag: give one run, with --run_dir=DIR.")
    if not FLAGS.run_dir:
        raise UserError("No run is given: give --run_dir=DIR, a directory that trainers.run has made.")
    if os.path.isdir(FLAGS.run_dir):  # else a later check says what is wrong
        outputs.require_folder(FLAGS.run_dir, "copy the run to a writable folder")
    temperatures, epsilons = (command.numbers(name, FLAGS) for name in ("temperatures", "epsilons"))
    if epsilons and not temperatures:
        raise UserError("--epsilons is given without --temperatures: give them too, such as --temperatures=0.9,1.")
    for temperature in temperatures:
        check_temperature("--temperatures", temperature)
    for epsilon in epsilons:
        check_epsilon("--epsilons", epsilon)
    command.start_tensorflow()
    from charrnn.measures.dynamic_evaluation import Dynamic
    from charrnn.measures.open_loop import Protocol
    from trainers.evaluation import other_systems, pictures
    from trainers.evaluation.evaluation import evaluate
    from trainers.reports import summaries

    protocol = Protocol(FLAGS.num_rollouts, FLAGS.num_chars, FLAGS.seed, epsilon=FLAGS.epsilon)
    dynamic = other_systems.dynamic(Dynamic(FLAGS.dynamic_rate, FLAGS.dynamic_decay))
    wanted = {
        other_systems.ensemble(FLAGS.ensemble): FLAGS.ensemble,  # first, because it may refuse
        dynamic: FLAGS.dynamic,
        other_systems.ngrams: FLAGS.ngram,
        other_systems.calibration: FLAGS.calibrate,
    }
    others = [system for system, is_wanted in wanted.items() if is_wanted]
    lines: list[str] = []  # printed later, because a refusal is one line
    evaluation = evaluate(
        FLAGS.run_dir, protocol, lines.append, FLAGS.text, FLAGS.weights, temperatures, others, epsilons
    )
    lines += _without_value(evaluation)
    print("\n".join([*lines, f"weights: {evaluation.checkpoint}"]), file=sys.stderr)
    print(_as_json(evaluation) if FLAGS.json else _as_table(evaluation))
    curves = evaluation.report.curves
    summaries.write_curves(FLAGS.run_dir, curves)
    if FLAGS.pictures:
        pictures.show(FLAGS.run_dir, "evaluation", functools.partial(pictures.draw_curves, curves))
    return command.DONE


def _as_json(evaluation: "Evaluation") -> str:
    measures, curves = evaluation.report
    content = {
        "run_dir": FLAGS.run_dir,
        "checkpoint": evaluation.checkpoint,
        "corpus": evaluation.corpus,
        "protocol": {name: FLAGS[name].value for name in ("num_rollouts", "num_chars", "seed", "epsilon")},
        "measures": {name: measure._asdict() for name, measure in measures.items()},
        "curves": {name: curve._asdict() for name, curve in curves.items()},
        "frontier": [
            {"temperature": temperature, "epsilon": epsilon, **point._asdict()}
            for (temperature, epsilon), point in evaluation.frontier.items()
        ],
    }
    return strict_json.dumps(content, indent=2)


def _without_value(evaluation: "Evaluation") -> list[str]:
    """Returns a line on the measures without a value, if any."""
    names = [name for name, measure in evaluation.report.measures.items() if measure.value is None]
    why = "a division by zero or a non-finite value; null in JSON"
    return [f"Not measured ({why}): {', '.join(names)}"] if names else []


def _as_table(evaluation: "Evaluation") -> str:
    lines = [f"{'':26}{'model':>10} {'± error':>10} {'real text':>10}"]
    for name, (value, real, error) in evaluation.report.measures.items():
        lines.append(f"{name:26}{_number(value)} {_number(error)} {_number(real)}")
    if evaluation.frontier:
        lines += ["", *_frontier(evaluation)]
    return "\n".join(line.rstrip() for line in lines)


def _frontier(evaluation: "Evaluation") -> list[str]:
    """Returns the lines of quality and diversity by cut-off and temperature."""
    from trainers.evaluation.comparison import union_gap

    titles = "epsilon temperature reference_loss own_entropy reverse_loss union_gap".split()
    lines = [" ".join(f"{title:>14}" for title in titles)]
    for pair in sorted(evaluation.frontier, key=lambda pair: pair[::-1]):
        point = evaluation.frontier[pair]
        gap = union_gap((point.reference_loss, point.reverse_loss), evaluation.frontier)
        numbers = [f"{number:.4f}" if math.isfinite(number) else "" for number in (*point, gap)]
        lines.append(" ".join(f"{cell:>14}" for cell in (f"{pair[1]:g}", f"{pair[0]:g}", *numbers)))
    return lines


def _number(value: float | None) -> str:
    return " " * 10 if value is None else f"{value:10.4f}"


if __name__ == "__main__":
    sys.exit(command.run(main, FLAGS))
