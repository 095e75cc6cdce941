"""Tests of differences between groups: the paired t test and its confidence interval, Holm's correction."""

import functools
import math

import numpy as np
import tensorflow as tf


def t_test(differences: np.ndarray) -> float:
    """Paired t test, by the incomplete beta function (Abramowitz & Stegun 1964, 26.7.1).

    The noise is that of these differences alone. An estimate from all groups of a comparison would have more degrees of
    freedom, but curricula do not vary alike: by Boik (1981) its tests then err far more often than they should.

    Args:
        differences: differences of pairs `[N]`, N at least 2.

    Returns:
        The two-sided p: the probability of a mean at least as far from 0 by chance.
    """
    mean, error = differences.mean(), _standard_error(differences)
    if error == 0:
        return 1.0 if mean == 0 else 0.0
    return _two_tails(mean / error, len(differences) - 1)


def half_width(differences: np.ndarray, level: float = 0.95) -> float:
    """Returns half of the width of the confidence interval of a mean of paired differences.

    Args:
        differences: as in `t_test`.
        level: the probability that the interval contains the true mean.
    """
    return _standard_error(differences) * _quantile(len(differences) - 1, 1 - level)


def _standard_error(differences: np.ndarray) -> float:
    """Returns the standard error of the mean."""
    return float(differences.std(ddof=1)) / math.sqrt(len(differences))


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
