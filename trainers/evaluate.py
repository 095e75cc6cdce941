"""Measures a trained run, in closed and in open loop: python -m trainers.evaluate --run_dir=DIR [--text=FILE] [--json].

Each measure has its value for real text beside it; docs/evaluation.md says what they are and how to read them. Curves
over the position in a rollout go to the run directory, for TensorBoard, and as a picture. With --dynamic, --ngram and
--calibrate also the losses of a model that goes on learning, of n-grams with and without the model, and of the model
at the temperature that suits the text best: figures of other systems, each on its own. Exit status: 0 done, 2 a
mistake in what was given, 74 the disk behind the output is full, 130 Ctrl-C.
"""

import functools
import os
import sys
from typing import TYPE_CHECKING

from absl import flags

from charrnn import command
from charrnn.errors import UserError
from charrnn.files import strict_json
from charrnn.process import outputs

if TYPE_CHECKING:
    from trainers.evaluation.evaluation import Evaluation

FLAGS = flags.FlagValues()
_string = functools.partial(flags.DEFINE_string, flag_values=FLAGS)
_integer = functools.partial(flags.DEFINE_integer, flag_values=FLAGS)
_float = functools.partial(flags.DEFINE_float, flag_values=FLAGS)


def _boolean(name: str, text: str, default: bool = False) -> None:
    flags.DEFINE_boolean(name, default, text, flag_values=FLAGS)


command.path_flag("run_dir", None, "The run directory.", FLAGS)
_string("text", None, "A corpus in the place of the run's: a name, a file, or a glob of files; split as the run's was.")
_string("weights", "best", "best (by validation, if measured, else newest), newest, or a name, such as step-24.")
_integer("num_rollouts", 100, "How many texts the model writes.")
_integer("num_chars", 1000, "How many characters each.")
_integer("seed", 0, "Of the first rollout; each next one has the next.")
_boolean("dynamic", "Evaluate also a model that goes on learning from the text on which it is evaluated.")
_float("dynamic_rate", 5e-5, "How fast it learns.")
_float("dynamic_decay", 1e-3, "How fast it comes back to what it had learnt in training.")
_boolean("ngram", "Evaluate also n-grams of the training text, and their interpolation with the model.")
_boolean("calibrate", "Find the best model.temperature for the text.")
_boolean("pictures", "Draw the curves; that needs matplotlib.", default=True)
_boolean("json", "Print one JSON object.")


def main(beside: list[str]) -> int:
    """Evaluates what the flags ask for. Returns the exit status."""
    if beside:
        raise UserError(f"{beside[0]!r} belongs to no flag: give one run, with --run_dir=DIR.")
    if not FLAGS.run_dir:
        raise UserError("Which run? Give --run_dir=DIR, a directory that trainers.run has made.")
    if os.path.isdir(FLAGS.run_dir):  # else it is refused for what it is
        outputs.require_folder(FLAGS.run_dir, "copy the run to where you may write")
    command.start_tensorflow()
    from charrnn.measures.dynamic_evaluation import Dynamic
    from charrnn.measures.open_loop import Protocol
    from trainers.evaluation import other_systems, pictures
    from trainers.evaluation.evaluation import evaluate
    from trainers.reports import summaries

    protocol = Protocol(FLAGS.num_rollouts, FLAGS.num_chars, FLAGS.seed)
    dynamic = other_systems.dynamic(Dynamic(FLAGS.dynamic_rate, FLAGS.dynamic_decay))
    wanted = {dynamic: FLAGS.dynamic, other_systems.ngrams: FLAGS.ngram, other_systems.calibration: FLAGS.calibrate}
    others = [system for system, is_wanted in wanted.items() if is_wanted]
    lines: list[str] = []  # told later: a refusal is one line
    evaluation = evaluate(FLAGS.run_dir, protocol, lines.append, FLAGS.text, FLAGS.weights, others=others)
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
        "protocol": {name: FLAGS[name].value for name in ("num_rollouts", "num_chars", "seed")},
        "measures": {name: measure._asdict() for name, measure in measures.items()},
        "curves": {name: curve._asdict() for name, curve in curves.items()},
    }
    return strict_json.dumps(content, indent=2)


def _without_value(evaluation: "Evaluation") -> list[str]:
    """A line on what could not be measured, if there is any such."""
    names = [name for name, measure in evaluation.report.measures.items() if measure.value is None]
    why = "nothing to divide by, or a value that is not finite; null in JSON"
    return [f"Not measured ({why}): {', '.join(names)}"] if names else []


def _as_table(evaluation: "Evaluation") -> str:
    lines = [f"{'':26}{'model':>10} {'± error':>10} {'real text':>10}"]
    for name, (value, real, error) in evaluation.report.measures.items():
        lines.append(f"{name:26}{_number(value)} {_number(error)} {_number(real)}")
    return "\n".join(line.rstrip() for line in lines)


def _number(value: float | None) -> str:
    return " " * 10 if value is None else f"{value:10.4f}"


if __name__ == "__main__":
    sys.exit(command.run(main, FLAGS))
