"""What a person sees: plain lines in a file, a bar on a terminal, and never a line wider than that."""

import io
import os
import re

import pytest

from trainers import progress
from trainers.progress import Console
from trainers.samples import Sample

TRAIN = {"nats_per_char": 1.23456, "bits_per_char": 1.78109, "chars_per_sec": 12345.6}
CLEAR = "\r\x1b[K"


class Terminal(io.StringIO):
    """Shows what a terminal would: the lines that stand, and the widest that ever stood."""

    def __init__(self):
        super().__init__()
        self.lines, self.widest = [""], 0

    def isatty(self):
        return True

    def write(self, text):
        for part in re.split(r"(\r|\n|\x1b\[K)", text):
            if part == "\n":
                self.lines.append("")
            elif part == "\r":
                self.returned = True
            elif part == "\x1b[K":
                assert self.returned
                self.lines[-1], self.returned = "", False
            else:
                assert part.isprintable()
                self.lines[-1] += part
                self.widest = max(self.widest, len(self.lines[-1]))
        return super().write(text)


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def columns(monkeypatch):
    """Sets the terminal's width."""

    def set_columns(number):
        monkeypatch.setattr(progress.shutil, "get_terminal_size", lambda: os.terminal_size((number, 24)))

    set_columns(120)
    return set_columns


@pytest.fixture
def clock(columns):
    return Clock()


@pytest.fixture
def terminal():
    return Terminal()


def use_all(console):
    for step in range(1, 40):
        console.progress(step, 40)
    console.line("a line")
    console.scalars(1000, "train", TRAIN)
    console.samples(1000, [Sample("ROMEO:", 0.5, 0, "\nO\n")])
    console.progress(40, 40)
    console.flush()


def test_a_file_gets_plain_lines_only():
    stream = io.StringIO()
    use_all(Console(stream))
    assert stream.getvalue().splitlines() == [
        "a line",
        "step 1,000  train       1.2346 nats/char  1.7811 bits/char  12,346 chars/s",
        "── step 1,000, temperature 0.5 " + "─" * 30,
        "ROMEO:",
        "O",
        "─" * 60,
    ]
    assert "\r" not in stream.getvalue() and "\x1b" not in stream.getvalue()


def test_a_terminal_keeps_the_same_lines(clock, terminal):
    stream = io.StringIO()
    use_all(Console(stream))
    use_all(Console(terminal, clock))
    assert terminal.lines[:-1] == stream.getvalue().splitlines()
    assert "\r" in terminal.getvalue()


def test_standard_output_is_the_default(capsys):
    Console().line("here")
    assert capsys.readouterr() == ("here\n", "")


def test_optional_measurements_show_where_there_are_any():
    stream = io.StringIO()
    console = Console(stream)
    values = {"nats_per_char": 2.0, "bits_per_char": 3.0, "nats_per_char_window_256": 2.5, "own_input_prob": 0.0}
    console.scalars(5, "validation", {**values, "skipped_updates": 0.0})
    console.scalars(6, "train", {**values, "own_input_prob": 0.25, "skipped_updates": 3.0})
    windows = "2.0000 nats/char  3.0000 bits/char  2.5000 nats/char by windows of 256"
    assert stream.getvalue().splitlines() == [
        f"step 5  validation  {windows}",
        f"step 6  train       {windows}  25.0% own inputs  3 updates skipped",
    ]


def test_no_samples_no_line():
    stream = io.StringIO()
    Console(stream).samples(1, [])
    assert stream.getvalue() == ""


@pytest.mark.parametrize(
    "first, step, steps, elapsed, left",
    [
        (1, 2, 100, 1.0, "1:38 left"),
        (1, 51, 101, 100.0, "1:40 left"),
        (1, 11, 3611, 10.0, "1:00:00 left"),
        (1, 11, 3610, 10.0, "59:59 left"),
        (1, 101, 1000, 0.5, "0:04 left"),
        (501, 601, 1001, 200.0, "13:20 left"),  # a resumed run: the steps of the one before took no time of this one
        (1, 40, 40, 7.0, "0:00 left"),
        (1, 2, 100_001, 4.0, "111:06:36 left"),
    ],
)
def test_time_left_is_the_rest_at_the_speed_so_far(clock, terminal, first, step, steps, elapsed, left):
    clock.now = 1000.0
    console = Console(terminal, clock)
    console.progress(first, steps)
    assert terminal.lines[-1].endswith(" …")
    clock.now += elapsed
    console.progress(step, steps)
    assert terminal.lines[-1].endswith(f" {step:,}/{steps:,} {left}")


def test_the_bar_is_filled_by_the_share_done(clock, terminal):
    console = Console(terminal, clock)
    for step, filled in [(1, 0), (249, 5), (250, 6), (500, 12), (999, 23), (1000, 24)]:
        clock.now += 1
        console.progress(step, 1000)
        assert terminal.lines[-1].split(" ")[0] == "━" * filled + "╌" * (24 - filled)


def test_the_loss_last_logged_stands_in_the_bar(clock, terminal):
    console = Console(terminal, clock)
    console.progress(1, 10)
    assert "nats" not in terminal.lines[-1]
    console.scalars(1, "train", TRAIN)
    clock.now += 1
    console.progress(2, 10)
    assert terminal.lines[-1].endswith("0:08 left · 1.2346 nats")


def test_the_bar_is_not_drawn_faster_than_eyes_see(clock, terminal):
    console = Console(terminal, clock)
    for step in range(1, 1001):
        console.progress(step, 1000)
        clock.now += 0.01
    assert 90 <= terminal.getvalue().count(CLEAR) <= 101


@pytest.mark.parametrize("width", [1, 2, 20, 40, 80, 300])
def test_the_bar_is_never_wider_than_the_terminal(clock, terminal, columns, width):
    def widest(terminal):
        console = Console(terminal, clock)
        for step in (1, 999_999_999, 10**12):
            clock.now += 10
            console.progress(step, 10**12)
        return terminal.widest

    columns(1000)
    whole = widest(Terminal())
    columns(width)
    assert widest(terminal) == min(width - 1, whole)


def test_a_line_takes_the_bars_place(clock, terminal):
    console = Console(terminal, clock)
    console.progress(1, 10)
    console.line("first")
    console.line("second")
    assert terminal.lines == ["first", "second", ""]
    assert terminal.getvalue().endswith(f"{CLEAR}first\nsecond\n")
