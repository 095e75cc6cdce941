"""Encodes texts once, so that any number of runs can read them: python -m charrnn.encode 'texts/**/*.txt' --output=DIR

Train on them with --corpus=DIR, in the same memory however large they are. Files, globs and registered names can be
given; what ends in .gz is decompressed. A command that was stopped goes on when it is run again.
Exit status: 0 done, 2 a mistake in what was given, 74 the disk behind the output is full, 130 Ctrl-C.
"""

import functools
import sys
import time

from absl import flags

from charrnn import command, outputs
from charrnn.errors import UserError, check

FLAGS = flags.FlagValues()
_string = functools.partial(flags.DEFINE_string, flag_values=FLAGS)
_path = functools.partial(command.path_flag, values=FLAGS)
_float = functools.partial(flags.DEFINE_float, flag_values=FLAGS)

_path("output", None, "The folder to make.")
_string("documents", "files", "files: each file is a document; lines: each line, or each row with --csv_column.")
_string("vocabulary", "characters", "As data.vocabulary: characters or bytes.")
flags.DEFINE_boolean("lowercase", False, "As data.lowercase: turn the text into lower case first.", flag_values=FLAGS)
flags.DEFINE_integer("csv_column", 0, "As data.csv_column: the column of CSV files, from 1 on.", flag_values=FLAGS)
_float("validation_fraction", 0.1, "As data.validation_fraction: the vocabulary is of what comes before it.")
_float("test_fraction", 0.0, "As data.test_fraction.")


def main(specs: list[str]) -> int:
    """Encodes what was given beside the flags. Returns the exit status."""
    if not specs:
        raise UserError("Which texts? Give files or globs, such as 'texts/**/*.txt'.")
    if not FLAGS.output:
        raise UserError("Where to? Give --output=DIR, a folder to make.")
    check("--documents", FLAGS.documents, FLAGS.documents in ("files", "lines"), "files or lines")
    check("--vocabulary", FLAGS.vocabulary, FLAGS.vocabulary in ("characters", "bytes"), "characters or bytes")
    check("--csv_column", FLAGS.csv_column, FLAGS.csv_column >= 0, "at least 0 (0: a plain text file)")
    outputs.require_folder(FLAGS.output, "give another --output")
    command.start_tensorflow()
    from charrnn import corpora, encoding
    from charrnn.pieces import Settings

    corpora.split(0, FLAGS.validation_fraction, FLAGS.test_fraction)  # refused before hours of work
    if any(map(corpora.is_plays, specs)):
        raise UserError("The corpus 'plays' is made anew for each run and is not encoded: give files.")
    paths = [path for spec in specs for path in corpora.find(spec, print)]
    settings = Settings(FLAGS.vocabulary, FLAGS.lowercase, FLAGS.documents == "lines", FLAGS.csv_column)
    parts = encoding.Parts(settings.of_documents, FLAGS.validation_fraction, FLAGS.test_fraction)
    start = time.perf_counter()
    encoding.encode(" ".join(specs), paths, settings, parts, FLAGS.output, print)
    print(f"Done in {time.perf_counter() - start:.1f} s; train on it: --corpus={FLAGS.output}")
    return command.DONE


if __name__ == "__main__":
    sys.exit(command.run(main, FLAGS))
