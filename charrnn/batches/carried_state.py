"""One pass over a text with the state carried, read by several rows at once.

    nats = read(step, model.initial_state, StatefulPass(ids))      # a block of losses each

    all rows at once, each from the zero state
    again, each row from the state in which the row before ended, until the losses agree
    no agreement by a row's end? again from there; and after some readings, by one single row

An ordinary model forgets within a few blocks, so that only the beginnings are read twice. The result is that of one
single row but for rounding, however long the model's memory is.
"""

from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from charrnn.batches.sources import Batch
from charrnn.encoded.array import Sharded

_EPSILONS = {"float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}
_ROUNDING = 8 * _EPSILONS["float32"]  # relative, of losses, which are float32 in all precisions
_READINGS = 8  # by all rows, about as long as one row takes on its own, which reads after that …
_BY_ONE_ROW = 1 << 20  # … and only a text of at most this many characters: a longer one would take hours


class StatefulPass:
    """Batches that read a text once, every prediction counted once; each batch continues the one before.

    Row r reads the r-th piece of the text.

    Args:
        ids: `[N]`, N at least 2; it has N - 1 predictions.
        rows: pieces at most; a short text has fewer.
        least: characters that a piece has at least.
        length: characters a batch.
    """

    def __init__(self, ids: np.ndarray | Sharded, rows: int = 32, least: int = 2048, length: int = 128):
        total = len(ids) - 1
        rows = max(1, min(rows, total // max(least, length)))
        self._num_blocks = -(-total // (rows * length))
        self.ids, self.length = ids, length
        self.rows = -(-total // (self._num_blocks * length))

    def __len__(self) -> int:
        return self._num_blocks

    def __iter__(self) -> Iterator[Batch]:
        starts = self.length * len(self) * np.arange(self.rows)
        for block in range(len(self)):
            batch = padded(self.ids, starts + block * self.length, self.rows, self.length)
            yield batch._replace(continues=block > 0)

    def by_one_row(self) -> "StatefulPass":
        """The same pass by one single row."""
        return StatefulPass(self.ids, 1, length=self.length)


def read(step: Callable, initial_state: Callable, batches: StatefulPass) -> list[np.ndarray]:
    """The losses of a pass, those of one single row but for rounding. Eager.

    Args:
        step: (batch of tensors, state) -> nats float32 `[…, B, T]` of the predictions, 0 where a weight is 0, or of
            several at a time; and the state after the batch.
        initial_state: number of rows -> the zero state.
        batches: the pass.

    Returns:
        What `step` gives, of each batch, one after the other; of one row's batches where `batches` has too few.
    """
    zero, found = initial_state(batches.rows), []
    end = _read_from(zero, step, batches, found)
    for _ in range(min(batches.rows, _READINGS) - 1):
        totals = [_total(found)]
        start = tf.nest.map_structure(lambda z, s: tf.concat([z[:1], s[:-1]], 0), zero, end)
        end = _read_from(start, step, batches, found)
        totals.append(_total(found))
        if end is None or _is_rounding(np.diff(totals, axis=0), totals[-1], _noise(zero, batches)):
            return found
    if batches.rows <= _READINGS or len(batches.ids) > _BY_ONE_ROW:
        return found  # as many readings as rows: each row's state has come through from the first
    return read(step, initial_state, batches.by_one_row())


def _read_from(state, step, batches, found: list[np.ndarray]):
    """Reads all batches from a state into `found`; where they agree with what is there, it stops.

    Returns:
        The state at the end; None where it stopped: the end is as it was.
    """
    tolerance = max(_ROUNDING, _epsilon(state) / 16)  # of the changes without their signs: tighter than `_noise`
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
    """Nats over all predictions, float64 `[…]`."""
    return np.sum([nats.sum((-2, -1), dtype=np.float64) for nats in found], 0)


def _is_rounding(change: np.ndarray, of: np.ndarray, tolerance: float) -> bool:
    """Whether a change is no more than rounding; so is one that is not a number, of a model that is broken."""
    return not np.any(np.abs(change) > tolerance * np.abs(of))


def _noise(state, batches: StatefulPass) -> float:
    """How far rounding moves a total, relative: each prediction's error is one ε or so, and they are independent."""
    return max(_ROUNDING, 4 * _epsilon(state) / len(batches.ids) ** 0.5)


def _epsilon(state) -> float:
    """Of the format in which the state is carried."""
    return _EPSILONS[tf.nest.flatten(state)[0].dtype.name]


def padded(ids: np.ndarray | Sharded, starts: np.ndarray, rows: int, length: int) -> Batch:
    """Like `batches.cut`, for positions that may lie beyond the text: those have weight 0."""
    positions = np.full((rows, 1), len(ids), np.int64)
    positions[: len(starts), 0] = starts
    positions = positions + np.arange(length)
    inside = positions < len(ids) - 1
    positions = np.minimum(positions, len(ids) - 2)
    return Batch(ids[positions].astype(np.int32), ids[positions + 1].astype(np.int32), inside.astype(np.float32))
