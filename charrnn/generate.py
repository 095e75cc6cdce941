"""Writes text with a trained model: python -m charrnn.generate --run_dir=DIR --prompt='ROMEO:' [--num_chars=N …].

Prints only the text, with its prompt, while the model writes it. Several texts are printed when they are complete; for
programs as JSON lines with --format=jsonl, or one text per line with --format=lines.
--interactive asks for prompts: \\n in a prompt is a line break, an empty line continues the last text, Ctrl-C ends a
text, Ctrl-D exits.
--surprisal=FILE reads a text, and shows how unexpected each character is: in colours at a terminal, else as JSON lines.
Exit status: 0 done, 2 a wrong argument, 74 the disk of the output is full, 130 Ctrl-C.
"""

import contextlib
import functools
import io
import itertools
import math
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from absl import flags

from charrnn import command
from charrnn.errors import UserError, require
from charrnn.files import strict_json
from charrnn.process import outputs, streams

if TYPE_CHECKING:
    from charrnn.generation.generator import Generator
    from charrnn.generation.loading import Loaded

_MOST_SAMPLES = 1_000_000

FLAGS = flags.FlagValues()
_string = functools.partial(flags.DEFINE_string, flag_values=FLAGS)
_path = functools.partial(command.path_flag, values=FLAGS)
_integer = functools.partial(flags.DEFINE_integer, flag_values=FLAGS)
_float = functools.partial(flags.DEFINE_float, flag_values=FLAGS)

_boolean = functools.partial(flags.DEFINE_boolean, flag_values=FLAGS)
_several = functools.partial(flags.DEFINE_multi_string, flag_values=FLAGS)
_choice = functools.partial(flags.DEFINE_enum, flag_values=FLAGS)

_path("run_dir", None, "The run directory of the model.")
_several("prompt", None, "Beginning of the text; default: a line break, or the start of a document.")
_integer("num_chars", 500, "Maximum number of characters to write after the prompt.")
_integer("min_chars", 0, "Minimum length: ignore stop strings and end-of-document before this many characters.")
_several("stop", None, "Stop string: end a text before it.")
_float("temperature", 1.0, "Sampling temperature; below 1: less random, above 1: more random.")
_integer("top_k", 0, "Choose among the k likeliest characters; 0: among all.")
_float("top_p", 1.0, "Choose among the likeliest characters that together have this probability; 1: among all.")
_float("min_p", 0.0, "Choose among characters with at least this share of the likeliest's probability; 0: among all.")
_float("epsilon", 0.0, "Choose among characters with at least this probability, after the temperature; 0: among all.")
_boolean("greedy", False, "Always take the likeliest character.")
_integer("beam", 0, "Beam search of this width; prints the --num_samples likeliest texts; 0: sample.")
_integer("seed", 0, "Random seed; sample i has seed + i.")
_integer("num_samples", 1, "Number of texts to write after each prompt.")
_boolean("xla", None, "Compile with XLA; default: after 1,024 characters, for up to five texts on a CPU.")
_unknown = "Treatment of characters that the model never saw; default: refuse, for --surprisal replace."
_choice("unknown", None, ["refuse", "drop", "replace"], _unknown)
_format = "Output: plain text; jsonl: one JSON object per text; lines: one text per line, with \\n for a line break."
_choice("format", "plain", ["plain", "jsonl", "lines"], _format)
_boolean("interactive", False, "Ask for prompts.")
_path("save_state", None, "File to write with the state at the end of the text, for --state.")
_path("state", None, "Continue the text whose state --save_state wrote to this file, as if it had never stopped.")
_path("surprisal", None, "Text file to score, or - for standard input.")
_choice("color", "auto", ["auto", "always", "never"], "Colours in --surprisal; auto: only at a terminal.")
_string("weights", "best", "best (by validation, else the newest), newest, or a checkpoint's name, such as step-24.")


