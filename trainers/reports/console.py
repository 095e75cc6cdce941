"""The progress of a run: a progress bar on a terminal, plain lines elsewhere."""

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
"""quiet: warnings and the last line; normal: also a line per log and evaluation; all: all measurements and samples."""

_QUIET, _NORMAL, _ALL = range(3)
_BAR_COLUMNS = 24
_MIN_SAMPLE_COLUMNS = 12  # columns: less of it says nothing
_UPDATE_SECONDS = 0.1
_ON_A_LINE = {
    "nats_per_char": "{:.4f} nats/char",
    "bits_per_char": "{:.4f} bits/char",
    "nats_per_char_window_256": "{:.4f} nats/char by windows of 256",
    "chars_per_sec": "{:,.0f} chars/s",
    "own_input_prob": "{:.1%} own inputs",
    "skipped_updates": "{:.0f} updates skipped",
}
_ONLY_ABOVE_0 = ("own_input_prob", "skipped_updates")


class Console:
    """Prints a run's progress.

    Samples are printed on a terminal; elsewhere only with verbosity "all", because samples.jsonl has them. A failing
    stream raises nothing; `output` records the failure.

    Args:
        stream: the output; None: standard output.
        clock: returns seconds; tests replace it.
        verbosity: an index into VERBOSITIES.
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
        self._drawn = 0  # columns that the bar occupies; 0: it is not shown
        self._first: tuple[int, float] | None = None  # step and seconds of the first update of this process
        self._last_update = -1.0
        self._losses: dict[str, tuple[int, float]] = {}  # split -> step and value of the last loss
        self._speed = self._sample = ""

    @classmethod
    def named(cls, verbosity: str) -> "Console":
        """Returns a console on standard output.

        Args:
            verbosity: one of VERBOSITIES, or its index as text.

        Raises:
            UserError: it is neither.
        """
        right = verbosity in (*VERBOSITIES, *map(str, range(len(VERBOSITIES))))
        require("--verbosity", verbosity, right, "quiet, normal or all; or 0, 1 or 2")
        return cls(verbosity=VERBOSITIES.index(verbosity) if verbosity in VERBOSITIES else int(verbosity))

    def line(self, text: str) -> None:
        """Prints a line, unless the verbosity is quiet."""
        if self._verbosity > _QUIET:
            self.warning(text)

    def warning(self, text: str) -> None:
        """Prints a line at every verbosity."""
        self.close()
        self.output.write(text + "\n")
        self.output.flush()

    def progress(self, step: int, steps: int) -> None:
        """Redraws the progress bar, at most every 0.1 seconds."""
        now = self._clock()
        self._first = self._first or (step, now)
        if not self._terminal or self._verbosity == _QUIET or now - self._last_update < _UPDATE_SECONDS:
            return
        self._last_update = now
        columns = shutil.get_terminal_size().columns
        text = self._bar(step, steps, now, columns - 1)  # text in the last column would wrap
        self.output.write(self._erasure(columns) + text)
        self.output.flush()
        self._drawn = _width(text)

    def scalars(self, step: int, split: str, values: dict[str, float]) -> None:
        """Prints one line: the loss, and the speed if there is one."""
        self._losses[split] = step, values["nats_per_char"]
        shown = {name: form.format(values[name]) for name, form in _ON_A_LINE.items() if name in values}
        self._speed = shown.get("chars_per_sec", self._speed)
        parts = [part for name, part in shown.items() if values[name] or name not in _ONLY_ABOVE_0]
        if self._verbosity == _ALL:
            parts.extend(f"{name} {value:.4g}" for name, value in values.items() if name not in _ON_A_LINE)
        self.line("  ".join([f"step {step:,}", f"{split:10}", *parts]))

    def samples(self, step: int, samples: list[Sample]) -> None:
        """Prints the samples, each with its temperature; the bar shows the start of the first one."""
        if samples:
            self._sample = " ".join((samples[0].prompt + samples[0].text).split())
        if not samples or not (self._terminal or self._verbosity == _ALL):
            return
        for sample in samples:
            self.line(f"── step {step:,}, temperature {sample.temperature:g} " + "─" * 30)
            self.line(_shown((sample.prompt + sample.text).strip("\n"), but="\n\t"))
        self.line("─" * 60)

    def done(self, where: str) -> None:
        """Prints the last line, at every verbosity: duration and last losses of the run in `where`."""
        parts = [f"Done in {_duration(self._clock() - self._start)}: {where}"]
        if self._losses:
            parts.append(f"step {max(step for step, _ in self._losses.values()):,}")
        parts.extend(f"{split} {loss:.4f} nats/char" for split, (_, loss) in self._losses.items())
        self.warning(", ".join(parts))

    def close(self) -> None:
        """Erases the progress bar."""
        if self._drawn:
            self.output.write(self._erasure(shutil.get_terminal_size().columns))
            self.output.flush()
        self._drawn = 0

    def _erasure(self, columns: int) -> str:
        """Returns what erases the bar, even if a terminal that became narrower has wrapped it."""
        wrapped = max(0, self._drawn - 1) // columns
        return "\r" + "\x1b[A" * wrapped + ("\x1b[J" if wrapped else "\x1b[K")

    def _bar(self, step: int, steps: int, now: float, columns: int) -> str:
        """Returns as much as fits, the most important first."""
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
    """Returns columns on a terminal."""
    return sum(map(_width_of_character, text))


def _width_of_character(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):  # combining: drawn over the previous character
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _shown(text: str, but: str = "") -> str:
    """Returns the text without control characters."""
    return "".join(c if c.isprintable() or c in but else " " for c in text)


def _cut(text: str, columns: int) -> str:
    """Returns what fits on one line."""
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
