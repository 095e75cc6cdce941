"""Sources of training batches. A batch is a function of (seed, step), so there is no shuffle buffer or state to save.

    source = Windows(ids, DataConfig(seq_length=100, batch_size=64), seed=0)
    batch = source.batch_at(step)                       # inputs, targets, weights, continues
    batch = source.batch_at(step, rows=range(32, 64))   # these rows of it, at their own cost
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np
import tensorflow as tf

from charrnn import randomness
from charrnn.encoded.array import Sharded
from charrnn.errors import UserError, check_row_chars, require
from charrnn.text import decoding, dialects
from charrnn.text.reading import Reading


class Batch(NamedTuple):
    """B rows of T characters."""

    inputs: np.ndarray | tf.Tensor  # ids to read, int32 [B, T]
    targets: np.ndarray | tf.Tensor  # ids to predict, int32 [B, T]
    weights: np.ndarray | tf.Tensor  # weights of the targets in the loss, float32 [B, T]
    continues: Any = False  # bool [] or [B]: which rows carry the state over from the batch before
    places: Any = -1  # int [] or [B]: the index in the text of each row's first input; -1: unknown


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """The settings for reading a text and making batches of it."""

    seq_length: int = 100  # characters per row, T
    batch_size: int = 64  # rows, B
    order: str = "windows"  # "windows": shuffled, from the zero state; "streams": contiguous, with carried state;
    # "lines": one document per row, truncated to seq_length
    reset_probability: float = 0.0  # probability of a zero state before a stream's step (Melis et al. 2017, 1707.05589)
    stride: int = 0  # characters from one window to the next; 0: seq_length, so that windows do not overlap
    targets: str = "all"  # the characters of a row in the loss: "all" or "last"
    lowercase: bool = False  # convert the text to lower case
    csv_column: int = 0  # a CSV's column with the text, counted from 1; 0: plain text files
    csv_delimiter: str = ""  # a CSV's delimiter: one character, "tab" or "space"; "": detected
    csv_header: str = "auto"  # whether a CSV's first row is a header: "true" or "false"; "auto": detected
    encoding: str = ""  # the files' Python codec; "": by the byte-order mark, UTF-8 without one
    normalization: str = ""  # Unicode form, such as "NFC", that unifies accented letters; "": none
    vocabulary: str = "characters"  # "characters": the training part's code points; "bytes": 256 ids for any file
    validation_fraction: float = 0.1  # share of the text for validation, before the test part
    test_fraction: float = 0.0  # share of the text for the test part, at the text's end
    validation_chars: int = 1_000_000  # characters of the validation part that an evaluation reads; 0: all
    within_documents: bool = False  # keep each window within one file
    overfit_batches: int = 0  # number of batches to train on, as a check that the model can overfit; 0: all

    def __post_init__(self):
        check_row_chars("data.seq_length", self.seq_length)
        require("data.batch_size", self.batch_size, self.batch_size >= 1, "at least 1")
        require("data.order", self.order, self.order in SOURCES, f"one of {', '.join(SOURCES)}")
        reset, streams = self.reset_probability, self.order == "streams"
        require("data.reset_probability", reset, 0 <= reset < 1, "at least 0 and below 1")
        require("data.reset_probability", reset, streams or not reset, "0 unless data.order=streams")
        require("data.stride", self.stride, self.stride >= 0, "at least 0 (0: data.seq_length)")
        require("data.targets", self.targets, self.targets in ("all", "last"), "all or last")
        require("data.csv_column", self.csv_column, self.csv_column >= 0, "at least 0 (0: a plain text file)")
        all_counted = self.targets == "all" or self.order == "windows"
        require("data.targets", self.targets, all_counted, "all unless data.order=windows")
        require("data.validation_chars", self.validation_chars, self.validation_chars >= 0, "at least 0 (0: all)")
        possible = not self.within_documents or (self.order == "windows" and not self.csv_column)
        require("data.within_documents", self.within_documents, possible, "false unless data.order=windows reads files")
        require("data.overfit_batches", self.overfit_batches, self.overfit_batches >= 0, "at least 0 (0: all batches)")
        dialects.check_delimiter("data.csv_delimiter", self.csv_delimiter)
        require("data.csv_header", self.csv_header, self.csv_header in ("auto", "true", "false"), "auto, true or false")
        decoding.check_encoding("data.encoding", self.encoding)
        Reading(normalization=self.normalization)
        require("data.vocabulary", self.vocabulary, self.vocabulary in ("characters", "bytes"), "characters or bytes")


class Source(Protocol):
    """A source of a trainer's batches."""

    batch_size: int  # rows, B
    steps_per_epoch: int
    carries_state: bool  # whether a batch ever continues the one before
    order: str  # the value of data.order
    last_only: bool  # whether only the last target of each row has a weight

    def batch_at(self, step: int, rows: range | None = None) -> Batch:
        """Returns the batch of a step, or the rows with these indices. Eager, pure."""


