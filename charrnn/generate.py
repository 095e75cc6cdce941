"""Writes text with a trained model: python -m charrnn.generate --run_dir=DIR --prompt='ROMEO:' [--num_chars=N …].

The text alone, prompt included, goes to standard output, as it is made; several texts come together.
--interactive asks for prompts: \\n in one is a line break, an empty line goes on with the last text, Ctrl-C ends a
text, Ctrl-D leaves.
--surprisal=FILE reads a text, and shows how unexpected each character is: in colours at a terminal, else as JSON lines.
Exit status: 0 done, 2 a mistake in what was given, 74 the disk behind the output is full, 130 Ctrl-C.
"""

import contextlib
import functools
import sys

from absl import flags

from charrnn import command, outputs, streams, strict_json
from charrnn.errors import UserError, check

FLAGS = flags.FlagValues()
_string = functools.partial(flags.DEFINE_string, flag_values=FLAGS)
_path = functools.partial(command.path_flag, values=FLAGS)
_integer = functools.partial(flags.DEFINE_integer, flag_values=FLAGS)
_float = functools.partial(flags.DEFINE_float, flag_values=FLAGS)

_boolean = functools.partial(flags.DEFINE_boolean, flag_values=FLAGS)
_several = functools.partial(flags.DEFINE_multi_string, flag_values=FLAGS)
_choice = functools.partial(flags.DEFINE_enum, flag_values=FLAGS)

_path("run_dir", None, "The run directory of the model.")
_several("prompt", None, "What the text begins with; default: a line break, or where a document begins.")
_integer("num_chars", 500, "How many characters to write after the prompt, at most.")
_integer("min_chars", 0, "Neither a stop string nor the end of a document ends a text that is shorter.")
_several("stop", None, "End a text before this string.")
_float("temperature", 1.0, "Below 1: safer; above 1: wilder.")
_integer("top_k", 0, "Choose among the k likeliest characters only; 0: among all.")
_float("top_p", 1.0, "Choose among the likeliest that together have this probability only.")
_float("min_p", 0.0, "Choose among characters only that have this share of the likeliest's probability.")
_boolean("greedy", False, "Take the likeliest character always.")
_integer("beam", 0, "Search for the likeliest texts, with so many at a time; the --num_samples best are shown.")
_integer("seed", 0, "The text is a function of it; sample i has seed + i.")
_integer("num_samples", 1, "How many texts to write after each prompt.")
_boolean("xla", False, "Compile first: pays for one long text, or a few.")
_choice("unknown", "refuse", ["refuse", "drop", "replace"], "What becomes of characters that the model never saw.")
_boolean("interactive", False, "Ask for prompts.")
_path("save_state", None, "A file to write where the text stands at its end.")
_path("state", None, "Go on with the text whose state is in this file, as if it had never stopped.")
_path("surprisal", None, "A text file, or - for standard input, to be read.")
_choice("color", "auto", ["auto", "always", "never"], "Whether --surprisal colours; auto: at a terminal.")
_string("weights", "best", "best: by validation, where there are any, else newest.")


def main(beside: list[str]) -> int:
    """Does what the flags ask for. Returns the exit status."""
    if beside:
        raise UserError(f"{beside[0]!r} belongs to no flag; quote a prompt that has spaces: --prompt='{beside[0]}'.")
    if not FLAGS.run_dir:
        raise UserError("Whose model? Give --run_dir=DIR, a directory that trainers.run has made.")
    check("--num_chars", FLAGS.num_chars, 1 <= FLAGS.num_chars < 2**31, "at least 1 and below 2^31")
    check("--min_chars", FLAGS.min_chars, 0 <= FLAGS.min_chars <= FLAGS.num_chars, "at least 0, at most --num_chars")
    check("--num_samples", FLAGS.num_samples, 1 <= FLAGS.num_samples <= 10_000, "at least 1 and at most 10000")
    check("--beam", FLAGS.beam, FLAGS.beam == 0 or FLAGS.beam >= FLAGS.num_samples, "0, or at least --num_samples")
    check("--seed", FLAGS.seed, 0 <= FLAGS.seed < 2**31 - FLAGS.num_samples, "at least 0 and below 2^31")
    _check_together()
    if FLAGS.save_state:
        outputs.require_file("--save_state", FLAGS.save_state)
    command.start_tensorflow()
    from charrnn import loading, sampling

    loaded = loading.load(FLAGS.run_dir, FLAGS.weights)
    if FLAGS.surprisal:
        _show_surprisal(loaded)
        return command.DONE
    sampler = sampling.Sampler(FLAGS.temperature, FLAGS.top_k, FLAGS.top_p, FLAGS.min_p, FLAGS.greedy)
    generator = loaded.generator(sampler, FLAGS.xla, FLAGS.unknown)
    prompts = FLAGS.prompt or ["" if loaded.end_of_text or FLAGS.state else "\n"]
    if FLAGS.interactive:
        _converse(generator)
    elif FLAGS.beam or len(prompts) * FLAGS.num_samples > 1:
        print("\n----------\n".join(_beams(generator, prompts) if FLAGS.beam else _samples(generator, prompts)))
    else:
        _stream(loaded, generator, prompts[0])
    print(f"weights: {loaded.checkpoint}", file=sys.stderr)  # not earlier: a refusal is one line
    return command.DONE


