"""The state that streams carry from batch to batch.

Each replica holds the state of its own rows, so that a step sends nothing of it. A checkpoint has the state of all
rows, so that a run resumes on any number of replicas.
"""

from typing import Any

import tensorflow as tf

from trainers.step import whole_batch
from trainers.step.replicas import Replicas


class Carried:
    """The carried state.

    Args:
        start: a nest of tensors `[B, N]`, the state of one replica's rows at the start; empty without streams.
        replicas: the replicas.
    """

    def __init__(self, start: Any, replicas: Replicas):
        self._replicas, self._start = replicas, start
        self.rows = tf.nest.map_structure(_variable, start)  # in a replica, those of its rows
        self._gather = tf.function(lambda: replicas.run(self._gathered, ()), autograph=False)
        self._scatter = tf.function(lambda here: replicas.run(self._assign, here), autograph=False)

    def gathered(self) -> Any:
        """Returns new variables with the state of all rows. Eager; all processes call it."""
        return tf.nest.map_structure(_variable, self._gather())

    def at_start(self) -> Any:
        """Returns new variables with the state of all rows at the start. Eager."""
        return tf.nest.map_structure(lambda s: _variable(tf.concat([s] * self._replicas.count, 0)), self._start)

    def scatter(self, whole: Any) -> None:
        """Takes this process's rows from the state of all rows. Eager."""
        flat = [tf.convert_to_tensor(each) for each in tf.nest.flatten(whole)]
        rows = [self._replicas.rows_here(len(each)) for each in flat]
        self._scatter([each[mine.start : mine.stop] for each, mine in zip(flat, rows, strict=True)])

    def _gathered(self, _: Any) -> Any:
        return whole_batch.gathered(self.rows)

    def _assign(self, rows: list[tf.Tensor]) -> tuple[()]:
        for variable, value in zip(tf.nest.flatten(self.rows), rows, strict=True):
            variable.assign(value)
        return ()


def _variable(value: tf.Tensor) -> tf.Variable:
    own = tf.VariableSynchronization.ON_READ  # each replica has its own value
    return tf.Variable(value, trainable=False, name="carried", synchronization=own)
