"""Stateless randomness: each random number is a function of (seed, purpose, step), so there is no state to save.

If several replicas or gradient accumulation split a batch, a row's random numbers do not depend on the split:

    with part_of_batch(index, count):
        uniform([rows // count, length], seed)      # these rows of uniform([rows, length], seed)
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
    """The purpose of random numbers. Each purpose has its own."""

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
    """Returns the seed for TensorFlow's stateless random functions, int32 `[2]`. Eager or graph."""
    fold = tf.random.experimental.stateless_fold_in
    return fold(tf.stack([tf.cast(seed, tf.int32), int(purpose)]), tf.cast(step, tf.int32))


@contextlib.contextmanager
def part_of_batch(index: int | tf.Tensor, count: int) -> Iterator[None]:
    """Makes the body draw random numbers for one part of a batch.

    Args:
        index: the part's index.
        count: the number of parts, each with equally many rows.
    """
    token = _part.set((index, count))
    try:
        yield
    finally:
        _part.reset(token)


def uniform(shape: Shape, seed: tf.Tensor, rows: int = 0) -> tf.Tensor:
    """Returns uniform numbers in [0, 1), float32. Eager or graph; XLA generates other numbers.

    Args:
        shape: the result's shape, in which the batch axis counts the rows of this part.
        seed: int32 `[2]`.
        rows: the batch axis.
    """
    return of_whole_batch(lambda whole: draw(whole, seed), shape, rows)


def draw(shape: Shape, seed: tf.Tensor) -> tf.Tensor:
    """Returns uniform numbers like `uniform`, but ignores parts: another number of rows gives other numbers."""
    return tf.random.stateless_uniform(shape, seed)


def of_whole_batch(make: Callable[[Shape], tf.Tensor], shape: Shape, rows: int = 0) -> tf.Tensor:
    """Returns this part's rows of random numbers for the whole batch, so that the split does not change them.

    Args:
        make: shape of the whole batch -> random numbers of that shape.
        shape: the result's shape, in which the batch axis counts the rows of this part.
        rows: the batch axis.
    """
    index, count = _part.get()
    if count == 1:
        return make(shape)
    shape = tf.unstack(tf.convert_to_tensor(shape))
    mine = shape[rows]
    whole = make(tf.stack([*shape[:rows], mine * count, *shape[rows + 1 :]]))
    return tf.gather(whole, index * mine + tf.range(mine), axis=rows)


def gumbel(shape: Shape, seed: tf.Tensor, rows: int = 0) -> tf.Tensor:
    """Returns standard Gumbel noise, float32: arg-max(logits + noise) samples softmax(logits). Eager or graph."""
    smallest = 1e-20  # keeps both logarithms finite; uniform numbers of float32 are multiples of 2^-23
    return -tf.math.log(smallest - tf.math.log(uniform(shape, seed, rows) + smallest))
