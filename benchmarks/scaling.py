"""Measures time and memory against each size: python -m benchmarks.scaling [--json=FILE] [--plot=FILE] [--page=PAGE].

Starts from a GRU of 512 units (batch 64, 100 characters, the built-in corpus of 1 MB) and changes one size at a time:
characters per sequence, sequences, units, layers, corpus. Each point is a separate process that runs the loop of
trainers.run. The exponent of a size is the slope of a straight line through the logarithms: 0, the cost per character
does not depend on the size; 1, it is proportional to it. Memory is the peak of the process. Takes about ten minutes on
an otherwise idle machine; --plot needs matplotlib.
"""

import os
import sys
import tempfile

import numpy as np
from absl import flags

from benchmarks import contest, machine
from benchmarks.contest import Entry
from benchmarks.pages import Figures, Page, import_pyplot, require_nothing
from charrnn import command

FLAGS = flags.FlagValues()
command.path_flag("json", None, "JSON file for the figures.", FLAGS)
command.path_flag("plot", None, "File for the picture.", FLAGS)
command.path_flag("page", None, "Markdown page in which to replace the table between the marks.", FLAGS)
flags.DEFINE_integer("turns", 5, "Turns per point.", lower_bound=1, flag_values=FLAGS)
flags.DEFINE_float("seconds", 2, "Approximate seconds per turn.", lower_bound=0, flag_values=FLAGS)

_BASE = {"data.seq_length": 100, "data.batch_size": 64, "model.units": 512, "model.num_layers": 1}
AXES = {
    "characters a row": ("data.seq_length", (25, 50, 100, 200, 400, 800)),
    "rows": ("data.batch_size", (1, 4, 16, 64, 256)),
    "units": ("model.units", (128, 256, 512, 1024, 2048)),
    "layers": ("model.num_layers", (1, 2, 3, 4)),
    "megabytes of text": ("corpus", (1, 10, 100, 1000)),
}


def main(beside: list[str]) -> int:
    """Runs the command. Returns the exit status."""
    require_nothing(beside)
    page, figures = Page(FLAGS.page, "benchmarks.scaling"), Figures(FLAGS.json)
    plot = import_pyplot(FLAGS.plot) if FLAGS.plot else None
    command.start_tensorflow()
    with tempfile.TemporaryDirectory() as folder:
        points = {
            axis: [{"size": size, **_measure(setting, size, folder)} for size in sizes]
            for axis, (setting, sizes) in AXES.items()
        }
    text = f"{machine.describe()}.\n\n{_table(points)}"
    print(text)
    figures.put({"machine": machine.describe(), "base": _BASE, "points": points})
    page.put(text)
    if plot:
        _plot(plot, points, FLAGS.plot)
    return command.DONE


def _measure(setting: str, size: int, folder: str) -> dict[str, float]:
    """Returns microseconds per character, and the peak memory in MB."""
    changed = dict(_BASE)
    corpus = _text(folder, size if setting == "corpus" else 1)
    if setting != "corpus":
        changed[setting] = size
    settings = [f"{name}={value}" for name, value in changed.items()]
    options = {"experiment": "shakespeare_gru", "settings": settings, "corpus": corpus}
    measured = contest.run({"ours": Entry("benchmarks.ours:train", options)}, FLAGS.turns, FLAGS.seconds)["ours"]
    chars = changed["data.batch_size"] * changed["data.seq_length"]
    point = {"microseconds": 1e6 * measured["seconds"] / chars, "peak_mb": measured["peak_mb"]}
    print(f"{setting} {size}: {point['microseconds']:.2f} µs a character, {point['peak_mb']:.0f} MB", flush=True)
    return point


def _text(folder: str, megabytes: int) -> str:
    """Returns a file of this many megabytes: one megabyte of plays, repeated."""
    path = os.path.join(folder, f"{megabytes}.txt")
    if not os.path.exists(path):
        from charrnn.text import corpora

        block = corpora.load("plays:1000000", as_bytes=True).content
        with open(path, "wb") as file:
            for _ in range(megabytes):
                file.write(block)
    return path


def exponent(points: list[dict], key: str) -> float:
    """Returns the exponent of the size with which a measurement grows."""
    sizes, values = (np.log([point[name] for point in points]) for name in ("size", key))
    return float(np.polyfit(sizes, values, 1)[0])


def _table(points: dict[str, list[dict]]) -> str:
    head = "| what grows | from, to | µs a character | exponent | peak memory, MB |"
    lines = [head, "|---" * 5 + "|"]
    for axis, column in points.items():
        times = " ".join(f"{point['microseconds']:.1f}" for point in column)
        memory = " ".join(f"{point['peak_mb']:.0f}" for point in column)
        ends = f"{column[0]['size']:,} … {column[-1]['size']:,}"
        lines.append(f"| {axis} | {ends} | {times} | {exponent(column, 'microseconds'):.2f} | {memory} |")
    return "\n".join(lines)


def _plot(pyplot, points: dict[str, list[dict]], path: str) -> None:
    figure, rows = pyplot.subplots(2, len(points), figsize=(3 * len(points), 5), sharey="row", layout="constrained")
    for (key, label), row in zip((("microseconds", "µs a character"), ("peak_mb", "peak, MB")), rows, strict=True):
        row[0].set_ylabel(label)
        for axis, column, axes in zip(points, points.values(), row, strict=False):
            axes.loglog([point["size"] for point in column], [point[key] for point in column], "o-")
            axes.set_xlabel(f"{axis}, exponent {exponent(column, key):.2f}")
            axes.grid(True, which="both", alpha=0.3)
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    sys.exit(command.run(main, FLAGS))
