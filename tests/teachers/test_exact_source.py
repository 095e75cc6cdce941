"""Tests the exact source as a teacher in the graph against the reference in NumPy."""

import numpy as np
import pytest
import rounding
import tensorflow as tf

from charrnn.measures.exact_source import ExactSource
from charrnn.measures.reference import at_ids
from charrnn.text.plays import Plays
from charrnn.text.vocabulary import Vocabulary
from trainers.teachers.exact_source import SourceTeacher

LENGTH = 60


@pytest.fixture(scope="module")
def reference():
    """Returns the built-in source. Its vocabulary adds a character that the source never writes, and the unknown id."""
    source = Plays()
    return ExactSource(source, Vocabulary.from_text(source.characters + "#"))


@pytest.fixture(scope="module")
def teacher(reference):
    return SourceTeacher(reference)


@pytest.fixture(scope="module")
def rows(reference):
    """Returns windows of the text. In half of them, random ids replace characters; some are impossible everywhere."""
    text = reference.vocabulary.encode(reference.source.text(50_000, seed=3)).astype(np.int32)
    random = np.random.default_rng(0)
    rows = text[random.integers(0, len(text) - LENGTH, 24)[:, None] + np.arange(LENGTH)]
    wrong = random.random((12, LENGTH)) < 0.1
    rows[12:][wrong] = random.integers(0, reference.vocabulary.size, wrong.sum())
    return rows


@pytest.mark.parametrize("compiled", [False, True])
def test_the_distributions_equal_the_reference(reference, teacher, rows, compiled):
    read = tf.function(teacher, autograph=False) if compiled else teacher
    log_probs, _ = read(tf.constant(rows), teacher.initial_state(len(rows)))
    # The reference gives each position's distribution before its character, the teacher after it.
    expected = reference.distributions(np.pad(rows, [[0, 0], [0, 1]]))[:, 1:]
    probs = np.exp(log_probs.numpy().astype(np.float64))
    np.testing.assert_allclose(probs, expected, rtol=rounding.bound("float32", 64 * LENGTH), atol=1e-9)
    impossible = np.isclose(at_ids(expected[:, :-1], rows[:, 1:]), reference.slip / reference.vocabulary.size)
    assert impossible[12:].sum() > 20 and not impossible[:12].any()  # after each of these, the inference starts again


def test_the_state_is_carried_from_part_to_part(teacher, rows):
    whole, last = teacher(tf.constant(rows), teacher.initial_state(len(rows)))
    parts, state = [], teacher.initial_state(len(rows))
    for part in np.split(rows, [1, 2, 25], axis=1):
        log_probs, state = teacher(tf.constant(part), state)
        parts.append(log_probs)
    np.testing.assert_array_equal(tf.concat(parts, 1), whole)
    for got, expected in zip(state, last, strict=True):
        np.testing.assert_array_equal(got, expected)


def test_another_limit_of_the_lists_gives_the_same_distributions(reference, teacher, rows):
    """Longer lists make the tree smaller, and begin earlier."""
    log_probs, _ = teacher(tf.constant(rows), teacher.initial_state(len(rows)))
    other = SourceTeacher(reference, most_states=600)
    longer, _ = other(tf.constant(rows), other.initial_state(len(rows)))
    np.testing.assert_allclose(log_probs, longer, atol=rounding.bound("float32", 600 * LENGTH))
    assert other.fingerprint == teacher.fingerprint
