"""Measures of characters that the source of a text cannot write. NumPy only.

    before_first(impossible)        # bool [R, T], from `scores.score`
    after_error(impossible)

They need a known source. They do not depend on the probability that the reference gives to such a character, which is a
convention.
"""

import numpy as np

WITHIN = 25  # characters after an impossible one, for `after_error`


def before_first(impossible: np.ndarray) -> float:
    """Returns the median number of characters before the first impossible one; T for a row without one."""
    firsts = np.where(impossible.any(1), impossible.argmax(1), impossible.shape[1])
    return float(np.median(firsts))


def after_error(impossible: np.ndarray, within: int = WITHIN) -> tuple[float, float]:
    """Computes by what factor errors are more frequent after an error: 1 if they are independent.

    The factor is the share of impossible characters among those with an impossible one within `within` characters
    before them in their row, over the share among all others.

    Args:
        impossible: bool `[R, T]`, R at least 2.
        within: characters.

    Returns:
        The factor, and its standard error over the rows by the jackknife (Efron 1982). Both are non-finite if the
        factor is 0 / 0 or infinite, also without one row.
    """
    counts = np.pad(np.cumsum(impossible, 1), ((0, 0), (within + 1, 0)))  # before each character, shifted by `within`
    length = impossible.shape[1]
    after = counts[:, within : within + length] > counts[:, :length]
    parts = [impossible & after, after, impossible & ~after, ~after]
    sums = np.stack([part.sum(1) for part in parts])  # [4, R]
    value = float(_factor(sums.sum(1)))
    others = _factor(sums.sum(1, keepdims=True) - sums)  # without one row each
    with np.errstate(invalid="ignore"):
        spread = np.sum((others - others.mean()) ** 2)
    return value, float(np.sqrt((len(others) - 1) / len(others) * spread))


def _factor(sums: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.divide(sums[0] / sums[1], sums[2] / sums[3])
