"""Tests that a corpus read in chunks and blocks of a few bytes equals the corpus read at once."""

import gzip
import hashlib
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from charrnn.errors import UserError
from charrnn.text import chunks, corpora
from charrnn.text.chunks import Settings, Span

SIZES = {"CHUNK_BYTES": 7, "READ_BYTES": 3}
TEXTS = st.lists(st.text(st.sampled_from("abAB é🎭☃\ufeff\n\n\r,\x85"), max_size=30), min_size=1, max_size=4)
# Includes characters that compose with the one before them, and sigma, whose lower case differs at a word's end.
ACCENTS = st.sampled_from("abAB é🎭☃\ufeff\n\r,Σς'\u0301\u1100\u1161ﬁ吾か\u3099")
VOCABULARIES = st.sampled_from(["characters", "bytes"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("pieces")


@pytest.fixture(autouse=True, scope="module")
def small():
    """Makes chunks and blocks a few bytes long."""
    with pytest.MonkeyPatch.context() as patch:
        for name, size in SIZES.items():
            patch.setattr(chunks, name, size)
        yield


def write(folder, texts, compressed=False):
    """Writes each text, or bytes, to a file. Returns the paths and sizes in bytes."""
    files = []
    for i, text in enumerate(texts):
        data = text if isinstance(text, bytes) else text.encode()
        path = folder / f"{i}{'.gz' if compressed else ''}"
        path.write_bytes(gzip.compress(data, mtime=0) if compressed else data)
        files.append((str(path), path.stat().st_size))
    return files


def read(files, settings):
    """Returns the joined content of the files' chunks, the chunks' surveys, and the chunks."""
    cut = chunks.cut(files, settings)
    parts = [content for chunk in cut for content in chunks.contents(chunk, settings)]
    empty = b"" if settings.vocabulary == "bytes" else ""
    return empty.join(parts), [chunks.survey(chunk, settings) for chunk in cut], cut


@pytest.mark.slow
@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    texts=st.lists(st.text(ACCENTS, max_size=30), max_size=4),
    compressed=st.booleans(),
    lowercase=st.booleans(),
    vocabulary=VOCABULARIES,
    normalization=st.sampled_from(["", "", "NFC", "NFD", "NFKC", "NFKD"]),
)
@example(["é" * 40, "🎭" * 9], False, False, "characters", "")
@example(["abcdeΣfghij", "aΣ'b c"], False, True, "characters", "")
@example(["e\u0301" * 20], False, False, "characters", "NFC")
def test_running_text_in_chunks_equals_the_whole_text(folder, texts, compressed, lowercase, vocabulary, normalization):
    config = Settings(vocabulary, lowercase, normalization=normalization)
    files = write(folder, texts, compressed)
    content, surveys, cut = read(files, config)
    if config.raw:
        expected = "".join(texts).encode()
        expected = expected.lower() if lowercase else expected
    else:
        expected = "".join(config.reading.apply(text.removeprefix("\ufeff")) for text in texts)
        expected = expected.encode() if vocabulary == "bytes" else expected
    assert content == expected
    assert chunks.read([path for path, _ in files], config)[0] == expected
    assert sum(sum(survey.lengths) for survey in surveys) == len(content)
    if vocabulary == "characters":
        assert {c for survey in surveys for c in survey.characters} == set(content)
    assert [chunk.first for chunk in cut] == ([True] + [False] * (len(cut) - 1))[: len(cut)]
    assert chunks.digest([path for path, _ in files]) == hashlib.sha256("".join(texts).encode()).hexdigest()


@settings(max_examples=150, deadline=None, derandomize=True)
@given(texts=TEXTS, vocabulary=VOCABULARIES, lowercase=st.booleans())
@example(["a\r" * 20, "b\r\n\r" * 9], "characters", False)
def test_lines_are_documents(folder, texts, vocabulary, lowercase):
    config = Settings(vocabulary, lowercase, lines=True)
    files = write(folder, texts)
    content, surveys, _ = read(files, config)
    assert chunks.read([path for path, _ in files], config)[0] == content
    texts = [config.reading.apply(text.removeprefix("\ufeff")) for text in texts]
    lines = [line for text in texts for line in text.removesuffix("\n").split("\n") if text]
    expected = [line for line in lines if line.strip()]
    content = content.decode() if vocabulary == "bytes" else content
    assert content == "\n" + "".join(f"{document}\n" for document in expected)
    assert sum(survey.num_documents for survey in surveys) == len(expected)
    assert sum(survey.findings.num_empty for survey in surveys) == len(lines) - len(expected)


def test_rows_are_documents_even_if_a_field_has_line_breaks(folder):
    text = '"1","two\nlines","é"\r\n2,,x\n3, Space ,"y"\n' * 5
    content, surveys, cut = read(write(folder, [text]), Settings(csv_column=2))
    assert content == "\n" + "two lines\nSpace\n" * 5
    assert len(cut) == 1 and surveys[0].num_documents == 10
    assert surveys[0].findings == (5, 0, "")


def test_a_file_whose_lines_end_with_cr_only_is_cut(folder):
    files = write(folder, ["line\r" * 9, "line\r\n" * 9])
    spans = [tuple(span)[1:] for chunk in chunks.cut(files, Settings(lines=True)) for span in chunk.spans]
    assert spans[:5] == [*((i, i + 10) for i in range(0, 40, 10)), (40, 45)]
    assert spans[5:] == [*((i, i + 12) for i in range(0, 48, 12)), (48, 54)]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.binary(max_size=30), min_size=1, max_size=3))
