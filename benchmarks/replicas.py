"""Measures what a worker of many spends on its batch and noise: python -m benchmarks.replicas [--page=PAGE].

A batch has 64 rows of 100 characters for each worker; noise is one number for each character and each of 66 ids. The
last worker is measured, in processes of its own, and medians are printed: a process may be half as fast as the next one
throughout. With --earlier=FOLDER another checkout is measured too. Run it on an otherwise idle machine.
"""

import json
import os
import statistics
import subprocess
import sys

from absl import flags

from benchmarks import contest, machine
from benchmarks.pages import Figures, Page, require_nothing
from charrnn import command

FLAGS = flags.FlagValues()
flags.DEFINE_integer("turns", 30, "Batches, and draws, for each number of workers.", lower_bound=1, flag_values=FLAGS)
flags.DEFINE_integer("processes", 5, "Processes for each number of workers.", lower_bound=1, flag_values=FLAGS)
flags.DEFINE_integer("most", 1024, "Largest number of workers.", lower_bound=2, flag_values=FLAGS)
command.path_flag("earlier", None, "Folder of another checkout, to be measured beside this one.", FLAGS)
command.path_flag("page", None, "Markdown page in which to replace the table between the marks.", FLAGS)
command.path_flag("json", None, "File for the figures.", FLAGS)

_WORK = os.path.join(os.path.dirname(__file__), "replica_work.py")
_HEAD = "| workers | batch, ms | noise, ms | both, ms | memory, MB |"


def main(beside: list[str]) -> int:
    """Runs the command. Returns the exit status."""
    require_nothing(beside)
    page, figures = Page(FLAGS.page, "benchmarks.replicas"), Figures(FLAGS.json)
    contest.require_checkout(FLAGS.earlier)
    checkouts = {"now": os.getcwd()}
    if FLAGS.earlier is not None:
        checkouts["earlier"] = FLAGS.earlier
    counts = [*(count for count in (1, 2, 16, 128) if count < FLAGS.most), FLAGS.most]
    measured: dict[str, dict[int, dict[str, float]]] = {name: {} for name in checkouts}
    for count in counts:
        found: dict[str, list] = {name: [] for name in checkouts}
        for _ in range(FLAGS.processes):
            for name, folder in checkouts.items():
                found[name].append(_measure(folder, count, FLAGS.turns))
        for name, each in found.items():
            measured[name][count] = {key: statistics.median(one[key] for one in each) for key in each[0]}
    text = "\n\n".join([f"{machine.describe()}.", *(table(name, rows) for name, rows in measured.items())])
    print(text)
    figures.put({"machine": machine.describe(), "measured": measured})
    page.put(text)
    return command.DONE


def table(name: str, measured: dict[int, dict[str, float]]) -> str:
    """Returns a table, and a sentence on the growth from 2 workers on.

    Args:
        name: names the checkout.
        measured: what `replica_work.measure` returns, by the number of workers.
    """
    lines = [_HEAD.replace("workers", f"workers ({name})"), "|---" * 5 + "|"]
    for count, row in measured.items():
        batch, noise = 1e3 * row["batch"], 1e3 * row["noise"]
        memory = row["bytes"] / 1e6
        lines.append(f"| {count:,} | {batch:,.2f} | {noise:,.2f} | {batch + noise:,.2f} | {memory:,.1f} |")
    few, most = measured[2], measured[max(measured)]
    time = (most["batch"] + most["noise"]) / (few["batch"] + few["noise"])
    memory = most["bytes"] / max(few["bytes"], 1.0)
    lines += ["", f"From 2 to {max(measured):,} workers: {time:.2f} × the time, {memory:.2f} × the memory."]
    return "\n".join(lines)


def _measure(folder: str, num_workers: int, turns: int) -> dict[str, float]:
    """Returns what a checkout's worker measures, in a new process."""
    start = [sys.executable, _WORK, str(num_workers), str(turns)]
    environment = {**os.environ, "PYTHONPATH": os.path.abspath(folder), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(start, env=environment, capture_output=True, check=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    sys.exit(command.run(main, FLAGS))
