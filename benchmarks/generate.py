"""Compares generation with the tutorial's loop and PyTorch: python -m benchmarks.generate [--json=FILE] [--page=PAGE].

The tutorial's model (embedding 256, GRU 1024) writes one long text, whose time includes our tracing and compiling, and
64 texts at once, without tracing. The contestants take turns; medians are printed. Run it on an otherwise idle machine.
"""

import sys

from absl import flags

from benchmarks import contest, machine
from benchmarks.contest import Entry
from benchmarks.pages import Figures, Page, require_nothing
from charrnn import command

FLAGS = flags.FlagValues()
command.path_flag("json", None, "JSON file for the figures.", FLAGS)
command.path_flag("page", None, "Markdown page in which to replace the table between the marks.", FLAGS)
flags.DEFINE_integer("turns", 5, "Turns per contestant.", lower_bound=1, flag_values=FLAGS)
flags.DEFINE_integer("num_chars", 10000, "Characters of the long text.", lower_bound=1, flag_values=FLAGS)

OURS = {"ours": None, "ours, `--xla`": True, "ours, `--noxla`": False}
_SHORT_CHARS = 1000  # per text of the others, and of ours if there are 64 at once
_TURN_SECONDS = 4.0  # approximately


def main(beside: list[str]) -> int:
    """Runs the command. Returns the exit status."""
    require_nothing(beside)
    page, figures = Page(FLAGS.page, "benchmarks.generate"), Figures(FLAGS.json)
    records = []
    for batch_size, num_chars in ((1, FLAGS.num_chars), (64, _SHORT_CHARS)):
        ours = {"batch_size": batch_size, "num_chars": num_chars, "compile_each": batch_size == 1}
        others = {"batch_size": batch_size, "num_chars": _SHORT_CHARS}
        entries = {
            **{name: Entry("benchmarks.ours:generate", {**ours, "xla": xla}) for name, xla in OURS.items()},
            "tutorial": Entry("benchmarks.keras_peer:generate", others),
            "torch": Entry("benchmarks.torch_peer:generate", others, needs="torch"),
        }
        measured = contest.run(entries, FLAGS.turns, _TURN_SECONDS)
        speeds = {
            name: batch_size * entries[name].options["num_chars"] / each["seconds"] for name, each in measured.items()
        }
        records.append({**ours, "chars_per_second": speeds})
    text = f"{machine.describe()}.\n\n{table(records)}"
    print(text)
    figures.put({"machine": machine.describe(), "turns": FLAGS.turns, "rows": records})
    page.put(text)
    return command.DONE


def table(records: list[dict]) -> str:
    """Returns Markdown: a row for each of ours, with its speed as a multiple of the others' speeds."""
    head = "| texts at once | characters of each | | characters a second | of the tutorial's | of PyTorch's |"
    lines = [head, "|---" * 6 + "|"]
    for record in records:
        speeds = record["chars_per_second"]
        for name in OURS:
            times = {other: f"{speeds[name] / speed:.2f} ×" for other, speed in speeds.items()}
            others = " | ".join(times.get(other, "not installed") for other in ("tutorial", "torch"))
            row = f"{record['batch_size']} | {record['num_chars']:,} | {name} | {speeds[name]:,.0f}"
            lines.append(f"| {row} | {others} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(command.run(main, FLAGS))
