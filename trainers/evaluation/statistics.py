"""Tests of differences between groups: the paired t test, noise pooled over all groups, Holm's correction."""

import math

import numpy as np
import tensorflow as tf


def t_test(differences: np.ndarray, noise: tuple[float, int] | None = None) -> float:
    """The two-sided p of the paired t test: how often chance alone makes a mean as far from 0 as that of `[N]`.

    Student's distribution by the incomplete beta function (Abramowitz & Stegun 1964, 26.7.1). N at least 2.

    Args:
        differences: of pairs.
        noise: the variance of a difference, where it is known from more than these, and its degrees of freedom; None:
            the variance of these, N - 1.
    """
    variance, freedom = noise or (differences.var(ddof=1), len(differences) - 1)
    error = math.sqrt(variance / len(differences))
    if error == 0:
        return 1.0 if differences.mean() == 0 else 0.0
    t = differences.mean() / error
    tails = np.array([freedom / 2, 0.5, freedom / (freedom + t**2)])
    return float(tf.math.betainc(*tails))


def pooled_variance(values: np.ndarray) -> tuple[float, int]:
    """The variance of a difference between two groups at one seed, from all groups; and its degrees of freedom.

    From what is left of the values when the means of groups and of seeds are taken off, as in the analysis of variance
    of randomised blocks (Fisher 1935). It is taken to be the same for all groups; of two it is that of their
    differences.

    Args:
        values: `[G, S]`, a row a group, a column a seed; two at least of both.
    """
    rest = values - values.mean(0) - values.mean(1, keepdims=True) + values.mean()
    freedom = (values.shape[0] - 1) * (values.shape[1] - 1)
    return 2 * float(np.sum(rest**2)) / freedom, freedom


def holm(ps: dict, level: float) -> set:
    """Holm's step-down correction: the tests accepted at family-wise error rate `level` (Holm 1979)."""
    tested = sorted((p, key) for key, p in ps.items() if not math.isnan(p))
    accepted = set()
    for i, (p, key) in enumerate(tested):
        if p > level / (len(tested) - i):
            break
        accepted.add(key)
    return accepted