class Windows:
    """Windows of T characters from the zero state, in a different random order each epoch.

    Each epoch skips the windows that do not fill a batch, different ones each time.
    """

    carries_state, order = False, "windows"

    def __init__(self, ids: np.ndarray | Sharded, config: DataConfig, seed: int):
        self._ids, self._config, self._seed = ids, config, seed
        self.batch_size, self.last_only = config.batch_size, config.targets == "last"
        self._stride = config.stride or config.seq_length
        self._documents = _edges(ids) if config.within_documents else np.array([0, len(ids)])
        fitting = (np.diff(self._documents) - 1 - config.seq_length) // self._stride + 1
        self._windows = np.cumsum([0, *np.maximum(0, fitting)])  # before each document, and in total
        self.num_windows = int(self._windows[-1])
        self.steps_per_epoch = self.num_windows // config.batch_size
        _check_filled(self, ids, config, 1 + config.seq_length + (config.batch_size - 1) * self._stride)

    def batch_at(self, step: int, rows: range | None = None) -> Batch:
        """Returns the batch of a step, or the rows with these indices. Eager, pure."""
        rows = range(self.batch_size) if rows is None else rows
        epoch, index = divmod(step, self.steps_per_epoch)
        windows = _shuffled(self._seed, epoch, index * self.batch_size, rows, self.num_windows)
        documents = np.searchsorted(self._windows, windows, side="right") - 1
        starts = self._documents[documents] + (windows - self._windows[documents]) * self._stride
        batch = cut(self._ids, starts, self._config.seq_length)
        return last_only(batch) if self.last_only else batch


