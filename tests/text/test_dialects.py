"""Tests that a CSV's delimiter and header are detected, reported in one line, and stored with the run."""

import json

import pytest

from charrnn import command, encode, run_files
from charrnn.batches import texts
from charrnn.batches.sources import DataConfig
from charrnn.batches.texts import load_texts
from charrnn.encoded import reader
from charrnn.errors import UserError
from charrnn.text import dialects
from charrnn.text.chunks import Settings
from trainers import run

NAMES = ["Katettemir", "Olaus", "Tovyley", "Ann, of Kent", "Junraley"] * 8


def rows(delimiter=",", header=True, quote=""):
    lines = [delimiter.join(["id", "name", "score"])] if header else []
    quotes = [f'"{name}"' if delimiter in name else f"{quote}{name}{quote}" for name in NAMES]
    return "\n".join([*lines, *(delimiter.join([str(i), name, str(2 * i)]) for i, name in enumerate(quotes))]) + "\n"


@pytest.fixture
def read(tmp_path, monkeypatch):
    """Provides a function that reads a CSV, with `most=-1` as a large corpus.

    It returns the documents, the texts, and the lines for the user.
    """
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def read(content, name="rows.csv", most=texts.IN_MEMORY_BYTES, **config):
        (tmp_path / name).write_bytes(content.encode())
        monkeypatch.setattr(texts, "IN_MEMORY_BYTES", most)
        config = DataConfig(**{"order": "lines", "csv_column": 2, "validation_fraction": 0.0, **config})
        lines = []
        found = load_texts(str(tmp_path / name), config, lines.append)
        return found.vocabulary.decode(found.train).split("\n")[1:-1], found, lines

    return read


@pytest.mark.parametrize("most", [texts.IN_MEMORY_BYTES, -1])
@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("delimiter, name", [(",", "a.csv"), (";", "a.csv"), ("\t", "a.tsv"), ("\t", "a"), ("|", "a")])
def test_delimiter_and_header_are_detected_and_reported(read, delimiter, name, header, most):
    documents, found, lines = read(rows(delimiter, header), name, most)
    assert documents == NAMES
    assert (found.data.csv_delimiter, found.data.csv_header) == (dialects.named(delimiter), str(header).lower())
    assert sum(repr(dialects.named(delimiter)) in line and "header" in line for line in lines) == 1


def test_a_field_may_have_line_breaks_and_quotes_after_a_byte_order_mark(read):
    content = "\ufeffname,note\n" + 'Ann,"says ""hi"",\r\nthen leaves"\n' * 9
    documents, _, _ = read(content)
    assert documents == ['says "hi", then leaves'] * 9


@pytest.mark.parametrize(
    "content, delimiter",
    [
        ("0;Ann;5,5\n1;Bob;7,25\n", ";"),
        ("0\tWell, Ann, no\n1\tWell, Bob, yes\n", "\t"),
        ('1,"Hello; there"\n2,"Good; bye"\n', ","),
        ('"1","a|b"\n"2","c|d"\n', ","),
        ("1,a;b\n2,c\n3,d\n", ","),
        ("just a line\nand one more\n", ","),
        (f"1;{'long, ' * 50_000}\n" * 3, ";"),
    ],
)
def test_the_delimiter_is_distinguished_from_punctuation(tmp_path, content, delimiter):
    (tmp_path / "rows").write_text(content)
    (tmp_path / "empty").write_text("\n")
    paths = [str(tmp_path / name) for name in ("empty", "rows")]
    assert dialects.look(paths, Settings(csv_column=1)).settings.csv_delimiter == delimiter