def main(beside: list[str]) -> int:
    """Runs the command. Returns the exit status."""
    _check_flags(beside)
    command.start_tensorflow()
    from charrnn import sampling
    from charrnn.generation import loading

    loaded = loading.load(FLAGS.run_dir, FLAGS.weights)
    if FLAGS.surprisal:
        _show_surprisal(loaded)
        return command.DONE
    sampler = sampling.Sampler(FLAGS.temperature, FLAGS.top_k, FLAGS.top_p, FLAGS.min_p, FLAGS.greedy, FLAGS.epsilon)
    generator = loaded.generator(sampler, FLAGS.xla, FLAGS.unknown or "refuse")
    prompts = FLAGS.prompt or ["" if FLAGS.state else generator.beginning]
    stops, notes = _stops(generator)
    if not (FLAGS.prompt or FLAGS.state or FLAGS.interactive or prompts[0] in ("", "\n")):
        notes.append(f"The text begins with {prompts[0]!r}: no --prompt, and the model knows no line break.")
    if FLAGS.interactive:
        _tell(notes)
        _converse(generator, stops)
    elif FLAGS.beam or FLAGS.format != "plain" or len(prompts) * FLAGS.num_samples > 1:
        records = (_beams if FLAGS.beam else _samples)(generator, prompts, stops)
        _tell(notes)
        _show(records)
    else:
        _stream(loaded, generator, prompts[0], stops, notes)
    # Not earlier, because a refusal is one line.
    _tell([f"weights: {loaded.checkpoint}", f"XLA: {_xla(generator, len(prompts) * FLAGS.num_samples)}"])
    return command.DONE


def _check_flags(beside: list[str]) -> None:
    """Raises UserError for wrong flags, and for flags that contradict each other."""
    if beside:
        raise UserError(f"{beside[0]!r} belongs to no flag: quote a prompt with spaces, as in --prompt='{beside[0]}'.")
    if not FLAGS.run_dir:
        raise UserError("--run_dir is missing: give --run_dir=DIR, a directory that trainers.run has made.")
    require("--num_chars", FLAGS.num_chars, 1 <= FLAGS.num_chars < 2**31, "at least 1 and below 2^31")
    require("--min_chars", FLAGS.min_chars, 0 <= FLAGS.min_chars <= FLAGS.num_chars, "at least 0, at most --num_chars")
    possible = 1 <= FLAGS.num_samples <= _MOST_SAMPLES
    require("--num_samples", FLAGS.num_samples, possible, f"at least 1 and at most {_MOST_SAMPLES}")
    require("--beam", FLAGS.beam, FLAGS.beam == 0 or FLAGS.beam >= FLAGS.num_samples, "0, or at least --num_samples")
    require("--seed", FLAGS.seed, 0 <= FLAGS.seed < 2**31 - FLAGS.num_samples, "at least 0 and below 2^31")
    given = [name for name in ("interactive", "surprisal", "beam", "state", "save_state") if FLAGS[name].value]
    if given and given != ["beam"] and FLAGS.format != "plain":
        raise UserError(f"--{given[0]} and --format={FLAGS.format} do not go together: give one of them.")
    if len(given) > 1 and given != ["state", "save_state"]:
        raise UserError(f"--{given[0]} and --{given[1]} do not go together: give one of them.")
    if (given and len(FLAGS.prompt or []) > 1) or ({"state", "save_state"} & {*given} and FLAGS.num_samples > 1):
        raise UserError(f"--{given[0]} is for one text: give one --prompt, and no --num_samples.")
    if FLAGS.save_state:
        outputs.require_file("--save_state", FLAGS.save_state)


def _stops(generator: "Generator") -> tuple[list[str], list[str]]:
    """Returns the stop strings that can end a text, and a sentence about each of the others."""
    stops = FLAGS.stop or []
    impossible = generator.impossible(stops, FLAGS.num_chars, FLAGS.min_chars)
    if "" in stops:
        impossible[""] = "it is empty"
    notes = [f"--stop={stop!r} can never end a text: {reason}." for stop, reason in impossible.items()]
    return [stop for stop in stops if stop not in impossible], notes


def _xla(generator: "Generator", num_texts: int) -> str:
    start = math.inf if FLAGS.beam else generator.writer.xla_from(num_texts)
    return {0: "on", math.inf: "off"}.get(start, f"on after {start:,} characters")


def _tell(notes: list[str]) -> None:
    for note in notes:
        print(note, file=sys.stderr)


