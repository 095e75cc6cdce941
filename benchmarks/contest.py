"""Contestants take turns, each in its own process, so that threads and memory do not affect the others.

    entries = {"ours": Entry("benchmarks.ours:train", {…}), "keras": Entry("benchmarks.keras_peer:fit", {…})}
    medians = run(entries, turns=5, seconds=3)

An entry's function takes the options and returns a turn. A turn does a number of rounds (training steps, texts) and
returns the mean seconds per round, as "seconds", and other measurements.
"""

import contextlib
import importlib
import importlib.util
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from typing import NamedTuple

from charrnn.errors import UserError

Turn = Callable[[int], dict[str, float]]
Medians = dict[str, dict[str, float]]
"""Contestant -> median of each measurement; "peak_mb" is the peak memory of its process."""


class Entry(NamedTuple):
    """A contestant."""

    target: str  # module:function
    options: dict
    needs: str = "tensorflow"  # package without which the contestant is left out
    folder: str | None = None  # another checkout, whose code it runs


def run(entries: Mapping[str, Entry], turns: int, seconds: float) -> Medians:
    """Runs the contestants in turn, A B A B, after a warm-up.

    Args:
        entries: the contestants, by name.
        turns: turns per contestant.
        seconds: approximate duration of a turn.
    """
    with contextlib.ExitStack() as stack:
        present = {name: entry for name, entry in entries.items() if importlib.util.find_spec(entry.needs)}
        contestants = {name: stack.enter_context(_Contestant(entry)) for name, entry in present.items()}
        for contestant in contestants.values():
            contestant.warm_up(seconds)
        measured: dict[str, list] = {name: [] for name in contestants}
        for _ in range(turns):
            for name, contestant in contestants.items():
                measured[name].append(contestant.turn())
    return {name: _medians(each) for name, each in measured.items()}


def require_checkout(folder: str | None) -> None:
    """Raises UserError if the value of --earlier is given, and is not the folder of a checkout."""
    for name in () if folder is None else ("charrnn", "benchmarks"):  # without one, this checkout's would be measured
        if not os.path.isdir(os.path.join(folder, name)):
            raise UserError(f"--earlier={folder} has no folder {name}: give the folder of a checkout.")


def _medians(turns: list[dict[str, float]]) -> dict[str, float]:
    medians = {key: statistics.median(turn[key] for turn in turns) for key in turns[0]}
    return {**medians, "peak_mb": max(turn["peak_mb"] for turn in turns)}


class _Contestant:
    """A process that runs one turn per line of its input."""

    def __init__(self, entry: Entry):
        self._entry = entry
        self._errors = tempfile.TemporaryFile("w+")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.contest", entry.target, json.dumps(entry.options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            cwd=entry.folder,  # where `python -m` looks first
        )
        self._rounds = 2

    def __enter__(self) -> "_Contestant":
        return self

    def __exit__(self, *exception) -> None:
        self._process.communicate()  # the end of its input ends the process

    def warm_up(self, seconds: float) -> None:
        """Starts, and sets the number of rounds to a turn of about `seconds`."""
        self.turn()
        self._rounds = max(2, round(seconds / self.turn()["seconds"]))

    def turn(self) -> dict[str, float]:
        self._process.stdin.write(f"{self._rounds}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            self._errors.seek(0)
            raise RuntimeError(f"{self._entry.target} ended: {self._errors.read()[-2000:]}")
        return json.loads(answer)


def _serve(target: str, options: dict) -> None:
    """Runs in the contestant's process."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # output of libraries goes to standard error
    module, _, function = target.partition(":")
    turn = getattr(importlib.import_module(module), function)(**options)
    for line in sys.stdin:
        measured = turn(int(line))
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({**measured, "peak_mb": peak_mb}), file=answers, flush=True)


if __name__ == "__main__":
    _serve(sys.argv[1], json.loads(sys.argv[2]))
