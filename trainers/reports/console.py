"""What a person watches: a bar that moves on a terminal, plain lines elsewhere."""

import shutil
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator
from typing import TextIO

from charrnn.errors import require
from charrnn.process.streams import guard
from trainers.reports.samples import Sample

VERBOSITIES = ("quiet", "normal", "all")
"""Warnings and the last line; a line for each log and each evaluation too; all that is measured and sampled."""

_QUIET, _NORMAL, _ALL = range(3)
_BAR_COLUMNS = 24
_MIN_SAMPLE_COLUMNS = 12  # columns: less of it says nothing
_UPDATE_SECONDS = 0.1
_LINE_SHOWS = """
    nats_per_char bits_per_char nats_per_char_window_256 chars_per_sec own_input_prob skipped_updates
""".split()


class Console:
    """Prints a run's progress.

    Sample texts are printed on a terminal; elsewhere only if all is to be shown, for they are in samples.jsonl.

    Nothing raises if the stream fails: `output` says whether it did.

    Args:
        stream: where to; default: standard output.
        clock: seconds, for tests.
        verbosity: the place of what is wanted in VERBOSITIES.
    """

    def __init__(
        self,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
        verbosity: int = _NORMAL,
    ):
        self.output = guard(sys.stdout if stream is None else stream)
        self._clock, self._verbosity = clock, verbosity
        self._terminal = self.output.isatty()
        self._start = clock()
        self._drawn = 0  # columns of the bar, where it is shown
        self._first: tuple[int, float] | None = None  # step and time of this process's first update
        self._last_update = -1.0
        self._losses: dict[str, tuple[int, float]] = {}  # split -> the step, and the loss last measured
        self._speed = self._sample = ""

    @classmethod
    def named(cls, verbosity: str) -> "Console":
        """As talkative as one of VERBOSITIES says, or its place among them; UserError if it is neither."""
        right = verbosity in (*VERBOSITIES, *map(str, range(len(VERBOSITIES))))
        require("--verbosity", verbosity, right, "quiet, normal or all; or 0, 1 or 2")
        return cls(verbosity=VERBOSITIES.index(verbosity) if verbosity in VERBOSITIES else int(verbosity))

    def line(self, text: str) -> None:
        """A line that stays."""
        if self._verbosity > _QUIET:
            self.warning(text)

    def warning(self, text: str) -> None:
        """A line that stays, however quiet the rest is."""
        self.close()
        self.output.write(text + "\n")
        self.output.flush()

    def progress(self, step: int, steps: int) -> None:
        """Redraws the bar. Called after every step, or after several."""
        now = self._clock()
        self._first = self._first or (step, now)
        if not self._terminal or self._verbosity == _QUIET or now - self._last_update < _UPDATE_SECONDS:
            return
        self._last_update = now
        columns = shutil.get_terminal_size().columns
        text = self._bar(step, steps, now, columns - 1)  # the last column would break the line
        self.output.write(self._erasure(columns) + text)
        self.output.flush()
        self._drawn = _width(text)

    def scalars(self, step: int, split: str, values: dict[str, float]) -> None:
        """One line: the loss, and the speed where it was measured."""
        self._losses[split] = step, values["nats_per_char"]
        parts = [f"step {step:,}", f"{split:10}", f"{values['nats_per_char']:.4f} nats/char"]
        parts.append(f"{values['bits_per_char']:.4f} bits/char")
        if "nats_per_char_window_256" in values:
            parts.append(f"{values['nats_per_char_window_256']:.4f} nats/char by windows of 256")
        if "chars_per_sec" in values:
            self._speed = f"{values['chars_per_sec']:,.0f} chars/s"
            parts.append(self._speed)
        if values.get("own_input_prob"):
            parts.append(f"{values['own_input_prob']:.1%} own inputs")
        if values.get("skipped_updates"):
            parts.append(f"{values['skipped_updates']:.0f} updates skipped")
        if self._verbosity == _ALL:
            parts.extend(f"{name} {value:.4g}" for name, value in values.items() if name not in _LINE_SHOWS)
        self.line("  ".join(parts))

    def samples(self, step: int, samples: list[Sample]) -> None:
        """The texts, each under its temperature; of the first a line goes with the bar."""
        if samples:
            self._sample = " ".join((samples[0].prompt + samples[0].text).split())
        if not samples or not (self._terminal or self._verbosity == _ALL):
            return
        for sample in samples:
            self.line(f"── step {step:,}, temperature {sample.temperature:g} " + "─" * 30)
            self.line(_shown((sample.prompt + sample.text).strip("\n"), but="\n\t"))
        self.line("─" * 60)

    def done(self, where: str) -> None:
        """The last line, however quiet the rest is: what came of the run in `where`."""
        parts = [f"Done in {_duration(self._clock() - self._start)}: {where}"]
        if self._losses:
            parts.append(f"step {max(step for step, _ in self._losses.values()):,}")
        parts.extend(f"{split} {loss:.4f} nats/char" for split, (_, loss) in self._losses.items())
        self.warning(", ".join(parts))

    def close(self) -> None:
        """Takes the bar away."""
        if self._drawn:
            self.output.write(self._erasure(shutil.get_terminal_size().columns))
            self.output.flush()
        self._drawn = 0

    def _erasure(self, columns: int) -> str:
        """What takes the bar away, also where a terminal that became narrower has broken it into several lines."""
        broken = max(0, self._drawn - 1) // columns
        return "\r" + "\x1b[A" * broken + ("\x1b[J" if broken else "\x1b[K")

    def _bar(self, step: int, steps: int, now: float, columns: int) -> str:
        """As much as there is room for, the most important first."""
        length = min(_BAR_COLUMNS, columns // 8)
        filled = length * step // steps
        bar = "━" * filled + "╌" * (length - filled)
        text = _cut(f"{bar} {step:,}/{steps:,} {self._time_left(step, steps, now)}", columns)
        for part in self._beside_the_bar():
            if _width(text) + 3 + _width(part) <= columns:
                text += f" · {part}"
        room = columns - _width(text) - 3
        return f"{text} · {_cut(self._sample, room)}" if self._sample and room >= _MIN_SAMPLE_COLUMNS else text

    def _beside_the_bar(self) -> Iterator[str]:
        if "train" in self._losses:
            yield f"{self._losses['train'][1]:.4f} nats"
        if self._speed:
            yield self._speed
        if "validation" in self._losses:
            yield f"validation {self._losses['validation'][1]:.4f}"

    def _time_left(self, step: int, steps: int, now: float) -> str:
        first_step, start = self._first or (step, now)
        if step == first_step:
            return "…"
        return f"{_duration((steps - step) * (now - start) / (step - first_step))} left"


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def _width(text: str) -> int:
    """Columns on a terminal."""
    return sum(map(_width_of_character, text))


def _width_of_character(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):  # stands upon the one before
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _shown(text: str, but: str = "") -> str:
    """The text with nothing in it that a terminal would obey."""
    return "".join(c if c.isprintable() or c in but else " " for c in text)


def _cut(text: str, columns: int) -> str:
    """What fits, on one line."""
    text = _shown(text)
    if _width(text) <= columns:
        return text
    kept, room = "", columns - 1
    for character in text:
        room -= _width_of_character(character)
        if room < 0:
            break
        kept += character
    return (kept + "…")[: max(0, columns)]
