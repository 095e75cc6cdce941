"""The nats of each character, against softmax of closed-loop calls."""

import numpy as np
import pytest
import rounding
import tensorflow as tf

from charrnn.rollouts import Reader
from charrnn.surprisal import coloured, surprisals
from charrnn.vocabulary import Vocabulary

LETTERS = Vocabulary("abcdef")


def nats_of(model, ids):
    """Of each id but the first."""
    log_probs = tf.nn.log_softmax(tf.cast(model(tf.constant(ids[None], tf.int32))[0][0], tf.float64)).numpy()
    return -np.take_along_axis(log_probs[:-1], ids[1:, None].astype(int), 1)[:, 0]


def test_as_the_closed_loop_has_them_but_for_the_first(make_model):
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


def test_a_character_of_several_bytes_has_their_sum(make_model):
    model, text = make_model(vocabulary_size=256), "a€é🎭b" * 20
    characters, nats = zip(*surprisals(Reader(model), Vocabulary.bytes(), text), strict=True)
    assert "".join(characters) == text
    ends = np.cumsum([len(character.encode()) for character in text])
    expected = np.add.reduceat(nats_of(model, np.frombuffer(text.encode(), np.uint8)), ends[:-1] - 1)
    np.testing.assert_allclose(nats[1:], expected, rtol=rounding.MODEL)


@pytest.mark.parametrize("nats, colour", [(0.7, 230), (2.0, 216), (6.9, 203), (50.0, 196)])
def test_the_more_unexpected_the_redder(nats, colour):
    assert coloured("a", nats) == f"\x1b[30;48;5;{colour}ma\x1b[0m"
    assert coloured("\n", nats) == f"\x1b[30;48;5;{colour}m↵\x1b[0m\n"


def test_what_was_expected_has_no_colour():
    assert [coloured("a", nats) for nats in (None, 0.0, 0.49)] == ["a"] * 3
    assert coloured("\n", 0.1) == "\n"
