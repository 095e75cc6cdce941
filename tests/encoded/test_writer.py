"""Tests encoding into a folder: only once, resumed after a kill, and without a loss of the user's files."""

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from charrnn.encoded import processes, reader, writer
from charrnn.encoded.writer import Parts
from charrnn.errors import UserError
from charrnn.files import atomic
from charrnn.text import chunks
from charrnn.text.chunks import Settings
from charrnn.text.vocabulary import Vocabulary

TEXT = "Now is the winter\nof our discontent, naïvely ☃.\n\n" * 40
SLOW = """
import sys, time
from charrnn.encoded import reader as encoded, writer as encoding, processes as workers
from charrnn.text import chunks as pieces
pieces.CHUNK_BYTES = 300
make = encoded.make_shard
encoded.make_shard = lambda *arguments: (time.sleep(0.2), make(*arguments))
workers.available = lambda: 1
encoding.encode("it", [sys.argv[1]], pieces.Settings(), encoding.Parts(), sys.argv[2], print)
"""


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK_BYTES", 300)
    monkeypatch.setattr(processes, "available", lambda: 1)


@pytest.fixture
def encode(tmp_path):
    """Provides a function that encodes files into `tmp_path / out` and returns the corpus and lines for the user."""
    (tmp_path / "text").write_text(TEXT, encoding="utf-8")

    def encode(settings=None, parts=None, paths=("text",), **arguments):
        lines, out = [], str(tmp_path / "out")
        paths = [str(tmp_path / path) for path in paths]
        writer.encode("it", paths, settings or Settings(), parts or Parts(), out, lines.append, **arguments)
        return reader.load(out), lines

    return encode


def shards(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("shard-*.ids")}


