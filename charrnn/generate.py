"""Writes text with a trained model: python -m charrnn.generate --run_dir=DIR --prompt='ROMEO:' [--num_chars=N …].

The text alone, prompt included, goes to standard output. A prompt with a character that the model never saw is refused.
Exit status: 0 done, 2 a mistake in what was given.
"""

import functools
import sys

from absl import flags

from charrnn import command
from charrnn.errors import UserError, check

FLAGS = flags.FlagValues()
_string = functools.partial(flags.DEFINE_string, flag_values=FLAGS)
_integer = functools.partial(flags.DEFINE_integer, flag_values=FLAGS)
_float = functools.partial(flags.DEFINE_float, flag_values=FLAGS)

_string("run_dir", None, "The run directory of the model.")
_string("prompt", None, "What the text begins with; default: a line break, or where a document begins.")
_integer("num_chars", 500, "How many characters to write after the prompt.")
_float("temperature", 1.0, "Below 1: safer; above 1: wilder.")
_integer("top_k", 0, "Choose among the k likeliest characters only; 0: among all.")
_float("top_p", 1.0, "Choose among the likeliest that together have this probability only.")
flags.DEFINE_boolean("greedy", False, "Take the likeliest character always.", flag_values=FLAGS)
_integer("seed", 0, "The text is a function of it; sample i has seed + i.")
_integer("num_samples", 1, "How many texts to write.")
flags.DEFINE_boolean("xla", False, "Compile first: pays for one long text, or a few.", flag_values=FLAGS)
_string("stop", "", "End a text before this string.")
_string("weights", "best", "best: by validation, where there are any, else newest.")


def main(beside: list[str]) -> int:
    """Writes what the flags ask for. Returns the exit status."""
    if beside:
        raise UserError(f"{beside[0]!r} belongs to no flag; quote a prompt that has spaces: --prompt='{beside[0]}'.")
    if not FLAGS.run_dir:
        raise UserError("Whose model? Give --run_dir=DIR, a directory that trainers.run has made.")
    check("--num_chars", FLAGS.num_chars, 1 <= FLAGS.num_chars < 2**31, "at least 1 and below 2^31")
    check("--num_samples", FLAGS.num_samples, 1 <= FLAGS.num_samples <= 10_000, "at least 1 and at most 10000")
    check("--seed", FLAGS.seed, 0 <= FLAGS.seed < 2**31 - FLAGS.num_samples, "at least 0 and below 2^31")
    command.start_tensorflow()
    from charrnn import loading, sampling

    sampler = sampling.Sampler(FLAGS.temperature, FLAGS.top_k, FLAGS.top_p, FLAGS.greedy)
    loaded = loading.load(FLAGS.run_dir, FLAGS.weights)
    prompt = FLAGS.prompt if FLAGS.prompt is not None else "" if loaded.end_of_text else "\n"
    seeds = range(FLAGS.seed, FLAGS.seed + FLAGS.num_samples)
    generator = loaded.generator(sampler, FLAGS.xla)
    texts = generator.generate([prompt] * len(seeds), FLAGS.num_chars, seeds, stop=FLAGS.stop)
    print(f"weights: {loaded.checkpoint}", file=sys.stderr)  # not earlier: a refusal is one line
    print("\n----------\n".join(prompt + text for text in texts))
    return command.DONE


if __name__ == "__main__":
    sys.exit(command.run(main, FLAGS))
