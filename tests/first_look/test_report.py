"""Tests the first look at a corpus: its counts, its agreement with training, and the command that it suggests."""

import gzip
import math
import shlex
from collections import Counter

import numpy as np
import pytest

from charrnn import command, encode
from charrnn import corpora as corpora_command
from charrnn.batches.sources import DataConfig
from charrnn.batches.texts import Texts, load_texts
from charrnn.first_look import report
from charrnn.first_look.counts import tally
from charrnn.measures.ngrams import KneserNey
from charrnn.text import chunks, corpora
from charrnn.text.plays import Plays
from charrnn.text.vocabulary import Vocabulary
from trainers import run

TEXT = Plays().text(12_000, seed=3).replace("\n\n", "\n \n") + "naïve\u00a0€\n"


@pytest.fixture
def look(capsys, tmp_path, monkeypatch):
    """Runs the command `corpora` in a folder with a text. Returns exit status, output lines and standard error."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.txt").write_text(TEXT, encoding="utf-8")

    def look(*arguments):
        arguments = ["corpora", *arguments]
        status = command.run(corpora_command.main, corpora_command.FLAGS, arguments)
        out, err = capsys.readouterr()
        return status, out.splitlines(), err

    return look


def numbers(lines, heading):
    """Returns the list below a heading, as {entry: count}."""
    start = next(i for i, line in enumerate(lines) if line.startswith(f"  {heading}"))
    entries = []
    for line in lines[start + 1 :]:
        if not line.startswith("    "):
            break
        entries += line.split("   ")
    return {what: int(n.replace(",", "")) for what, n in (entry.strip().rsplit(" ", 1) for entry in entries if entry)}


def test_the_numbers_equal_a_count_by_hand(look):
    status, lines, err = look("my.txt")
    counts = Counter(TEXT)
    assert (status, err) == (command.DONE, "")
    assert lines[0] == f"my.txt: 1 file, {len(TEXT):,} characters, {len(counts)} of them distinct"
    assert numbers(lines, "by count") == {repr(c): n for c, n in counts.items()}
    assert numbers(lines, "fewer than 10") == {repr(c): n for c, n in counts.items() if n < 10}
    assert numbers(lines, "not printable") == {
        "U+000A line feed": counts["\n"],
        "U+00A0 no-break space": 1,
    }
    unknown = set(TEXT) - set(TEXT[: len(TEXT) * 9 // 10])
    assert numbers(lines, "unknown") == {repr(c): counts[c] for c in unknown} and "€" in unknown
    written = sorted(len(line) for line in TEXT.split("\n") if line.strip())
    shares = [(50, written[math.ceil(0.5 * len(written)) - 1]), (95, written[math.ceil(0.95 * len(written)) - 1])]
    blank = sum(line.isspace() for line in TEXT.splitlines())
    beginning = f"{TEXT.count(chr(10))} lines, {blank} of them blank; the others have {written[0]} to "
    beginning += f"{written[-1]} characters, " + ", ".join(f"{share} % at most {length}" for share, length in shares)
    assert any(line.startswith(beginning) for line in lines)


def test_the_text_is_read_and_split_as_in_training(look, capsys):
    _, lines, _ = look("my.txt")
    said = []
    texts = load_texts("my.txt", DataConfig(), said.append)
    assert said[0] in lines and said[1] in lines
    steps = ((len(texts.train) - 1) // 100) // 64
    epoch = f"64 windows of 100 characters, an epoch has {steps} step"
    assert any(line.endswith(epoch) for line in lines)
    cut = len(TEXT) * 9 // 10
    ids = [texts.vocabulary.encode(part) for part in (TEXT[:cut], TEXT[cut - 1 :])]
    loss = -KneserNey(ids[0], texts.vocabulary.size).log_probs(ids[1][None])[0, 1:].mean()
    assert any(f"{loss:.4f} nats per character, {loss / math.log(2):.4f} bits" in line for line in lines)


@pytest.mark.slow
def test_the_last_line_is_a_command_that_runs(look, tmp_path, capsys):
    """Trains for the suggested epochs; the test only makes the network smaller and the reports rarer."""
    (tmp_path / "it's mine.txt").write_text("never say never\n" * 60)
    _, lines, _ = look("it's mine.txt", "--order=lines", "--lowercase", "--validation_fraction=0.2")
    arguments = shlex.split(lines[-1])
    assert arguments[:3] == ["python", "-m", "trainers.run"]
    assert {"data.order=lines", "data.lowercase=true", "data.seq_length=16"} <= set(arguments)
    tiny = "model.units=4 model.embedding_size=0 samples.num_chars=0 loop.log_every=100 loop.evaluate_every=200".split()
    assert command.run(run.main, run.FLAGS, [*arguments[2:], *tiny]) == command.DONE
    assert (tmp_path / "runs" / "it-s-mine" / "metrics.jsonl").exists()
    shown = capsys.readouterr().out
    epochs = float(lines[-2].partition(" steps (")[2].split()[0])
    steps = int(next(a for a in arguments if a.startswith("--steps=")).partition("=")[2])
    assert f"An epoch is {steps / epochs:.0f} steps" in shown


@pytest.mark.parametrize(
    ("length", "units", "batch_size", "chars", "steps"),
    [
        (3_000, 128, 4, 25, 20 * 29),
        (10_000, 128, 8, 50, 20 * 24),
        (100_000, 128, 32, 100, 20 * 31),
        (300_000, 256, 64, 100, 20 * 46),
        (700_000, 512, 64, 100, 20 * 109),
        (1_000_000, 1024, 64, 100, 3000),
    ],
)
def test_the_suggested_sizes_follow_the_rule(length, units, batch_size, chars, steps):
    ids = np.zeros(length, np.uint8)
    texts = Texts("it", "", None, ids, ids[:0])
    found = report.suggest(texts, DataConfig(), tally([]))
    assert (found.units, found.data.batch_size, found.data.seq_length, found.steps) == (units, batch_size, chars, steps)
    assert bool(found.optimizer) == (units <= 256)


def test_repeated_long_lines_are_counted_in_both_splits():
    vocabulary = Vocabulary.from_text("0123456789\n")
    train = [f"{i:050}" for i in range(90)] + ["1234"] * 10 + [f"{i:050}" for i in (3, 3, 5)]
    validation = [f"{i:050}" for i in (7, 7, 500)] + ["1234"]
    ids = [vocabulary.encode("\n".join(lines)) for lines in (train, ["", *validation])]
    assert report.count_repeats(Texts("it", "", vocabulary, *ids)) == (93, 3, 3, 2)


def test_several_files_bytes_csv_and_an_encoded_folder_are_counted(look, tmp_path, monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK_BYTES", 4000)  # several processes count smaller chunks
    for i in range(2):
        (tmp_path / f"{i}.txt").write_text(TEXT[6000 * i : 6000 * (i + 1)])
    counts = Counter(TEXT[:12_000])
    assert numbers(look("0.txt", "1.txt")[1], "by count") == {repr(c): n for c, n in counts.items()}
    _, lines, _ = look("[01].txt", "--vocabulary=bytes")
    assert lines[0].startswith(f"[01].txt: 2 files, {len(TEXT[:12000].encode()):,} bytes, ")
    _, lines, _ = look("[01].txt", "--vocabulary=bytes", "--order=lines")
    assert lines[0].startswith("[01].txt: 2 files, 12,000 bytes, ")
    encode_arguments = ["encode", "0.txt", "1.txt", "--output=made"]
    assert command.run(encode.main, encode.FLAGS, encode_arguments) == command.DONE
    _, lines, _ = look("made")
    assert numbers(lines, "by count") == {repr(c): n for c, n in counts.items()}
    assert any("in files, by index" in line for line in lines)
    (tmp_path / "rows.csv").write_text("".join(f'{i},"row, {i:03}"\n' for i in range(400)))
    _, lines, _ = look("rows.csv", "--csv_column=2", "--order=lines")
    counts = Counter("".join(f"row, {i:03}\n" for i in range(400)))
    assert numbers(lines, "by count") == {repr(c): n for c, n in counts.items()}


def test_documents_are_counted_like_the_lines_of_their_file(look, tmp_path):
    (tmp_path / "names").write_text("".join(f"name {i}\n" for i in range(300)))
    expected = "300 lines, 0 of them blank; the others have 6 to 8 characters"
    for vocabulary in ("characters", "bytes"):
        given = [f"--vocabulary={vocabulary}"]
        arguments = ["encode", "names", "--output=" + vocabulary, "--documents=lines", *given]
        assert command.run(encode.main, encode.FLAGS, arguments) == command.DONE
        for spec in ("names", vocabulary):
            _, lines, _ = look(spec, "--order=lines", *given)
            assert any(line.startswith(expected) for line in lines)
    _, lines, _ = look("timetable:4000", "--csv_column=1", "--order=lines")
    rows = corpora.load("timetable:4000").content.splitlines()
    assert any(line.startswith(f"{len(rows)} lines, 0 of them blank") for line in lines)


def test_findings_are_printed_and_the_command_has_them(look, tmp_path):
    (tmp_path / "names").write_bytes(gzip.compress("the\u0301\r\nthé\rthe\n".encode() * 50))
    _, lines, _ = look("names", "--order=lines")
    said = "\n".join(lines)
    assert "CR LF" in said and "gzip" in said and "--normalization=NFC" in said
    assert not any("U+000D" in line for line in lines if "unknown" in line) and "unknown" not in said
    _, lines, _ = look("names", "--order=lines", "--normalization=NFC")
    assert "--normalization=NFC" not in "\n".join(lines) and "data.normalization=NFC" in lines[-1]
    (tmp_path / "rows.tsv").write_bytes(("id\tname\n" + "1\tAnn Boleyn\n" * 60).encode("utf-16"))
    _, lines, _ = look("rows.tsv", "--csv_column=2", "--order=lines")
    said = "\n".join(lines)
    assert "UTF-16" in said and "'tab'" in said and "header" in said
    assert {"data.csv_delimiter=tab", "data.csv_header=true"} <= set(shlex.split(lines[-1]))
    (tmp_path / "old").write_bytes("Señor, mañana\n".encode("cp1252") * 60)
    assert "--encoding=cp1252" in look("old")[2]
    _, lines, _ = look("old", "--encoding=cp1252")
    assert "data.encoding=cp1252" in lines[-1] and "'ñ' 120" in "\n".join(lines)


def test_without_a_text_the_registered_corpora_are_listed(look, tmp_path, monkeypatch):
    monkeypatch.setenv("CHARRNN_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "linux.txt").write_text("int")
    status, lines, err = look()
    found = dict(line.split(maxsplit=1) for line in lines)
    assert (status, err) == (command.DONE, "") and list(found) == sorted(found)
    assert found["linux"] == str(tmp_path / "linux.txt") and "built in" in found["plays"]
    assert found["timetable"] == "built in: 1,000,000 characters, or as many as timetable:N says"
    assert found["shakespeare"].startswith("to be downloaded from https://")


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["nowhere.txt"], ["nowhere.txt", "shakespeare"]),
        (["my.txt", "--order=books"], ["data.order=books", "windows, streams, lines"]),
        (["my.txt", "--csv_column=9"], ["column 9"]),
        (["my.txt", "--validation_fraction=2"], ["data.validation_fraction", "2.0"]),
        (["short.txt"], ["9 characters", "data.batch_size=4"]),
        (["plays:none"], ["plays:none"]),
        (["my.txt", "--lines"], ["--lines"]),
    ],
    ids=str,
)
def test_mistakes_are_reported_in_one_sentence(look, tmp_path, arguments, parts):
    (tmp_path / "short.txt").write_text("one, two.\n")
    status, lines, err = look(*arguments)
    assert (status, lines) == (command.MISTAKE, []) and len(err.splitlines()) == 1
    for part in parts:
        assert part in err
