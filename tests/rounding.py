"""How far rounding may take a result: what two orders of the same additions can differ by on any processor."""

import ml_dtypes
import tensorflow as tf


def bound(dtype: tf.DType | str, additions: int) -> float:
    """The relative error of a sum of `additions` terms in a format: additions · ε (Higham 2002, §4.2)."""
    return additions * float(ml_dtypes.finfo(tf.as_dtype(dtype).as_numpy_dtype).eps)
