"""Tests how a corpus becomes ids: it is split by position, and the vocabulary comes from the training part only."""

import dataclasses
import gzip
import os
import subprocess
import sys

import numpy as np
import pytest

from charrnn.batches import texts
from charrnn.batches.evaluation_batches import passes_for
from charrnn.batches.sources import DataConfig, make_source
from charrnn.batches.texts import load_texts
from charrnn.encoded import processes as workers
from charrnn.encoded.array import Sharded
from charrnn.errors import UserError
from charrnn.text import chunks
from charrnn.text.reading import Reading


@pytest.fixture
def load(tmp_path):
    """Writes a file and loads it. Returns the texts, and the lines for the user."""

    def call(data, **config):
        (tmp_path / "text").write_bytes(data if isinstance(data, bytes) else data.encode())
        lines = []
        return load_texts(str(tmp_path / "text"), DataConfig(**config), lines.append), lines

    return call


def test_the_vocabulary_comes_from_the_training_part_and_unknown_characters_are_counted(load):
    texts, lines = load("ab" * 45 + "abxyzababa")
    assert texts.vocabulary.characters == ("a", "b")
    assert len(texts.train) == 90
    assert texts.validation.tolist() == [2, 1, 2, 0, 0, 0, 1, 2, 1, 2, 1]  # one character of context first
    assert any("3 characters of the validation text" in line for line in lines)


def test_a_validation_fraction_of_zero_leaves_nothing_to_validate_on(load):
    texts, _ = load("abc" * 20, validation_fraction=0.0)
    assert len(texts.train) == 60 and len(texts.validation) < 2


def test_a_text_is_converted_to_lower_case(load):
    texts, _ = load("AbC" * 20, lowercase=True)
    assert texts.vocabulary.characters == ("a", "b", "c")


def test_the_vocabulary_records_how_the_text_was_read(load):
    assert load("AbC" * 20)[0].vocabulary.reading == Reading()
    assert load("AbC" * 20, lowercase=True)[0].vocabulary.reading == Reading(lowercase=True)
    documents = load("Anna\r\nBo\r\n" * 20, order="lines", lowercase=True, seq_length=9, batch_size=2)[0]
    assert documents.vocabulary.reading == Reading(True, lowercase=True)
    assert documents.vocabulary.characters == tuple("\nabno")


def test_bytes_are_their_own_ids(load):
    texts, _ = load(bytes(range(256)) * 4, vocabulary="bytes")
    assert texts.vocabulary.size == 256 and texts.train.tolist() == (list(range(256)) * 4)[:921]


def test_lines_are_whole_documents_in_both_parts(load):
    documents = [f"document {i}" for i in range(20)]
    texts, lines = load("\r\n".join(documents) + "\r\n\r\n", order="lines")
    assert texts.vocabulary.decode(texts.train) == "\n" + "\n".join(documents[:18]) + "\n"
    assert texts.vocabulary.decode(texts.validation) == "\n" + "\n".join(documents[18:]) + "\n"
    assert any("1 empty" in line for line in lines)


def test_long_documents_are_counted(load):
    _, lines = load("\n".join(["x" * n for n in range(1, 21)]), order="lines", seq_length=15)
    assert any(line.startswith("6 of 20 documents") for line in lines)  # a 15th character leaves no room for the end


def test_a_column_of_a_csv_with_a_byte_order_mark_is_read(load):
    rows = "".join(f'"{i}","title, {i}",""\r\n' for i in range(10))
    texts, _ = load("\ufeff" + rows, order="lines", csv_column=2)
    assert texts.vocabulary.decode(texts.train).split("\n")[1:3] == ["title, 0", "title, 1"]
    running, _ = load("\ufeff" + rows, csv_column=2)
    assert running.vocabulary.decode(running.train).startswith("title, 0\ntitle, 1\n")


def test_a_broken_row_is_named(load):
    with pytest.raises(UserError, match="line 2"):
        load('"1","a"\n"2"\n', order="lines", csv_column=2)


ONE = "Now is the winter\r\nof our discontent, naïvely ☃.\n\n\rMade\n" * 20
TWO = "glorious summer ☀ by this sun of York;\n\n" * 9 + "\u0391\u03a3 and no end"
ROWS = '"1","two\r\nlines, and ""more""",x\r\n2, ,y\n3, Space ,"ζ"\n' * 30


