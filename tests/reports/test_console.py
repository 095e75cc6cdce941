"""Tests the console: plain lines in a file, a progress bar on a terminal, and no bar wider than the terminal."""

import io
import os
import pty
import re
import unicodedata

import pytest

from trainers.reports import console as progress
from trainers.reports.console import VERBOSITIES, Console
from trainers.reports.samples import Sample

TRAIN = {"nats_per_char": 1.23456, "bits_per_char": 1.78109, "chars_per_sec": 12345.6}
CLEAR = "\r\x1b[K"


class Terminal(io.StringIO):
    """A fake terminal: the lines that it shows, and the width of the widest line that it ever showed."""

    def __init__(self):
        super().__init__()
        self.lines, self.widest = [""], 0

    def isatty(self):
        return True

    def write(self, text):
        for part in re.split(r"(\r|\n|\x1b\[[AJK])", text):
            if part == "\n":
                self.lines.append("")
            elif part == "\r":
                self.returned = True
            elif part == "\x1b[A":
                pass  # moves to the first row of a wrapped line; this terminal never wraps
            elif part in ("\x1b[J", "\x1b[K"):
                assert self.returned
                self.lines[-1], self.returned = "", False
            else:
                assert part.replace("\t", "").isprintable()
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
    """Sets the terminal's width to 120 columns; returns a function that sets another width."""

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
    console.warning("a warning")
    console.scalars(1000, "train", {**TRAIN, "gradient_norm": 0.25})
    console.samples(1000, [Sample("ROMEO:", 0.5, 0, "\nO\x1b[31m\tthou\n")])
    console.progress(40, 40)
    console.done("runs/x")
    console.close()


WARNING = "a warning"
LOG = "step 1,000  train       1.2346 nats/char  1.7811 bits/char  12,346 chars/s"
SAMPLE = ["── step 1,000, temperature 0.5 " + "─" * 30, "ROMEO:", "O [31m\tthou", "─" * 60]
DONE = "Done in 0:00: runs/x, step 1,000, train 1.2346 nats/char"
STAY = {  # (verbosity, whether on a terminal) -> the lines
    ("quiet", False): [WARNING, DONE],
    ("quiet", True): [WARNING, DONE],
    ("normal", False): ["a line", WARNING, LOG, DONE],
    ("normal", True): ["a line", WARNING, LOG, *SAMPLE, DONE],
    ("all", False): ["a line", WARNING, f"{LOG}  gradient_norm 0.25", *SAMPLE, DONE],
    ("all", True): ["a line", WARNING, f"{LOG}  gradient_norm 0.25", *SAMPLE, DONE],
}


@pytest.mark.parametrize(("name", "on_terminal"), STAY)
def test_the_verbosity_decides_which_lines_stay(clock, terminal, name, on_terminal):
    """No control character ever reaches a file, and a quiet run draws no bar."""
    stream = terminal if on_terminal else io.StringIO()
    use_all(Console(stream, clock, VERBOSITIES.index(name)))
    if on_terminal:
        lines = [line.replace("\x1b", "") for line in terminal.lines[:-1]]
    else:
        lines = stream.getvalue().splitlines()
        assert not any(c in stream.getvalue() for c in "\r\x1b")
    assert lines == STAY[name, on_terminal]
    assert (CLEAR in stream.getvalue()) == (on_terminal and name != "quiet")


@pytest.mark.parametrize("on_terminal", [False, True])
def test_a_stream_that_fails_stops_nothing(clock, on_terminal):
    master, slave = pty.openpty() if on_terminal else os.pipe()
    with os.fdopen(slave, "w") as stream:
        console = Console(stream, clock, VERBOSITIES.index("all"))
        console.line("read")
        os.close(master)
        use_all(console)
        assert console.output.gone
        console.output.leave()


def test_standard_output_is_the_default(capsys):
    Console().line("here")
    assert capsys.readouterr() == ("here\n", "")


