"""Tests the conversion of characters to ids and back, and vocabulary files, damaged ones too."""

import dataclasses
import json
import os
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.errors import UserError
from charrnn.text import vocabulary as vocabulary_module
from charrnn.text.reading import Reading
from charrnn.text.vocabulary import Vocabulary

any_text = st.text(st.characters())  # lone surrogates included


@given(known=any_text, text=any_text)
def test_encoding_is_a_look_up_in_a_dictionary(known, text):
    vocabulary = Vocabulary.from_text(known)
    expected = {character: index for index, character in enumerate(sorted(set(known)), start=1)}
    assert vocabulary.encode(text).tolist() == [expected.get(character, 0) for character in text]
    assert vocabulary.encode(known).min(initial=1) > 0
    assert vocabulary.decode(vocabulary.encode(known)) == known
    assert vocabulary.decode(vocabulary.encode(text)) == "".join(c if c in known else "\ufffd" for c in text)
    assert vocabulary.unknown_characters(text) == [c for c in dict.fromkeys(text) if c not in known]


@given(st.binary())
def test_bytes_are_their_own_ids(data):
    vocabulary = Vocabulary.bytes()
    assert vocabulary.encode(data).tolist() == list(data)
    assert vocabulary.decode(vocabulary.encode(data)) == data.decode("utf-8", "replace")


def test_byte_vocabulary_reads_text_as_utf8_and_knows_everything():
    vocabulary = Vocabulary.bytes()
    assert (vocabulary.size, vocabulary.unknown_id, vocabulary.kind, vocabulary.characters) == (256, None, "bytes", ())
    assert vocabulary.encode("é€").tolist() == list("é€".encode())
    assert vocabulary.decode(vocabulary.encode("naïve 🎭")) == "naïve 🎭"
    assert vocabulary.encode("\ud800").tolist() == [0xED, 0xA0, 0x80]
    assert vocabulary.unknown_characters("anything ☃") == []


def test_ids_follow_the_given_order():
    vocabulary = Vocabulary("zay")
    assert vocabulary.encode("ayz?").tolist() == [2, 3, 1, 0]
    assert (vocabulary.size, vocabulary.unknown_id, vocabulary.characters) == (4, 0, ("z", "a", "y"))


def test_text_longer_than_a_block_is_encoded_whole(monkeypatch):
    monkeypatch.setattr(vocabulary_module, "ENCODE_BLOCK_CHARS", 7)
    text = "to be or not to be ☃ " * 5
    vocabulary = Vocabulary.from_text(text.replace("☃", ""))
    assert vocabulary.decode(vocabulary.encode(text)) == text.replace("☃", "\ufffd")


@pytest.mark.parametrize(
    "count, dtype", [(0, "uint8"), (255, "uint8"), (256, "uint16"), (65535, "uint16"), (65536, "int32")]
)
def test_ids_have_the_smallest_type_that_holds_them(count, dtype):
    characters = [chr(code) for code in range(0x10000, 0x10000 + count)]
    ids = Vocabulary(characters).encode("".join(characters))
    assert ids.dtype == dtype
    assert ids.tolist() == list(range(1, count + 1))


def test_a_large_text_takes_well_under_a_second():
    text = "Now is the winter of our discontent, naïvely ☃.\n" * 125_000
    vocabulary = Vocabulary.from_text(text)
    start = time.process_time()
    ids = vocabulary.encode(text)
    assert time.process_time() - start < 0.8
    assert len(ids) == len(text) == 6_000_000


def test_a_vocabulary_of_characters_reads_bytes_as_utf8():
    vocabulary = Vocabulary("é")
    assert vocabulary.encode("é".encode()).tolist() == [1]
    with pytest.raises(UnicodeDecodeError):
        vocabulary.encode(b"\xff")


@pytest.mark.parametrize("ids", [[-1], [4], [300], [1.0], [[1]], 1, np.array([2**63], np.uint64)])
@pytest.mark.parametrize("vocabulary", [Vocabulary("abc")])
def test_decode_refuses_values_that_are_not_ids(vocabulary, ids):
    with pytest.raises(ValueError, match="ids must be"):
        vocabulary.decode(ids)