class Streams:
    """Contiguous parts of the text, one per row, read batch after batch with the recurrent state carried over.

    This is truncated backpropagation through time. The parts start at different positions each epoch, so that window
    borders move. The state starts from zero each epoch, and in random rows with `reset_probability`.
    """

    carries_state, order, last_only = True, "streams", False

    def __init__(self, ids: np.ndarray | Sharded, config: DataConfig, seed: int):
        self._ids, self._config, self._seed = ids, config, seed
        self.batch_size = config.batch_size
        spare = config.seq_length - 1  # characters by which the borders can move
        self.steps_per_epoch = max(0, (len(ids) - 1 - spare) // (config.batch_size * config.seq_length))
        self._row_length = self.steps_per_epoch * config.seq_length
        _check_filled(self, ids, config, 1 + spare + config.batch_size * config.seq_length)

    def batch_at(self, step: int, rows: range | None = None) -> Batch:
        """Returns the batch of a step, or the rows with these indices. Eager, pure."""
        rows = range(self.batch_size) if rows is None else rows
        epoch, index = divmod(step, self.steps_per_epoch)
        shift = _shift(self._seed, epoch, len(self._ids) - self._config.batch_size * self._row_length)
        streams = np.arange(rows.start, rows.stop, dtype=np.int64) * self._row_length
        batch = cut(self._ids, shift + streams + index * self._config.seq_length, self._config.seq_length)
        return batch._replace(continues=self._continues(step, rows))

    def _continues(self, step: int, rows: range) -> bool | np.ndarray:
        """Returns which of the rows carry the state over: none at an epoch's first step."""
        within = step % self.steps_per_epoch != 0
        if not self._config.reset_probability:
            return within
        seed = randomness.seed_for(self._seed, randomness.Purpose.RESETS, step)
        drawn = randomness.draw([1, len(rows)], seed, tf.constant([rows.start], tf.int64)).numpy()[0]
        return within & (drawn >= self._config.reset_probability)


class Lines:
    """One document per row, from the zero state, in a different random order each epoch.

    A row's inputs are the end-of-text character and the document; its targets are the document and the end-of-text
    character. It is padded on the right with weight 0. A document longer than T is truncated, without its end.

    Args:
        ids: `[N]`, documents with the end-of-text id before, between and after them.
        config: the settings; seq_length is the limit T.
        seed: the seed of the order.
    """

    carries_state, order, last_only = False, "lines", False

    def __init__(self, ids: np.ndarray | Sharded, config: DataConfig, seed: int):
        self._ids, self._config, self._seed = ids, config, seed
        self.batch_size = config.batch_size
        self._borders = borders(ids)
        self.steps_per_epoch = (len(self._borders) - 1) // config.batch_size
        if self.steps_per_epoch < 1:
            raise UserError(
                f"There are {len(self._borders) - 1:,} documents to train on, fewer than data.batch_size="
                f"{config.batch_size}: give more, or set it lower."
            )

    def batch_at(self, step: int, rows: range | None = None) -> Batch:
        """Returns the batch of a step, or the rows with these indices. Eager, pure."""
        rows = range(self.batch_size) if rows is None else rows
        epoch, index = divmod(step, self.steps_per_epoch)
        documents = _shuffled(self._seed, epoch, index * self.batch_size, rows, len(self._borders) - 1)
        return documents_at(self._ids, self._borders, documents, self._config.seq_length)


SOURCES: dict[str, Callable[..., Source]] = {"windows": Windows, "streams": Streams, "lines": Lines}


def make_source(ids: np.ndarray | Sharded, config: DataConfig, seed: int) -> Source:
    """Returns the source that `config.order` names.

    Args:
        ids: the training ids, `[N]`.
        config: the settings.
        seed: the seed of the order.
    """
    return SOURCES[config.order](ids, config, seed)


def borders(ids: np.ndarray | Sharded) -> np.ndarray | Sharded:
    """Returns the positions of the end-of-text id, which is the first of `ids`: int64 `[documents + 1]`."""
    return ids.borders if isinstance(ids, Sharded) else np.flatnonzero(ids == ids[0])


def documents_at(
    ids: np.ndarray | Sharded, borders: np.ndarray | Sharded, rows: np.ndarray, length: int
) -> Batch:
    """Returns documents by their numbers, each padded on the right or truncated to `length` characters.

    Args:
        ids: `[N]`, documents with the end-of-text id before, between and after them.
        borders: the positions of the end-of-text id, `[documents + 1]`.
        rows: the documents' numbers, `[B]`.
        length: T.
    """
    starts, ends = borders[rows], borders[rows + 1]
    positions = np.minimum(starts[:, None] + np.arange(length + 1), ends[:, None])  # padded with the end-of-text
    text = ids[positions].astype(np.int32)
    return Batch(text[:, :-1], text[:, 1:], (np.arange(length) < (ends - starts)[:, None]).astype(np.float32))


def _edges(ids: Any) -> np.ndarray:
    """Returns the positions at which files begin, including both ends of this part."""
    return np.unique([0, *np.asarray(ids.borders), len(ids)])


def last_only(batch: Batch) -> Batch:
    """Returns the batch with non-zero weights only for each row's last target."""
    return batch._replace(weights=batch.weights * (np.arange(batch.weights.shape[1]) == batch.weights.shape[1] - 1))


def _shuffled(seed: int, epoch: int, first: int, rows: range, count: int) -> np.ndarray:
    """Returns the numbers of rows in the epoch's permutation of `count`, int64 `[B]`; row 0 is at position `first`."""
    places = tf.range(first + rows.start, first + rows.stop, dtype=tf.int64)  # there may be billions
    return tf.random.experimental.index_shuffle(places, _shuffling_seed(seed, epoch), count - 1).numpy()


@functools.lru_cache(maxsize=4)  # eager operations take longer than to cut a batch
def _shuffling_seed(seed: int, epoch: int) -> np.ndarray:
    return randomness.seed_for(seed, randomness.Purpose.WINDOWS, epoch).numpy()


@functools.lru_cache(maxsize=4)
def _shift(seed: int, epoch: int, count: int) -> int:
    """Returns by how many characters the borders of an epoch are moved, less than `count`."""
    epoch_seed = randomness.seed_for(seed, randomness.Purpose.STREAMS, epoch)
    return int(tf.random.stateless_uniform([], epoch_seed, 0, count, tf.int64))


def cut(ids: np.ndarray | Sharded, starts: np.ndarray, length: int) -> Batch:
    """Returns rows of `length` characters from positions `starts` `[B]`, all with weight 1."""
    rows = ids[starts[:, None] + np.arange(length + 1)].astype(np.int32)
    return Batch(rows[:, :-1], rows[:, 1:], np.ones((len(starts), length), np.float32), places=starts)


def _check_filled(source, ids, config, needed):
    if source.steps_per_epoch < 1:
        raise UserError(
            f"The training text has {len(ids):,} characters, but one batch of data.batch_size={config.batch_size} rows "
            f"of data.seq_length={config.seq_length} needs {needed:,}: give a longer text, or set one of the two lower."
        )
