"""What a person watches: a bar that moves on a terminal, plain lines elsewhere."""

import shutil
import sys
import time
from typing import TextIO

from trainers.samples import Sample

_BAR = 24
_SECONDS_BETWEEN_UPDATES = 0.1


class Console:
    """Prints a run's progress.

    Args:
        stream: where to; default: standard output.
        clock: seconds, for tests.
    """

    def __init__(self, stream: TextIO | None = None, clock=time.monotonic):
        self._stream, self._clock = stream or sys.stdout, clock
        self._bar = self._stream.isatty()
        self._bar_shown = False
        self._first: tuple[int, float] | None = None  # step and time of this process's first update
        self._last_update = -1.0
        self._loss = ""

    def line(self, text: str) -> None:
        """A line that stays."""
        if self._bar_shown:
            self._stream.write("\r\x1b[K")
            self._bar_shown = False
        self._stream.write(text + "\n")
        self._stream.flush()

    def progress(self, step: int, steps: int) -> None:
        """Redraws the bar. Called after every step."""
        now = self._clock()
        self._first = self._first or (step, now)
        if not self._bar or now - self._last_update < _SECONDS_BETWEEN_UPDATES:
            return
        self._last_update = now
        filled = _BAR * step // steps
        bar = "━" * filled + "╌" * (_BAR - filled)
        text = f"{bar} {step:,}/{steps:,} {self._time_left(step, steps, now)}{self._loss}"
        self._stream.write("\r\x1b[K" + text[: shutil.get_terminal_size().columns - 1])
        self._stream.flush()
        self._bar_shown = True

    def scalars(self, step: int, split: str, values: dict[str, float]) -> None:
        """One line: the loss, and the speed where it was measured."""
        self._loss = f" · {values['nats_per_char']:.4f} nats"
        parts = [f"step {step:,}", f"{split:10}", f"{values['nats_per_char']:.4f} nats/char"]
        parts.append(f"{values['bits_per_char']:.4f} bits/char")
        if "nats_per_char_window_256" in values:
            parts.append(f"{values['nats_per_char_window_256']:.4f} nats/char by windows of 256")
        if "chars_per_sec" in values:
            parts.append(f"{values['chars_per_sec']:,.0f} chars/s")
        if values.get("own_input_prob"):
            parts.append(f"{values['own_input_prob']:.1%} own inputs")
        if values.get("skipped_updates"):
            parts.append(f"{values['skipped_updates']:.0f} updates skipped")
        self.line("  ".join(parts))

    def samples(self, step: int, samples: list[Sample]) -> None:
        """The texts, each under its temperature."""
        for sample in samples:
            self.line(f"── step {step:,}, temperature {sample.temperature:g} " + "─" * 30)
            self.line((sample.prompt + sample.text).strip("\n"))
        if samples:
            self.line("─" * 60)

    def flush(self) -> None:
        """Nothing to do: each line is written through."""

    def _time_left(self, step: int, steps: int, now: float) -> str:
        first_step, start = self._first
        if step == first_step:
            return "…"
        seconds = round((steps - step) * (now - start) / (step - first_step))
        hours, minutes = divmod(seconds // 60, 60)
        return f"{hours}:{minutes:02}:{seconds % 60:02} left" if hours else f"{minutes}:{seconds % 60:02} left"