@pytest.mark.parametrize(
    "content, column, documents",
    [
        ('"3","Wall St. Bears","Short-sellers"\n"3","Oil","Prices"\n', 2, ["Wall St. Bears", "Oil"]),
        ("Ann\nBob\n", 1, ["Ann", "Bob"]),
        ("name\nAnn\nBob\n", 1, ["Ann", "Bob"]),
        ("Name, first\nAnn\nBob\n", 1, ["Name", "Ann", "Bob"]),  # reported, because the other rows have another width
        ("To be; or not\nMore; less\n", 1, ["To be", "More"]),
        ("1990,1991\n5,6\n7,8\n", 2, ["1991", "6", "8"]),
        ("wort,anzahl\nder,5\ndie,7\n", 1, ["der", "die"]),
        ("text,text\na,b\n", 2, ["text", "b"]),
        ("The Time,Ann Lee\nThe Place,Bob Ray\n", 1, ["The Time", "The Place"]),
        ("A Story of the Name\nAnother\n", 1, ["A Story of the Name", "Another"]),
        ("Ann,n/a\nBob,7\n", 1, ["Ann", "Bob"]),
        (",user_name\n,ann\n", 2, ["ann"]),
        (",wort\n0,der\n1,die\n", 2, ["der", "die"]),
        (",wort\n5,der\n7,die\n", 2, ["wort", "der", "die"]),  # reported in the line about the first row
        ("\n\nid,title\n1,A\n\n2,B\n", 2, ["A", "B"]),
    ],
)
def test_a_header_is_distinguished_from_a_document(read, content, column, documents):
    assert read(content, csv_column=column)[0] == documents


def test_given_settings_override_the_detection(read):
    content = rows(";")
    assert read(content, csv_header="false")[0] == ["name", *NAMES]
    assert read(rows(";", header=False), csv_header="true")[0] == NAMES[1:]
    documents, _, lines = read("a,b;c\nd,e;f\n", csv_delimiter=";", csv_header="false")
    assert documents == ["c", "f"] and not any("header" in line for line in lines)
    with pytest.raises(UserError, match=r"line 1 .* 1 column.*csv_delimiter"):
        read("a b\nc d\n", csv_delimiter="|")


@pytest.mark.parametrize("most", [texts.IN_MEMORY_BYTES, -1])
def test_text_cut_by_a_comma_is_reported(read, most):
    content = '1,"Well, now"\n2,Oh no\n3,Well, then\n4,Oh, my, my\n'
    for order in ("lines", "windows"):
        _, _, lines = read(content, most=most, order=order)
        (told,) = [line for line in lines if "more or fewer fields" in line]
        assert "2 rows" in told and "line 3" in told and "rows.csv" in told
    _, _, lines = read('1,Well, Ann, it is "late" again\n' * 9)  # all rows have the same width
    assert any("9 of the first 9 rows" in line and "csv_column=0" in line for line in lines)
    _, _, lines = read("1, 2, 3\n" * 9)
    assert not any("csv_column=0" in line for line in lines)


def test_files_with_and_without_a_header_need_the_setting(tmp_path):
    for name, header in {"a.csv": True, "b.csv": True, "c.csv": False}.items():
        (tmp_path / name).write_text(rows(header=header))

    def look(names, header="auto"):
        return dialects.look([str(tmp_path / name) for name in names], Settings(csv_column=2), header=header).settings

    assert look(["a.csv", "b.csv"]).csv_header and not look(["c.csv", "c.csv"]).csv_header
    with pytest.raises(UserError, match=r"a\.csv.*c\.csv.*csv_header=true"):
        look(["a.csv", "b.csv", "c.csv"])
    assert look(["a.csv", "c.csv"], header="true").csv_header


