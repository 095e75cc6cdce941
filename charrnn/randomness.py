"""Stateless randomness: every random number is a function of (seed, purpose, step), so that nothing needs saving.

And of the row of the batch, where a batch is worked on in parts, by several replicas or one after the other:

    with part_of_batch(index, count):
        uniform([rows // count, length], seed)      # what these rows have in uniform([rows, length], seed)
"""

import contextlib
import contextvars
import enum
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import tensorflow as tf

Shape: TypeAlias = "Sequence[int | tf.Tensor] | tf.Tensor"

_part: contextvars.ContextVar = contextvars.ContextVar("part", default=(0, 1))


class Purpose(enum.IntEnum):
    """What random numbers are drawn for; two purposes never share any."""

    OWN_INPUTS = 0
    CHOICES = 1
    WINDOWS = 2
    STREAMS = 3
    GENERATION = 4
    PROMPTS = 5
    LENGTHS = 6
    NOISE = 7
    DROPOUT = 8
    RESETS = 9


def seed_for(seed: int | tf.Tensor, purpose: Purpose, step: int | tf.Tensor) -> tf.Tensor:
    """The seed int32 `[2]` of TensorFlow's stateless random functions. Eager or graph."""
    fold = tf.random.experimental.stateless_fold_in
    return fold(tf.stack([tf.cast(seed, tf.int32), int(purpose)]), tf.cast(step, tf.int32))


@contextlib.contextmanager
def part_of_batch(index: int | tf.Tensor, count: int) -> Iterator[None]:
    """Within it, rows are those of part `index` of a batch that is cut into `count` parts of equally many rows."""
    token = _part.set((index, count))
    try:
        yield
    finally:
        _part.reset(token)


def uniform(shape: Shape, seed: tf.Tensor, rows: int = 0) -> tf.Tensor:
    """Uniform numbers in [0, 1), float32. Eager or graph; other numbers where XLA compiles it.

    Args:
        shape: of what is wanted.
        seed: int32 `[2]`.
        rows: the axis of the batch's rows.
    """
    return of_whole_batch(lambda whole: draw(whole, seed), shape, rows)


def draw(shape: Shape, seed: tf.Tensor) -> tf.Tensor:
    """Like `uniform`, and knows nothing of parts: other numbers for another number of rows."""
    return tf.random.stateless_uniform(shape, seed)


def of_whole_batch(make: Callable[[Shape], tf.Tensor], shape: Shape, rows: int = 0) -> tf.Tensor:
    """What `make(shape)` gives for the whole batch's shape, less other parts' rows: of the given shape.

    All of it is drawn, so that no number depends on how the batch is cut.
    """
    index, count = _part.get()
    if count == 1:
        return make(shape)
    shape = tf.unstack(tf.convert_to_tensor(shape))
    mine = shape[rows]
    whole = make(tf.stack([*shape[:rows], mine * count, *shape[rows + 1 :]]))
    return tf.gather(whole, index * mine + tf.range(mine), axis=rows)


def gumbel(shape: Shape, seed: tf.Tensor, rows: int = 0) -> tf.Tensor:
    """Standard Gumbel noise, float32: arg-max(logits + noise) is a sample of softmax(logits). Eager or graph."""
    smallest = 1e-20  # keeps both logarithms finite; uniform numbers of float32 are multiples of 2^-23
    return -tf.math.log(smallest - tf.math.log(uniform(shape, seed, rows) + smallest))
