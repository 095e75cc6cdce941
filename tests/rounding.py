"""Bounds of rounding errors: how far two orders of the same additions may differ, on any processor."""

import math

import ml_dtypes
import tensorflow as tf


def bound(dtype: tf.DType | str, additions: int) -> float:
    """Returns a bound of the relative error of a sum of `additions` terms in a format: 2 · √additions · ε.

    The bound is λ · √n · u with the unit roundoff u = ε / 2 and λ = 4. Independent rounding errors exceed it with a
    probability of about 2 · exp(-λ² / 2) = 7e-4 (Higham & Mary 2019, "A New Approach to Probabilistic Rounding Error
    Analysis").
    """
    return 2 * math.sqrt(additions) * float(ml_dtypes.finfo(tf.as_dtype(dtype).as_numpy_dtype).eps)


ADDITIONS = 3 * 5 * 12 * 2
"""Additions in a weight's gradient of the fixtures' models: rows · steps · (units, embedding and bias) · layers."""

MODEL = bound("float32", ADDITIONS)
"""The bound of results of such a model in float32, and of sums of them that are about 1."""
