"""Exports a trained model: python -m charrnn.export --run_dir=DIR --output=DIR [--formats=saved_model,keras,tflite].

Makes a folder that needs no charrnn: saved_model/ (step, generate and score, on strings), model.keras (stock layers),
step.tflite (one character), vocabulary.json, and a README.md that explains their use. With --formats=html also
model.html, a page that shows the model at work in any browser, without a network.
Exit status: 0 done, 2 a wrong argument, 74 the disk of the output is full, 130 Ctrl-C; the folder is only made with 0.
"""

import functools
import sys

from absl import flags

from charrnn import command
from charrnn.errors import UserError
from charrnn.process import outputs

FLAGS = flags.FlagValues()
_string = functools.partial(flags.DEFINE_string, flag_values=FLAGS)
_path = functools.partial(command.path_flag, values=FLAGS)
_float = functools.partial(flags.DEFINE_float, flag_values=FLAGS)

_path("run_dir", None, "The run directory of the model.")
_path("output", None, "Folder to make.")
_formats = ["saved_model", "keras", "tflite"]
flags.DEFINE_list("formats", _formats, "Formats to export, separated by commas; there is also html.", flag_values=FLAGS)
flags.DEFINE_integer("top_k", 0, "For generate: as in charrnn.generate.", flag_values=FLAGS)
_float("top_p", 1.0, "For generate: as in charrnn.generate.")
_float("min_p", 0.0, "For generate: as in charrnn.generate.")
_float("epsilon", 0.0, "For generate: as in charrnn.generate.")
_string("unknown", "refuse", "Treatment of characters that the model never saw: refuse, drop or replace.")
_string("weights", "best", "best (by validation, else the newest), newest, or a checkpoint's name, such as step-24.")


def main(beside: list[str]) -> int:
    """Runs the command. Returns the exit status."""
    if beside:
        raise UserError(f"{beside[0]!r} belongs to no flag; see --help.")
    if not FLAGS.run_dir:
        raise UserError("--run_dir is missing: give --run_dir=DIR, a directory that trainers.run has made.")
    if not FLAGS.output:
        raise UserError("--output is missing: give --output=DIR, a folder to make.")
    outputs.require_new_folder(FLAGS.output)
    command.start_tensorflow()
    from charrnn import sampling
    from charrnn.generation import exporting, loading

    sampler = sampling.Sampler(top_k=FLAGS.top_k, top_p=FLAGS.top_p, min_p=FLAGS.min_p, epsilon=FLAGS.epsilon)
    exporting.export(loading.load(FLAGS.run_dir, FLAGS.weights), FLAGS.output, FLAGS.formats, sampler, FLAGS.unknown)
    print(f"Exported to {FLAGS.output}: {', '.join(FLAGS.formats)}")
    return command.DONE


if __name__ == "__main__":
    sys.exit(command.run(main, FLAGS))
