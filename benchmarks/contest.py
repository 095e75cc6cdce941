"""Contestants in turn, each in a process of its own: threads and memory of one do not touch the others.

    entries = {"ours": Entry("benchmarks.ours:train", {…}), "keras": Entry("benchmarks.keras_peer:fit", {…})}
    medians = run(entries, turns=5, seconds=3)

An entry's function takes the options and returns a turn: it does a number of rounds (training steps, texts) and returns
the mean seconds of one round, as "seconds", and whatever else it measured.
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

Turn = Callable[[int], dict[str, float]]
Medians = dict[str, dict[str, float]]
"""By contestant, the median of each measurement; "peak_mb" is the largest memory that its process held."""


class Entry(NamedTuple):
    """Who takes part."""

    target: str  # module:function
    options: dict
    needs: str = "tensorflow"  # a package that may be missing: the contestant is left out then


def run(entries: Mapping[str, Entry], turns: int, seconds: float) -> Medians:
    """Lets all take turns, `turns` of about `seconds` each, A B A B, after a warm-up."""
    with contextlib.ExitStack() as stack:
        present = {name: entry for name, entry in entries.items() if importlib.util.find_spec(entry.needs)}
        contestants = {name: stack.enter_context(_Contestant(entry)) for name, entry in present.items()}
        for contestant in contestants.values():
            contestant.warm_up(seconds)
        measured = {name: [] for name in contestants}
        for _ in range(turns):
            for name, contestant in contestants.items():
                measured[name].append(contestant.turn())
    return {name: _medians(rows) for name, rows in measured.items()}


def _medians(rows: list[dict[str, float]]) -> dict[str, float]:
    medians = {key: statistics.median(row[key] for row in rows) for key in rows[0]}
    return {**medians, "peak_mb": max(row["peak_mb"] for row in rows)}


class _Contestant:
    """A process that does what it is told, one line at a time."""

    def __init__(self, entry: Entry):
        self._entry = entry
        self._errors = tempfile.TemporaryFile("w+")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.contest", entry.target, json.dumps(entry.options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self._rounds = 2

    def __enter__(self) -> "_Contestant":
        return self

    def __exit__(self, *exception) -> None:
        self._process.communicate()  # with no more to read the contestant ends

    def warm_up(self, seconds: float) -> None:
        """Starts, and sees how many rounds make a turn of about so many seconds."""
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
    """The contestant's side."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer
    module, _, function = target.partition(":")
    turn = getattr(importlib.import_module(module), function)(**options)
    for line in sys.stdin:
        measured = turn(int(line))
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({**measured, "peak_mb": peak_mb}), file=answers, flush=True)


if __name__ == "__main__":
    _serve(sys.argv[1], json.loads(sys.argv[2]))