@pytest.fixture
def load_both(tmp_path, monkeypatch):
    """Loads files as a small corpus and as a large one. Returns both texts, and the lines for the user of each."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(chunks, "CHUNK_BYTES", 200)
    monkeypatch.setattr(chunks, "READ_BYTES", 16)

    def call(corpus, **config):
        both, lines = [], []
        for size in (texts.IN_MEMORY_BYTES, -1):
            monkeypatch.setattr(texts, "IN_MEMORY_BYTES", size)
            lines.append([])
            both.append(load_texts(corpus, DataConfig(**config), lines[-1].append))
        return *both, *lines

    return call


@pytest.mark.parametrize(
    "processes, config",
    [
        (1, {}),
        (2, {}),
        (1, {"order": "streams", "lowercase": True, "validation_fraction": 0.3, "test_fraction": 0.1}),
        (1, {"vocabulary": "bytes", "validation_fraction": 0.0}),
        (1, {"order": "lines", "seq_length": 12}),
        (1, {"order": "lines", "lowercase": True, "vocabulary": "bytes", "validation_chars": 50}),
        (1, {"validation_chars": 30}),
    ],
    ids=str,
)
def test_a_large_corpus_is_read_as_a_small_one(load_both, tmp_path, monkeypatch, processes, config):
    monkeypatch.setattr(workers, "available", lambda: processes)
    (tmp_path / "one.txt").write_bytes(b"\xef\xbb\xbf" + ONE.encode())
    (tmp_path / "two.txt").write_bytes(TWO.encode())
    (tmp_path / "three.txt.gz").write_bytes(gzip.compress(ONE.encode() + TWO.encode()))
    small, large, *lines = load_both(f"{tmp_path}/*.txt,{tmp_path}/three.txt.gz", **config)
    assert_same(small, large, *lines)
    assert "Encoding" in lines[1][0]


@pytest.mark.slow
@pytest.mark.parametrize(
    "config",
    [
        {"order": "lines", "vocabulary": "bytes"},
        {"order": "lines", "vocabulary": "bytes", "csv_column": 1, "csv_header": "false"},
        {"order": "lines", "encoding": "cp1252", "normalization": "NFD", "lowercase": True},
        {"encoding": "latin-1", "normalization": "NFD", "vocabulary": "bytes"},
        {"vocabulary": "bytes", "lowercase": True},
    ],
    ids=str,
)
def test_a_large_corpus_that_is_no_utf8_is_read_as_a_small_one(load_both, tmp_path, config):
    """A large corpus equals a small one: as bytes, in documents, and in another encoding."""
    data = b"Ma\xf1ana, 1234\r\nCaf\xe9\rpassword\n\n\xc1rbol\n" * 40
    (tmp_path / "one").write_bytes(data)
    small, large, *lines = load_both(str(tmp_path / "one"), **config)
    assert_same(small, large, *lines)
    if config.get("vocabulary") == "bytes" and "encoding" not in config:
        assert set(small.train.tolist()) <= {*data, *data.lower()} and 0xF1 in small.train


@pytest.mark.parametrize("order", ["lines", "windows"])
def test_a_large_csv_is_read_as_a_small_one(load_both, tmp_path, order):
    (tmp_path / "rows.csv").write_bytes(ROWS.encode())
    assert_same(*load_both(f"{tmp_path}/rows.csv", csv_column=2, order=order, seq_length=8))


def assert_same(small, large, small_lines, large_lines):
    assert isinstance(small.train, np.ndarray) and isinstance(large.train, Sharded)
    assert (small.name, small.sha256, small.vocabulary) == (large.name, large.sha256, large.vocabulary)
    for part in ("train", "validation"):
        assert getattr(small, part).dtype == getattr(large, part).dtype
        np.testing.assert_array_equal(getattr(small, part), np.asarray(getattr(large, part)))
    assert small_lines == large_lines[1:]  # after "Encoding …"


@pytest.mark.slow
@pytest.mark.parametrize(
    "order, targets", [("windows", "all"), ("windows", "last"), ("streams", "all"), ("lines", "all")]
)
def test_batches_and_passes_of_a_large_corpus_are_the_same_as_of_a_small_one(load_both, tmp_path, order, targets):
    (tmp_path / "one.txt").write_bytes(ONE.encode() * 3)
    config = DataConfig(order=order, targets=targets, seq_length=7, batch_size=4)
    small, large, *_ = load_both(f"{tmp_path}/one.txt", **dataclasses.asdict(config))
    sources = [make_source(each.train, config, seed=3) for each in (small, large)]
    assert sources[0].steps_per_epoch == sources[1].steps_per_epoch
    for step in (0, 1, 5, 10**6):
        assert_equal(*(source.batch_at(step) for source in sources))
    passes = [passes_for(each.validation, config) for each in (small, large)]
    assert passes[0].keys() == passes[1].keys() and passes[0]
    for name, make_pass in passes[0].items():
        batches = [list(make_pass()), list(passes[1][name]())]
        assert len(batches[0]) == len(batches[1]) > 0
        for one, other in zip(*batches, strict=True):
            assert_equal(one, other)


def assert_equal(one, other):
    for a, b in zip(one, other, strict=True):
        assert np.asarray(a).dtype == np.asarray(b).dtype
        np.testing.assert_array_equal(a, b)


def test_windows_lie_within_documents_if_the_setting_says_so(load_both, tmp_path):
    for i, length in enumerate([30, 0, 3, 301, 11, 95]):
        (tmp_path / f"{i}.txt").write_text(chr(ord("a") + i) * length)
    lines = []
    texts = load_texts(f"{tmp_path}/*.txt", DataConfig(within_documents=True), lines.append)
    config = DataConfig(seq_length=10, batch_size=1, stride=4, within_documents=True)
    source = make_source(texts.train, config, seed=0)
    rows = [{*batch.inputs[0], *batch.targets[0]} for batch in epoch_of(source)]
    assert all(len(row) == 1 for row in rows)
    in_training = [30, 3, 301, 11, 51]  # the first nine tenths, without the empty file
    found = np.bincount([min(row) for row in rows], minlength=6)[1:]
    assert found.tolist() == [max(0, (length - 11) // 4 + 1) for length in in_training]
    everywhere = make_source(texts.train, dataclasses.replace(config, within_documents=False), seed=0)
    assert any(len(set(batch.inputs[0])) > 1 for batch in epoch_of(everywhere))  # otherwise the test could not fail


def epoch_of(source):
    return [source.batch_at(step) for step in range(source.steps_per_epoch)]


def test_validation_is_no_longer_than_validation_chars(load):
    texts, lines = load("0123456789" * 20, validation_chars=5)
    assert texts.vocabulary.decode(texts.validation) == "901234"
    assert any("5 validation characters (of 20;" in line for line in lines)
    documents, _ = load("\n".join("abcdefg" * 20), order="lines", validation_chars=1)
    assert documents.vocabulary.decode(documents.validation) == "\na\n"
    documents, _ = load("\n".join("abcdefg" * 20), order="lines", validation_chars=5)
    assert documents.vocabulary.decode(documents.validation) == "\na\nb\n"


MEASURE = """
import sys
import numpy as np
from charrnn.batches.sources import DataConfig, make_source
from charrnn.batches.evaluation_batches import passes_for
from charrnn.text.reading import Reading
from charrnn.batches.texts import load_texts

