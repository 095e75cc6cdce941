"""A first look at a text before a model is trained on it: python -m charrnn.corpora my.txt [--order=lines …]

Takes whatever --corpus takes, and tells which characters and lines are in it, how a run would read it, and how well
n-grams predict it; the last line is a command to begin with. Without a text: the registered corpora. A text above 16 MB
is encoded into the cache first, as a run would do. Exit status: 0 done, 2 a mistake in what was given, 74 the disk
behind the output is full, 130 Ctrl-C.
"""

import dataclasses
import functools
import math
import os
import re
import shlex
import sys
import textwrap
import unicodedata
from collections.abc import Iterator

from absl import flags

from charrnn import command
from charrnn.text import corpora

FLAGS = flags.FlagValues()
_string = functools.partial(flags.DEFINE_string, default=None, flag_values=FLAGS)
_float = functools.partial(flags.DEFINE_float, default=None, flag_values=FLAGS)

_string("order", help="As data.order: windows, streams or lines.")
_string("vocabulary", help="As data.vocabulary: characters or bytes.")
flags.DEFINE_boolean("lowercase", None, "As data.lowercase: turn the text into lower case first.", flag_values=FLAGS)
flags.DEFINE_integer("csv_column", None, "As data.csv_column: the column of CSV files, from 1 on.", flag_values=FLAGS)
_string("csv_delimiter", help="As data.csv_delimiter: the character between fields, tab or space; default: found.")
_string("csv_header", help="As data.csv_header: true, false or auto.")
_string("encoding", help="As data.encoding: cp1252, utf-16 or another; default: UTF-8, or what the file's mark says.")
_string("normalization", help="As data.normalization: NFC, NFD, NFKC or NFKD.")
_float("validation_fraction", help="As data.validation_fraction: how much of the text is kept to validate.")
_float("test_fraction", help="As data.test_fraction.")

_READING = tuple(FLAGS)
_EXPERIMENT = "shakespeare_gru"  # which the suggestion begins with
_RARE = 10  # occurrences; what is seen less often is hardly learnt
_SHOWN = 120  # characters of a list
_CONTROLS = {"\t": "tab", "\n": "line feed", "\f": "form feed", "\r": "carriage return"}
_SPACE, _WIDTH = "\N{NO-BREAK SPACE}", 110


def main(specs: list[str]) -> int:
    """Looks at what was given beside the flags. Returns the exit status."""
    given = {name: FLAGS[name].value for name in _READING if FLAGS[name].value is not None}
    command.start_tensorflow()
    if specs:
        from charrnn.batches.sources import DataConfig
        from charrnn.first_look.report import first_look

        spec = corpora.joined([corpora.settled(spec, _tell) for spec in specs])
        look = first_look(spec, DataConfig(**given))
        lines = [*_about_text(look), "", *_about_reading(look), "", *_about_beginning(look)]
    else:
        lines = [_about_registered(name) for name in corpora.registered_names()]
    print("\n".join(lines))
    return command.DONE


def _tell(line: str) -> None:
    print(line, file=sys.stderr)


def _about_registered(name: str) -> str:
    if name == "plays":
        return f"{name:14}built in: {corpora.PLAYS_CHARS:,} characters, or as many as {name}:N says"
    return f"{name:14}{corpora.kept(name) or f'to be downloaded from {corpora.PUBLISHED[name].url}'}"


def _about_text(look) -> Iterator[str]:
    counts, lengths, num_blank, _ = look.tally
    files = f"{_number(look.num_files, 'file')}, " if look.num_files else ""
    kind = "byte" if look.data.vocabulary == "bytes" else "character"
    yield f"{look.spec}: {files}{_number(counts.total(), kind)}, {len(counts):,} of them distinct"
    ranked = counts.most_common()
    yield from _listed("by count", [(repr(c), n) for c, n in ranked])
    yield from _listed(f"fewer than {_RARE} times", [(repr(c), n) for c, n in ranked if n < _RARE])
    yield from _listed("not printable", [(_name(c), n) for c, n in sorted(counts.items()) if not c.isprintable()])
    yield from _listed("unknown, for none is there to train on", [(repr(c), n) for c, n in look.unknown.most_common()])
    if lengths:
        longest = [f"{100 * share:g} % at most {look.tally.longest(share):,}" for share in (0.5, 0.95, 0.99)]
        yield (
            f"{_number(lengths.total() + num_blank, 'line')}, {num_blank:,} of them blank; the others have from "
            f"{min(lengths):,} to {max(lengths):,} characters, {', '.join(longest)}"
        )
    if set(look.tally.line_ends) - {"LF"}:
        ends = ", ".join(f"{count:,} with {end}" for end, count in look.tally.line_ends.items())
        yield f"Lines end {ends}: with --order=lines each of them ends a document, else they are characters to learn"
    if look.decomposed and not look.data.normalization:
        yield (
            "Letters with accents are written as two characters (NFD), everywhere or here and there, and differ from "
            "the same letters in one character: --normalization=NFC writes all in one"
        )