def test_a_folder_has_the_same_ids_as_the_text_in_memory(encode, tmp_path):
    corpus, _ = encode()
    train = TEXT[: len(TEXT) * 9 // 10]
    assert corpus.vocabulary == Vocabulary.from_text(train)
    np.testing.assert_array_equal(np.asarray(corpus.ids), corpus.vocabulary.encode(TEXT))
    assert corpus.ids.dtype == np.uint8 and len(shards(tmp_path / "out")) > 5
    assert corpus.sha256 == hashlib.sha256(TEXT.encode()).hexdigest()
    names = sorted(path.name for path in (tmp_path / "out").iterdir() if not path.name.startswith("shard-"))
    assert names == [".charrnn-lock", "corpus.json", "documents.bin", "documents.json", "vocabulary.json"]


def test_ids_of_more_than_255_characters_take_two_bytes(encode, tmp_path):
    text = "".join(map(chr, range(0x4E00, 0x4E00 + 300))) * 2
    (tmp_path / "wide").write_text(text, encoding="utf-8")
    corpus, _ = encode(paths=["wide"])
    assert corpus.ids.dtype == np.uint16
    np.testing.assert_array_equal(np.asarray(corpus.ids), corpus.vocabulary.encode(text))


@pytest.mark.parametrize("fractions", [(0.1, 0.0), (0.5, 0.25), (0.0, 0.0), (0.99, 0.0)])
def test_the_vocabulary_comes_from_the_training_split(encode, tmp_path, fractions):
    text = "".join(f"{chr(0x4E00 + i)}\n" for i in range(400))
    (tmp_path / "wide").write_text(text, encoding="utf-8")
    running, _ = encode(Settings(), Parts(False, *fractions), ["wide"])
    assert set(running.vocabulary.characters) == set(text[: round(800 * (1 - sum(fractions)))])
    lines, _ = encode(Settings(lines=True), Parts(True, *fractions), ["wide"], replace=True)
    assert set(lines.vocabulary.characters) == set(text[: 2 * round(400 * (1 - sum(fractions)))])


def test_documents_are_files_or_lines(encode, tmp_path):
    (tmp_path / "a").write_text("x" * 700)
    (tmp_path / "b").write_text("")
    encode(paths=["a", "text", "b", "text"])
    length = len(TEXT)
    edges = np.cumsum([0, 700, length, 0, length]).tolist()
    assert np.fromfile(tmp_path / "out" / "documents.bin", "<i8").tolist() == edges
    lines, _ = encode(Settings(lines=True), replace=True)
    assert (lines.num_documents, lines.findings.num_empty) == (80, 40)
    ends = np.fromfile(tmp_path / "out" / "documents.bin", "<i8")
    assert ends.tolist() == np.flatnonzero(np.asarray(lines.ids) == lines.vocabulary.encode("\n")).tolist()


def test_a_finished_folder_is_not_encoded_again(encode, tmp_path):
    encode()
    before = shards(tmp_path / "out")
    _, lines = encode()
    assert "already" in lines[0] and shards(tmp_path / "out") == before


def truncate(path):
    path.write_bytes(path.read_bytes()[:-2])


def flip(path):
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


@pytest.mark.parametrize(
    "name, damage",
    [
        ("shard-00000.ids", truncate),
        ("shard-00001.ids", flip),
        ("shard-00001.json", os.remove),
        ("documents.bin", os.remove),
        ("vocabulary.json", truncate),
        ("corpus.json", truncate),
    ],
)
def test_the_same_command_repairs_a_damaged_folder(encode, tmp_path, name, damage):
    encode()
    description = (tmp_path / "out" / "corpus.json").read_bytes()
    damage(tmp_path / "out" / name)
    if name != "corpus.json":
        (tmp_path / "out" / "plan.json").write_bytes(description)  # as a kill may leave it
        with pytest.raises(UserError, match=f"{name.partition('.')[0]}.* encode the corpus again"):
            reader.load(str(tmp_path / "out"))
    corpus, lines = encode()
    np.testing.assert_array_equal(np.asarray(corpus.ids), corpus.vocabulary.encode(TEXT))
    assert not any("already" in line for line in lines)


@pytest.mark.slow
def test_encoding_resumes_after_a_kill(encode, tmp_path):
    (tmp_path / "text").write_text(TEXT, encoding="utf-8")
    process = subprocess.Popen([sys.executable, "-c", SLOW, str(tmp_path / "text"), str(tmp_path / "out")])
    deadline = time.monotonic() + 300
    while len(list((tmp_path / "out").glob("shard-*.json"))) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    with pytest.raises(UserError, match="not finished"):
        reader.load(str(tmp_path / "out"))
    unfinished = tmp_path / "out" / os.path.basename(atomic._unfinished("shard-00004.ids"))
    unfinished.write_text("half")
    (tmp_path / "out" / "shard-00004.ids.1.tmp").write_text("a user's")
    before = shards(tmp_path / "out")
    corpus, lines = encode()
    after = shards(tmp_path / "out")
    assert "resuming" in lines[0]
    assert 3 <= len(before) < len(after)
    assert all(after[name] == time for name, time in list(before.items())[:3])
    assert not unfinished.exists() and (tmp_path / "out" / "shard-00004.ids.1.tmp").read_text() == "a user's"
    np.testing.assert_array_equal(np.asarray(corpus.ids), corpus.vocabulary.encode(TEXT))


def test_another_corpus_in_the_folder_is_kept_unless_replace_is_set(encode, tmp_path):
    encode()
    with pytest.raises(UserError, match="another encoded corpus"):
        encode(Settings(lowercase=True))
    before = shards(tmp_path / "out")
    (tmp_path / "text").write_text(TEXT[:-1], encoding="utf-8")
    with pytest.raises(UserError, match="older state"):
        encode()
    assert shards(tmp_path / "out") == before
    corpus, _ = encode(replace=True)
    assert len(corpus.ids) == len(TEXT) - 1


def test_a_folder_with_other_files_is_refused_and_left_unchanged(encode, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match="something else"):
        encode(replace=True)
    assert os.listdir(tmp_path / "out") == ["thesis.tex"]


FOREIGN = ("vocabulary.json", "documents.json", "corpus.json", "plan.json", "shard-00000.ids", "corpus.ids")


@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_file_with_the_name_of_a_corpus_file_is_kept(encode, tmp_path, name):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text('{"format": "of a user"}')
    with pytest.raises(UserError, match="something else"):
        encode(replace=True)
    assert {path.name: path.read_text() for path in (tmp_path / "out").iterdir()} == {name: '{"format": "of a user"}'}


def test_a_users_files_beside_a_corpus_are_kept(encode, tmp_path):
    encode()
    foreign = ("notes.md", "shard-1.ids", "shard-00001.ids.tmp", "corpus.json.bak", "0123456789abcdef", ".charrnn-1-2")
    for name in foreign:
        (tmp_path / "out" / name).write_text(name)
    encode(Settings(lowercase=True), replace=True)
    assert [(tmp_path / "out" / name).read_text() for name in foreign] == list(foreign)


def test_a_refused_corpus_leaves_a_users_empty_folder(encode, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "text.empty").touch()
    with pytest.raises(UserError, match="is empty"):
        encode(paths=["text.empty"])
    assert os.listdir(tmp_path / "out") == []


@pytest.mark.parametrize("data, place", [(b"", "is empty"), (b"\xef\xbb\xbf", "is empty"), (b"ab\xff", "at offset 2")])
def test_a_refused_corpus_leaves_no_folder(encode, tmp_path, data, place):
    (tmp_path / "bad").write_bytes(data)
    with pytest.raises(UserError, match=place):
        encode(paths=["bad"])
    assert not (tmp_path / "out").exists()


def test_a_file_that_changes_between_the_passes_is_noticed(encode, tmp_path, monkeypatch):
    make = reader.make_shard

    def change(*arguments):
        (tmp_path / "text").write_text("x" * 10)
        make(*arguments)

    monkeypatch.setattr(reader, "make_shard", change)
    with pytest.raises(UserError, match="has changed"):
        encode()


def test_a_folder_that_cannot_be_created_is_named_in_the_error(encode, tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(UserError, match="something else"):
        encode()
    with pytest.raises(UserError, match=r"text/out cannot be written to \(Not a directory\)"):
        writer.encode("it", [str(tmp_path / "text")], Settings(), Parts(), f"{tmp_path}/text/out", print)


def test_the_cache_follows_changed_files_and_repairs_itself(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "text"
    lines = []

    def cached(**settings):
        return writer.cached("it", [str(path)], Settings(**settings), Parts(), lines.append)

    path.write_text("one " * 99)
    assert len(cached().ids) == 4 * 99
    path.write_text("other " * 99)
    assert len(cached().ids) == 6 * 99
    assert len(cached(vocabulary="bytes").ids) == 6 * 99
    folders = list((tmp_path / "cache" / "charrnn" / "encoded").iterdir())
    assert len(folders) == 2  # the encoding of the file's older text was replaced
    lines.clear()
    for folder in folders:
        (folder / "shard-00000.ids").write_bytes(b"damaged")
    assert len(cached().ids) == 6 * 99
    assert "shard-00000.ids has 7 of" in lines[0]


def test_two_callers_with_one_damaged_cache_repair_it_once(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "text").write_text("one " * 99)
    load, met, lines, lengths = reader.load, threading.Barrier(2), [], []

    def meet(folder):
        try:
            return load(folder)
        except UserError:
            with contextlib.suppress(threading.BrokenBarrierError):
                met.wait(1)  # if both can find the damage, they find it at the same time
            raise

    def cached():
        lengths.append(len(writer.cached("it", [str(tmp_path / "text")], Settings(), Parts(), lines.append).ids))

    cached()
    (shard,) = tmp_path.glob("cache/charrnn/encoded/*/shard-00000.ids")
    truncate(shard)
    monkeypatch.setattr(reader, "load", meet)
    threads = [threading.Thread(target=cached) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert lengths == [4 * 99] * 3 and sum("again now" in line for line in lines) == 1
