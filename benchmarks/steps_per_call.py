"""Compares several steps per call with one step per call: python -m benchmarks.steps_per_call [--page=PAGE].

Both run the loop of trainers.run with teacher forcing, with the default of `loop.steps_per_loop` and with 1. They take
turns; medians are printed. Run it on an otherwise idle machine.
"""

import sys

from absl import flags

from benchmarks import contest, machine
from benchmarks.contest import Entry
from benchmarks.pages import Page
from charrnn import command

FLAGS = flags.FlagValues()
command.path_flag("page", None, "Markdown page in which to replace the table between the marks.", FLAGS)
flags.DEFINE_integer("turns", 5, "Turns per contestant.", lower_bound=1, flag_values=FLAGS)
flags.DEFINE_float("seconds", 4, "Approximate seconds per turn.", lower_bound=0, flag_values=FLAGS)

EXPERIMENTS = ("quickstart", "nietzsche_lstm", "ag_news_lstm", "shakespeare_gru")


def main(settings: list[str]) -> int:
    """Runs the command; `settings` have the form group.field=value. Returns the exit status."""
    page = Page(FLAGS.page, "benchmarks.steps_per_call")
    command.start_tensorflow()
    text = f"{machine.describe()}.\n\n{table({name: _measure(name, settings) for name in EXPERIMENTS})}"
    page.put(text)
    print(text)
    return command.DONE


def table(rows: dict[str, contest.Medians]) -> str:
    """Returns Markdown: seconds per step for several steps per call, and for one."""
    lines = ["| experiment | several a call, s | one a call, s | |", "|---" * 4 + "|"]
    for name, measured in rows.items():
        several, one = (measured[key]["seconds"] for key in ("several", "one"))
        lines.append(f"| `{name}` | {several:.4f} | {one:.4f} | {one / several:.2f} × |")
    return "\n".join(lines)


def _measure(experiment: str, settings: list[str]) -> contest.Medians:
    changed = {"several": settings, "one": [*settings, "loop.steps_per_loop=1"]}
    options = {name: {"experiment": experiment, "settings": own} for name, own in changed.items()}
    entries = {name: Entry("benchmarks.ours:train", each) for name, each in options.items()}
    return contest.run(entries, FLAGS.turns, FLAGS.seconds)


if __name__ == "__main__":
    sys.exit(command.run(main, FLAGS))
