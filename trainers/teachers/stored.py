"""The distributions of a teacher after each character of the training text, computed once.

    row r reads the r-th part of the text, after the characters before it

A step then costs no reading by the teacher. The teacher has read the whole text before a character, or as much of it as
it remembers, wherever a row of a batch begins.
"""

import numpy as np
import tensorflow as tf

from charrnn.batches.sources import Batch
from charrnn.batches.texts import Ids
from charrnn.errors import require_memory
from trainers.teachers.teacher import Teacher

_ROWS, _LENGTH = 128, 128
_COPIES = 3  # of the distributions, at most at a time
_BEFORE = 512
"""Characters that a row reads before its part, a multiple of _LENGTH. Few models remember more."""


class Stored:
    """The distributions of a teacher after each character of the training text, in float16.

    Args:
        teacher: reads the text here, and never again.
        ids: the training text, int `[N]`.
        vocabulary_size: V.

    Raises:
        UserError: the distributions do not fit into memory.
    """

    def __init__(self, teacher: Teacher, ids: Ids, vocabulary_size: int):
        what = f"trainer.stored=true with {len(ids):,} characters, {vocabulary_size} distinct ones,"
        require_memory(_COPIES * 2 * len(ids) * vocabulary_size, what, "set it to false")
        self.fingerprint = teacher.fingerprint
        self._log_probs = tf.constant(_read(teacher, ids, vocabulary_size))

    def initial_state(self, batch_size: int | tf.Tensor) -> tuple[()]:
        """Returns nothing: the place in the text says all. Eager or graph."""
        return ()

    def __call__(self, ids: tf.Tensor, state: tuple[()], batch: Batch | None = None) -> tuple[tf.Tensor, tuple[()]]:
        """Returns ln p after each of the batch's inputs, float32 `[B, T, V]`, and no state. Eager or graph.

        Args:
            ids: the batch's inputs, int32 `[B, T]`.
            state: no state.
            batch: its `places` are known.

        Raises:
            ValueError: there is no batch.
            tf.errors.InvalidArgumentError: a place is unknown; not with XLA.
        """
        if batch is None:
            raise ValueError("A stored teacher knows the text only: give the batch.")
        # On a GPU, a gather from an unknown place would return zeros.
        unknown = "A stored teacher needs the places of the rows in the text."
        with tf.control_dependencies([tf.debugging.assert_non_negative(batch.places, unknown)]):
            rows = tf.identity(batch.places)
        places = rows[:, None] + tf.range(tf.shape(ids, tf.int64)[1])
        return tf.cast(tf.gather(self._log_probs, places), tf.float32), state


def _read(teacher: Teacher, ids: Ids, vocabulary_size: int) -> np.ndarray:
    """Returns ln p after each id, float16 `[N, V]`."""
    num_rows = max(1, min(_ROWS, len(ids) // (8 * _BEFORE)))
    num_blocks = -(-len(ids) // (num_rows * _LENGTH))
    starts = num_blocks * _LENGTH * np.arange(num_rows)
    found = np.empty([num_rows, num_blocks * _LENGTH, vocabulary_size], np.float16)

    @tf.function(autograph=False)
    def read(block, state):
        log_probs, state = teacher(block, state)
        return tf.cast(log_probs, tf.float16), state

    zero = state = teacher.initial_state(num_rows)
    for first in range(-_BEFORE, num_blocks * _LENGTH, _LENGTH):
        if first == 0:  # nothing is before the first part
            state = tf.nest.map_structure(lambda z, s: tf.concat([z[:1], s[1:]], 0), zero, state)
        places = np.clip(starts[:, None] + np.arange(first, first + _LENGTH), 0, len(ids) - 1)
        log_probs, state = read(tf.constant(ids[places], tf.int32), state)
        if first >= 0:
            found[:, first : first + _LENGTH] = log_probs
    return found.reshape(-1, vocabulary_size)[: len(ids)]
