"""Encodes texts once, so that any number of runs can read them: python -m charrnn.encode 'texts/**/*.txt' --output=DIR

Train on them with --corpus=DIR, in the same memory however large they are. Files, globs and registered names can be
given; compressed files (gzip, bzip2, xz) are decompressed. A command that was stopped resumes when it is run again.
Exit status: 0 done, 2 a mistake in what was given, 74 the disk behind the output is full, 130 Ctrl-C.
"""

import functools
import shlex
import sys
import time

from absl import flags

from charrnn import command
from charrnn.errors import UserError, require
from charrnn.process import outputs
from charrnn.text import decoding, dialects, formats
from charrnn.text.chunks import Settings
from charrnn.text.reading import Reading

FLAGS = flags.FlagValues()
_string = functools.partial(flags.DEFINE_string, flag_values=FLAGS)
_path = functools.partial(command.path_flag, values=FLAGS)
_float = functools.partial(flags.DEFINE_float, flag_values=FLAGS)

_path("output", None, "The folder to make.")
_string("documents", "files", "files: each file is a document; lines: each line, or each row with --csv_column.")
_string("vocabulary", "characters", "As data.vocabulary: characters or bytes.")
flags.DEFINE_boolean("lowercase", False, "As data.lowercase: turn the text into lower case first.", flag_values=FLAGS)
flags.DEFINE_integer("csv_column", 0, "As data.csv_column: the column of CSV files, from 1 on.", flag_values=FLAGS)
_string("csv_delimiter", "", "As data.csv_delimiter: the character between fields, tab or space; default: found.")
_string("csv_header", "auto", "As data.csv_header: true, false or auto.")
_string("encoding", "", "As data.encoding: cp1252, utf-16 or another; default: UTF-8, or what the file's mark says.")
_string("normalization", "", "As data.normalization: NFC, NFD, NFKC or NFKD.")
_float("validation_fraction", 0.1, "As data.validation_fraction: the vocabulary is of what comes before it.")
_float("test_fraction", 0.0, "As data.test_fraction.")


def main(specs: list[str]) -> int:
    """Encodes what was given beside the flags. Returns the exit status."""
    if not specs:
        raise UserError("Which texts? Give files or globs, such as 'texts/**/*.txt'.")
    if not FLAGS.output:
        raise UserError("Where to? Give --output=DIR, a folder to make.")
    require("--documents", FLAGS.documents, FLAGS.documents in ("files", "lines"), "files or lines")
    require("--vocabulary", FLAGS.vocabulary, FLAGS.vocabulary in ("characters", "bytes"), "characters or bytes")
    require("--csv_column", FLAGS.csv_column, FLAGS.csv_column >= 0, "at least 0 (0: a plain text file)")
    require("--csv_header", FLAGS.csv_header, FLAGS.csv_header in ("auto", "true", "false"), "auto, true or false")
    dialects.check_delimiter("--csv_delimiter", FLAGS.csv_delimiter)
    decoding.check_encoding("--encoding", FLAGS.encoding)
    Reading(normalization=FLAGS.normalization)
    outputs.require_folder(FLAGS.output, "give another --output")
    command.start_tensorflow()
    from charrnn.encoded import writer
    from charrnn.text import corpora

    corpora.split(0, FLAGS.validation_fraction, FLAGS.test_fraction)  # refused before hours of work
    if any(map(corpora.is_plays, specs)):
        raise UserError("The corpus 'plays' is made anew for each run and is not encoded: give files.")
    files = [file for spec in specs for file in corpora.find(spec, print)]
    settings, said = dialects.look(files, _settings(), FLAGS.csv_delimiter, FLAGS.csv_header)
    parts = writer.Parts(settings.of_documents, FLAGS.validation_fraction, FLAGS.test_fraction)
    start = time.perf_counter()
    writer.encode(" ".join(specs), files, settings, parts, FLAGS.output, print)
    for line in (*formats.said_of(files), *said):
        print(line)
    way_on = shlex.join([f"--corpus={FLAGS.output}", *_to_set(settings)])
    print(f"Done in {time.perf_counter() - start:.1f} s; train on it: {way_on}")
    return command.DONE


def _settings() -> Settings:
    lines = FLAGS.documents == "lines"
    return Settings(
        FLAGS.vocabulary, FLAGS.lowercase, lines, FLAGS.csv_column, FLAGS.encoding, FLAGS.normalization
    )


def _to_set(settings: Settings) -> list[str]:
    """What a run sets to read the folder; the rest it finds there."""
    values = {"vocabulary": settings.vocabulary, "csv_column": settings.csv_column}
    values |= {"lowercase": str(settings.lowercase).lower(), "normalization": settings.normalization}
    values |= {"order": "lines" if settings.of_documents else "windows"}
    unset = {"vocabulary": "characters", "csv_column": 0, "lowercase": "false", "normalization": "", "order": "windows"}
    changed = [f"data.{name}={value}" for name, value in values.items() if value != unset[name]]
    return ["--set", *changed] if changed else []


if __name__ == "__main__":
    sys.exit(command.run(main, FLAGS))
