"""Tests that a file's format is detected from its first bytes, and from its name only if they do not show it."""

import bz2
import gzip
import io
import lzma
import random
import tarfile
import zipfile

import pytest

from charrnn.batches.sources import DataConfig
from charrnn.batches.texts import load_texts
from charrnn.errors import UserError
from charrnn.text import corpora, formats

TEXT = "Now is the winter\nof our discontent, naïvely.\n" * 40
DATA = TEXT.encode()
COMPRESSED = {
    "gzip": gzip.compress(DATA, mtime=0),
    "bzip2": bz2.compress(DATA),
    "xz": lzma.compress(DATA),
    "lzma": lzma.compress(DATA, format=lzma.FORMAT_ALONE),
    "two members": gzip.compress(DATA[:100], mtime=0) + gzip.compress(DATA[100:], mtime=0),
}


def zipped(name, **options):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", **options) as archive:
        archive.writestr(name, DATA)
    return file.getvalue()


def tarred():
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        member = tarfile.TarInfo("a.txt")
        member.size = len(DATA)
        archive.addfile(member, io.BytesIO(DATA))
    return file.getvalue()


NO_TEXTS = {
    "a ZIP archive": zipped("a.txt"),
    "a document": zipped("word/document.xml", compression=zipfile.ZIP_DEFLATED),
    "a PDF": b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\n" * 20,  # all ASCII
    "rich text": rb"{\rtf1\ansi{\fonttbl\f0\fswiss Helvetica;}\f0\pard Now is the winter\par}" * 20,
    "an office document": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(99),
    "a tar archive": tarred(),
    "7z": b"7z\xbc\xaf\x27\x1c\0\4" + bytes(99),
    "Zstandard": b"\x28\xb5\x2f\xfd\x04\x00" + bytes(99),
    "an image": b"\x89PNG\r\n\x1a\n" + bytes(99),
    "a sound": b"ID3\x03\0\0" + bytes(99),
    "SQLite": b"SQLite format 3\0" + bytes(99),
    "compressed twice": gzip.compress(gzip.compress(DATA, mtime=0), mtime=0),
    "encrypted": random.Random(0).randbytes(9000),
}


@pytest.mark.parametrize("name", ["text", "text.txt", "TEXT.GZ", "text.xz", "text.bz2.txt"])
@pytest.mark.parametrize("kind", COMPRESSED)
def test_a_compressed_file_is_read_under_any_name(tmp_path, kind, name):
    (tmp_path / name).write_bytes(COMPRESSED[kind])
    found = corpora.load(str(tmp_path / name))
    assert found.content == TEXT and corpora.load(str(tmp_path / name), as_bytes=True).content == DATA
    (tmp_path / "plain").write_bytes(DATA)
    assert found.sha256 == corpora.load(str(tmp_path / "plain")).sha256
    lines = []
    load_texts(str(tmp_path / name), DataConfig(), lines.append)
    assert any("first bytes" in line for line in lines)


@pytest.mark.parametrize("kind", ["gzip", "bzip2", "xz", "lzma"])
def test_a_truncated_or_altered_file_is_named_in_the_error(tmp_path, kind):
    data = COMPRESSED[kind]
    for damaged in (data[:-9], data[: len(data) // 2] + b"\0\1\2" + data[len(data) // 2 + 3 :]):
        (tmp_path / "bad").write_bytes(damaged)
        with pytest.raises(UserError, match="bad' cannot be read"):
            corpora.load(str(tmp_path / "bad"))


@pytest.mark.parametrize("ending", [".gz", ".bz2", ".xz"])
def test_an_uncompressed_file_with_the_name_of_a_compressed_one_is_refused(tmp_path, ending):
    (tmp_path / f"text{ending}").write_text("no such thing, but long enough")
    with pytest.raises(UserError, match=f"text{ending}' cannot be read"):
        corpora.load(str(tmp_path / f"text{ending}"))


@pytest.mark.parametrize("kind", NO_TEXTS)
@pytest.mark.parametrize("config", [{}, {"order": "lines"}, {"encoding": "latin-1"}])
def test_non_text_is_named_and_reading_it_as_bytes_is_not_recommended(tmp_path, kind, config):
    (tmp_path / "given").write_bytes(NO_TEXTS[kind])
    with pytest.raises(UserError) as refused:
        load_texts(str(tmp_path / "given"), DataConfig(**config), print)
    noise = kind == "encrypted" and config.get("encoding")  # in Latin-1, the NUL is found first
    assert ("binary, not text" if noise else kind) in str(refused.value)
    assert "bytes:" not in str(refused.value) and "given" in str(refused.value)


def test_bytes_of_non_text_are_read_with_a_note(tmp_path):
    (tmp_path / "given").write_bytes(NO_TEXTS["a ZIP archive"])
    lines = []
    texts = load_texts(str(tmp_path / "given"), DataConfig(vocabulary="bytes", validation_fraction=0.0), lines.append)
    assert texts.train.tobytes() == NO_TEXTS["a ZIP archive"]
    assert any("a ZIP archive" in line for line in lines)


def test_a_text_that_begins_like_another_format_is_read_as_text(tmp_path):
    for beginning in ("GIF89a is a format", "BZh9 is how", "MZ", "RIFF raff", "PK is a team", "ID3 tags", "]"):
        (tmp_path / "text").write_text(beginning)
        assert corpora.load(str(tmp_path / "text")).content == beginning
        assert formats.notes_on([str(tmp_path / "text")]) == []
