"""The replicas of a run, and which of a batch's rows each of them works on.

    rows of the batch:   | process 0              | process 1              |
                         | replica 0 | replica 1  | replica 2 | replica 3  |

A process makes its own rows, and a replica takes its own from them.
"""

import concurrent.futures
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from trainers.step import whole_batch


class Replicas:
    """The replicas of a strategy.

    Args:
        strategy: the strategy.
    """

    def __init__(self, strategy: tf.distribute.Strategy):
        self._strategy = strategy
        self.count = strategy.num_replicas_in_sync  # of all processes
        here = _indices_here(strategy) if self.count > 1 else [0]
        self._first, self._num_here = here[0], len(here)
        self.num_processes = self.count // self._num_here

    def rows_here(self, num_rows: int) -> range:
        """Returns the indices of this process's rows in a batch of `num_rows`."""
        share = num_rows // self.num_processes
        process = self._first // self._num_here
        return range(process * share, (process + 1) * share)

    def run(self, function: Callable, rows: Any) -> Any:
        """Runs a function on all replicas of this process. Graph, outside of the replicas.

        Args:
            function: a replica's rows -> a nest of tensors, the same on all replicas.
            rows: a nest of tensors, this process's rows.

        Returns:
            The result of the first replica.
        """
        if self.count == 1:
            return function(rows)
        results = self._strategy.run(lambda rows: function(self._own(rows)), (rows,))
        return tf.nest.map_structure(lambda each: self._strategy.experimental_local_results(each)[0], results)

    def index(self) -> int | tf.Tensor:
        """Returns the index of the replica that calls it. Graph."""
        return 0 if self.count == 1 else _index()

    def summed(self, values: Any) -> Any:
        """Returns the sum of a nest's tensors over all replicas. Graph, in a replica."""
        return values if self.count == 1 else tf.distribute.get_replica_context().all_reduce("sum", values)

    def _own(self, rows: Any) -> Any:
        return whole_batch.cut(rows, _index() - self._first, self._num_here)


def outside_of_scope(call: Callable[[], Any]) -> Any:
    """Returns the result of a call outside of a strategy's scope. Eager.

    Only there a Keras optimizer updates all copies of a weight and sums nothing. A scope belongs to a thread, so within
    one another thread makes the call.
    """
    if not tf.distribute.in_cross_replica_context():
        return call()
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        return thread.submit(call).result()


def _indices_here(strategy: tf.distribute.Strategy) -> list[int]:
    """Returns the indices of this process's replicas."""
    found = tf.function(lambda: strategy.run(lambda: tf.identity(_index())), autograph=False)()
    return [int(index) for index in strategy.experimental_local_results(found)]


def _index() -> int | tf.Tensor:
    return tf.distribute.get_replica_context().replica_id_in_sync_group
