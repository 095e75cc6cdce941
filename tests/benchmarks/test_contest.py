"""Tests that contestants take turns, each in its own process, and the medians of their measurements."""

import os
import time

import pytest

from benchmarks import contest
from benchmarks.contest import Entry


def sleeper(seconds):
    """Returns the turn of a contestant; the processes that the tests start call it."""

    def turn(rounds):
        print("chatter")
        start = time.perf_counter()
        time.sleep(seconds * rounds)
        return {"seconds": (time.perf_counter() - start) / rounds, "rounds": rounds, "process": os.getpid()}

    return turn


def broken():
    raise ValueError("out of order")


def test_each_contestant_measures_in_its_own_process_for_about_the_time_of_a_turn():
    entries = {
        "slow": Entry("tests.benchmarks.test_contest:sleeper", {"seconds": 0.02}),
        "fast": Entry("tests.benchmarks.test_contest:sleeper", {"seconds": 0.01}),
    }
    medians = contest.run(entries, turns=3, seconds=0.1)
    assert 0.02 <= medians["slow"]["seconds"] < 0.1 and 0.01 <= medians["fast"]["seconds"] < 0.1
    assert 2 <= medians["slow"]["rounds"] <= 5 and medians["fast"]["rounds"] <= 10
    assert len({os.getpid(), medians["slow"]["process"], medians["fast"]["process"]}) == 3
    assert 1 < medians["slow"]["peak_mb"] < 10_000


def test_a_contestant_whose_package_is_missing_is_left_out():
    there = Entry("tests.benchmarks.test_contest:sleeper", {"seconds": 0.001})
    entries = {"there": there, "missing": Entry("nothing:at_all", {}, "no_such_package")}
    assert set(contest.run(entries, turns=1, seconds=0.01)) == {"there"}


def test_the_error_of_a_contestant_is_shown():
    with pytest.raises(RuntimeError, match="ValueError: out of order"):
        contest.run({"broken": Entry("tests.benchmarks.test_contest:broken", {})}, turns=1, seconds=0.01)
