"""Tests the t test against tables of Student's distribution, numerical integration and random numbers."""

import math

import numpy as np
import pytest

from trainers.evaluation.statistics import half_width, holm, t_test


@pytest.mark.parametrize(
    "t, freedom, p",
    [(12.706, 1, 0.05), (4.303, 2, 0.05), (3.182, 3, 0.05), (2.776, 4, 0.05), (2.228, 10, 0.05), (3.169, 10, 0.01)],
)
def test_p_equals_the_tables(t, freedom, p):
    unit = np.arange(freedom + 1) - freedom / 2
    differences = unit + t * unit.std(ddof=1) / math.sqrt(freedom + 1)
    assert t_test(differences) == pytest.approx(p, rel=2e-3)
    assert t_test(-differences) == pytest.approx(p, rel=2e-3)


@pytest.mark.parametrize("freedom", [1, 2, 5, 8])
def test_p_is_the_area_of_both_tails(freedom):
    differences = np.random.default_rng(freedom).normal(0.4, 1.0, freedom + 1)
    t = abs(differences.mean()) / (differences.std(ddof=1) / math.sqrt(freedom + 1))
    x = np.linspace(-t, t, 200_001)
    scale = math.gamma((freedom + 1) / 2) / math.sqrt(freedom * math.pi) / math.gamma(freedom / 2)
    density = scale * (1 + x**2 / freedom) ** (-(freedom + 1) / 2)
    assert t_test(differences) == pytest.approx(1 - ((density[1:] + density[:-1]) / 2).sum() * (x[1] - x[0]), abs=1e-8)


def test_differences_without_spread_have_a_p_of_0_or_1():
    assert t_test(np.zeros(3)) == 1.0
    assert t_test(np.ones(3)) == 0.0


def test_holm_stops_at_the_first_that_fails():
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}, 0.05) == {"a", "d"}
    assert holm({"a": 0.02, "b": math.nan}, 0.05) == {"a"}  # a test without a p does not count


@pytest.mark.parametrize("freedom", [1, 2, 4, 30])
def test_the_interval_ends_where_the_test_begins_to_accept(freedom):
    differences = np.random.default_rng(freedom).normal(0.0, 1.0, freedom + 1)
    width = half_width(differences, level=0.9)
    at_its_end = differences - differences.mean() + width
    assert t_test(at_its_end) == pytest.approx(0.1, rel=1e-6)


def test_the_interval_contains_the_true_mean_as_often_as_it_says():
    draws = np.random.default_rng(0).normal(0.3, 1.0, (4000, 4))
    inside = [abs(draw.mean() - 0.3) <= half_width(draw, 0.9) for draw in draws]
    assert np.mean(inside) == pytest.approx(0.9, abs=0.015)  # three standard errors
