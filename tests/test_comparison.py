"""Groups, and the statistics against tables of Student's distribution and numerical integration."""

import math

import numpy as np
import pytest

from charrnn.errors import UserError
from charrnn.open_loop import Measure, Report
from trainers.comparison import Run, compare, group, holm, sweep_table, t_test, table
from trainers.evaluation import Evaluation


def run(seed, trainer="trainers.trainer:Trainer", values=None, **settings):
    """A run with measures named by letters, all 0 for real text."""
    measures = {name: Measure(value, 0.0) for name, value in (values or {"a": 1.0}).items()}
    config = {
        "experiment": "quickstart",
        "seed": seed,
        "model": {"units": 8, **settings},
        "trainer": {"class": trainer},
        "loop": {"steps": 10, "log_every": seed},
        "command": [str(seed)],
    }
    evaluation = Evaluation("best/step-10", "plays", Report(measures, {}), {0.7: (1.0 + seed, 2.0)})
    return Run(f"runs/{trainer}-{settings}-{seed}", config, evaluation)


OTHER = "mine:Ramp"


@pytest.mark.parametrize(
    "t, freedom, p",
    [(12.706, 1, 0.05), (4.303, 2, 0.05), (3.182, 3, 0.05), (2.776, 4, 0.05), (2.228, 10, 0.05), (3.169, 10, 0.01)],
)
def test_p_is_that_of_the_tables(t, freedom, p):
    unit = np.arange(freedom + 1) - freedom / 2
    differences = unit + t * unit.std(ddof=1) / math.sqrt(freedom + 1)
    assert t_test(differences) == pytest.approx(p, rel=2e-3)
    assert t_test(-differences) == pytest.approx(p, rel=2e-3)


@pytest.mark.parametrize("freedom", [1, 2, 5, 8])
def test_p_is_the_area_of_both_tails(freedom):
    differences = np.random.default_rng(freedom).normal(0.4, 1.0, freedom + 1)
    t = abs(differences.mean()) / (differences.std(ddof=1) / math.sqrt(freedom + 1))
    x = np.linspace(-t, t, 200_001)
    scale = math.gamma((freedom + 1) / 2) / math.sqrt(freedom * math.pi) / math.gamma(freedom / 2)
    density = scale * (1 + x**2 / freedom) ** (-(freedom + 1) / 2)
    assert t_test(differences) == pytest.approx(1 - ((density[1:] + density[:-1]) / 2).sum() * (x[1] - x[0]), abs=1e-8)


def test_differences_without_spread():
    assert t_test(np.zeros(3)) == 1.0
    assert t_test(np.ones(3)) == 0.0


def test_holm_stops_at_the_first_that_fails():
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}, 0.05) == {"a", "d"}
    assert holm({"a": 0.02, "b": math.nan}, 0.05) == {"a"}  # what was not tested does not count


def test_runs_that_differ_in_their_seed_are_a_group():
    groups = group([run(0), run(0, OTHER), run(1), run(0, units=16), run(2, OTHER)])
    assert [sorted(g.runs) for g in groups] == [[0, 1], [0, 2], [0]]
    assert [g.name for g in groups] == ["units=8, Trainer", "units=8, Ramp", "units=16, Trainer"]


def test_one_group_bears_the_experiments_name():
    assert [g.name for g in group([run(0), run(1)])] == ["quickstart"]


def test_settings_that_only_some_have_name_a_group_where_nothing_else_does():
    assert [g.name for g in group([run(0), run(0, num_layers=2)])] == ["quickstart", "num_layers=2"]
    assert [g.name for g in group([run(0, num_layers=2), run(0, OTHER)])] == ["Trainer", "Ramp"]


def test_the_same_run_twice_is_refused():
    with pytest.raises(UserError, match=r"have the same settings and seed 1: give one of them"):
        group([run(1), run(1)])


def test_differences_are_paired_by_seed():
    firsts = [run(seed, values={"a": seed + 0.0, "b": 0.0}) for seed in range(4)]
    others = [run(seed, OTHER, {"a": seed + 5 + 0.1 * seed, "b": (-1.0) ** seed}) for seed in (3, 1, 2)]
    comparison = compare([*firsts, *others])
    a, b = comparison.differences["Ramp", "a"], comparison.differences["Ramp", "b"]
    assert (a.mean, a.deviation, a.num_seeds) == pytest.approx((5.2, 0.1, 3))
    assert a.beyond_noise and not b.beyond_noise
    assert b.p == pytest.approx(t_test(np.array([-1.0, -1.0, 1.0])))


def test_two_seeds_are_no_test():
    comparison = compare([run(0), run(1), run(0, OTHER, {"a": 9.0}), run(1, OTHER, {"a": 9.1})])
    assert math.isnan(comparison.differences["Ramp", "a"].p)
    assert not comparison.differences["Ramp", "a"].beyond_noise
    assert "Nothing was tested, for no group has 3 seeds in common" in table(comparison)


def test_the_table():
    firsts = [run(seed, values={"a": 1.0 + seed, "b": None}) for seed in range(3)]
    others = [run(seed, OTHER, {"a": 6.0 + seed + 0.1 * seed, "b": 1.0}) for seed in range(3)]
    lines = table(compare([*firsts, *others])).splitlines()
    assert [cell.strip() for cell in lines[0].split("|")[1:-1]] == [
        "measure", "real text", "Trainer", "Ramp", "Ramp − first",
    ]  # fmt: skip
    assert [cell.strip() for cell in lines[2].split("|")[1:-1]] == [
        "a", "0.0000", "2.0000 ± 1.0000", "7.1000 ± 1.1000", "+5.1000 ± 0.1000 (p 0.00013) \\*",
    ]  # fmt: skip
    assert lines[3:6] == ["", "- Trainer: seeds 0, 1, 2", "- Ramp: seeds 0, 1, 2"]  # b: not all runs have it
    assert "two-sided paired t test, with Holm's correction over the 1 tests" in lines[-1]


def test_the_table_of_the_sweep_has_means_over_seeds():
    assert "| 0.7         | 1.5000, 2.0000" in sweep_table(compare([run(0), run(1)]))