def _about_reading(look) -> Iterator[str]:
    from charrnn.encoded.array import Sharded
    from charrnn.first_look import report

    texts, data, repeats = look.texts, look.data, look.repeats
    yield from look.said
    place = "in files, by index" if isinstance(texts.train, Sharded) else "in memory"
    batch = f"{data.batch_size} {'documents' if data.order == 'lines' else data.order} of {data.seq_length} characters"
    epoch = f"an epoch is {_number(look.steps_per_epoch, 'step')}" if look.steps_per_epoch else "too few for one batch"
    yield f"It is read {place}; in batches of {batch}, as is the default, {epoch}"
    if repeats.num_train and repeats.num_validation:
        part = _beginning(len(texts.train), report.MOST_COMPARED)
        again, known = repeats.again / repeats.num_train, repeats.known / repeats.num_validation
        yield (
            f"Of its lines of {report.LONG} characters and more, {again:.1%} of those to train on{part} stand "
            f"there before; {known:.1%} of those to validate are also among these"
        )
    if look.ngram_loss is not None:
        part = _beginning(len(texts.train), report.MOST_COUNTED)
        predicted = _beginning(len(texts.validation) - 1, report.MOST_PREDICTED)
        yield (
            f"7-grams of the text to train on{part} give the text to validate{predicted} {look.ngram_loss:.4f} nats "
            f"per character, {look.ngram_loss / math.log(2):.4f} bits"
        )


def _about_beginning(look) -> Iterator[str]:
    units, data, steps, epochs, _ = look.suggestion
    yield (
        f"To begin with: {units} units, {data.batch_size} rows of {data.seq_length} characters, {steps:,} steps, which "
        f"are {epochs:,.2g} epochs; docs/data.md has the rule"
    )
    yield _command(look)


def _command(look) -> str:
    units, data, steps, _, optimizer = look.suggestion
    name = re.sub(r"\W+", "-", os.path.basename(look.spec).partition(".")[0]).strip("-") or "mine"
    reading = [
        f"data.{field.name}={_as_setting(getattr(data, field.name))}"
        for field in dataclasses.fields(data)
        if field.name in ("seq_length", "batch_size") or getattr(data, field.name) != field.default
    ]
    given = [f"--experiment={_EXPERIMENT}", f"--run_dir=runs/{name}", f"--corpus={look.spec}", f"--steps={steps}"]
    settings = [f"model.units={units}", *reading, *optimizer, f"loop.evaluate_every={-(-steps // 10)}"]
    return shlex.join(["python", "-m", "trainers.run", *given, "--set", *settings])


def _as_setting(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _beginning(length: int, most: int) -> str:
    return f" (of the first {most:,} characters)" if length > most else ""


def _listed(what: str, entries: list[tuple[str, int]]) -> Iterator[str]:
    if entries:
        more = [f"and {len(entries) - _SHOWN:,} more"] if len(entries) > _SHOWN else []
        text = "   ".join(f"{name} {n:,}".replace(" ", _SPACE) for name, n in entries[:_SHOWN])
        yield f"  {what}:"
        for line in textwrap.wrap("   ".join([text, *more]), _WIDTH, initial_indent="    ", subsequent_indent="    "):
            yield line.replace(_SPACE, " ")


def _name(character: str) -> str:
    name = _CONTROLS.get(character) or unicodedata.name(character, "control").lower()
    return f"U+{ord(character):04X} {name}"


if __name__ == "__main__":
    sys.exit(command.run(main, FLAGS))
