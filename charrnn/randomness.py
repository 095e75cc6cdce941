"""Stateless randomness: each random number is a function of (seed, purpose, step), so there is no state to save.

If several replicas or gradient accumulation split a batch, a row's random numbers do not depend on the split:

    with part_of_batch(index, count):
        uniform([rows // count, length], seed)      # these rows of uniform([rows, length], seed)
"""

import contextlib
import contextvars
import enum
import math
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import tensorflow as tf

Shape: TypeAlias = "Sequence[int | tf.Tensor] | tf.Tensor"

_PHILOX = tf.random.Algorithm.PHILOX.value
"""The algorithm on all devices, also with XLA, where TensorFlow's default takes 15 times as long on a CPU."""

_FEW_PARTS = 2  # up to which the loop takes longer than the numbers of the other parts

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

    With many parts, only the rows of this one are drawn. They are runs of the stream of `seed`, one for each index of
    the axes before the batch axis, and a loop draws them.

    Args:
        shape: the result's shape, in which the batch axis counts the rows of this part.
        seed: int32 `[2]`.
        rows: the batch axis.
    """
    index, count = _part.get()
    if count <= _FEW_PARTS:
        return of_whole_batch(lambda whole: draw(whole, seed), shape, rows)
    sizes = tf.unstack(tf.cast(tf.convert_to_tensor(shape), tf.int64))
    runs, length = _product(sizes[:rows]), _product(sizes[rows:])
    starts = (tf.range(runs, dtype=tf.int64) * count + tf.cast(index, tf.int64)) * length
    return tf.reshape(draw([runs, length], seed, starts), shape)


def draw(shape: Shape, seed: tf.Tensor, starts: tf.Tensor | None = None) -> tf.Tensor:
    """Returns uniform numbers like `uniform`, but ignores parts: they are consecutive numbers of the stream of `seed`.

    Args:
        shape: the result's shape.
        seed: int32 `[2]`.
        starts: int64 `[R]`, for a shape `[R, N]`: the position in the stream of each row's first number; None: the
            numbers begin with the stream's first.
    """
    if starts is None:
        return tf.random.stateless_uniform(shape, seed, alg=_PHILOX)
    # Philox generates four numbers for each value of its counter, whose lower half starts at zero for every seed.
    key, counter = _key_and_counter(seed)
    blocks = tf.cast(starts // 4, tf.uint64)
    counters = counter + tf.stack([blocks, tf.zeros_like(blocks)], 1)

    def run(given: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        counter, spare = given
        drawn = tf.raw_ops.StatelessRandomUniformV2(shape=[shape[1] + 3], key=key, counter=counter, alg=_PHILOX)
        return tf.slice(drawn, [spare], [shape[1]])

    if starts.shape[0] == 1:
        return run((counters[0], starts[0] % 4))[None]
    return tf.map_fn(run, (counters, starts % 4), fn_output_signature=tf.float32)


def _key_and_counter(seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns Philox's key and first counter for a seed, uint64 `[1]` and `[2]`.

    They are those of `tf.random.stateless_uniform`. The operation that computes them has others with XLA.
    """
    if tf.executing_eagerly():
        return tf.raw_ops.StatelessRandomGetKeyCounter(seed=seed)
    constant = tf.constant([0x02461E293EC8F720], tf.uint64)  # of TensorFlow's core/kernels/stateless_random_ops.cc
    mixed = tf.raw_ops.StatelessRandomUniformFullIntV2(
        shape=[4], key=constant, counter=tf.cast(seed, tf.uint64), dtype=tf.uint32, alg=_PHILOX
    )
    low, high = tf.unstack(tf.reshape(tf.cast(mixed, tf.uint64), [2, 2]), axis=1)
    key, start = tf.unstack(low + high * 2**32)
    return key[None], tf.stack([tf.zeros_like(start), start])


def of_whole_batch(make: Callable[[Shape], tf.Tensor], shape: Shape, rows: int = 0) -> tf.Tensor:
    """Returns this part's rows of what is made for the whole batch. The cost grows with the whole batch.

    Args:
        make: shape of the whole batch -> a tensor of that shape.
        shape: the result's shape, in which the batch axis counts the rows of this part.
        rows: the batch axis.
    """
    index, count = _part.get()
    if count == 1:
        return make(shape)
    sizes = tf.unstack(tf.convert_to_tensor(shape))
    mine = sizes[rows]
    whole = make(tf.stack([*sizes[:rows], mine * count, *sizes[rows + 1 :]]))
    return tf.gather(whole, index * mine + tf.range(mine), axis=rows)


def gumbel(shape: Shape, seed: tf.Tensor, rows: int = 0) -> tf.Tensor:
    """Returns standard Gumbel noise, float32: arg-max(logits + noise) samples softmax(logits). Eager or graph."""
    smallest = 1e-20  # keeps both logarithms finite; uniform numbers of float32 are multiples of 2^-23
    return -tf.math.log(smallest - tf.math.log(uniform(shape, seed, rows) + smallest))


def _product(sizes: Shape) -> int | tf.Tensor:
    """Returns the product of sizes: an int if they are known, because a loop's body knows constants alone."""
    sizes = tf.cast(sizes, tf.int64)
    known = tf.get_static_value(sizes)
    return tf.reduce_prod(sizes) if known is None else math.prod(known.tolist())
