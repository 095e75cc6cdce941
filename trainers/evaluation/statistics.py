"""Tests of differences between groups: the paired t test, noise pooled over all groups, Holm's correction."""

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
    variance, freedom = noise or (differences.var(ddof=1), len(differences) - 1)
    error = math.sqrt(variance / len(differences))
    if error == 0:
        return 1.0 if differences.mean() == 0 else 0.0
    t = differences.mean() / error
    tails = np.array([freedom / 2, 0.5, freedom / (freedom + t**2)])
    return float(tf.math.betainc(*tails))


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
