"""Reads a text once with carried state, several rows in parallel.

    nats = read(step, model.initial_state, StatefulPass(ids))      # the losses of each batch

    read all rows in parallel, each from the zero state
    read them again, each from the previous row's final state, until the losses agree
    if they do not agree by the rows' end, repeat; after some readings, read with a single row

Most models forget within a few batches, so that only the rows' beginnings are read twice. The result equals a single
row's up to rounding, for a memory of any length.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from charrnn.batches.sources import Batch
from charrnn.encoded.array import Sharded

_EPSILONS = {"float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}
_ROUNDING = 8 * _EPSILONS["float32"]  # relative, because losses are float32 in all precisions
_READINGS = 8  # by all rows; about the time of a single row, which reads next
_BY_ONE_ROW = 1 << 20  # characters; a single row would read a longer text for hours


class StatefulPass:
    """Batches that read a text once and count each prediction once. Each batch continues the previous one.

    Row r reads the r-th part of the text.

    Args:
        ids: `[N]`, N at least 2, for N - 1 predictions.
        rows: the largest number of parts; a short text has fewer.
        least: the smallest length of a part, characters.
        length: the length of a batch's rows, characters.
    """

    def __init__(self, ids: np.ndarray | Sharded, rows: int = 32, least: int = 2048, length: int = 128):
        total = len(ids) - 1
        rows = max(1, min(rows, total // max(least, length)))
        self._num_batches = -(-total // (rows * length))
        self.ids, self.length = ids, length
        self.rows = -(-total // (self._num_batches * length))

    def __len__(self) -> int:
        return self._num_batches

    def __iter__(self) -> Iterator[Batch]:
        starts = self.length * len(self) * np.arange(self.rows)
        for block in range(len(self)):
            batch = padded(self.ids, starts + block * self.length, self.rows, self.length)
            yield batch._replace(continues=block > 0)

    def by_one_row(self) -> "StatefulPass":
        """Returns the same pass with a single row."""
        return StatefulPass(self.ids, 1, length=self.length)


def read(step: Callable, initial_state: Callable, batches: StatefulPass) -> list[np.ndarray]:
    """Returns the losses of a pass, equal to a single row's up to rounding. Eager.

    Args:
        step: (batch of tensors, state) -> (losses in nats float32 `[…, B, T]`, 0 for weight 0; state after the batch).
            Leading axes are for several losses per prediction.
        initial_state: number of rows -> the zero state.
        batches: the pass.

    Returns:
        The losses of each batch; those of a single row's batches if parallel rows do not agree.
    """
    found: list[np.ndarray] = []
    zero = initial_state(batches.rows)
    end = _read_from(zero, step, batches, found)
    for _ in range(min(batches.rows, _READINGS) - 1):
        totals = [_total(found)]
        start = tf.nest.map_structure(lambda z, s: tf.concat([z[:1], s[:-1]], 0), zero, end)
        end = _read_from(start, step, batches, found)
        totals.append(_total(found))
        if end is None or _is_rounding(np.diff(totals, axis=0), totals[-1], _noise(zero, batches)):
            return found
    if batches.rows <= _READINGS or len(batches.ids) > _BY_ONE_ROW:
        return found  # with as many readings as rows, the first row's state has reached the last
    return read(step, initial_state, batches.by_one_row())


def _read_from(state: Any, step: Callable, batches: StatefulPass, found: list[np.ndarray]) -> Any:
    """Reads all batches from a state into `found`, until they agree with the earlier losses.

    Returns:
        The final state; None if the losses agreed, because the final state then did not change.
    """
    tolerance = max(_ROUNDING, _epsilon(state) / 16)  # for absolute changes, tighter than `_noise`
    for block, batch in enumerate(batches):
        nats, state = step(Batch(*map(tf.convert_to_tensor, batch)), state)
        nats = np.asarray(nats)
        if block == len(found):
            found.append(nats)
            continue
        before, found[block] = found[block], nats
        changes, losses = (np.abs(array).sum(dtype=np.float64) for array in (nats - before, nats))
        if _is_rounding(changes, losses, tolerance):
            return None
    return state


def _total(found: list[np.ndarray]) -> np.ndarray:
    """Returns the sum over all predictions, nats, float64 `[…]`."""
    return np.sum([nats.sum((-2, -1), dtype=np.float64) for nats in found], 0)


def _is_rounding(change: np.ndarray, of: np.ndarray, tolerance: float) -> bool:
    """Returns whether a change is only rounding, or NaN, as for a model with non-finite weights."""
    return not np.any(np.abs(change) > tolerance * np.abs(of))


def _noise(state: Any, batches: StatefulPass) -> float:
    """Returns the relative rounding error of a total, assuming independent errors of about ε per prediction."""
    return max(_ROUNDING, 4 * _epsilon(state) / len(batches.ids) ** 0.5)


def _epsilon(state: Any) -> float:
    """Returns the machine epsilon of the state's format."""
    return _EPSILONS[tf.nest.flatten(state)[0].dtype.name]


def padded(ids: np.ndarray | Sharded, starts: np.ndarray, rows: int, length: int) -> Batch:
    """Returns a batch like `sources.cut`, with weight 0 for positions beyond the text."""
    positions = np.full((rows, 1), len(ids), np.int64)
    positions[: len(starts), 0] = starts
    positions = positions + np.arange(length)
    inside = positions < len(ids) - 1
    positions = np.minimum(positions, len(ids) - 2)
    return Batch(ids[positions].astype(np.int32), ids[positions + 1].astype(np.int32), inside.astype(np.float32))
