"""Tests the exact source as a reference: inference of its state from a text, and impossible characters."""

import math

import numpy as np
import pytest

from charrnn.measures.exact_source import ExactSource
from charrnn.measures.reference import at_ids
from charrnn.text.finite_state import Choice, FiniteStateSource
from charrnn.text.plays import Plays
from charrnn.text.vocabulary import Vocabulary

SWAP = {
    "one": [Choice("ab", 0.7, "one"), Choice("c", 0.3, "two")],
    "two": [Choice("ab", 0.2, "one"), Choice("ca", 0.8, "two")],
}


@pytest.fixture(scope="module")
def swap():
    return FiniteStateSource(SWAP, "one")


def test_probabilities_after_a_context_equal_the_frequencies_in_a_long_text(swap):
    text, vocabulary = swap.text(400_000, seed=3), Vocabulary("abc")
    reference = ExactSource(swap, vocabulary, slip=0.0)
    for context in ("a", "ab", "ca", "cab", "abca"):
        followers = [text[i + len(context)] for i in range(len(text) - len(context)) if text.startswith(context, i)]
        probs = reference.distributions(vocabulary.encode(f"{context}a")[None])[0, -1]
        assert probs[0] == 0
        for letter, p in zip("abc", probs[1:], strict=True):
            sigma = math.sqrt(p * (1 - p) / len(followers))
            assert abs(followers.count(letter) / len(followers) - p) <= 5 * sigma + 1e-9


def test_once_the_state_is_known_the_reference_is_the_source():
    plays = Plays()
    text, vocabulary = plays.text(3000, seed=2), Vocabulary(plays.characters)
    ids = vocabulary.encode(text)
    probs = ExactSource(plays, vocabulary, slip=0.01).distributions(ids[None, 1000:])[0]
    for t in (1700, 1999):
        expected = 0.99 * plays.next_distribution(text[: 1000 + t]) + 0.01 / vocabulary.size
        np.testing.assert_allclose(probs[t, 1:], expected, rtol=1e-9)
    np.testing.assert_allclose(probs.sum(-1), 1, rtol=1e-12)


def test_an_impossible_character_has_the_probability_of_the_slip_and_restarts_the_inference(swap):
    vocabulary = Vocabulary("abcd")
    reference = ExactSource(swap, vocabulary, slip=0.1)
    row = vocabulary.encode("cabdcab")[None]
    assert reference.log_probs(row)[0, 3] == pytest.approx(math.log(0.1 / 5))
    np.testing.assert_allclose(reference.distributions(row)[0, 4:], reference.distributions(row[:, 4:])[0])
    bb = vocabulary.encode("cabbca")[None]  # b is impossible after b; the inference restarts at the second b
    assert reference.log_probs(bb)[0, 3] == pytest.approx(math.log(0.1 / 5))
    np.testing.assert_allclose(reference.distributions(bb)[0, 4:], reference.distributions(bb[:, 3:])[0, 1:])


def test_probabilities_at_another_slip_equal_a_reference_with_that_slip(swap):
    vocabulary, rows = Vocabulary("abcd"), np.random.default_rng(0).integers(0, 5, (6, 40))
    reference, other = (ExactSource(swap, vocabulary, slip) for slip in (1e-4, 0.2))
    expected = other.distributions(rows)
    np.testing.assert_allclose(reference.at_slip(reference.distributions(rows), 0.2), expected, rtol=1e-12)


def test_the_floor_marks_characters_that_no_state_can_write(swap):
    """The expected marks come from a search over sets of possible states, without their weights."""
    vocabulary, (probs, following, _) = Vocabulary("abcd"), swap.tables()
    reference = ExactSource(swap, vocabulary, slip=0.1)
    rows = np.random.default_rng(0).integers(0, 5, (20, 60))
    rows[:10] = np.stack([vocabulary.encode(swap.text(60, seed)) for seed in range(10)])
    rows[:10, 30] = rows[10:, 30]  # one random character in a text of the source
    anywhere = set(range(len(probs)))
    for row, given in zip(rows, at_ids(reference.distributions(rows), rows), strict=True):
        states = anywhere
        for character, p in zip(vocabulary.decode(row), given, strict=True):
            symbol = swap.characters.find(character)
            after = {following[s, symbol] for s in states if probs[s, symbol] > 0} if symbol >= 0 else set()
            assert (p <= reference.floor) == (not after)
            if symbol < 0:
                states = anywhere
            else:
                states = after or {following[s, symbol] for s in anywhere if probs[s, symbol] > 0}
    assert 0.3 < (at_ids(reference.distributions(rows[10:]), rows[10:]) <= reference.floor).mean() < 0.9


def test_characters_that_the_vocabulary_lacks_are_the_unknown_one(swap):
    probs = ExactSource(swap, Vocabulary("ab"), slip=0.0).distributions(np.array([[1, 2, 0, 1]]))
    np.testing.assert_allclose(probs.sum(-1), 1)
    full = ExactSource(swap, Vocabulary("abc"), slip=0.0).distributions(np.array([[1, 2, 3, 1]]))
    np.testing.assert_allclose(probs[0, :3, 0], full[0, :3, 3])