@example([b"caf\xe9\nna\xc3\xafve\r\n\0\xff\r"])
def test_lines_of_any_bytes_are_documents_of_bytes(folder, datas):
    datas = [b"x" + data for data in datas]  # so that no byte-order mark begins the data
    files = write(folder, datas)
    content, surveys, _ = read(files, Settings("bytes", lines=True))
    lines = [line for data in datas for line in re.split(rb"\r\n|\n|\r", data)]
    kept = [line for line in lines if line.decode("utf-8", "surrogateescape").strip()]
    assert content == b"\n" + b"".join(line + b"\n" for line in kept)
    assert sum(survey.num_documents for survey in surveys) == len(kept)


def test_a_normalization_leaves_a_csvs_structure_alone(folder):
    files = write(folder, ["1,＂one，two＂\n2,Ｔwo\n"])
    config = Settings(csv_column=2, normalization="NFKC", lowercase=True)
    assert read(files, config)[0] == '\n"one,two"\ntwo\n'


def test_a_column_may_contain_any_bytes(folder):
    files = write(folder, [b'1,"caf\xe9, cr\xe8me"\r\n2,th\xc3\xa9\n3,\xff\n'])
    content, _, _ = read(files, Settings("bytes", csv_column=2))
    assert content == b"\ncaf\xe9, cr\xe8me\nth\xc3\xa9\n\xff\n"


@pytest.mark.parametrize("most", range(12))
def test_a_survey_can_be_limited_to_the_first_ids_or_documents(folder, most):
    files = write(folder, ["ab\ncd\n\nefg\nh"])
    whole = chunks.Chunk([Span(files[0][0])], first=True)
    running = chunks.survey(whole, Settings(), most_ids=most)
    assert running.characters == "".join(sorted(set("ab\ncd\n\nefg\nh"[:most])))
    lines = chunks.survey(whole, Settings(lines=True), most_documents=most)
    documents = ["ab", "cd", "efg", "h"][:most]
    assert lines.characters == "".join(sorted({"\n", *"".join(documents)}))
    assert (lines.num_documents, lines.lengths) == (len(documents), [1 + len("".join(documents)) + len(documents)])


def test_chunks_are_about_as_large_as_asked_and_small_files_share_one(folder):
    files = write(folder, ["a" * 3, "b" * 3, "line\n" * 5, "c"])
    spans = [[tuple(span)[1:] for span in chunk.spans] for chunk in chunks.cut(files, Settings())]
    assert spans == [[(0, 3), (0, 3)], [(0, 10)], [(10, 20)], [(20, 25), (0, 1)]]


@pytest.mark.parametrize(
    "data, where", [(b"0123456789\xe9 ", 10), (b"01234567\xe2\x98", 8), (b"line\n\xff", 5), (b"a\xed\xa0\x80", 1)]
)
@pytest.mark.parametrize("config", [Settings(), Settings(lines=True)])
def test_invalid_utf8_is_reported_with_its_offset_in_the_file(folder, data, where, config):
    files = write(folder, [data])
    with pytest.raises(UserError, match=f"byte 0x{data[where]:02x} at offset {where}"):
        read(files, config)
    with pytest.raises(UserError, match=f"byte 0x{data[where]:02x} at offset {where}"):
        corpora.load(files[0][0])


def test_a_nul_is_reported_with_its_offset(folder):
    with pytest.raises(UserError, match="a NUL at offset 9"):
        read(write(folder, [b"012345678\0"]), Settings())
    assert read(write(folder, [b"012345678\0"]), Settings("bytes"))[0] == b"012345678\0"


COMPRESSED = gzip.compress(b"text" * 99, mtime=0)


@pytest.mark.parametrize("data", [b"no gzip at all", COMPRESSED[:-9], COMPRESSED[:-8] + bytes(8), COMPRESSED[:12] * 2])
def test_a_damaged_compressed_file_is_named_in_the_error(folder, data):
    (folder / "bad.gz").write_bytes(data)
    with pytest.raises(UserError, match=r"bad.gz' cannot be read"):
        read([(str(folder / "bad.gz"), 9)], Settings())
    with pytest.raises(UserError, match=r"bad.gz' cannot be read"):
        corpora.load(str(folder / "bad.gz"))
