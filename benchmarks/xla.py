"""Measures after how many characters XLA pays in generation: python -m benchmarks.xla [--page=PAGE].

GRUs of several sizes write 1,000 characters, with XLA and without, in turn. Run it on an otherwise idle machine.
"""

import itertools
import sys

from absl import flags

from benchmarks import contest, machine
from benchmarks.contest import Entry
from benchmarks.pages import Page, require_nothing
from charrnn import command

FLAGS = flags.FlagValues()
command.path_flag("page", None, "Markdown page in which to replace the table between the marks.", FLAGS)
flags.DEFINE_integer("turns", 5, "Turns per contestant.", lower_bound=1, flag_values=FLAGS)
flags.DEFINE_float("seconds", 1, "Approximate seconds per turn.", lower_bound=0, flag_values=FLAGS)

UNITS = (256, 1024)
TEXTS = (1, 2, 5, 8)  # at once
_NUM_CHARS = 1000


def main(beside: list[str]) -> int:
    """Runs the command. Returns the exit status."""
    require_nothing(beside)
    page = Page(FLAGS.page, "benchmarks.xla")
    text = f"{machine.describe()}.\n\n{table({each: _measure(*each) for each in itertools.product(UNITS, TEXTS)})}"
    page.put(text)
    print(text)
    return command.DONE


def table(rows: dict[tuple[int, int], contest.Medians]) -> str:
    """Returns Markdown: for units and texts at once, the compilation, the time of a character, and where XLA pays."""
    head = "| units | texts at once | compiling, s | µs a character | with XLA | pays after characters |"
    lines = [head, "|---" * 6 + "|"]
    for (units, texts), measured in rows.items():
        plain, compiled = measured["plain"], measured["XLA"]
        compiling = compiled["first_seconds"] - plain["first_seconds"]
        each, with_xla = plain["seconds"] / _NUM_CHARS, compiled["seconds"] / _NUM_CHARS
        pays = f"{compiling / (each - with_xla):,.0f}" if with_xla < each else "never"
        lines.append(f"| {units:,} | {texts} | {compiling:.2f} | {1e6 * each:.0f} | {1e6 * with_xla:.0f} | {pays} |")
    return "\n".join(lines)


def _measure(units: int, texts: int) -> contest.Medians:
    options = {"batch_size": texts, "num_chars": _NUM_CHARS, "units": units}
    entries = {name: Entry("benchmarks.ours:generate", {**options, "xla": name == "XLA"}) for name in ("plain", "XLA")}
    return contest.run(entries, FLAGS.turns, FLAGS.seconds)


if __name__ == "__main__":
    sys.exit(command.run(main, FLAGS))
