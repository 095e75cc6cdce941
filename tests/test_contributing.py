"""Tests that the recipes of CONTRIBUTING.md work, and that the second file of each recipe has the place it names."""

import inspect
import pathlib
import re

import numpy as np
import pytest

from charrnn.measures import open_loop
from trainers import experiment
from trainers.launch import build
from trainers.reports.reports import Report

PAGE = (pathlib.Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def names():
    space = {}
    for code in re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE):
        exec(code, space)
    return space


def test_the_curriculum_reads_its_own_output_at_odd_positions(names, make_trainer):
    cls = names["EverySecond"]
    trainer = make_trainer(cls, config=cls.Config(prob=1.0))
    own = trainer.own_mask(trainer.batch_at(0)).numpy()
    np.testing.assert_array_equal(own, np.arange(own.shape[1]) % 2 * np.ones_like(own))
    (listed,) = re.findall(r"Add `(\w+)` to `_CURRICULA`", PAGE)
    assert listed.title().replace("_", "") == cls.__name__ and "state_matching" in experiment._CURRICULA


def test_the_measure_is_a_share_and_its_line_fits(names):
    assert names["distinct"](np.array([[1, 1, 2, 2], [0, 1, 2, 3]])) == 0.75
    (line,) = re.findall(r"`(\"distinct\": Measure\(.*\),)`", PAGE)
    same = line.replace("distinct", "repeated", 1).replace("text_measures.distinct", "text_measures.repeated")
    assert same.replace("repeated", "repeated_8", 1) in inspect.getsource(open_loop._of_texts)


def test_the_report_writes_a_line_per_validation_and_nothing_else(names, tmp_path):
    report = names["Lines"](str(tmp_path))
    assert Report in type(report).__mro__
    report.start(2, 2)
    report.scalars(3, "train", {"nats_per_char": 2.0})
    report.scalars(3, "validation", {"nats_per_char": 1.5})
    report.samples(3, [])
    report.histograms(3, {})
    report.flush()
    report.saved(3, "step-3")
    report.end(True)
    assert (tmp_path / "losses").read_text() == "3 1.5000\n"
    assert "return [" in inspect.getsource(build._other_reports)
