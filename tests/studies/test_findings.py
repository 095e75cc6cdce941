"""Tests the paragraph on the findings of a study, for arms with known measures."""

import math

import numpy as np
import pytest

from charrnn.measures.frontier import Point
from charrnn.measures.open_loop import Measure, Report
from trainers.evaluation.comparison import MeasuredRun
from trainers.evaluation.evaluation import Evaluation
from trainers.evaluation.statistics import t_test
from trainers.studies import findings
from trainers.studies.findings import finding
from trainers.studies.run import compared

TEMPERATURES = (0.9, 1.0, 1.1)
JITTER = (-0.001, 0.0, 0.001, 0.0005, -0.0005)


def arm(name, divergence, reverse, seeds=5, exact=True, cut=None):
    """Returns runs whose rollouts have this divergence and reverse loss at temperature 1; `cut`: both at a cut-off."""
    runs = []
    start = sum(map(ord, name)) % len(JITTER)  # the order of the noise depends on the arm
    for seed in range(seeds):
        noise = JITTER[(seed + start) % len(JITTER)]
        frontier = {}
        for epsilon, pair in {0.0: (divergence, reverse), **({0.004: cut} if cut else {})}.items():
            for temperature in TEMPERATURES:  # colder is nearer to the source, and less diverse
                shift = 0.05 * (temperature - 1) + noise
                frontier[temperature, epsilon] = Point(0.6 + pair[0] + shift, 0.6, pair[1] - shift)
        values = {
            "nats_per_char": 0.63 + noise,
            "reference_loss": 0.6 + divergence + noise,
            "reverse_loss": reverse - noise,
        }
        if exact:
            values["divergence_open"] = divergence + noise
        measures = {key: Measure(value, None).finite() for key, value in values.items()}
        sweep = {t: (frontier[t, 0.0].reference_loss, frontier[t, 0.0].reverse_loss) for t in TEMPERATURES}
        evaluation = Evaluation("step-1", "plays", Report(measures, {}), sweep, frontier)
        config = {"experiment": "x", "seed": seed, "trainer": {"class": f"m:{name}"}}
        runs.append(MeasuredRun(f"runs/{name}-{seed}", config, evaluation, name))
    return runs


def told(*arms):
    found = compared([run for each in arms for run in each])
    return finding(found.compared, found.epsilon)


def test_an_arm_that_is_nearer_and_outside_the_curve_is_better():
    said = told(arm("base", 0.10, 0.80), arm("good", 0.04, 0.78))
    assert said.startswith("Without a cut-off, `good` (divergence_open -60 %) writes better text than `base`.")
    assert "5 seeds" in said


def test_an_arm_that_is_nearer_and_less_diverse_is_not_better():
    said = told(arm("base", 0.10, 0.80), arm("dull", 0.04, 0.90))
    assert said.startswith(
        "Without a cut-off, no arm writes better text than `base`; `dull` (divergence_open -60 %) is"
    )
    assert "is nearer to the text, but less diverse or not outside the curves." in said


def test_an_arm_that_is_farther_is_worse():
    said = told(arm("base", 0.10, 0.80), arm("bad", 0.30, 0.90), arm("worse", 0.5, 1.0))
    assert "no arm writes better" in said
    assert "`bad` (divergence_open +200 %) and `worse` (divergence_open +400 %) write worse." in said


def test_an_arm_within_noise_is_neither_better_nor_worse():
    said = told(arm("base", 0.10, 0.80), arm("same", 0.1001, 0.8001))
    assert "`same`" not in said


def test_the_effect_of_the_cut_off_alone_is_reported_and_each_claim_is_also_made_with_it():
    good, base = arm("good", 0.07, 0.79, cut=(0.06, 0.79)), arm("base", 0.10, 0.80, cut=(0.05, 0.78))
    said = told(base, good)
    assert said.startswith("A cut-off of 0.004 alone changes divergence_open of `base` from 0.1000 to 0.0500 (-50 %).")
    assert "Without a cut-off, no arm writes better" in said  # it lies inside the base's curve with the cut-off
    assert "With a cut-off of 0.004, no arm writes better" in said


def test_a_cut_off_that_is_no_better_is_not_reported():
    said = told(arm("base", 0.10, 0.80, cut=(0.12, 0.82)), arm("good", 0.04, 0.78, cut=(0.12, 0.82)))
    assert "ut-off of" not in said and "`good` (divergence_open -60 %) writes better" in said


def test_without_a_known_source_the_gap_to_the_curve_decides():
    said = told(arm("base", 0.10, 0.80, exact=False), arm("good", 0.04, 0.74, exact=False))
    assert said.startswith("Without a cut-off, `good` (curve_gap -0.06") or "`good` (union_gap -0.06" in said


@pytest.mark.parametrize("seeds", [1, 2])
def test_with_few_seeds_nothing_is_claimed(seeds):
    said = told(arm("base", 0.10, 0.80, seeds), arm("good", 0.04, 0.78, seeds))
    assert said.startswith("`good` has the lowest divergence_open, 0.0") and "takes 3 seeds" in said


def test_the_first_arm_is_not_compared_with_itself():
    said = told(arm("base", 0.10, 0.80, 1), arm("bad", 0.30, 0.80, 1))
    assert said.startswith("`base` has the lowest divergence_open, 0.1") and said.count("`base`") == 1


def test_the_measures_of_a_finding_are_tested_besides_the_requested_ones():
    runs = [*arm("base", 0.10, 0.80), *arm("dull", 0.04, 0.90)]
    found = compared(runs, ["nats_per_char"])
    assert found.compared.measures == ["nats_per_char", "divergence_open", "reverse_loss", "curve_gap"]
    assert "no arm writes better" in found.finding


def test_without_finite_losses_nothing_is_found():
    broken = arm("bad", math.nan, 0.80)
    assert told(arm("base", 0.10, 0.80), broken).startswith("Nothing is found, because some run has no finite")


def test_a_distance_of_0_has_no_change_in_per_cent():
    said = told(arm("base", 0.0, 0.80, cut=(-0.01, 0.78)), arm("good", 0.0, 0.80, cut=(-0.01, 0.78)))
    assert "alone changes" not in said and said.startswith("Without a cut-off")


def test_arms_that_differ_in_their_samples_only_are_compared():
    other = {"samples": {"num_chars": 5}}
    same = [run._replace(group="again", config={**run.config, **other}) for run in arm("base", 0.10, 0.80)]
    assert [group.name for group in compared([*arm("base", 0.10, 0.80), *same]).compared.groups] == ["base", "again"]


def test_the_error_rate_of_the_test_of_a_gap_is_divided_among_the_arms(monkeypatch):
    arms = arm("base", 0.10, 0.80, seeds=3), arm("good", 0.04, 0.80, seeds=3), arm("same", 0.10, 0.80, seeds=3)
    found = compared([run for each in arms for run in each]).compared
    p = t_test(np.array(found.groups[1].values("curve_gap")))
    for rate, better in ((2.02 * p, "`good`"), (1.98 * p, "no arm")):
        monkeypatch.setattr(findings, "ERROR_RATE", rate)
        assert finding(found).startswith(f"Without a cut-off, {better}")