def status(name):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name)) / 1000

def read(corpus):
    for order in ("windows", "streams"):
        config = DataConfig(order=order, stride=1 if order == "windows" else 0, validation_chars=300_000)
        texts = load_texts(corpus, config, lambda line: None)
        source = make_source(texts.train, config, seed=0)
        for step in range(0, 50_000, 100):
            source.batch_at(step)
        for make_pass in passes_for(texts.validation, config).values():
            for _ in make_pass():
                pass

read(sys.argv[1])
open("/proc/self/clear_refs", "w").write("5")  # the peak from here on
before = status("VmRSS")
read(sys.argv[2])
print(status("VmHWM") - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/clear_refs"), reason="Linux tells a process's peak memory")
def test_a_large_corpus_takes_hardly_more_memory_than_a_small_one(tmp_path):
    """Measures all resident memory, including mapped files. Text and ids in memory would take three times the bound."""
    for name, times in (("small", 10_000), ("large", 900_000)):
        (tmp_path / name).write_text("My kingdom for a horse, and yet another horse, for a kingdom of mine.\n" * times)
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache"), "TF_CPP_MIN_LOG_LEVEL": "3"}
    arguments = [sys.executable, "-c", MEASURE, str(tmp_path / "small"), str(tmp_path / "large")]
    measured = subprocess.run(arguments, capture_output=True, text=True, env=environment)
    assert measured.returncode == 0, measured.stderr
    assert (tmp_path / "large").stat().st_size > 60e6
    assert float(measured.stdout) < 40, measured.stdout
