"""Tests the command `charrnn.encode`: a run reads the folder that it writes; mistakes are reported in one sentence."""

import gzip
import json
import os
import shlex
import shutil
import subprocess
import sys

import numpy as np
import pytest

from charrnn import command, encode
from charrnn.batches.sources import DataConfig
from charrnn.batches.texts import load_texts
from charrnn.encoded import reader
from charrnn.errors import UserError
from trainers import run


@pytest.fixture
def start(capsys, tmp_path, monkeypatch):
    """Runs the command in a folder with texts. Returns exit status, standard output and standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "texts" / "deep").mkdir(parents=True)
    (tmp_path / "texts" / "a.txt").write_text("\ufeffFirst text.\r\n" * 20, encoding="utf-8")
    (tmp_path / "texts" / "deep" / "b.txt").write_text("Sécond.\n" * 30, encoding="utf-8")
    (tmp_path / "texts" / "c.txt.gz").write_bytes(gzip.compress(b"Third.\n" * 10))

    def start(*arguments):
        return (command.run(encode.main, encode.FLAGS, ["encode", *arguments]), *capsys.readouterr())

    return start


def refusal(folder, **config):
    with pytest.raises(UserError) as raised:
        load_texts(folder, DataConfig(**config), lambda line: None)
    message = str(raised.value)
    assert "\n" not in message and message.endswith(".")
    return message


def test_a_glob_of_any_depth_and_a_compressed_file_are_encoded(start):
    status, out, err = start("texts/**/*.txt", "texts/*.gz", "--output=out")
    assert (status, err) == (command.DONE, "")
    assert out.startswith("Encoding texts/**/*.txt texts/*.gz, ") and out.endswith("train on it: --corpus=out\n")
    corpus = reader.load("out")
    text = "First text.\r\n" + "\ufeffFirst text.\r\n" * 19 + "Sécond.\n" * 30 + "Third.\n" * 10
    np.testing.assert_array_equal(np.asarray(corpus.ids), corpus.vocabulary.encode(text))
    assert corpus.num_documents == 3


@pytest.mark.slow
def test_an_encoded_folder_equals_the_same_files_read_by_a_run(start):
    for flags, config in [
        ((), {}),
        (("--lowercase", "--validation_fraction=0.3"), {"lowercase": True, "validation_fraction": 0.3}),
        (("--vocabulary=bytes", "--test_fraction=0.2"), {"vocabulary": "bytes", "test_fraction": 0.2}),
        (("--documents=lines",), {"order": "lines"}),
        (("--csv_column=1",), {"order": "lines", "csv_column": 1}),
    ]:
        shutil.rmtree("out", ignore_errors=True)
        assert start("texts/a.txt", "texts/deep/b.txt", "--output=out", *flags)[0] == command.DONE
        made, read = (load_texts(corpus, DataConfig(**config), print) for corpus in ("out", "texts/**/*.txt"))
        assert (made.vocabulary, made.sha256) == (read.vocabulary, read.sha256)
        np.testing.assert_array_equal(np.asarray(made.train), read.train)
        np.testing.assert_array_equal(np.asarray(made.validation), read.validation)


@pytest.mark.slow
def test_the_advice_of_a_refusal_works(start, tmp_path):
    """The advice for a file that is not UTF-8 is to name its encoding or to read bytes."""
    (tmp_path / "passwords").write_bytes(b"hunter2\nma\xf1ana\r\n" * 30)
    for documents in ("files", "lines"):
        status, _, err = start("passwords", "--output=no", f"--documents={documents}")
        assert status == command.MISTAKE and "--vocabulary=bytes" in err and "--encoding=cp1252" in err
        for advice, characters in {"--vocabulary=bytes": b"\xf1", "--encoding=cp1252": "ñ"}.items():
            output = f"{documents}{advice[2:4]}"
            assert start("passwords", f"--output={output}", f"--documents={documents}", advice)[0] == command.DONE
            corpus = reader.load(output)
            (wanted,) = corpus.vocabulary.encode(characters)
            assert (np.asarray(corpus.ids) == wanted).sum() == 30


def test_the_last_line_names_the_folder_and_the_settings(start):
    _, out, _ = start("texts/a.txt", "--output=my folder, new", "--documents=lines", "--lowercase")
    given = shlex.split(out.rpartition("train on it: ")[2])
    assert given[:2] == ["--corpus=my folder, new", "--set"]
    assert set(given[2:]) == {"data.lowercase=true", "data.order=lines"}
    read = load_texts("my folder, new", DataConfig(order="lines", lowercase=True), print)
    assert read.vocabulary.decode(np.asarray(read.train)).startswith("\nfirst text.\n")


@pytest.mark.parametrize("output", ["plays", "plays:9", "shakespeare", "-"])
def test_the_last_line_names_a_folder_with_a_registered_name(start, output):
    _, out, _ = start("texts/a.txt", f"--output={output}")
    assert out.endswith(f"train on it: --corpus=./{output}\n")
    assert load_texts(f"./{output}", DataConfig(), print).sha256 == reader.load(output).sha256


def test_mistakes_are_reported_in_one_sentence_and_nothing_is_written(start, tmp_path):
    (tmp_path / "latin").write_bytes(b"caf\xe9")
    for arguments, part in [
        (["--output=out"], "Which texts?"),
        (["texts/a.txt"], "--output=DIR"),
        (["texts/*.tex", "--output=out"], "'texts/*.tex'"),
        (["latin", "--output=out"], "byte 0xe9 at offset 3"),
        (["texts/a.txt", "--output=texts"], "contains something else"),
        (["texts/a.txt", "--output=out", "--documents=pages"], "files or lines"),
        (["texts/a.txt", "--output=out", "--vocabulary=words"], "characters or bytes"),
        (["texts/a.txt", "--output=out", "--csv_column=-1"], "at least 0"),
        (["texts/a.txt", "--output=out", "--csv_header=maybe"], "csv_header=maybe"),
        (["texts/a.txt", "--output=out", "--csv_delimiter=::"], "csv_delimiter=::"),
        (["texts/a.txt", "--output=out", "--encoding=cp0"], "encoding=cp0"),
        (["texts/a.txt", "--output=out", "--normalization=NFX"], "normalization=NFX"),
        (["texts/a.txt", "--output=out", "--csv_column=2"], "has 1 column"),
        (["texts/a.txt", "--output=out", "--validation_fraction=1"], "validation_fraction"),
    ]:
        status, _, err = start(*arguments)
        assert status == command.MISTAKE and err.startswith("error: ") and err.count("\n") == 1
        assert part in err
        assert not (tmp_path / "out").exists()


@pytest.fixture
def folder(start):
    assert start("texts/a.txt", "--output=out")[0] == command.DONE
    return "out"


def rewrite(path, **changes):
    with open(path) as file:
        content = json.load(file)
    with open(path, "w") as file:
        json.dump({**content, **changes}, file)


def test_a_truncated_shard_is_refused(folder):
    with open("out/shard-00000.ids", "r+b") as file:
        file.truncate(100)
    assert "out/shard-00000.ids has 100 of 279 bytes" in refusal(folder)


@pytest.mark.parametrize("name", ["shard-00000.ids", "documents.bin"])
def test_a_changed_bit_is_refused(folder, name):
    with open(f"out/{name}", "r+b") as file:
        file.seek(8)
        (byte,) = file.read(1)
        file.seek(8)
        file.write(bytes([byte ^ 1]))
    assert f"out/{name} is damaged" in refusal(folder)


def test_a_shard_is_verified_once_per_machine(folder, tmp_path, monkeypatch):
    reader.load(folder)
    path = "out/shard-00000.ids"
    times = os.stat(path)
    with open(path, "r+b") as file:
        file.write(bytes(279))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    reader.load(folder)  # not verified again: only the checksum would reveal the change
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another machine's"))
    assert "is damaged" in refusal(folder) and "is damaged" in refusal(folder)
    (tmp_path / "a file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "a file"))
    assert "is damaged" in refusal(folder)


def test_shards_of_several_folders_are_refused(start, folder):
    assert start("texts/deep/b.txt", "--output=other")[0] == command.DONE
    for name in ("shard-00000.ids", "shard-00000.json"):
        shutil.copy(f"other/{name}", f"out/{name}")
    assert "encoded with another vocabulary" in refusal(folder)
    shutil.copy("other/vocabulary.json", "out/vocabulary.json")
    assert "vocabulary.json of another corpus" in refusal(folder)
    assert start("texts/a.txt", "texts/a.txt", "--output=twice")[0] == command.DONE
    for name in ("documents.bin", "documents.json"):
        shutil.copy(f"twice/{name}", f"other/{name}")
    rewrite("other/documents.json", vocabulary=json.loads(open("other/corpus.json").read())["vocabulary"])
    assert "another corpus than its folder" in refusal("other")


@pytest.mark.parametrize("name", ["shard-00000.ids", "shard-00000.json", "documents.bin", "vocabulary.json"])
def test_a_missing_file_is_named(folder, name):
    shutil.move(f"{folder}/{name}", "away")
    assert name in refusal(folder)


def test_a_damaged_description_is_refused(folder):
    rewrite("out/corpus.json", format=99)
    assert "corpus.json is damaged" in refusal(folder)
    with open("out/corpus.json", "w") as file:
        file.write("{")
    assert "corpus.json is damaged" in refusal(folder)


def test_a_folder_that_was_never_encoded_is_refused(start):
    assert "not one that charrnn.encode has made" in refusal("texts")


def test_settings_that_the_folder_was_not_made_with_are_refused(start, folder):
    assert "set data.lowercase=false" in refusal(folder, lowercase=True)
    assert "set data.vocabulary=characters" in refusal(folder, vocabulary="bytes")
    assert "set data.csv_column=0" in refusal(folder, csv_column=1)
    assert "--documents=lines" in refusal(folder, order="lines")
    assert start("texts/a.txt", "--output=lines", "--documents=lines")[0] == command.DONE
    assert "a document per line" in refusal("lines", within_documents=True)


@pytest.mark.parametrize(
    "text, flag, config, number, said",
    [
        ("a" * 900 + "é" * 100, "--lowercase=false", {"validation_fraction": 0.01}, 90, "validation_fraction=0.1"),
        ("a" * 850 + "é" * 150, "--test_fraction=0.05", {}, 50, "test_fraction=0.05"),
        ("plain and\n" * 9 + "é" * 600, "--documents=lines", {}, 531, "order=lines"),
    ],
    ids=["validation_fraction", "test_fraction", "documents"],
)
def test_a_split_whose_training_text_is_unknown_is_refused(start, tmp_path, text, flag, config, number, said):
    (tmp_path / "late.txt").write_text(text, encoding="utf-8")
    assert start("late.txt", "--output=late", flag)[0] == command.DONE
    assert f"lacks {number} characters of this run's training text: set data.{said}, or" in refusal("late", **config)
    lines = []
    texts = load_texts("late", DataConfig(**config), lines.append, every_character=True)
    assert 0 in np.asarray(texts.train) and not any("was encoded with" in line for line in lines)


def test_a_split_whose_training_text_is_known_is_reported(start, tmp_path):
    (tmp_path / "late.txt").write_text("plain\n" * 180 + "é\n" * 20, encoding="utf-8")
    assert start("late.txt", "--output=late", "--validation_fraction=0.01")[0] == command.DONE
    for config, num_lines in (({"validation_fraction": 0.01}, 0), ({}, 1), ({"test_fraction": 0.1}, 1)):
        lines = []
        texts = load_texts("late", DataConfig(**config), lines.append)
        assert 0 not in np.asarray(texts.train)
        assert sum("late was encoded with data.validation_fraction=0.01" in line for line in lines) == num_lines
    assert start("late.txt", "--output=bytes", "--vocabulary=bytes")[0] == command.DONE
    load_texts("bytes", DataConfig(vocabulary="bytes", validation_fraction=0.01), lines.append)
    assert not any("bytes was encoded" in line for line in lines)


@pytest.mark.slow
def test_a_run_trains_on_an_encoded_folder_and_resumes_with_the_files(folder, capsys):
    settings = ["model.units=4", "data.batch_size=1", "samples.num_chars=0"]
    for corpus, steps in (("out", 1), ("texts/a.txt", 2)):
        flags = ["--experiment=quickstart", "--run_dir=run", f"--corpus={corpus}", f"--steps={steps}"]
        status = command.run(run.main, run.FLAGS, ["run", *flags, *settings])
        assert status == command.DONE, capsys.readouterr().err
    with open("run/config.json") as file:
        assert json.load(file)["corpus_sha256"] == reader.load("out").sha256


MOUNT = ["unshare", "-rm", "sh", "-c"]
CAN_MOUNT = shutil.which("unshare") and not subprocess.run(
    [*MOUNT, "mount -t tmpfs none /mnt"], capture_output=True
).returncode


@pytest.mark.slow
@pytest.mark.skipif(not CAN_MOUNT, reason="no small disk can be mounted here: unshare -rm, mount -t tmpfs")
def test_a_disk_that_becomes_full_is_reported_in_one_line_with_its_own_status(tmp_path):
    (tmp_path / "long.txt").write_text("to be or not to be\n" * 20_000)
    command_line = f"exec {sys.executable} -m charrnn.encode {tmp_path}/long.txt --output=/mnt/encoded"
    shell = f"mount -t tmpfs -o size=200k none /mnt && {command_line}"
    process = subprocess.run([*MOUNT, shell], capture_output=True, text=True)
    assert process.returncode == command.NOT_WRITTEN
    assert process.stderr.count("\n") == 1 and "No space left on device" in process.stderr
