"""Some rows of a batch, for a process that trains on no others.

    batch = rows.asked(source.batch_at, step, range(32, 64))

An older `batch_at`, without the argument `rows`, makes its whole batch, from which the rows are taken.
"""

import inspect
from collections.abc import Callable

import numpy as np

from charrnn.batches.sources import Batch


def asked(batch_at: Callable[..., Batch], step: int, rows: range | None) -> Batch:
    """Returns rows of the batch of a step. Eager.

    Args:
        batch_at: step, and perhaps `rows` -> these rows of the batch, or all.
        step: the step.
        rows: the rows' indices in the batch; None: all.
    """
    if rows is None:
        return batch_at(step)
    return batch_at(step, rows=rows) if takes_rows(batch_at) else taken(batch_at(step), rows)


def takes_rows(batch_at: Callable[..., Batch]) -> bool:
    """Returns whether a function that gives batches has the argument `rows`."""
    return "rows" in inspect.signature(batch_at).parameters


def taken(batch: Batch, rows: range) -> Batch:
    """Returns rows of a batch by their indices, which have no gaps."""
    here = slice(rows.start, rows.stop)
    return Batch(*(part[here] if np.ndim(part) else part for part in batch))
