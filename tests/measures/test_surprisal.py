"""Tests the nats of each character against the softmax of calls with teacher forcing (closed loop)."""

import numpy as np
import pytest
import rounding
import tensorflow as tf

from charrnn.errors import UserError
from charrnn.measures.rollouts import Reader
from charrnn.measures.surprisal import coloured, decoded, surprisals
from charrnn.text.reading import Reading
from charrnn.text.vocabulary import Vocabulary

LETTERS = Vocabulary("abcdef")


def nats_of(model, ids):
    """Returns the nats of each id except the first."""
    log_probs = tf.nn.log_softmax(tf.cast(model(tf.constant(ids[None], tf.int32))[0][0], tf.float64)).numpy()
    return -np.take_along_axis(log_probs[:-1], ids[1:, None].astype(int), 1)[:, 0]


def test_nats_equal_the_closed_loop_except_for_the_first_character(make_model):
    model, text = make_model(), "fabcde" * 40
    (first, *characters), (none, *nats) = zip(*surprisals(Reader(model), LETTERS, text), strict=True)
    assert (first, none) == ("f", None)
    assert "".join(characters) == text[1:]
    np.testing.assert_allclose(nats, nats_of(model, LETTERS.encode(text)), atol=rounding.MODEL)


def test_documents_begin_after_an_end_and_from_the_zero_state(make_model):
    model, vocabulary = make_model(), Vocabulary("\nabcde")
    reader = Reader(model, None, 1)
    characters, nats = zip(*surprisals(reader, vocabulary, "ab\ncd", "\n"), strict=True)
    assert characters == tuple("ab\ncd")
    expected = [nats_of(model, vocabulary.encode(text)) for text in ("\nab\n", "\ncd")]
    np.testing.assert_allclose(nats, np.concatenate(expected), atol=rounding.MODEL)


def test_a_character_of_several_bytes_has_the_sum_of_their_nats(make_model):
    model, text = make_model(vocabulary_size=256), "a€é🎭b" * 20
    characters, nats = zip(*surprisals(Reader(model), Vocabulary.bytes(), text), strict=True)
    assert "".join(characters) == text
    ends = np.cumsum([len(character.encode()) for character in text])
    expected = np.add.reduceat(nats_of(model, np.frombuffer(text.encode(), np.uint8)), ends[:-1] - 1)
    np.testing.assert_allclose(nats[1:], expected, rtol=rounding.MODEL)


def test_bytes_that_are_no_utf_8_count_as_characters_too(make_model):
    model, data = make_model(vocabulary_size=256), b"a\xff\xc3\xa9\xe2\x82b" * 3
    characters, nats = zip(*surprisals(Reader(model), Vocabulary.bytes(), data), strict=True)
    assert "".join(characters) == "a\ufffd\xe9\ufffd\ufffdb" * 3
    assert sum(nats[1:]) == pytest.approx(nats_of(model, np.frombuffer(data, np.uint8)).sum(), rel=1e-5)


FRENCH = "\nte\xe9"


@pytest.mark.parametrize(
    "vocabulary, data, text",
    [
        (Vocabulary(FRENCH, reading=Reading(True, "NFC", True)), "TE\u0301\r\n\xe9\r".encode(), "t\xe9\n\xe9\n"),
        (Vocabulary(FRENCH, reading=Reading(encoding="cp1252")), b"t\xe9", "t\xe9"),
        (Vocabulary(FRENCH, reading=Reading(encoding="utf-16")), "t\xe9".encode("utf-16"), "t\xe9"),
        (Vocabulary(FRENCH), b"\xef\xbb\xbft\xc3\xa9", "t\xe9"),
        (Vocabulary.bytes(), b"T\xff\r\n\xc3\x89\0", b"T\xff\r\n\xc3\x89\0"),
        (Vocabulary((), "bytes", Reading(lowercase=True)), b"T\xff\r\n\xc3\x89", b"t\xff\r\n\xc3\x89"),
        (Vocabulary((), "bytes", Reading(True, lowercase=True)), b"T\xff\r\n\xc3\x89", b"t\xff\n\xc3\xa9"),
        (Vocabulary((), "bytes", Reading(encoding="cp1252")), b"t\xe9", b"t\xc3\xa9"),
    ],
)
def test_a_file_is_read_like_the_text_of_the_model(vocabulary, data, text):
    assert decoded(data, "f.txt", vocabulary, "refuse") == text


@pytest.mark.parametrize(
    "reading, data", [(Reading(encoding="ascii"), b"\xff"), (Reading(), b"\xff"), (Reading(), b""), (Reading(), b"z")]
)
def test_a_file_that_cannot_be_read_is_named(reading, data):
    with pytest.raises(UserError, match=r"f\.txt"):
        decoded(data, "f.txt", Vocabulary(FRENCH, reading=reading), "refuse")


@pytest.mark.parametrize("nats, colour", [(0.7, 230), (2.0, 216), (6.9, 203), (50.0, 196)])
def test_a_more_unexpected_character_is_redder(nats, colour):
    assert coloured("a", nats) == f"\x1b[30;48;5;{colour}ma\x1b[0m"
    assert coloured("\n", nats) == f"\x1b[30;48;5;{colour}m↵\x1b[0m\n"


def test_an_expected_character_has_no_colour():
    assert [coloured("a", nats) for nats in (None, 0.0, 0.49)] == ["a"] * 3
    assert coloured("\n", 0.1) == "\n"
