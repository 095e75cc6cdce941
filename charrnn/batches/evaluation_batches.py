"""Batches of an evaluation, which count each prediction of a text once.

    loss = closed_loop_loss(step, model.initial_state, StatefulPass(ids))
"""

from collections.abc import Callable, Iterable

import numpy as np
import tensorflow as tf

from charrnn.batches import carried_state
from charrnn.batches.carried_state import StatefulPass, padded
from charrnn.batches.sources import Batch, DataConfig, borders, cut, documents_at, last_only
from charrnn.encoded.array import Sharded

Pass = Iterable[Batch]
"""Batches of one shape."""


def closed_loop_loss(step: Callable, initial_state: Callable, batches: Iterable[Batch]) -> np.ndarray:
    """Returns the loss over a pass. Eager.

    Args:
        step: (batch of tensors, state) -> (weighted losses in nats float32 `[…, B, T]`, state after the batch). Leading
            axes are for several losses per prediction.
        initial_state: number of rows -> the zero state.
        batches: a pass; a `StatefulPass` gives a single row's loss up to rounding.

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
    """Returns the loss of each prediction of a pass, in the order of the text. Eager.

    Args:
        step: as in `closed_loop_loss`, with one loss per prediction.
        initial_state: as in `closed_loop_loss`.
        batches: the pass.

    Returns:
        Nats, float64 `[N - 1]`.
    """
    nats = np.concatenate(carried_state.read(step, initial_state, batches), 1)
    return nats.ravel()[: len(batches.ids) - 1].astype(np.float64)  # rows are consecutive parts of the text


def passes_for(ids: np.ndarray | Sharded, config: DataConfig) -> dict[str, Callable[[], Pass]]:
    """Returns the passes of an evaluation.

    Args:
        ids: `[N]`; may be empty.
        config: the training's settings.

    Returns:
        A function that starts each pass, by the name of the pass's loss; the main pass is the first. Empty if there
        are too few ids.
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
    """Yields batches of documents from the zero state, truncated to `length` with the end-of-text character.

    Args:
        ids: `[N]`, documents with the end-of-text id before, between and after them.
        length: T.
        rows: documents per batch; the last batch is filled with rows of weight 0.
    """
    places = borders(ids)
    numbers = range(len(places) - 1)
    for i in range(0, len(numbers), rows):
        part = np.asarray(numbers[i : i + rows])
        batch = documents_at(ids, places, np.resize(part, min(rows, len(numbers))), length)
        yield _first_rows_only(batch, len(part))


def last_pass(ids: np.ndarray | Sharded, window: int, stride: int, rows: int = 64) -> Pass:
    """Yields batches of windows from the zero state, of which only the last character counts.

    Args:
        ids: `[N]`.
        window: characters per window.
        stride: characters from one window to the next.
        rows: windows per batch; the last batch is filled with rows of weight 0.
    """
    starts = range(0, len(ids) - window, stride)
    for i in range(0, len(starts), rows):
        part = np.asarray(starts[i : i + rows])
        batch = last_only(cut(ids, np.resize(part, min(rows, len(starts))), window))
        yield _first_rows_only(batch, len(part))


def window_pass(ids: np.ndarray | Sharded, window: int = 256, rows: int = 64) -> Pass:
    """Yields batches of windows from the zero state, of which all characters count.

    Args:
        ids: `[N]`, N at least 2. The ceil((N - 1) / window) windows count each of the N - 1 predictions once.
        window: characters per window.
        rows: windows per batch; the last batch is filled with rows of weight 0.
    """
    starts = range(0, len(ids) - 1, window)
    rows = min(rows, len(starts))
    for i in range(0, len(starts), rows):
        yield padded(ids, np.asarray(starts[i : i + rows]), rows, window)


def _first_rows_only(batch: Batch, count: int) -> Batch:
    """Returns the batch with weight 0 for all but the first `count` rows."""
    return batch._replace(weights=batch.weights * (np.arange(len(batch.weights)) < count)[:, None])
