"""Tests of differences between groups: the paired t test, noise pooled over all groups, Holm's correction."""

import functools
import math

import numpy as np
import tensorflow as tf


def t_test(differences: np.ndarray, noise: tuple[float, int] | None = None) -> float:
    """Paired t test, by the incomplete beta function (Abramowitz & Stegun 1964, 26.7.1).

    Args:
        differences: differences of pairs `[N]`, N at least 2.
        noise: variance of a difference and its degrees of freedom, if known from more data; None: the variance of
            `differences`, N - 1.

    Returns:
        The two-sided p: the probability of a mean at least as far from 0 by chance.
    """
    error, freedom = _error(differences, noise)
    if error == 0:
        return 1.0 if differences.mean() == 0 else 0.0
    return _two_tails(differences.mean() / error, freedom)


def half_width(differences: np.ndarray, noise: tuple[float, int] | None = None, level: float = 0.95) -> float:
    """Returns half of the width of the confidence interval of a mean of paired differences.

    Args:
        differences: as in `t_test`.
        noise: as in `t_test`.
        level: the probability that the interval contains the true mean.
    """
    error, freedom = _error(differences, noise)
    return error * _quantile(freedom, 1 - level)


def _error(differences: np.ndarray, noise: tuple[float, int] | None) -> tuple[float, int]:
    """Returns the standard error of the mean, and its degrees of freedom."""
    variance, freedom = noise or (differences.var(ddof=1), len(differences) - 1)
    return math.sqrt(variance / len(differences)), freedom


def _two_tails(t: float, freedom: int) -> float:
    """Returns the probability of a number at least as far from 0 as t, by Student's distribution."""
    return float(tf.math.betainc(*np.array([freedom / 2, 0.5, freedom / (freedom + t**2)])))


@functools.lru_cache
def _quantile(freedom: int, p: float) -> float:
    """Returns the t above 0 whose `_two_tails` are p, by bisection to 1e-9 of it."""
    low, high = 0.0, 1.0
    while _two_tails(high, freedom) > p:
        low, high = high, 2 * high
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if _two_tails(middle, freedom) > p else (low, middle)
    return high


def pooled_variance(values: np.ndarray) -> tuple[float, int]:
    """Estimates the variance of a difference between two groups at one seed, from all groups.

    Uses the residuals after removing the means of groups and of seeds, as in the analysis of variance of randomised
    blocks (Fisher 1935). Assumes the same variance in all groups. For two groups it is the variance of their
    differences.

    Args:
        values: `[G, S]`, by group and seed; G and S at least 2.

    Returns:
        The variance, and its degrees of freedom.
    """
    residuals = values - values.mean(0) - values.mean(1, keepdims=True) + values.mean()
    freedom = (values.shape[0] - 1) * (values.shape[1] - 1)
    return 2 * float(np.sum(residuals**2)) / freedom, freedom


def holm(ps: dict, level: float) -> set:
    """Holm's step-down correction (Holm 1979).

    Args:
        ps: test -> p; nan: not tested.
        level: family-wise error rate.

    Returns:
        The accepted tests.
    """
    tested = sorted((p, key) for key, p in ps.items() if not math.isnan(p))
    accepted = set()
    for i, (p, key) in enumerate(tested):
        if p > level / (len(tested) - i):
            break
        accepted.add(key)
    return accepted
