"""The state that streams carry from batch to batch.

Each replica holds the state of its own rows, so that a step sends nothing of it. A checkpoint has the state of all
rows, so that a run resumes on any number of replicas.
"""

from typing import Any

import tensorflow as tf

from trainers.step import whole_batch
from trainers.step.replicas import Replicas, outside_of_scope


class Carried:
    """The carried state.

    Args:
        start: a nest of tensors `[B, N]`, the state of one replica's rows at the start; empty without streams.
        replicas: the replicas.
    """

    def __init__(self, start: Any, replicas: Replicas):
        self._replicas, self._start = replicas, start
        self.rows = tf.nest.map_structure(self._variable, start)  # in a replica, those of its rows
        self._gather = tf.function(lambda: replicas.run(self._gathered, ()), autograph=False)
        self._scatter = tf.function(lambda here: replicas.run(self._assign, here), autograph=False)

    def read(self) -> Any:
        """Returns the state of a replica's rows. Graph, in the replica."""
        return tf.nest.map_structure(lambda variable, s: tf.cast(variable, s.dtype), self.rows, self._start)

    def assign(self, state: Any) -> None:
        """Takes the state of a replica's rows. Graph, in the replica."""
        tf.nest.map_structure(lambda variable, s: variable.assign(tf.cast(s, variable.dtype)), self.rows, state)

    def gathered(self) -> Any:
        """Returns new variables with the state of all rows. Eager; all processes call it."""
        return tf.nest.map_structure(_of_all_rows, self._gather())

    def at_start(self) -> Any:
        """Returns new variables with the state of all rows at the start. Eager."""
        return tf.nest.map_structure(lambda s: _of_all_rows(tf.concat([s] * self._replicas.count, 0)), self._start)

    def scatter(self, whole: Any) -> None:
        """Takes this process's rows from the state of all rows. Eager."""
        flat = [tf.convert_to_tensor(each) for each in tf.nest.flatten(whole)]
        rows = [self._replicas.rows_here(len(each)) for each in flat]
        self._scatter([each[mine.start : mine.stop] for each, mine in zip(flat, rows, strict=True)])

    def _gathered(self, _: Any) -> Any:
        return whole_batch.gathered(self.read())

    def _assign(self, rows: list[tf.Tensor]) -> tuple[()]:
        self.assign(tf.nest.pack_sequence_as(self.rows, rows))
        return ()

    def _variable(self, value: tf.Tensor) -> tf.Variable:
        if self._replicas.num_processes > 1 and value.dtype == tf.bfloat16:
            value = tf.cast(value, tf.float32)  # the chief sends its start to all, and can send no bfloat16
        own = tf.VariableSynchronization.ON_READ  # each replica has its own value
        return tf.Variable(value, trainable=False, name="carried", synchronization=own)


def _of_all_rows(value: tf.Tensor) -> tf.Variable:
    return outside_of_scope(lambda: tf.Variable(value, trainable=False, name="carried"))