def test_decode_takes_any_type_of_integer():
    for dtype in (np.uint8, np.int8, np.int32, np.int64, np.uint64):
        assert Vocabulary("abc").decode(np.array([3, 1, 0], dtype)) == "ca\ufffd"
    assert Vocabulary("abc").decode([]) == ""
    with pytest.raises(ValueError, match="from 0 to 255"):
        Vocabulary.bytes().decode([256])


@pytest.mark.parametrize("characters", [["a", "a"], ["ab"], [""], [1], [None], ["e\u0301"]])
def test_only_distinct_single_characters_are_accepted(characters):
    with pytest.raises(ValueError):
        Vocabulary(characters)


@pytest.mark.parametrize(
    "vocabulary", [Vocabulary.from_text('\n\0\ud83d\ude00"\\é🎭'), Vocabulary(""), Vocabulary.bytes()]
)
def test_a_saved_vocabulary_is_the_same_and_alone_in_its_folder(tmp_path, vocabulary):
    path = tmp_path / "vocabulary.json"
    for _ in range(2):  # the second time over the existing file
        vocabulary.save(path)
    assert Vocabulary.load(path) == vocabulary
    assert hash(Vocabulary.load(path)) == hash(vocabulary)
    assert os.listdir(tmp_path) == ["vocabulary.json"]


