"""Tests the n-gram teacher against the reference and, with a place of the text left out, against a second count."""

from collections import Counter

import numpy as np
import pytest
import rounding
import tensorflow as tf

from charrnn.batches.sources import Batch
from charrnn.measures.ngrams import KneserNey
from trainers.teachers import ngrams
from trainers.teachers.ngrams import Ngrams

SIZE, ORDER, LENGTH = 6, 3, 12
TEXT = np.minimum(np.random.default_rng(0).geometric(0.35, 400), SIZE - 2)  # SIZE - 1 never occurs
STARTS = np.array([0, 7, 100, 388 - 1])
ROUNDING = rounding.bound("float32", 4 * ORDER * SIZE)


def windows(starts):
    rows = TEXT[starts[:, None] + np.arange(LENGTH + 1)].astype(np.int32)
    return Batch(rows[:, :-1], rows[:, 1:], np.ones((len(starts), LENGTH), np.float32))


def grams(text, length):
    return [tuple(text[i : i + length]) for i in range(len(text) - length + 1)]


def counts_of(raw, length):
    """Returns the counts of the n-grams of a length.

    The longest n-grams count their occurrences, shorter ones the different characters before them.
    """
    if length == ORDER:
        return raw[length]
    return Counter(gram[1:] for gram, count in raw[length + 1].items() if count)


def discounts(counts):
    """Returns the discounts of Chen & Goodman 1999, equation 17; constants if there are too few counts."""
    n = Counter(counts.values())
    if not all(n[k] for k in (1, 2, 3, 4)):
        return [0, 0.5, 1.0, 1.5]
    y = n[1] / (n[1] + 2 * n[2])
    found = [0, *(k - (k + 1) * y * n[k + 1] / n[k] for k in (1, 2, 3))]
    return found if min(found[1:]) > 0 else [0, 0.5, 1.0, 1.5]


RAW = {length: Counter(grams(TEXT, length)) for length in range(1, ORDER + 1)}
DISCOUNTS = {length: discounts(counts_of(RAW, length)) for length in RAW}


def without_place(end):
    """Returns the distribution at position `end` of the text, without one occurrence of each n-gram that ends there."""
    raw = {length: counts - Counter([tuple(TEXT[end + 1 - length : end + 1])]) for length, counts in RAW.items()}
    probs = np.full(SIZE, 1 / SIZE)
    for length in range(1, ORDER + 1):
        context, counts = tuple(TEXT[end + 1 - length : end]), counts_of(raw, length)
        counts = np.array([counts[(*context, letter)] for letter in range(SIZE)])
        if counts.sum():
            held_back = np.array(DISCOUNTS[length])[np.minimum(counts, 3)]
            probs = (counts - held_back + held_back.sum() * probs) / counts.sum()
    return probs


@pytest.mark.parametrize("order", [1, ORDER, 9])
@pytest.mark.parametrize("compiled", [False, True])
def test_without_a_text_the_distributions_equal_the_reference(order, compiled):
    teacher = Ngrams(TEXT, SIZE, order)
    reference = KneserNey(TEXT, SIZE, teacher.order)
    rows = np.random.default_rng(1).integers(0, SIZE, (20, LENGTH)).astype(np.int32)
    rows[:4] = windows(STARTS).inputs
    read = tf.function(teacher, autograph=False) if compiled else teacher
    log_probs, _ = read(tf.constant(rows), teacher.initial_state(20))
    expected = reference.distributions(np.pad(rows, [[0, 0], [0, 1]]))[:, 1:]
    np.testing.assert_allclose(np.exp(log_probs), expected, rtol=rounding.bound("float32", 4 * teacher.order * SIZE))


@pytest.mark.parametrize("compiled", [False, True])
def test_on_the_text_each_place_is_judged_by_all_others(compiled):
    teacher, batch = Ngrams(TEXT, SIZE, ORDER), windows(STARTS)
    read = tf.function(teacher, autograph=False) if compiled else teacher
    state = teacher.initial_state(len(STARTS))
    probs = np.exp(read(tf.constant(batch.inputs), state, batch)[0])
    for b, t in np.ndindex(batch.inputs.shape):
        if t >= ORDER - 2:
            np.testing.assert_allclose(probs[b, t], without_place(STARTS[b] + t + 1), rtol=ROUNDING)
    counted = np.exp(teacher(tf.constant(batch.inputs), state)[0])
    of_targets = [np.take_along_axis(each, batch.targets[..., None], -1).mean() for each in (probs, counted)]
    assert of_targets[0] < of_targets[1] - 0.02


def test_after_a_mistake_nothing_is_left_out_until_the_context_is_the_texts_again():
    teacher, batch = Ngrams(TEXT, SIZE, ORDER), windows(STARTS)
    fed, state = batch.inputs.copy(), teacher.initial_state(len(STARTS))
    fed[:, 5] = 5 - fed[:, 5]
    plain, left_out, of_text = (
        np.exp(teacher(tf.constant(ids), state, text)[0])
        for ids, text in ((fed, None), (fed, batch), (batch.inputs, batch))
    )
    np.testing.assert_array_equal(left_out[:, :5], of_text[:, :5])
    np.testing.assert_array_equal(left_out[:, 7:], of_text[:, 7:])
    once = [RAW[1][(int(target),)] == 1 for target in batch.targets[:, 5]]
    assert not any(once)
    np.testing.assert_array_equal(left_out[:, 5], plain[:, 5])
    assert (left_out[:, 7:] != plain[:, 7:]).any()


def test_the_state_is_carried_from_part_to_part():
    teacher, batch = Ngrams(TEXT, SIZE, ORDER), windows(STARTS)
    whole, _ = teacher(tf.constant(batch.inputs), teacher.initial_state(len(STARTS)), batch)
    parts, state = [], teacher.initial_state(len(STARTS))
    for place in (slice(0, 1), slice(1, 2), slice(2, 7), slice(7, LENGTH)):
        part = Batch(*(each[:, place] for each in batch[:3]))
        log_probs, state = teacher(tf.constant(part.inputs), state, part)
        parts.append(log_probs)
    np.testing.assert_array_equal(tf.concat(parts, 1), whole)


def test_padding_that_never_follows_makes_no_count_negative():
    teacher = Ngrams(TEXT, SIZE, ORDER)
    never = np.full((1, 4), SIZE - 1, np.int32)
    log_probs, _ = teacher(tf.constant(never), teacher.initial_state(1), Batch(never, never, np.zeros((1, 4))))
    np.testing.assert_allclose(np.exp(log_probs).sum(-1), 1, rtol=ROUNDING)


def test_a_table_that_would_be_too_large_has_shorter_ngrams(monkeypatch):
    monkeypatch.setattr(ngrams, "MOST_ENTRIES", (1 + len(RAW[1])) * SIZE)
    teacher = Ngrams(TEXT, SIZE, ORDER)
    assert teacher.order == 2
    rows = windows(STARTS).inputs
    log_probs, _ = teacher(tf.constant(rows), teacher.initial_state(len(rows)))
    expected = KneserNey(TEXT, SIZE, 2).distributions(np.pad(rows, [[0, 0], [0, 1]]))[:, 1:]
    np.testing.assert_allclose(np.exp(log_probs), expected, rtol=ROUNDING)