def _samples(generator: "Generator", prompts: list[str], stops: list[str]) -> Iterator[dict]:
    """Returns the records of the samples, each when it is written; refuses wrong arguments before the first."""
    pairs = [(prompt, FLAGS.seed + i) for prompt in prompts for i in range(FLAGS.num_samples)]
    every_prompt, seeds = zip(*pairs, strict=True)
    parts = generator.in_parts(every_prompt, FLAGS.num_chars, seeds, None, stops, FLAGS.min_chars)
    temperature = 0.0 if FLAGS.greedy else FLAGS.temperature
    return (
        {"prompt": prompt, "seed": seed, "temperature": temperature, "text": text}
        for (prompt, seed), text in zip(pairs, itertools.chain.from_iterable(parts), strict=True)
    )


def _beams(generator: "Generator", prompts: list[str], stops: list[str]) -> list[dict]:
    found = generator.beam(prompts[0], FLAGS.num_chars, FLAGS.beam, stops, FLAGS.min_chars)
    found = found[: FLAGS.num_samples]
    print("ln p:", ", ".join(f"{hypothesis.log_prob:.4f}" for hypothesis in found), file=sys.stderr)
    return [{"prompt": prompts[0], "log_prob": log_prob, "text": text} for text, log_prob in found]


def _show(records: Iterable[dict]) -> None:
    """Prints the texts in the format of --format."""
    for i, record in enumerate(records):
        text = record["prompt"] + record["text"]
        if FLAGS.format == "jsonl":
            text = strict_json.dumps(record, ensure_ascii=False)
        elif FLAGS.format == "lines":
            text = text.replace("\r", "\\r").replace("\n", "\\n")
        elif i:
            text = f"----------\n{text}"
        streams.write(f"{text}\n")


def _stream(loaded: "Loaded", generator: "Generator", prompt: str, stops: list[str], notes: list[str]) -> None:
    from charrnn.generation.state import GenerationState

    state = GenerationState.load(FLAGS.state, loaded.model, loaded.vocabulary) if FLAGS.state else None
    stream = generator.stream(prompt, FLAGS.num_chars, FLAGS.seed, stops, FLAGS.min_chars, state)
    _tell(notes)
    try:
        streams.write(prompt)
        for piece in stream:
            streams.write(piece)
    finally:  # also if Ctrl-C ends the text, or the reader of the output exits
        if FLAGS.save_state:
            stream.state.save(FLAGS.save_state, loaded.model, loaded.vocabulary)
        else:
            print(end=stream.pending.decode("utf-8", "replace"))
        print(flush=True)


def _converse(generator: "Generator", stops: list[str]) -> None:
    from charrnn.generation.interactive import converse

    if isinstance(sys.stdin, io.TextIOWrapper):
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

    converse(generator, read, streams.write, tell, FLAGS.num_chars, FLAGS.seed, stops, FLAGS.min_chars)


def _show_surprisal(loaded: "Loaded") -> None:
    from charrnn.measures.rollouts import Reader
    from charrnn.measures.surprisal import coloured, decoded, surprisals
    from charrnn.text.vocabulary import listed

    name = "standard input" if FLAGS.surprisal == "-" else FLAGS.surprisal
    text = decoded(_bytes(FLAGS.surprisal), name, loaded.vocabulary, FLAGS.unknown or "replace")
    unknown = loaded.vocabulary.unknown_characters(text)
    if unknown:
        print(f"Read as the unknown character, because the model never saw them: {listed(unknown)}", file=sys.stderr)
    colours = FLAGS.color == "always" or (FLAGS.color == "auto" and sys.stdout.isatty())
    reader, total, count = Reader(loaded.model, end_id=loaded.generator().end_id), 0.0, 0
    for character, nats in surprisals(reader, loaded.vocabulary, text, loaded.end_of_text):
        total, count = (total, count) if nats is None else (total + nats, count + 1)
        line = strict_json.dumps({"character": character, "nats": nats}, ensure_ascii=False) + "\n"
        streams.write(coloured(character, nats) if colours else line)
    if colours:
        print(flush=True)
    if count:
        print(f"{total / count:.4f} nats per character", file=sys.stderr)


def _bytes(path: str) -> bytes:
    from charrnn.text import corpora

    content = sys.stdin.buffer.read() if path == "-" else corpora.load(path, as_bytes=True).content
    return content if isinstance(content, bytes) else content.encode()


if __name__ == "__main__":
    sys.exit(command.run(main, FLAGS))
