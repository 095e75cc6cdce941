"""Evaluation: once over all of a text, each prediction counted once.

    loss = closed_loop_loss(step, model.initial_state, StatefulPass(ids))
"""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import tensorflow as tf

from charrnn.batches import carried_state
from charrnn.batches.carried_state import StatefulPass, padded
from charrnn.batches.sources import Batch, DataConfig, borders, cut, documents_at, last_only
from charrnn.encoded.array import Sharded

Pass = Iterator[Batch]
"""Batches of one shape."""


def closed_loop_loss(step: Callable, initial_state: Callable, batches: Iterable[Batch]) -> np.ndarray:
    """Returns the loss over a pass. Eager.

    Args:
        step: (batch of tensors, state) -> nats float32 `[…, B, T]` of the predictions, each times its weight, or of
            several at a time; and the state after the batch.
        initial_state: number of rows -> the zero state.
        batches: a pass; a `StatefulPass` gives the loss of one single row but for rounding.

    Returns:
        Nats per character, float64 `[…]`.
    """
    if isinstance(batches, StatefulPass):
        total = sum(nats.sum((-2, -1), dtype=np.float64) for nats in carried_state.read(step, initial_state, batches))
        return total / (len(batches.ids) - 1)
    total, count, state = 0.0, 0.0, None
    for batch in batches:
        state = state if batch.continues else initial_state(len(batch.inputs))
        nats, state = step(Batch(*map(tf.convert_to_tensor, batch)), state)
        total, count = total + nats.numpy().sum((-2, -1), dtype=np.float64), count + float(batch.weights.sum())
    return total / count


def losses_in_order(step: Callable, initial_state: Callable, batches: StatefulPass) -> np.ndarray:
    """Returns the nats of each prediction of a pass, in the order of the text, float64 `[N - 1]`. Eager.

    Args:
        step: as in `closed_loop_loss`, of each prediction.
        initial_state: as there.
        batches: the pass.
    """
    nats = np.concatenate(carried_state.read(step, initial_state, batches), 1)
    return nats.ravel()[: len(batches.ids) - 1].astype(np.float64)  # rows are pieces of the text, one after the other


def passes_for(ids: np.ndarray | Sharded, config: DataConfig) -> dict[str, Callable[[], Pass]]:
    """The passes that suit what is learnt, by the name of the loss that each measures; the first is the main one.

    Args:
        ids: `[N]`; empty where there is nothing to evaluate on, and no pass then.
    """
    if len(ids) < 2:
        return {}
    if config.order == "lines":
        return {"nats_per_char": lambda: document_pass(ids, config.seq_length)}
    if config.targets == "last":
        stride = config.stride or config.seq_length
        if len(ids) <= config.seq_length:
            return {}
        return {"nats_per_char": lambda: last_pass(ids, config.seq_length, stride)}
    return {"nats_per_char": lambda: StatefulPass(ids), "nats_per_char_window_256": lambda: window_pass(ids)}


def document_pass(ids: np.ndarray | Sharded, length: int, rows: int = 64) -> Pass:
    """Each document from the zero state, its end-of-text character counted too, cut off at `length` characters.

    Args:
        ids: `[N]`, documents with the end-of-text id before, between and after them.
        length: T.
        rows: documents a batch; the last batch is filled up with weight 0.
    """
    places = borders(ids)
    numbers = range(len(places) - 1)
    for i in range(0, len(numbers), rows):
        part = np.asarray(numbers[i : i + rows])
        batch = documents_at(ids, places, np.resize(part, min(rows, len(numbers))), length)
        yield _first_rows_only(batch, len(part))


def last_pass(ids: np.ndarray | Sharded, window: int, stride: int, rows: int = 64) -> Pass:
    """Windows from the zero state, only the last character of each counted; the last batch is filled up likewise."""
    starts = range(0, len(ids) - window, stride)
    for i in range(0, len(starts), rows):
        part = np.asarray(starts[i : i + rows])
        batch = last_only(cut(ids, np.resize(part, min(rows, len(starts))), window))
        yield _first_rows_only(batch, len(part))


def window_pass(ids: np.ndarray | Sharded, window: int = 256, rows: int = 64) -> Pass:
    """Evaluation by windows from the zero state, every position of each window counted.

    Args:
        ids: `[N]`, N at least 2. Its N - 1 predictions are each counted once, in ceil((N - 1) / window) windows.
        window: characters a window.
        rows: windows a batch; all batches have this shape, filled up with weight 0.
    """
    starts = range(0, len(ids) - 1, window)
    rows = min(rows, len(starts))
    for i in range(0, len(starts), rows):
        yield padded(ids, starts[i : i + rows], rows, window)


def _first_rows_only(batch: Batch, count: int) -> Batch:
    """The batch with weight 0 for all but the first `count` rows."""
    return batch._replace(weights=batch.weights * (np.arange(len(batch.weights)) < count)[:, None])
