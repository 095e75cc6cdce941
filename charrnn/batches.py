"""Where batches come from. A batch is a function of (seed, step): no shuffle buffer, no iterator state to save.

    source = Windows(ids, DataConfig(seq_length=100, batch_size=64), seed=0)
    inputs, targets, weights = source.batch_at(step)

    for batch, continues in stateful_pass(ids): …       # evaluation, every character counted once
"""

import dataclasses
from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np
import tensorflow as tf

from charrnn import randomness
from charrnn.errors import UserError, check


class Batch(NamedTuple):
    """Inputs and targets int32 `[B, T]`, and float32 `[B, T]` weights of the targets in the loss."""

    inputs: np.ndarray | tf.Tensor
    targets: np.ndarray | tf.Tensor
    weights: np.ndarray | tf.Tensor


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """How a text becomes batches."""

    seq_length: int = 100  # characters a row, T
    batch_size: int = 64  # rows, B
    order: str = "windows"  # "windows": shuffled, from the zero state; "streams": contiguous, the state carried over
    stride: int = 0  # characters from one window to the next; 0: seq_length, so that windows do not overlap
    vocabulary: str = "characters"  # "characters": the training part's code points; "bytes": any file, 256 ids
    validation_fraction: float = 0.1  # the text's last part …
    test_fraction: float = 0.0  # … less this much after it

    def __post_init__(self):
        check("data.seq_length", self.seq_length, self.seq_length >= 1, "at least 1")
        check("data.batch_size", self.batch_size, self.batch_size >= 1, "at least 1")
        check("data.order", self.order, self.order in SOURCES, f"one of {', '.join(SOURCES)}")
        check("data.stride", self.stride, self.stride >= 0, "at least 0 (0: data.seq_length)")
        check("data.vocabulary", self.vocabulary, self.vocabulary in ("characters", "bytes"), "characters or bytes")


class Source(Protocol):
    """Where a trainer's batches come from."""

    batch_size: int  # rows, B
    steps_per_epoch: int
    carries_state: bool  # whether `continues` is ever true

    def batch_at(self, step: int) -> Batch:
        """The batch of a step. Eager, pure."""

    def continues(self, step: int) -> bool:
        """Whether row b of this step's batch goes on where row b of the step before ended."""


class Windows:
    """Windows of T characters from the zero state, in an order shuffled anew each epoch.

    What does not fill a batch is left out, other windows each epoch.
    """

    carries_state = False

    def __init__(self, ids: np.ndarray, config: DataConfig, seed: int):
        self._ids, self._config, self._seed = ids, config, seed
        self.batch_size = config.batch_size
        self._stride = config.stride or config.seq_length
        self.num_windows = max(0, (len(ids) - 1 - config.seq_length) // self._stride + 1)
        self.steps_per_epoch = self.num_windows // config.batch_size
        _check_filled(self, ids, config, 1 + config.seq_length + (config.batch_size - 1) * self._stride)

    def batch_at(self, step: int) -> Batch:
        """The batch of a step. Eager, pure."""
        epoch, index = divmod(step, self.steps_per_epoch)
        rows = tf.range(index * self._config.batch_size, (index + 1) * self._config.batch_size)
        seed = randomness.seed_for(self._seed, randomness.Purpose.WINDOWS, epoch)
        windows = tf.random.experimental.index_shuffle(rows, seed, self.num_windows - 1).numpy()
        return cut(self._ids, windows.astype(np.int64) * self._stride, self._config.seq_length)

    def continues(self, step: int) -> bool:
        """Never: each window starts from the zero state."""
        return False


class Streams:
    """Each row reads a contiguous part of the text, batch after batch, and carries the recurrent state over.

    Truncated backpropagation through time. The parts begin elsewhere each epoch, so that window borders move; the
    state starts from zero with each epoch.
    """

    carries_state = True

    def __init__(self, ids: np.ndarray, config: DataConfig, seed: int):
        self._ids, self._config, self._seed = ids, config, seed
        self.batch_size = config.batch_size
        spare = config.seq_length - 1  # room for the borders to move
        self.steps_per_epoch = max(0, (len(ids) - 1 - spare) // (config.batch_size * config.seq_length))
        self._row_length = self.steps_per_epoch * config.seq_length
        _check_filled(self, ids, config, 1 + spare + config.batch_size * config.seq_length)

    def batch_at(self, step: int) -> Batch:
        """The batch of a step. Eager, pure."""
        epoch, index = divmod(step, self.steps_per_epoch)
        slack = len(self._ids) - 1 - self._config.batch_size * self._row_length
        seed = randomness.seed_for(self._seed, randomness.Purpose.STREAMS, epoch)
        shift = tf.random.stateless_uniform([], seed, 0, slack + 1, tf.int64).numpy()
        rows = np.arange(self._config.batch_size, dtype=np.int64) * self._row_length
        return cut(self._ids, shift + rows + index * self._config.seq_length, self._config.seq_length)

    def continues(self, step: int) -> bool:
        """Whether the state carries on: true but for an epoch's first step."""
        return step % self.steps_per_epoch != 0


SOURCES = {"windows": Windows, "streams": Streams}


def make_source(ids: np.ndarray, config: DataConfig, seed: int) -> Source:
    """The source that `config.order` names, over the training ids `[N]`."""
    return SOURCES[config.order](ids, config, seed)


def cut(ids: np.ndarray, starts: np.ndarray, length: int) -> Batch:
    """Rows of `length` characters from positions `starts` `[B]`; all targets count."""
    rows = ids[starts[:, None] + np.arange(length + 1)].astype(np.int32)
    return Batch(rows[:, :-1], rows[:, 1:], np.ones((len(starts), length), np.float32))


def window_pass(ids: np.ndarray, window: int = 256, rows: int = 64) -> Iterator[tuple[Batch, bool]]:
    """Evaluation by windows from the zero state, every position of each window counted.

    Args:
        ids: `[N]`, N at least 2. Its N - 1 predictions are each counted once, in ceil((N - 1) / window) windows.
        window: characters a window.
        rows: windows a batch; all batches have this shape, filled up with weight 0.

    Yields:
        (batch, False).
    """
    starts = np.arange(0, len(ids) - 1, window)
    rows = min(rows, len(starts))
    for i in range(0, len(starts), rows):
        yield _padded(ids, starts[i : i + rows], rows, window), False


def stateful_pass(
    ids: np.ndarray, rows: int = 32, warm_up: int = 256, length: int = 128
) -> Iterator[tuple[Batch, bool]]:
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


def _padded(ids, starts, rows, length) -> Batch:
    """Like `cut`, for positions that may lie beyond the text: those have weight 0."""
    positions = np.full((rows, 1), len(ids), np.int64)
    positions[: len(starts), 0] = starts
    positions = positions + np.arange(length)
    inside = positions < len(ids) - 1
    positions = np.minimum(positions, len(ids) - 2)
    return Batch(ids[positions].astype(np.int32), ids[positions + 1].astype(np.int32), inside.astype(np.float32))


def _check_filled(source, ids, config, needed):
    if source.steps_per_epoch < 1:
        raise UserError(
            f"The training text has {len(ids):,} characters, but one batch of data.batch_size={config.batch_size} rows "
            f"of data.seq_length={config.seq_length} needs {needed:,}: give a longer text, or set one of the two lower."
        )
