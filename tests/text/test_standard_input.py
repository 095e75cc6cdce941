"""Tests that a corpus from standard input is saved in the cache, so that the run can resume."""

import errno
import hashlib
import io
import json
import os
import sys

import pytest

from charrnn import command, encode
from charrnn import corpora as corpora_command
from charrnn.encoded import reader
from charrnn.errors import UserError
from charrnn.files import atomic
from charrnn.text import corpora
from trainers import run

DATA = "naïve text\r\n".encode() * 300


@pytest.fixture
def pipe(tmp_path, monkeypatch):
    """Provides a function that puts bytes on standard input, or closes it if given None."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)

    def pipe(data):
        monkeypatch.setattr(sys, "stdin", None if data is None else io.TextIOWrapper(io.BytesIO(data)))

    return pipe


def test_standard_input_is_saved_once_and_reported(pipe, tmp_path):
    lines, places = [], []
    for _ in range(2):
        pipe(DATA)
        places.append(corpora.resolve("-", lines.append))
    assert places[0] == places[1] and places[0] in lines[0] and "3,900 bytes" in lines[0]
    assert [str(path) for path in tmp_path.glob("cache/charrnn/standard_input/*")] == places[:1]
    found = corpora.load(places[0])
    assert (found.content, found.sha256) == (DATA.decode(), hashlib.sha256(DATA).hexdigest())
    pipe(DATA)
    assert corpora.load("-", log=lines.append).content == found.content
    assert corpora.resolve("./-", lines.append) == "./-"


@pytest.mark.parametrize("data", [b"", None])
def test_empty_or_closed_standard_input_is_refused_and_not_saved(pipe, tmp_path, data):
    pipe(data)
    with pytest.raises(UserError, match="standard input"):
        corpora.resolve("-", print)
    assert not list(tmp_path.glob("cache/charrnn/standard_input/*"))


def test_a_cache_that_cannot_be_written_is_reported_with_the_remedy(pipe, tmp_path):
    (tmp_path / "cache").write_text("a file")
    pipe(DATA)
    with pytest.raises(UserError, match="XDG_CACHE_HOME"):
        corpora.resolve("-", print)


def test_a_full_disk_has_its_own_status(pipe, monkeypatch, capsys):
    def fail(source, target):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(atomic, "move", fail)
    pipe(DATA)
    assert command.run(corpora_command.main, corpora_command.FLAGS, ["corpora", "-"]) == command.NOT_WRITTEN
    assert "Standard input cannot be saved" in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_resumes_with_the_same_input_or_its_saved_file_and_refuses_another(pipe, tmp_path, capsys):
    tiny = """
        --experiment=quickstart --run_dir=run --set=model.units=4 --set=model.embedding_size=2 --set=data.batch_size=2
        --set=data.seq_length=8 --set=samples.num_chars=0
    """.split()

    def train(corpus, steps):
        return command.run(run.main, run.FLAGS, ["run", *tiny, f"--corpus={corpus}", f"--steps={steps}"])

    pipe(DATA)
    assert train("-", 1) == command.DONE
    place = json.loads((tmp_path / "run" / "config.json").read_text())["corpus"]
    assert place in capsys.readouterr().err
    pipe(DATA)
    assert train("-", 2) == train(place, 3) == command.DONE
    pipe(DATA + b"more\r\n")
    assert train("-", 4) == command.MISTAKE
    assert "corpus_sha256" in capsys.readouterr().err


def test_corpora_and_encode_read_standard_input_too(pipe, capsys):
    pipe(DATA)
    assert command.run(corpora_command.main, corpora_command.FLAGS, ["corpora", "-"]) == command.DONE
    out, err = capsys.readouterr()
    assert out.splitlines()[-1].split("--corpus=")[1].split()[0] in err
    pipe(DATA)
    assert command.run(encode.main, encode.FLAGS, ["encode", "-", "--output=out"]) == command.DONE
    assert reader.load("out").sha256 == hashlib.sha256(DATA).hexdigest()
