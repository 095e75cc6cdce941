"""Fuzzes the readers of files, guided by coverage: python -m tests.fuzz [--seconds=300] [--seed=0].

A script to run by hand; pytest does not collect it. It mutates valid files. If a mutated file makes a reader run a line
that no earlier file reached, the script keeps the file and mutates it further. A reader may refuse a file with
UserError. Any other exception is a failure: the script prints it and ends with exit status 1.
"""

import bz2
import gzip
import os
import random
import sys
import tempfile
import time
import traceback
from collections.abc import Callable

from absl import flags

from charrnn import command, run_files

FLAGS = flags.FlagValues()
flags.DEFINE_float("seconds", 300, "Seconds, for all readers together.", lower_bound=0, flag_values=FLAGS)
flags.DEFINE_integer("seed", 0, "Seed of the mutations.", flag_values=FLAGS)

_PIECES = (
    b"[", b"]", b"{", b"}", b'"', b",", b":", b"\n", b"\r", b"\0", b"\xff", b"\xef\xbb\xbf", b"..", b"/", b"\\ud800",
    b"null", b"true", b"-1", b"1e999", b"NaN", b"9" * 30, b"[" * 2000, b'""', b'"path"', b"a", b" ",
)  # fmt: skip
_CONFIG = b"""{"experiment": "one", "seed": 0, "corpus": "plays", "corpus_sha256": "00", "runtime": {"precision":
"float32"}, "model": {"cell": "gru", "units": 8, "num_layers": 1, "embedding_size": 4, "recurrent_initializer":
"orthogonal"}, "data": {"seq_length": 8, "order": "lines", "validation_fraction": 0.1, "lowercase": false}}"""
_WAYS = (
    {}, {"order": "lines"}, {"csv_column": 1}, {"vocabulary": "bytes"}, {"csv_column": 2, "vocabulary": "bytes"},
    {"encoding": "utf-16"}, {"encoding": "utf-7", "order": "lines"}, {"encoding": "gb18030", "normalization": "NFKC"},
    {"csv_column": 2, "order": "lines", "lowercase": True, "normalization": "NFD"},
)  # fmt: skip
_MARKER = b'model_checkpoint_path: "step-2"\nall_model_checkpoint_paths: "step-2"\nlast_preserved_timestamp: 1.5\n'


def main(beside: list[str]) -> int:
    """Fuzzes each reader in turn. Returns the exit status."""
    command.start_tensorflow()
    chance, failed = random.Random(FLAGS.seed), 0
    with tempfile.TemporaryDirectory() as folder:
        readers = _readers(folder)
        for name, (read, seeds) in readers.items():
            failed += _fuzz(name, read, seeds, FLAGS.seconds / len(readers), chance)
    return 1 if failed else command.DONE


def _readers(folder: str) -> dict[str, tuple[Callable[[str], object], list[bytes]]]:
    """Returns for each path its reader and the contents of valid files."""
    from charrnn.batches.sources import DataConfig
    from charrnn.batches.texts import load_texts
    from charrnn.model.config import ModelConfig
    from charrnn.text import chunks
    from charrnn.text.vocabulary import Vocabulary
    from trainers.evaluation import evaluation

    def read_run(path):
        config = evaluation.read_config(folder)
        run_files.read_group(folder, config, "data", DataConfig)
        return run_files.read_group(folder, config, "model", ModelConfig).num_weights(60)

    def read_text(path):
        with open(path, "rb") as file:
            how = _WAYS[len(file.read()) % len(_WAYS)]
        return load_texts(path, DataConfig(**how), lambda line: None)

    def read_rows(path):
        with open(path, encoding="utf-8", errors="replace", newline="") as file:
            return chunks.read_text(file.read(), chunks.Settings(csv_column=2))

    rows = [b'a,"b, c"\r\n"d ""e""","f\ng"\n', b"x,y\n\n", b"a\rb,c\n"]
    rows += [b"id;name\n1;a\n2;b\n", b"id\ttitle\n1\ta\n"]
    text = "to be\n\né🎭שלום\r\n" * 5
    texts = [text.encode(), text.encode("utf-16"), gzip.compress(text.encode()), bz2.compress(b"to be"), b"%PDF-1.4"]
    readers = {
        "vocabulary.json": (Vocabulary.load, [b'{"kind": "characters", "characters": ["a", "\\u00e9"]}']),
        "config.json": (read_run, [_CONFIG]),
        "rows.csv": (read_rows, rows),
        "text.txt": (read_text, [*texts, *rows]),
        "best/checkpoint": (lambda path: run_files.find_checkpoint(folder), [_MARKER]),
    }
    os.mkdir(os.path.join(folder, "best"))
    return {os.path.join(folder, name): reader for name, reader in readers.items()}


def _fuzz(path: str, read: Callable[[str], object], seeds: list[bytes], seconds: float, chance: random.Random) -> int:
    """Fuzzes a reader. Prints how many runs, kept inputs and reached lines it had. Prints and counts the failures."""
    seen: set = set()
    _new_lines(path, read, b"", seen)
    kept, runs, failures = list(seeds), 0, {}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        data = kept[runs] if runs < len(seeds) else _mutated(kept, chance)
        runs += 1
        try:
            if _new_lines(path, read, data, seen):
                kept.append(data)
        except Exception as error:  # any other exception is a failure of the reader
            where = traceback.extract_tb(error.__traceback__)[-1]
            failures.setdefault((type(error).__name__, where.filename, where.lineno), data)
    print(f"{os.path.basename(path)}: {runs:,} runs, {len(kept):,} kept, {len(seen):,} lines, {len(failures)} failures")
    for failure, data in failures.items():
        print(f"  {failure}: {data[:300]!r}")
    return len(failures)


def _mutated(kept: list[bytes], chance: random.Random) -> bytes:
    data = bytearray(chance.choice(kept))
    for _ in range(chance.choice((1, 1, 2, 4, 8))):
        start = chance.randrange(len(data) + 1)
        stop = min(len(data), start + chance.choice((0, 0, 1, 2, 8, 64)))
        other = chance.choice(kept)
        cut = chance.randrange(len(other) + 1)
        data[start:stop] = chance.choice((chance.choice(_PIECES), chance.randbytes(1), other[cut : cut + 40], b""))
    return bytes(data[:20_000])


def _new_lines(path: str, read: Callable[[str], object], data: bytes, seen: set) -> bool:
    """Runs the reader on a file and adds the project's lines that ran to `seen`. Returns whether any were new."""
    from charrnn.errors import UserError

    before = len(seen)

    def trace(frame, event, argument):
        if "charrnn" not in frame.f_code.co_filename and "trainers" not in frame.f_code.co_filename:
            return None
        seen.add((frame.f_code.co_filename, frame.f_lineno))
        return trace

    with open(path, "wb") as file:
        file.write(data)
    sys.settrace(trace)
    try:
        read(path)
    except UserError:
        pass
    finally:
        sys.settrace(None)
    return len(seen) > before


if __name__ == "__main__":
    sys.exit(command.run(main, FLAGS))
