"""Tests the wrapper of a user's report: an error in the report is printed once and does not end the run."""

import re

import pytest
import tensorflow as tf

from trainers.reports.own import Own
from trainers.reports.reports import Report
from trainers.reports.samples import Sample

CALLS = {
    "scalars": (3, "train", {"nats_per_char": 1.5}),
    "samples": (3, [Sample("a", 1.0, 0, "b")]),
    "histograms": (3, {}),
    "flush": (),
    "saved": (3, "runs/a/checkpoints/step-3"),
    "end": (True,),
}


class Takes(Report):
    """A report that records each call and raises in the methods named `broken`."""

    def __init__(self, *broken):
        super().__init__("runs/a")
        self.broken, self.calls = broken, []

    def __getattribute__(self, name):
        if name not in (*CALLS, "start"):
            return super().__getattribute__(name)

        def take(*arguments):
            self.calls.append((name, *arguments))
            if name in self.broken:
                raise OSError("the\nserver \x1b[31mis away")

        return take


def wrapped(*broken):
    report, warnings = Takes(*broken), []
    return report, Own(report, "mine:Takes", warnings.append), warnings


def test_every_call_arrives_with_its_arguments():
    report, own, warnings = wrapped()
    own.start(2, 1)
    for name, arguments in CALLS.items():
        getattr(own, name)(*arguments)
    assert report.calls == [("start", 2, 1), *((name, *arguments) for name, arguments in CALLS.items())]
    assert warnings == []
    assert {name for name in vars(Report) if not name.startswith("_")} == {*CALLS, "start"}


@pytest.mark.parametrize("broken", CALLS)
def test_an_error_is_printed_once_and_the_report_is_called_again(broken):
    report, own, warnings = wrapped(broken)
    own.start(0, 0)
    for _ in range(2):
        for name, arguments in CALLS.items():
            getattr(own, name)(*arguments)
    assert len(report.calls) == 1 + 2 * len(CALLS)
    (warning,) = warnings
    said = r"The report mine:Takes raised OSError: the server \\x1b\[31mis away \(test_own\.py, line \d+\) in "
    assert re.fullmatch(rf"{said}{broken}\. The run [^\n]* correct it[^\n]*\.", warning)


def test_a_report_that_cannot_start_gets_nothing_until_the_next_start():
    report, own, warnings = wrapped("start")
    own.scalars(*CALLS["scalars"])
    own.start(0, 0)
    own.scalars(*CALLS["scalars"])
    assert report.calls == [("start", 0, 0)] and len(warnings) == 1
    assert "continues without this report" in warnings[0]
    report.broken = ()
    own.start(2, 2)  # after a roll-back
    own.scalars(*CALLS["scalars"])
    assert report.calls[1:] == [("start", 2, 2), ("scalars", *CALLS["scalars"])]


def test_a_report_that_changes_its_arguments_changes_nothing_elsewhere():
    class Greedy(Report):
        def scalars(self, step, split, values):
            values.clear()

        def samples(self, step, samples):
            samples.clear()

        def histograms(self, step, values):
            assert not hasattr(values["a"], "assign")
            values.clear()

    warnings = []
    own = Own(Greedy("runs/a"), "mine:Greedy", warnings.append)
    own.start(0, 0)
    values, samples, tensors = {"x": 1.0}, [Sample("a", 1.0, 0, "b")], {"a": tf.Variable([1.0])}
    own.scalars(1, "train", values)
    own.samples(1, samples)
    own.histograms(1, tensors)
    assert (len(values), len(samples), len(tensors), warnings) == (1, 1, 1, [])


def test_a_stop_is_no_error_of_the_report():
    class Interrupted(Report):
        def flush(self):
            raise KeyboardInterrupt

    own = Own(Interrupted("runs/a"), "mine:Interrupted", print)
    own.start(0, 0)
    with pytest.raises(KeyboardInterrupt):
        own.flush()
