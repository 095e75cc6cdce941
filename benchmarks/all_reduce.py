"""Measures the sum of gradients of two processes on this machine: python -m benchmarks.all_reduce [--page=PAGE].

Prints medians over --turns. Run it on an otherwise idle machine.
"""

import json
import os
import statistics
import subprocess
import sys
import time

from absl import flags

from benchmarks import machine
from benchmarks.pages import Page
from charrnn import command
from trainers.distribution.cluster import leave, local_configs

FLAGS = flags.FlagValues()
flags.DEFINE_integer("turns", 30, "Number of sums per size.", lower_bound=1, flag_values=FLAGS)
command.path_flag("page", None, "Markdown page in which to replace the table between the marks.", FLAGS)

SIZES_BYTES = (8, 1_000_000, 4_000_000, 16_000_000, 64_000_000)  # bytes


def main(beside: list[str]) -> int:
    """Measures and prints; in a process that it started, runs one worker. Returns the exit status."""
    if "TF_CONFIG" in os.environ:
        command.start_tensorflow()
        print(json.dumps(_worker(FLAGS.turns)))
        return command.DONE
    page = Page(FLAGS.page, "benchmarks.all_reduce")
    start = [sys.executable, "-m", "benchmarks.all_reduce", f"--turns={FLAGS.turns}"]
    workers = [
        subprocess.Popen(start, env={**os.environ, "TF_CONFIG": config}, stdout=subprocess.PIPE, text=True)
        for config in local_configs(2)
    ]
    seconds, _ = (json.loads(worker.communicate()[0].splitlines()[-1]) for worker in workers)
    lines = ["| bytes | ms | MB/s |", "|---" * 3 + "|"]
    lines += [f"| {n:,} | {1e3 * s:.2f} | {n / s / 1e6:,.0f} |" for n, s in zip(SIZES_BYTES, seconds, strict=True)]
    text = "\n".join([f"{machine.describe()}.", "", *lines])
    print(text)
    page.put(text)
    return command.DONE


def _worker(turns: int) -> list[float]:
    """Returns seconds per sum, for each size."""
    import tensorflow as tf

    from trainers.configs import RuntimeConfig
    from trainers.distribution.strategies import make_strategy

    strategy = make_strategy(RuntimeConfig(strategy="multi_worker"))

    def total(value):
        return tf.distribute.get_replica_context().all_reduce("sum", tf.identity(value))

    run = tf.function(lambda value: strategy.run(total, (value,)), autograph=False)
    medians = []
    for size in SIZES_BYTES:
        value, seconds = tf.ones([size // 4]), []
        run(value)
        for _ in range(turns):
            start = time.perf_counter()
            float(run(value)[0])
            seconds.append(time.perf_counter() - start)
        medians.append(statistics.median(seconds))
    return medians


if __name__ == "__main__":
    leave(command.run(main, FLAGS))
