"""Tests the measures of impossible characters against counts, one character at a time."""

import math

import numpy as np
import pytest

from charrnn.measures import impossible


def counted(rows, within):
    """Returns the factor by looking back from each character."""
    found = {True: [], False: []}
    for row in rows:
        for t, wrong in enumerate(row):
            found[any(row[max(0, t - within) : t])].append(wrong)
    return np.mean(found[True]) / np.mean(found[False])


def marks(seed, rows=7, length=40, share=0.1):
    return np.random.default_rng(seed).random((rows, length)) < share


@pytest.mark.parametrize("within", [1, 3, 25, 60])
@pytest.mark.parametrize("share", [0.03, 0.2])
def test_the_factor_equals_a_count_and_its_error_the_jackknife(within, share):
    rows = marks(within, share=share)
    value, error = impossible.after_error(rows, within)
    expected = counted(rows, within)
    assert value == pytest.approx(expected, nan_ok=True) and math.isfinite(expected)
    without = np.array([counted(np.delete(rows, i, 0), within) for i in range(len(rows))])
    assert error == pytest.approx(math.sqrt(6 / 7 * np.sum((without - without.mean()) ** 2)))


def test_independent_errors_have_the_factor_one_and_dependent_errors_more():
    rows = marks(0, 200, 1000, 0.01)
    value, error = impossible.after_error(rows)
    assert abs(value - 1) < 4 * error < 0.4
    runs = rows | np.pad(rows, ((0, 0), (5, 0)))[:, :-5]  # another error 5 characters after each
    value, error = impossible.after_error(runs)
    assert value - 1 > 10 * error


def test_the_standard_error_equals_the_spread_of_repeated_experiments():
    found = np.array([impossible.after_error(marks(seed, 50, 300, 0.02)) for seed in range(300)])
    assert found[:, 0].std() == pytest.approx(found[:, 1].mean(), rel=0.15)


def test_without_errors_there_is_no_factor():
    none = np.zeros((3, 50), bool)
    assert all(map(math.isnan, impossible.after_error(none)))
    only_one = none.copy()
    only_one[0, 7] = True
    value, error = impossible.after_error(only_one)
    assert value == 0 and not math.isfinite(error)


def test_the_median_before_the_first_error_counts_a_row_without_errors_as_its_length():
    rows = np.zeros((5, 40), bool)
    assert impossible.before_first(rows) == 40
    for row, place in ((0, 3), (1, 0), (2, 12)):
        rows[row, place:] = True
    assert impossible.before_first(rows) == 12
    rows[3, 39] = rows[4, 1] = True
    assert impossible.before_first(rows) == 3