@pytest.mark.slow
def test_detected_formats_are_stored_and_an_older_run_keeps_its_meaning(tmp_path, monkeypatch, capsys):
    """A run of a version that read the header as a document resumes like that, with the same command."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "headed.csv").write_text(rows())
    (tmp_path / "other.csv").write_text(rows(";"))
    tiny = """
        --steps=2 --set=model.units=4 --set=model.embedding_size=2 --set=data.batch_size=2 --set=data.seq_length=8
        --set=samples.num_chars=1 --set=data.order=lines --set=data.csv_column=2 --set=data.validation_fraction=0.4
    """.split()

    def train(name, *more):
        more = [*more, f"--run_dir={name}", f"--corpus={name}.csv", "--set=samples.prompts=Ann, K"]
        status = command.run(run.main, run.FLAGS, ["run", "--experiment=quickstart", *tiny, *more])
        return status, *capsys.readouterr()

    def found(name):
        data = json.loads((tmp_path / name / "config.json").read_text())["data"]
        return data["csv_delimiter"], data["csv_header"]

    status, shown, _ = train("other")
    assert status == command.DONE and "One sample prompt, 'Ann, K'" in shown and found("other") == (";", "true")
    assert train("headed", "--set=data.csv_header=false")[0] == command.DONE
    config = json.loads((tmp_path / "headed" / "config.json").read_text())
    assert (config["data"].pop("csv_delimiter"), config["data"].pop("csv_header")) == (",", "false")
    (tmp_path / "headed" / "config.json").write_text(json.dumps(config))
    assert run_files.read_config("headed")["data"]["csv_header"] == "false"
    status, _, said = train("headed", "--set=data.csv_header=true")
    assert status == command.MISTAKE and "data.csv_header" in said
    assert train("headed")[0] == command.DONE and found("headed") == (",", "false")


def test_an_encoded_folder_stores_how_it_was_read(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.tsv").write_bytes(rows("\t").encode("utf-16"))
    arguments = ["encode", "rows.tsv", "--output=out", "--csv_column=2", "--lowercase", "--normalization=NFC"]
    assert command.run(encode.main, encode.FLAGS, arguments) == command.DONE
    shown = capsys.readouterr().out
    assert "UTF-16" in shown and "header" in shown
    settings = reader.load("out").settings
    assert (settings.csv_delimiter, settings.csv_header, settings.normalization) == ("\t", True, "NFC")
    hint = dict(part.partition("=")[::2] for part in shown.split("--set ")[1].split())
    asked = {name.removeprefix("data."): value for name, value in hint.items()}
    config = DataConfig(csv_column=int(asked.pop("csv_column")), lowercase=asked.pop("lowercase") == "true", **asked)
    read = load_texts("out", config, lambda line: None)
    assert "ann, of kent\n" in read.vocabulary.decode(read.train[:])
    assert (read.data.csv_delimiter, read.data.csv_header) == ("tab", "true")
    with pytest.raises(UserError, match="csv_header=true"):
        load_texts("out", DataConfig(**{**vars(config), "csv_header": "false"}), lambda line: None)


def test_a_folder_of_an_older_version_is_read(tmp_path):
    """The corpus.json of an older version lacks the newer settings."""
    (tmp_path / "rows.csv").write_text("a,b\n1,c\n")
    settings = Settings(csv_column=2)
    texts.writer.encode("it", [str(tmp_path / "rows.csv")], settings, texts.Parts(True), str(tmp_path / "out"), print)
    newer = ("encoding", "normalization", "csv_delimiter", "csv_header")
    corpus = json.loads((tmp_path / "out" / "corpus.json").read_text())
    del corpus["odd_rows"]
    corpus["settings"] = {name: value for name, value in corpus["settings"].items() if name not in newer}
    (tmp_path / "out" / "corpus.json").write_text(json.dumps(corpus))
    for label in tmp_path.glob("out/[sd]*.json"):
        content = {**json.loads(label.read_text()), **reader.label_of(corpus)}
        label.write_text(json.dumps(content))
    assert reader.load(str(tmp_path / "out")).settings == settings
    lines = []
    texts.writer.encode(
        "it", [str(tmp_path / "rows.csv")], settings, texts.Parts(True), str(tmp_path / "out"), lines.append
    )
    assert "already" in lines[0]


@pytest.mark.parametrize("delimiter", ["ab", '"', "\n", "\r", "\0"])
def test_an_invalid_delimiter_is_refused(delimiter):
    with pytest.raises(UserError, match=r"data\.csv_delimiter"):
        DataConfig(csv_delimiter=delimiter)
