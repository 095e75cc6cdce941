"""Encodes texts once for any number of runs: python -m charrnn.encode 'texts/**/*.txt' --output=DIR

Train on the result with --corpus=DIR; the size of the texts does not change the memory that this takes. Accepts files,
globs and registered names. Decompresses compressed files (gzip, bzip2, xz). If the command is interrupted, or the
folder is damaged, run it again.
Exit status: 0 done, 2 invalid arguments, 74 the output's disk is full, 130 Ctrl-C.
"""

import dataclasses
import shlex
import sys
import time

from absl import flags

from charrnn import command
from charrnn.errors import UserError, require
from charrnn.process import outputs
from charrnn.text import corpora, dialects, formats

FLAGS = flags.FlagValues()
command.path_flag("output", None, "The folder to create.", FLAGS)
_documents = "files: each file is a document; lines: each line, or each row with --csv_column."
flags.DEFINE_string("documents", "files", _documents, flag_values=FLAGS)
_given = command.reading_flags(FLAGS)


def main(specs: list[str]) -> int:
    """Encodes the given corpora. Returns the exit status."""
    if not specs:
        raise UserError("Which texts? Give files or globs, such as 'texts/**/*.txt'.")
    if not FLAGS.output:
        raise UserError("Where to? Give --output=DIR, a folder to create.")
    require("--documents", FLAGS.documents, FLAGS.documents in ("files", "lines"), "files or lines")
    outputs.require_folder(FLAGS.output, "give another --output")
    command.start_tensorflow()
    from charrnn.batches.sources import DataConfig
    from charrnn.batches.texts import as_settings, settings_of
    from charrnn.encoded import writer

    config = DataConfig(order="lines" if FLAGS.documents == "lines" else "windows", **_given())
    corpora.split(0, config.validation_fraction, config.test_fraction)  # reports invalid fractions before the work
    files = [file for spec in specs for file in corpora.find(spec, print)]
    settings, notes = dialects.look(files, settings_of(config), config.csv_delimiter, config.csv_header)
    parts = writer.Parts(settings.of_documents, config.validation_fraction, config.test_fraction)
    start = time.perf_counter()
    writer.encode(" ".join(specs), files, settings, parts, FLAGS.output, print)
    for line in (*formats.notes_on(files), *notes):
        print(line)
    changed = as_settings(dataclasses.replace(config, order="lines" if settings.of_documents else "windows"))
    way_on = shlex.join([f"--corpus={corpora.plain(FLAGS.output)}", *(["--set", *changed] if changed else [])])
    print(f"Done in {time.perf_counter() - start:.1f} s; train on it: {way_on}")
    return command.DONE


if __name__ == "__main__":
    sys.exit(command.run(main, FLAGS))
