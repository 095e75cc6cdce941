"""Measures the time to the first step, by part, against Keras: python -m benchmarks.startup.

Starts new processes in turn, ours and a plain Keras program, for the model and text of the tutorial. Parts: imports;
data and model; the first step, which traces the graph; the second step. Prints medians. Run it on an otherwise idle
machine.
"""

import dataclasses
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time

from absl import flags

from benchmarks import keras_peer, machine
from benchmarks.pages import Figures, Page
from charrnn import command

FLAGS = flags.FlagValues()
command.path_flag("json", None, "JSON file for the figures.", FLAGS)
command.path_flag("page", None, "Markdown page in which to replace the table between the marks.", FLAGS)
flags.DEFINE_integer("turns", 5, "Turns per contestant.", lower_bound=1, flag_values=FLAGS)

PARTS = ("imports", "data and model", "first step", "second step")


def main(beside: list[str]) -> int:
    """Runs the command. Returns the exit status."""
    if beside:  # a contestant's process: its name, the text file, the time of its start
        who, path, start = beside
        print(json.dumps({"ours": _ours, "keras": keras_peer.start}[who](path, float(start))))
        return command.DONE
    page, figures = Page(FLAGS.page, "benchmarks.startup"), Figures(FLAGS.json)
    command.start_tensorflow()
    from charrnn.text import corpora

    measured = {"ours": [], "keras": []}
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".txt") as text:
        text.write(corpora.load("shakespeare").content)
        text.flush()
        for turn in range(FLAGS.turns + 1):
            for name, rows in measured.items():
                row = _start(name, text.name)
                if turn:  # the first turn fills the disk cache
                    rows.append(row)
    medians = {name: [statistics.median(part) for part in zip(*rows, strict=True)] for name, rows in measured.items()}
    text = f"{machine.describe()}.\n\n{_table(medians)}"
    print(text)
    figures.put({"machine": machine.describe(), "parts": PARTS, "medians": medians})
    page.put(text)
    return command.DONE


def _start(name: str, path: str) -> list[float]:
    """Returns the seconds of each part, in a new process."""
    arguments = ["-m", "benchmarks.startup", name, path, str(time.time())]
    done = subprocess.run([sys.executable, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def _table(medians: dict[str, list[float]]) -> str:
    lines = [f"| seconds | {' | '.join(PARTS)} | to the end of the first step |", "|---" * 6 + "|"]
    for name, parts in medians.items():
        lines.append(f"| {name} | {' | '.join(f'{part:.2f}' for part in parts)} | {sum(parts[:3]):.2f} |")
    ours, keras = (sum(medians[name][:3]) for name in ("ours", "keras"))
    return "\n".join([*lines, "", f"Ours takes {ours / keras:.2f} times as long to the end of the first step."])


def _ours(path: str, start: float) -> list[float]:
    """Runs what trainers.run does, from `import tensorflow` on. Returns the seconds of each part."""
    command.start_tensorflow()
    from experiments.shakespeare_gru import EXPERIMENT
    from trainers.launch.build import run_experiment
    from trainers.loop.stopping import Stopped
    from trainers.reports.console import Console

    stamps = [start, time.time()]

    class Clock(Console):
        def line(self, text):
            if text.startswith("Starting in"):
                stamps.append(time.time())

        def progress(self, step, steps):
            stamps.append(time.time())

    def look():
        if len(stamps) > len(PARTS):
            raise Stopped

    with tempfile.TemporaryDirectory() as folder:
        experiment = dataclasses.replace(EXPERIMENT, corpus=path)
        run_experiment(experiment, "startup", folder, console=Clock(), look=look)
    return [after - before for before, after in itertools.pairwise(stamps)][: len(PARTS)]


if __name__ == "__main__":
    sys.exit(command.run(main, FLAGS))
