"""Tests decoding of any encoding, by byte-order mark or setting, and the refusal of undecodable files."""

import codecs
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from charrnn.batches.sources import DataConfig
from charrnn.batches.texts import load_texts
from charrnn.errors import UserError
from charrnn.text import chunks, corpora, decoding

WESTERN = "Le château était à vendre, señor Müller.\r\nÇa ira\n" * 20
WIDE = ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"]
SAMPLES = {
    "cp1252": WESTERN,
    "latin-1": WESTERN,
    "mac-roman": WESTERN,
    "cp437": WESTERN,
    "cp1251": "Съешь ещё этих мягких французских булок\n" * 20,
    "shift_jis": "吾輩は猫である。名前はまだ無い。\n" * 20,
    "gb18030": "道可道，非常道。名可名，非常名。🎭\n" * 20,
    "iso2022_jp": "吾輩は猫である。名前はまだ無い。\n" * 20,
    "utf-7": WESTERN,
    "cp037": "Le chateau\n" * 20,
    **dict.fromkeys([*WIDE, "utf-8-sig", "UTF8"], WESTERN + "🎭吾輩"),
}


def refusal(data, *blocks, **how):
    with pytest.raises(UserError) as refused:
        list(decoding.texts("the file", [data, *blocks], **how))
    assert "'the file'" in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize("encoding", SAMPLES)
@pytest.mark.parametrize("order", ["windows", "lines"])
def test_a_text_is_read_as_if_it_were_utf8(tmp_path, monkeypatch, encoding, order):
    monkeypatch.setattr(chunks, "READ_BYTES", 7)
    (tmp_path / "given").write_bytes(SAMPLES[encoding].encode(encoding))
    (tmp_path / "utf8").write_bytes(SAMPLES[encoding].encode())
    read = load_texts(str(tmp_path / "given"), DataConfig(order=order, encoding=encoding), lambda line: None)
    same = load_texts(str(tmp_path / "utf8"), DataConfig(order=order), lambda line: None)
    assert read.vocabulary == same.vocabulary
    assert read.train.tolist() == same.train.tolist() and read.validation.tolist() == same.validation.tolist()


@pytest.mark.parametrize("mark", [mark for mark in WIDE if mark[-2:] not in ("le", "be")] + ["big", "big 32"])
def test_a_byte_order_mark_is_detected_and_reported(tmp_path, mark):
    big = {"big": codecs.BOM_UTF16_BE + WESTERN.encode("utf-16-be")}
    big["big 32"] = codecs.BOM_UTF32_BE + WESTERN.encode("utf-32-be")
    (tmp_path / "given").write_bytes(big[mark] if mark in big else WESTERN.encode(mark))
    assert corpora.load(str(tmp_path / "given")).content == WESTERN
    lines = []
    load_texts(str(tmp_path / "given"), DataConfig(), lines.append)
    assert any("UTF-16" in line or "UTF-32" in line for line in lines)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.text(max_size=40), st.sampled_from(["", *WIDE, "utf-8-sig", "gb18030", "utf-7"]), st.integers(1, 5))
@example("\ufeffa", "utf-16", 1)
def test_the_size_of_the_blocks_does_not_matter(text, encoding, size):
    text = text.replace("\0", "").encode("utf-8", "ignore").decode()
    data = text.encode(encoding or "utf-8")
    blocks = [data[i : i + size] for i in range(0, len(data), size)]
    found = "".join(decoding.texts("it", blocks, encoding))
    assert found == "".join(decoding.texts("it", [data], encoding)) == text.removeprefix("\ufeff")


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.binary(max_size=40), st.integers(1, 5))
def test_any_bytes_round_trip_through_surrogates(data, size):
    data = b"x" + data  # so that no byte-order mark begins the data
    blocks = [data[i : i + size] for i in range(0, len(data), size)]
    text = "".join(decoding.texts("it", blocks, any_bytes=True))
    assert text.encode("utf-8", "surrogateescape") == data


@pytest.mark.parametrize("encoding", ["cp1252", "cp1251", "shift_jis", "utf-16-le", "utf-16-be", "utf-32-le"])
def test_the_encoding_that_a_refusal_names_reads_the_text(tmp_path, encoding):
    data = SAMPLES[encoding].encode(encoding)
    named = re.search(r"--set data\.encoding=(\S+), elsewhere --encoding=\1;", refusal(data))[1]
    assert "".join(decoding.texts("it", [data], named)) == SAMPLES[encoding]


def test_undecodable_data_is_reported_with_its_offset_or_encoding():
    assert "byte 0x81 at offset 4" in refusal(b"ab", b"cd\x81", encoding="cp1252")
    assert "byte 0xe9 at offset 3" in refusal(b"abc\xe9 ")
    assert "UTF-16" in refusal(b"\xff\xfea\0b")
    assert "NUL at offset 6" in refusal(b"a\xc3", b"\xa9bcd\0")
    assert "data.vocabulary=bytes" in refusal(b"\x00\x01")
    assert "UTF-7" in refusal(b"+2AA-", encoding="utf-7")  # a lone surrogate, which is not text


@pytest.mark.parametrize("name", ["cp0", "rot13", "hex", "base64", "idna", "undefined", "é", "a b", "../x", "\0", "os"])
def test_an_unknown_or_non_text_encoding_is_refused(name):
    with pytest.raises(UserError, match=r"data\.encoding="):
        DataConfig(encoding=name)


def test_utf8_that_is_read_in_another_encoding_is_reported(tmp_path):
    (tmp_path / "utf8").write_text(WESTERN, encoding="utf-8")
    (tmp_path / "ascii").write_text("plain\n" * 200)
    for name, told in {"utf8": True, "ascii": False}.items():
        lines = []
        load_texts(str(tmp_path / name), DataConfig(encoding="cp1252"), lines.append)
        assert any("looks like UTF-8" in line for line in lines) == told
