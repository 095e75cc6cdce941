"""Compares generation with the tutorial's loop and PyTorch: python -m benchmarks.generate [--json=FILE] [--page=PAGE].

The tutorial's model (embedding 256, GRU 1024) writes 1,000 characters, one text at a time and 64 at once, without
tracing. The contestants take turns; medians are printed. Run it on an otherwise idle machine.
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
flags.DEFINE_integer("num_chars", 1000, "Characters per text.", lower_bound=1, flag_values=FLAGS)

BATCH_SIZES = (1, 64)
_TURN_SECONDS = 4.0  # approximately


def main(beside: list[str]) -> int:
    """Runs the command. Returns the exit status."""
    require_nothing(beside)
    page, figures = Page(FLAGS.page, "benchmarks.generate"), Figures(FLAGS.json)
    records = []
    for batch_size in BATCH_SIZES:
        options = {"batch_size": batch_size, "num_chars": FLAGS.num_chars}
        entries = {
            "ours": Entry("benchmarks.ours:generate", options),
            "ours, XLA": Entry("benchmarks.ours:generate", {**options, "xla": True}),
            "tutorial": Entry("benchmarks.keras_peer:generate", options),
            "torch": Entry("benchmarks.torch_peer:generate", options, needs="torch"),
        }
        records.append({**options, "measured": contest.run(entries, FLAGS.turns, _TURN_SECONDS)})
    text = f"{machine.describe()}.\n\n{_table(records)}"
    print(text)
    figures.put({"machine": machine.describe(), "turns": FLAGS.turns, "rows": records})
    page.put(text)
    return command.DONE


def _table(records: list[dict]) -> str:
    head = "| texts at once | | characters a second | tutorial's loop takes | PyTorch takes |"
    lines = [head, "|---" * 5 + "|"]
    for record in records:
        seconds = {name: measured["seconds"] for name, measured in record["measured"].items()}
        for name in ("ours", "ours, XLA"):
            speed = record["batch_size"] * record["num_chars"] / seconds[name]
            times = {other: f"{value / seconds[name]:.2f} ×" for other, value in seconds.items()}
            others = " | ".join(times.get(other, "not installed") for other in ("tutorial", "torch"))
            lines.append(f"| {record['batch_size']} | {name} | {speed:,.0f} | {others} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(command.run(main, FLAGS))
