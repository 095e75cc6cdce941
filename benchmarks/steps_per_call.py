"""A step of several in one call against one of a call each: python -m benchmarks.steps_per_call [--page=PAGE].

Both are the loop of trainers.run in closed loop, with `loop.steps_per_loop` at its default and at 1, and take turns;
medians are printed. Run it on an otherwise idle machine.
"""

import sys

from absl import flags

from benchmarks import contest, machine
from benchmarks.contest import Entry
from benchmarks.pages import Page
from charrnn import command

FLAGS = flags.FlagValues()
command.path_flag("page", None, "A Markdown page that takes the table between its marks.", FLAGS)
flags.DEFINE_integer("turns", 5, "Turns of each contestant.", lower_bound=1, flag_values=FLAGS)
flags.DEFINE_float("seconds", 4, "Seconds a turn, about.", lower_bound=0, flag_values=FLAGS)

EXPERIMENTS = ("quickstart", "nietzsche_lstm", "ag_news_lstm", "shakespeare_gru")


def main(settings: list[str]) -> int:
    """Measures and prints; `settings` are of the form group.field=value. Returns the exit status."""
    page = Page(FLAGS.page, "benchmarks.steps_per_call")
    command.start_tensorflow()
    text = f"{machine.describe()}.\n\n{table({name: _measure(name, settings) for name in EXPERIMENTS})}"
    page.put(text)
    print(text)
    return command.DONE


def table(rows: dict[str, contest.Medians]) -> str:
    """Markdown: seconds a step, and a call each as a multiple of several in a call."""
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
