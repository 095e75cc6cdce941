"""Tests the mistakes that a study refuses before its first run."""

import pytest

from charrnn.errors import UserError
from charrnn.measures.open_loop import Protocol
from trainers.studies.plan import make_arms, make_plan
from trainers.studies.run import How, refuse_mistakes

HOW = How(Protocol(2, 50))
SMALL = ["model.units=8", "data.seq_length=16", "data.batch_size=4"]


def plan(arms=None, settings=(), corpus="plays:12000"):
    made = make_arms(["teacher_forcing", "spans"], arms)
    return make_plan("quickstart", made, 1, "/nowhere/study", [*SMALL, *settings], corpus, 4)


@pytest.mark.parametrize(
    "planned, how, said",
    [
        ({}, HOW._replace(epsilons=(0.1, 2.0)), "--epsilons=2.0 is not possible"),
        ({}, HOW._replace(temperatures=(1.0, -1.0)), "--temperatures=-1.0 is not possible"),
        ({}, HOW._replace(temperatures=(0.9,)), "--temperatures=0.9 is not possible: it must be a list with 1"),
        ({}, HOW._replace(weights="step-2"), "--weights=step-2"),
        ({}, HOW._replace(measures=("js_1", "js_6")), "--measures=js_6 is not possible: it must be among .*js_1, "),
        ({}, HOW._replace(measures=("union_gap",), epsilons=()), "--measures=union_gap is not possible: .*curve_gap"),
        ({"settings": ["data.order=lines"]}, HOW._replace(measures=("impossible",)), "--measures=impossible is not"),
        ({"arms": {"b": ("spans", {})}}, HOW, "The arms spans and b have the same settings: leave one out"),
        ({"arms": {"b": ("spans", {"trainer.length": 8})}}, HOW, "The arms spans and b"),
        ({"settings": ["data.validation_fraction=0"]}, HOW, "The validation text has .* give a smaller --num_chars"),
        (
            {"settings": ["data.validation_fraction=0.6"], "corpus": "plays:1000"},
            How(Protocol(2, 450)),
            "The training text has 400 characters, but a rollout of 450 needs 450: give a smaller --num_chars",
        ),
        (
            {"settings": ["data.order=windows", "data.targets=last", "data.seq_length=2000"]},
            HOW,
            "no more than data.seq_length=2000: give a longer text",
        ),
    ],
)
def test_a_mistake_is_reported_before_anything_is_trained(planned, how, said):
    with pytest.raises(UserError, match=said):
        refuse_mistakes(plan(**planned), how)


def test_a_study_without_mistakes_may_begin():
    asked = HOW._replace(measures=("curve_gap", "union_gap", "divergence_open", "valid_words"))
    refuse_mistakes(plan({"b": ("spans", {"trainer.length": 9}), "c": ("spans", {"model.units": 9})}), asked)