def _check_together() -> None:
    """Raises UserError where two flags ask for different things."""
    asked = [name for name in ("interactive", "surprisal", "beam", "state", "save_state") if FLAGS[name].value]
    if len(asked) > 1 and asked != ["state", "save_state"]:
        raise UserError(f"--{asked[0]} and --{asked[1]} do not go together: give one of them.")
    if (asked and len(FLAGS.prompt or []) > 1) or ({"state", "save_state"} & {*asked} and FLAGS.num_samples > 1):
        raise UserError(f"--{asked[0]} is for one text: give one --prompt, and no --num_samples.")


def _samples(generator, prompts) -> list[str]:
    asked = [(prompt, FLAGS.seed + i) for prompt in prompts for i in range(FLAGS.num_samples)]
    prompts, seeds = zip(*asked, strict=True)
    texts = generator.generate(prompts, FLAGS.num_chars, seeds, None, FLAGS.stop or "", FLAGS.min_chars)
    return [prompt + text for prompt, text in zip(prompts, texts, strict=True)]


def _beams(generator, prompts) -> list[str]:
    found = generator.beam(prompts[0], FLAGS.num_chars, FLAGS.beam, FLAGS.stop or "", FLAGS.min_chars)
    found = found[: FLAGS.num_samples]
    print("ln p:", ", ".join(f"{hypothesis.log_prob:.4f}" for hypothesis in found), file=sys.stderr)
    return [prompts[0] + hypothesis.text for hypothesis in found]


def _stream(loaded, generator, prompt) -> None:
    from charrnn.generation_state import GenerationState

    state = GenerationState.load(FLAGS.state, loaded.model, loaded.vocabulary) if FLAGS.state else None
    stream = generator.stream(prompt, FLAGS.num_chars, FLAGS.seed, FLAGS.stop or "", FLAGS.min_chars, state)
    try:
        streams.write(prompt)
        for piece in stream:
            streams.write(piece)
    finally:  # also if Ctrl-C ends the text, or its reader leaves
        if FLAGS.save_state:
            stream.state.save(FLAGS.save_state, loaded.model, loaded.vocabulary)
        else:
            print(end=stream.pending.decode("utf-8", "replace"))
        print(flush=True)


def _converse(generator) -> None:
    from charrnn.interactive import converse

    sys.stdin.reconfigure(errors="replace")
    ask = "> " if sys.stdin.isatty() and sys.stdout.isatty() else ""
    if ask:
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401 - lets `input` edit the line

    def read():
        try:
            return input(ask)
        except EOFError:
            return None

    def tell(sentence):
        print(sentence, file=sys.stderr)

    converse(generator, read, streams.write, tell, FLAGS.num_chars, FLAGS.seed, FLAGS.stop or "", FLAGS.min_chars)


def _show_surprisal(loaded) -> None:
    from charrnn.rollouts import Reader
    from charrnn.surprisal import coloured, surprisals
    from charrnn.unknown import admit

    text = admit(_text(FLAGS.surprisal), FLAGS.surprisal, loaded.vocabulary, FLAGS.unknown)
    if not text:
        raise UserError(f"{FLAGS.surprisal} has no text: give at least one character.")
    colours = FLAGS.color == "always" or (FLAGS.color == "auto" and sys.stdout.isatty())
    reader, found = Reader(loaded.model, end_id=loaded.generator().end_id), []
    for character, nats in surprisals(reader, loaded.vocabulary, text, loaded.end_of_text):
        found += [] if nats is None else [nats]
        line = strict_json.dumps({"character": character, "nats": nats}, ensure_ascii=False) + "\n"
        streams.write(coloured(character, nats) if colours else line)
    if colours:
        print(flush=True)
    if found:
        print(f"{sum(found) / len(found):.4f} nats per character", file=sys.stderr)


def _text(path: str) -> str:
    from charrnn import corpora, pieces

    if path != "-":
        return corpora.load(path).content
    return pieces.decode("standard input", sys.stdin.buffer.read())[0]


if __name__ == "__main__":
    sys.exit(command.run(main, FLAGS))
