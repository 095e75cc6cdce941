"""Tests the time-locked source: its distributions, the counts in its text, and the effect of wrong characters."""

import math

import numpy as np
import pytest

from charrnn.measures.exact_source import ExactSource
from charrnn.text.timetable import COLUMNS, MISPRINT, Timetable
from charrnn.text.vocabulary import Vocabulary

# The raw bits of the generator and the probabilities are fixed, so this is too.
TEXT_OF_SEED_0 = "02:05 S1 gate 1 +0\n02:15 R1 gate 3 +4\n19:10 N1 gate 4 +1\n13:157Rg gate 8 +0\n"
CHARACTERS = "\n +0123456789:NRSaegt"
PERIOD = 19


@pytest.fixture(scope="module")
def timetable():
    return Timetable()


@pytest.fixture(scope="module")
def lines(timetable):
    """Returns a text as positions in CHARACTERS, int `[lines, PERIOD]`."""
    text = timetable.text(20_000 * PERIOD, seed=5)
    return np.array([CHARACTERS.index(character) for character in text]).reshape(-1, PERIOD)


def law():
    """Returns P(character | column), `[PERIOD, len(CHARACTERS)]`."""
    found = np.zeros((PERIOD, len(CHARACTERS)))
    for column, correct in enumerate(COLUMNS):
        found[column, 1:] = MISPRINT / (len(CHARACTERS) - 1)
        for character in correct:
            found[column, CHARACTERS.index(character)] += (1 - MISPRINT) / len(correct)
    found[-1, 0] = 1
    return found


def random_text(random, num_chars):
    """Returns random characters of the source, with a line feed only at the end of each line."""
    ids = random.integers(1, len(CHARACTERS), num_chars)
    ids[PERIOD - 1 :: PERIOD] = 0
    return "".join(CHARACTERS[i] for i in ids)


def test_distribution_depends_on_the_column_only(timetable):
    assert timetable.characters == CHARACTERS
    text, expected = random_text(np.random.default_rng(0), 5 * PERIOD), law()
    for length in range(len(text)):
        found = timetable.next_distribution(text[:length])
        np.testing.assert_allclose(found, expected[length % PERIOD], rtol=1e-12, atol=1e-15)
    expected_log_probs = [math.log(expected[t % PERIOD, CHARACTERS.index(c)]) for t, c in enumerate(text)]
    np.testing.assert_allclose(timetable.log_probs(text), expected_log_probs, rtol=1e-12, atol=1e-15)


def chi_square_excess(ids, probabilities):
    """Returns Pearson's statistic of the ids less its mean, in standard deviations (exact, for small counts too)."""
    possible = probabilities > 0
    assert possible[ids].all()
    counts, p = np.bincount(ids, minlength=len(probabilities))[possible], probabilities[possible]
    statistic, freedom = np.sum((counts - len(ids) * p) ** 2 / (len(ids) * p)), len(p) - 1
    if not freedom:
        return 0.0
    variance = 2 * freedom + (np.sum(1 / p) - (freedom + 1) ** 2 - 2 * freedom) / len(ids)
    return (statistic - freedom) / math.sqrt(variance)


def test_counts_follow_the_law_after_any_previous_character(lines):
    expected = law()
    for column in range(PERIOD):
        after, before = lines[1:, column], lines[1:, column - 1] if column else lines[:-1, -1]
        usual = before == np.argmax(expected[column - 1])
        for seen in (after[usual], after[~usual]):
            assert not len(seen) or chi_square_excess(seen, expected[column]) < 5, column


def test_a_wrong_law_is_noticed(lines):
    spaces, law_of_space = lines[:, 5], law()[8]
    assert chi_square_excess(spaces, law_of_space) < 5
    half_the_misprints = np.array([0.0, 0.99] + [0.01 / 19] * 19)
    assert chi_square_excess(spaces, half_the_misprints) > 10
    assert chi_square_excess(lines[:, 7], law()[6]) > 10


def test_entropy_rate_is_the_mean_of_the_columns(timetable):
    expected = law()
    logs = np.log(np.where(expected > 0, expected, 1))
    assert timetable.entropy_rate == pytest.approx(-np.sum(expected * logs) / PERIOD, rel=1e-12)
    # Before the last column, all characters except the line feed are possible, so only a line feed shows the column.
    assert (expected[:-1, 1:] > 0).all() and not expected[:-1, 0].any()
    assert 0.5 < timetable.entropy_rate < 0.3 * math.log(len(CHARACTERS))


def test_text_costs_the_entropy_rate(timetable):
    costs = -timetable.log_probs(timetable.text(20_000 * PERIOD, seed=6)).reshape(-1, PERIOD).mean(axis=1)
    error = costs.std(ddof=1) / math.sqrt(len(costs))  # lines are independent
    assert error < 0.003 * timetable.entropy_rate
    assert abs(costs.mean() - timetable.entropy_rate) < 4 * error


def test_a_seed_determines_the_text(timetable):
    assert timetable.text(len(TEXT_OF_SEED_0), seed=0) == TEXT_OF_SEED_0
    assert Timetable().text(4000, seed=3) == timetable.text(9000, seed=3)[:4000]
    assert timetable.text(200, seed=4) != timetable.text(200, seed=3)


@pytest.fixture(scope="module")
def reference(timetable):
    """Returns the exact reference, and P(id | column) with the slip, `[PERIOD, V]`."""
    vocabulary, slip = Vocabulary(CHARACTERS), 0.01
    columns = np.concatenate([np.zeros((PERIOD, 1)), law()], 1)  # id 0 is the unknown character
    return ExactSource(timetable, vocabulary, slip), (1 - slip) * columns + slip / vocabulary.size


def test_reference_counts_the_characters_since_the_last_line_feed(reference):
    """Wrong characters change nothing; an impossible line feed begins a line."""
    exact, columns = reference
    random = np.random.default_rng(1)
    rows = random.integers(2, len(CHARACTERS) + 1, (8, 120))
    rows[:, 0] = 1
    for row in rows:
        feeds = np.cumsum(random.integers(1, PERIOD + 1, 120))  # on time or early
        row[feeds[feeds < 120]] = 1
    since = np.zeros_like(rows)  # the column of the character at t + 1
    for t in range(1, 120):
        since[:, t] = np.where(rows[:, t] == 1, 0, since[:, t - 1] + 1)
    assert (np.diff(np.flatnonzero(rows == 1)) < PERIOD).any() and (since == PERIOD - 1).any()
    np.testing.assert_allclose(exact.distributions(rows)[:, 1:], columns[since[:, :-1]], rtol=1e-9)


def test_reference_finds_the_column_again_after_a_missing_line_feed(reference, timetable):
    exact, columns = reference
    text = timetable.text(4 * PERIOD, seed=7)
    row = Vocabulary(CHARACTERS).encode(text[: 2 * PERIOD - 1] + "7" + text[2 * PERIOD :])[None]
    found = exact.distributions(row)[0]
    assert row[0, 2 * PERIOD - 1] != 1
    assert exact.log_probs(row)[0, 2 * PERIOD - 1] == pytest.approx(math.log(0.01 / (len(CHARACTERS) + 1)))
    # By Bayes' rule, each column is weighted by the probability that it contains this character.
    weights = columns[:, row[0, 2 * PERIOD - 1]] - 0.01 / (len(CHARACTERS) + 1)
    np.testing.assert_allclose(found[2 * PERIOD], weights @ np.roll(columns, -1, 0) / weights.sum(), rtol=1e-9)
    np.testing.assert_allclose(found[3 * PERIOD :], columns, rtol=1e-9)
