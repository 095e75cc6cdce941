"""Evaluation: once over all of a text, each prediction counted once.

    for batch, continues in stateful_pass(ids): …
"""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import tensorflow as tf

from charrnn.batches import Batch, DataConfig, borders, cut, documents_at, last_only
from charrnn.sharded import Sharded

Pass = Iterator[tuple[Batch, bool]]
"""Batches of one shape, and whether each continues the one before."""


def closed_loop_loss(
    step: Callable, initial_state: Callable, batches: Iterable[tuple[Batch, bool]]
) -> float | np.ndarray:
    """Nats per character over a pass. Eager.

    Args:
        step: (batch of tensors, state) -> nats summed over the batch `[]`, or several such sums `[N]`, and the state
            after it.
        initial_state: number of rows -> the zero state.
        batches: a pass.
    """
    total, count, state = 0.0, 0.0, None
    for batch, continues in batches:
        state = state if continues else initial_state(len(batch.inputs))
        nats, state = step(Batch(*map(tf.convert_to_tensor, batch)), state)
        total, count = total + np.asarray(nats, np.float64), count + float(batch.weights.sum())
    return total / count


def losses_in_order(step: Callable, initial_state: Callable, batches: Iterable[tuple[Batch, bool]]) -> np.ndarray:
    """Nats of each prediction of a `stateful_pass`, in the order of the text, float64 `[N - 1]`. Eager.

    Args:
        step: (batch of tensors, state) -> nats of each prediction `[B, T]`, and the state after it.
        initial_state: number of rows -> the zero state.
        batches: the pass.
    """
    found, state = [], None
    for batch, continues in batches:
        state = state if continues else initial_state(len(batch.inputs))
        nats, state = step(Batch(*map(tf.convert_to_tensor, batch)), state)
        found.append((nats.numpy().astype(np.float64), batch.weights))
    nats, weights = (np.concatenate(parts, 1) for parts in zip(*found, strict=True))
    return nats[weights > 0]  # rows are pieces of the text, one after the other


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
    return {"nats_per_char": lambda: stateful_pass(ids), "nats_per_char_window_256": lambda: window_pass(ids)}


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
        yield _first_rows_only(batch, len(part)), False


def last_pass(ids: np.ndarray | Sharded, window: int, stride: int, rows: int = 64) -> Pass:
    """Windows from the zero state, only the last character of each counted; the last batch is filled up likewise."""
    starts = range(0, len(ids) - window, stride)
    for i in range(0, len(starts), rows):
        part = np.asarray(starts[i : i + rows])
        batch = last_only(cut(ids, np.resize(part, min(rows, len(starts))), window))
        yield _first_rows_only(batch, len(part)), False


def window_pass(ids: np.ndarray | Sharded, window: int = 256, rows: int = 64) -> Pass:
    """Evaluation by windows from the zero state, every position of each window counted.

    Args:
        ids: `[N]`, N at least 2. Its N - 1 predictions are each counted once, in ceil((N - 1) / window) windows.
        window: characters a window.
        rows: windows a batch; all batches have this shape, filled up with weight 0.

    Yields:
        (batch, False).
    """
    starts = range(0, len(ids) - 1, window)
    rows = min(rows, len(starts))
    for i in range(0, len(starts), rows):
        yield _padded(ids, starts[i : i + rows], rows, window), False


def stateful_pass(
    ids: np.ndarray | Sharded, rows: int = 32, warm_up: int = 256, length: int = 128
) -> Pass:
    """Evaluation in one pass with the state carried, every character counted once.

    For speed the text is read by several rows at once. Each but the first begins `warm_up` characters early, with
    weight 0, so that it has the state of one long pass, as far as a network remembers that many characters.

    Args:
        ids: `[N]`, N at least 2; its N - 1 predictions are each counted once.
        rows: rows at most; a short text is read by fewer.
        warm_up: characters that a row reads before it counts.
        length: characters a batch.

    Yields:
        (batch, whether it continues the one before).
    """
    total = len(ids) - 1
    rows = max(1, min(rows, total // max(1, 8 * warm_up)))
    share = -(-max(0, total - warm_up) // rows)  # the first row counts its warm-up too
    for t in range(0, warm_up + share, length):
        starts = share * np.arange(rows) + t
        batch = _padded(ids, starts, rows, length)
        offsets = t + np.arange(length)
        counts = (offsets < warm_up + share) & ((offsets >= warm_up) | (np.arange(rows) == 0)[:, None])
        yield batch._replace(weights=batch.weights * counts.astype(np.float32)), t > 0


def _first_rows_only(batch: Batch, count: int) -> Batch:
    """The batch with weight 0 for all but the first `count` rows."""
    return batch._replace(weights=batch.weights * (np.arange(len(batch.weights)) < count)[:, None])


def _padded(ids, starts, rows, length) -> Batch:
    """Like `cut`, for positions that may lie beyond the text: those have weight 0."""
    positions = np.full((rows, 1), len(ids), np.int64)
    positions[: len(starts), 0] = starts
    positions = positions + np.arange(length)
    inside = positions < len(ids) - 1
    positions = np.minimum(positions, len(ids) - 2)
    return Batch(ids[positions].astype(np.int32), ids[positions + 1].astype(np.int32), inside.astype(np.float32))
