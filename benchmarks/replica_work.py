"""Measures what one worker of many spends on its batch and its noise; benchmarks.replicas starts it in a process.

    python benchmarks/replica_work.py NUM_WORKERS TURNS

It runs from any checkout whose folder is on PYTHONPATH. Prints a JSON object: seconds per batch and per noise, medians,
and the growth of the peak memory, bytes.
"""

import inspect
import json
import resource
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from charrnn import randomness
from charrnn.batches.sources import DataConfig, Windows

ROWS, LENGTH, VOCABULARY = 64, 100, 66  # of one worker
CHARS = 8_000_000  # of the text, at least a batch of all workers


def measure(num_workers: int, turns: int) -> dict[str, float]:
    """Returns the medians and the growth of the peak memory.

    Args:
        num_workers: the number of workers; the last of them is measured.
        turns: the number of batches, and of draws.
    """
    text = np.random.default_rng(0).integers(1, VOCABULARY, CHARS, np.uint8)
    source = Windows(text, DataConfig(seq_length=LENGTH, batch_size=ROWS * num_workers), seed=0)
    rows = range(ROWS * (num_workers - 1), ROWS * num_workers)
    takes_rows = "rows" in inspect.signature(source.batch_at).parameters

    def batch(step: int) -> None:
        if takes_rows:
            source.batch_at(step, rows)
        else:
            source.batch_at(step)

    @tf.function(autograph=False)
    def drawn(step: tf.Tensor) -> tf.Tensor:
        seed = randomness.seed_for(0, randomness.Purpose.CHOICES, step)
        with randomness.part_of_batch(num_workers - 1, num_workers):
            return tf.reduce_max(randomness.gumbel([LENGTH, ROWS, VOCABULARY], seed, rows=1))

    def noise(step: int) -> None:
        drawn(tf.constant(step, tf.int64)).numpy()

    tf.random.stateless_uniform([ROWS * LENGTH * VOCABULARY], [0, 0]).numpy()  # starts TensorFlow
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = {"batch": _median(batch, turns), "noise": _median(noise, turns)}
    return {**seconds, "bytes": 1024.0 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)}


def _median(work: Callable[[int], None], turns: int) -> float:
    seconds = []
    for step in range(turns + 1):
        start = time.perf_counter()
        work(step)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:])


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]), int(sys.argv[2]))))