DAMAGED = {
    "empty": "",
    "cut off": '{"kind": "characters", "characters": ["a", "b',
    "not JSON": "a, b, c",
    "deep": "[" * 100_000,
    "not an object": '["a", "b"]',
    "number": "7",
    "no kind": '{"characters": ["a"]}',
    "no characters": '{"kind": "characters"}',
    "other kind": '{"kind": "words", "characters": ["a"]}',
    "kind of wrong type": '{"kind": ["characters"], "characters": ["a"]}',
    "string for list": '{"kind": "characters", "characters": "abc"}',
    "object for list": '{"kind": "characters", "characters": {"a": 1}}',
    "numbers": '{"kind": "characters", "characters": [1, 2]}',
    "null": '{"kind": "characters", "characters": [null]}',
    "lists": '{"kind": "characters", "characters": [["a"]]}',
    "twice": '{"kind": "characters", "characters": ["a", "b", "a"]}',
    "two characters": '{"kind": "characters", "characters": ["ab"]}',
    "no character": '{"kind": "characters", "characters": [""]}',
    "reading of another type": '{"kind": "bytes", "characters": [], "reading": "lowercase"}',
    "reading without a part": '{"kind": "bytes", "characters": [], "reading": {"lowercase": true}}',
    "reading with too much": '{"kind": "bytes", "characters": [], "reading": {"universal_newlines": false, '
    '"normalization": "", "lowercase": true, "encoding": "", "stem": true}}',
    **{
        f"reading with {name} {value}": '{"kind": "bytes", "characters": [], "reading": {"universal_newlines": false, '
        f'"normalization": "", "lowercase": false, "encoding": "", "{name}": {value}}}}}'
        for name, value in [
            ("lowercase", 1),
            ("universal_newlines", "null"),
            ("normalization", '"nfc"'),
            ("normalization", "[]"),
            ("encoding", '"klingon"'),
            ("encoding", '"base64"'),
            ("encoding", "7"),
        ]
    },
    "characters in bytes": '{"kind": "bytes", "characters": ["a"]}',
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_file_is_refused_and_named(tmp_path, content):
    path = tmp_path / "vocabulary.json"
    path.write_text(content)
    with pytest.raises(UserError, match=str(path)) as raised:
        Vocabulary.load(path)
    assert "\n" not in str(raised.value)


def test_binary_missing_and_unwritable_files_are_refused(tmp_path):
    (tmp_path / "binary").write_bytes(bytes(range(256)))
    for path in (tmp_path / "binary", tmp_path / "missing", tmp_path):
        with pytest.raises(UserError, match=str(path)):
            Vocabulary.load(path)
    with pytest.raises(UserError, match="no_folder"):
        Vocabulary("a").save(tmp_path / "no_folder" / "vocabulary.json")
    (tmp_path / "taken" / "vocabulary.json").mkdir(parents=True)
    with pytest.raises(UserError, match="taken"):
        Vocabulary("a").save(tmp_path / "taken" / "vocabulary.json")
    assert os.listdir(tmp_path / "taken") == ["vocabulary.json"]


def test_the_file_is_plain_json(tmp_path):
    Vocabulary("ab", reading=Reading(lowercase=True, encoding="cp1252")).save(tmp_path / "v.json")
    reading = {"universal_newlines": False, "normalization": "", "lowercase": True, "encoding": "cp1252"}
    expected = {"kind": "characters", "characters": ["a", "b"], "reading": reading}
    assert json.loads((tmp_path / "v.json").read_text()) == expected


@pytest.mark.parametrize("reading", [Reading(), Reading(True, "NFC", True, "utf-16")])
def test_the_reading_is_saved_too_and_derived_for_an_older_file(tmp_path, reading):
    Vocabulary("ab", reading=reading).save(tmp_path / "v.json")
    assert Vocabulary.load(tmp_path / "v.json", older=Reading(lowercase=True)).reading == reading
    (tmp_path / "old.json").write_text('{"kind": "characters", "characters": ["a", "b"]}')
    assert Vocabulary.load(tmp_path / "old.json", older=reading).reading == reading
    assert Vocabulary.load(tmp_path / "old.json") == Vocabulary.load(tmp_path / "v.json")  # ignores the reading


@pytest.mark.parametrize(
    "vocabulary, expected",
    [
        (Vocabulary("a", reading=Reading(True, "NFC", True)), "the k\xe9\n\xe9"),
        (Vocabulary((), "bytes", Reading(True, "", True)), "the ke\u0301\n\xe9"),
        (Vocabulary((), "bytes", Reading(lowercase=True)), "the ke\u0301\r\xc9"),  # as `bytes.lower` does it
        (Vocabulary((), "bytes"), "The Ke\u0301\r\xc9"),
    ],
)
def test_a_text_is_normalized_like_the_training_text(vocabulary, expected):
    assert vocabulary.read("The Ke\u0301\r\xc9") == expected


def test_equality_compares_kind_and_order():
    assert Vocabulary("ab") == Vocabulary(("a", "b")) == Vocabulary.from_text("abba")
    assert len({Vocabulary("ab"), Vocabulary(["a", "b"]), Vocabulary("ba"), Vocabulary.bytes(), Vocabulary("")}) == 4
    assert Vocabulary("") != Vocabulary.bytes()


def test_a_vocabulary_does_not_change():
    characters = ["a"]
    vocabulary = Vocabulary(characters)
    characters.append("b")
    assert vocabulary == Vocabulary("a")
    with pytest.raises(dataclasses.FrozenInstanceError):
        vocabulary.characters = ("b",)
    bytes_encoded = Vocabulary.bytes().encode(b"abc")
    bytes_encoded[0] = 0  # writable, because it is a copy of the immutable bytes


@pytest.mark.parametrize(
    "one, other, phrase",
    [
        (Vocabulary("ab"), Vocabulary("ab"), None),
        (Vocabulary("axz"), Vocabulary("ay\n"), r"only in this one: 'x', 'z'; only in the other: 'y', '\n'"),
        (Vocabulary("ab"), Vocabulary("a"), "only in this one: 'b'"),
        (Vocabulary("a"), Vocabulary("ab"), "only in the other: 'b'"),
        (Vocabulary("ab"), Vocabulary("ba"), "the same characters in another order"),
        (Vocabulary("ab"), Vocabulary.bytes(), "this one is of characters, the other of bytes"),
    ],
)
def test_differences_are_described_in_words(one, other, phrase):
    assert one.differences(other) == phrase


def test_long_lists_are_cut():
    assert Vocabulary("abcdefghijklm").differences(Vocabulary("")).endswith("'i', 'j' and 3 more")
    assert repr(Vocabulary("a\n")) == r"Vocabulary('a', '\n')"
    assert repr(Vocabulary.bytes()) == "Vocabulary(256 bytes)"
