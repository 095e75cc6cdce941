"""Reports on a text before you train on it: python -m charrnn.corpora my.txt [--order=lines …]

Accepts the same corpora as --corpus. Reports the characters and lines, how a run reads the text, and how well n-grams
predict it. The last line is a command for a first run. Without a text, lists the registered corpora. Encodes a text
above 16 MB into the cache first, like a run.
Exit status: 0 done, 2 invalid arguments, 74 the output's disk is full, 130 Ctrl-C.
"""

from __future__ import annotations

import math
import os
import re
import shlex
import sys
import textwrap
import unicodedata
from collections.abc import Iterator
from typing import TYPE_CHECKING

from absl import flags

from charrnn import command
from charrnn.text import corpora

if TYPE_CHECKING:
    from charrnn.first_look.report import FirstLook

FLAGS = flags.FlagValues()
_given = command.reading_flags(FLAGS)
flags.DEFINE_string("order", "windows", "As data.order: windows, streams or lines.", flag_values=FLAGS)

_EXPERIMENT = "shakespeare_gru"  # of the suggested command
_RARE = 10  # occurrences; a model hardly learns rarer characters
_SHOWN = 120  # entries of a list
_CONTROLS = {"\t": "tab", "\n": "line feed", "\f": "form feed", "\r": "carriage return"}
_SPACE, _WIDTH = "\N{NO-BREAK SPACE}", 110


def main(specs: list[str]) -> int:
    """Reports on the given corpora. Returns the exit status."""
    command.start_tensorflow()
    if specs:
        from charrnn.batches.sources import DataConfig
        from charrnn.first_look.report import first_look

        spec = corpora.joined([corpora.resolve(spec, _tell) for spec in specs])
        look = first_look(spec, DataConfig(order=FLAGS.order, **_given()))
        lines = [*_about_text(look), "", *_about_reading(look), "", *_about_beginning(look)]
    else:
        lines = [_about_registered(name) for name in corpora.registered_names()]
    print("\n".join(lines))
    return command.DONE


def _tell(line: str) -> None:
    print(line, file=sys.stderr)


def _about_registered(name: str) -> str:
    if corpora.is_built_in(name):
        return f"{name:14}built in: {corpora.BUILT_IN_CHARS:,} characters, or as many as {name}:N says"
    return f"{name:14}{corpora.local_file(name) or f'to be downloaded from {corpora.PUBLISHED[name].url}'}"


def _about_text(look: FirstLook) -> Iterator[str]:
    counts, lengths, num_blank, _ = look.tally
    files = f"{_number(look.num_files, 'file')}, " if look.num_files else ""
    kind = "byte" if look.data.vocabulary == "bytes" else "character"
    yield f"{look.spec}: {files}{_number(counts.total(), kind)}, {len(counts):,} of them distinct"
    ranked = counts.most_common()
    yield from _listed("by count", [(repr(c), n) for c, n in ranked])
    yield from _listed(f"fewer than {_RARE} times", [(repr(c), n) for c, n in ranked if n < _RARE])
    yield from _listed("not printable", [(_name(c), n) for c, n in sorted(counts.items()) if not c.isprintable()])
    unknown = [(repr(c), n) for c, n in look.unknown.most_common()]
    yield from _listed("unknown, because they do not occur in the training text", unknown)
    if lengths:
        longest = [f"{100 * share:g} % at most {look.tally.length_quantile(share):,}" for share in (0.5, 0.95, 0.99)]
        yield (
            f"{_number(lengths.total() + num_blank, 'line')}, {num_blank:,} of them blank; the others have "
            f"{min(lengths):,} to {max(lengths):,} characters, {', '.join(longest)}"
        )
    if set(look.tally.line_ends) - {"LF"}:
        ends = ", ".join(f"{count:,} with {end}" for end, count in look.tally.line_ends.items())
        yield f"Lines end {ends}: with --order=lines each of them ends a document; otherwise the model learns them"
    if look.decomposed and not look.data.normalization:
        yield (
            "Some or all letters with accents consist of two characters (NFD), and differ from the same letters in "
            "one character: --normalization=NFC writes each as one"
        )


def _about_reading(look: FirstLook) -> Iterator[str]:
    from charrnn.encoded.array import Sharded
    from charrnn.first_look import report

    texts, data, repeats = look.texts, look.data, look.repeats
    yield from look.notes
    place = "in files, by index" if isinstance(texts.train, Sharded) else "in memory"
    batch = f"{data.batch_size} {'documents' if data.order == 'lines' else data.order} of {data.seq_length} characters"
    epoch = f"an epoch has {_number(look.steps_per_epoch, 'step')}" if look.steps_per_epoch else "too few for one batch"
    yield f"A run reads it {place}; with the default batches of {batch}, {epoch}"
    if repeats.num_train and repeats.num_validation:
        part = _beginning(len(texts.train), report.MOST_COMPARED_CHARS)
        again, known = repeats.num_again / repeats.num_train, repeats.num_known / repeats.num_validation
        yield (
            f"Lines of {report.LONG_LINE_CHARS} characters or more: {again:.1%} of the training text's{part} repeat an "
            f"earlier one; {known:.1%} of the validation text's are also in the training text"
        )
    if look.ngram_loss is not None:
        part = _beginning(len(texts.train), report.MOST_COUNTED_CHARS)
        predicted = _beginning(len(texts.validation) - 1, report.MOST_PREDICTED_CHARS)
        yield (
            f"7-grams of the training text{part} reach {look.ngram_loss:.4f} nats per character, "
            f"{look.ngram_loss / math.log(2):.4f} bits, on the validation text{predicted}"
        )


def _about_beginning(look: FirstLook) -> Iterator[str]:
    units, data, steps, epochs, _ = look.suggestion
    yield (
        f"Suggestion: {units} units, {data.batch_size} rows of {data.seq_length} characters, {steps:,} steps "
        f"({epochs:,.2g} epochs); docs/notes/sizes.md explains the rule"
    )
    yield _command(look)


def _command(look: FirstLook) -> str:
    from charrnn.batches.texts import as_settings

    units, data, steps, _, optimizer = look.suggestion
    name = re.sub(r"\W+", "-", os.path.basename(look.spec).partition(".")[0]).strip("-") or "mine"
    reading = as_settings(data, always=("seq_length", "batch_size"))
    given = [f"--experiment={_EXPERIMENT}", f"--run_dir=runs/{name}", f"--corpus={look.spec}", f"--steps={steps}"]
    settings = [f"model.units={units}", *reading, *optimizer, f"loop.evaluate_every={-(-steps // 10)}"]
    return shlex.join(["python", "-m", "trainers.run", *given, "--set", *settings])


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