def test_optional_measurements_are_shown_only_above_zero():
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


def test_an_empty_list_of_samples_prints_nothing():
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
        (501, 601, 1001, 200.0, "13:20 left"),  # a resumed run: only the steps of this process count
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


def test_the_bar_is_filled_by_the_share_done(clock, terminal, columns):
    console = Console(terminal, clock)
    columns(200)
    for step, filled in [(1, 0), (249, 5), (250, 6), (500, 12), (999, 23), (1000, 24)]:
        clock.now += 1
        console.progress(step, 1000)
        assert terminal.lines[-1].split(" ")[0] == "━" * filled + "╌" * (24 - filled)


@pytest.mark.parametrize(
    ("width", "beside"),
    [
        (30, ""),
        (40, " · 1.2346 nats"),
        (60, " · 1.2346 nats · 12,346 chars/s"),
        (80, " · 1.2346 nats · 12,346 chars/s · validation 1.5000"),
        (100, " · 1.2346 nats · 12,346 chars/s · validation 1.5000 · ROMEO: O 薔薇 é, …"),
        (120, " · 1.2346 nats · 12,346 chars/s · validation 1.5000 · ROMEO: O 薔薇 é, thou art not  [31m…"),
        (200, " · 1.2346 nats · 12,346 chars/s · validation 1.5000 · ROMEO: O 薔薇 é, thou art not  [31m red"),
    ],
)
def test_the_bar_shows_as_many_measurements_as_fit_beside_it(clock, terminal, columns, width, beside):
    """The order is the loss, the speed, the validation loss and a sample, which is cut at the terminal's width."""
    columns(width)
    console = Console(terminal, clock)
    console.progress(1, 10)
    assert "nats" not in terminal.lines[-1]
    console.scalars(1, "train", TRAIN)
    console.scalars(1, "validation", {**TRAIN, "nats_per_char": 1.5})
    text = "\nO 薔薇 e\u0301,\nthou art not \x1b[31m red\n"
    console.samples(1, [Sample("ROMEO:", 0.5, 0, text), Sample("b", 1.0, 0, "c")])
    clock.now += 1
    console.progress(2, 10)
    assert unicodedata.normalize("NFC", terminal.lines[-1]).partition("0:08 left")[2] == beside


def test_the_bar_is_drawn_at_most_ten_times_a_second(clock, terminal):
    console = Console(terminal, clock)
    for step in range(1, 1001):
        console.progress(step, 1000)
        clock.now += 0.01
    assert 90 <= terminal.getvalue().count(CLEAR) <= 101


@pytest.mark.parametrize("width", [1, 2, 20, 40, 80, 300])
def test_the_bar_is_never_wider_than_the_terminal(clock, terminal, columns, width):
    columns(width)
    console = Console(terminal, clock)
    for step in (1, 999_999_999):
        clock.now += 10
        console.progress(step, 10**12)
    whole = min(24, (width - 1) // 8) + len(" 999,999,999/1,000,000,000,000 2:46:30 left")
    assert terminal.widest == min(width - 1, whole)


def test_a_bar_that_a_narrower_terminal_has_wrapped_is_erased_whole(clock, terminal, columns):
    console = Console(terminal, clock)
    columns(120)
    console.scalars(1, "train", TRAIN)
    console.progress(1, 1000)
    drawn = len(terminal.lines[-1])
    columns(20)
    clock.now += 1
    start = len(terminal.getvalue())
    console.progress(2, 1000)
    rows = -(-drawn // 20)
    assert terminal.getvalue()[start:].startswith("\r" + "\x1b[A" * (rows - 1) + "\x1b[J") and rows == 3


def test_a_line_takes_the_bars_place(clock, terminal):
    console = Console(terminal, clock)
    console.progress(1, 10)
    console.line("first")
    console.line("second")
    assert terminal.lines == ["first", "second", ""]
    assert terminal.getvalue().endswith(f"{CLEAR}first\nsecond\n")
