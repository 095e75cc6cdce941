"""Tests groups of runs, their differences, and the tables of both."""

import math

import numpy as np
import pytest

from charrnn.errors import UserError
from charrnn.measures.frontier import Point
from charrnn.measures.open_loop import Measure, Report
from trainers.evaluation.comparison import (
    MeasuredRun,
    best_cut_off,
    compare,
    curve_gap,
    group_runs,
    union_gap,
    with_curve_gaps,
    with_measures_at,
)
from trainers.evaluation.evaluation import Evaluation
from trainers.evaluation.statistics import t_test
from trainers.evaluation.tables import by_group, frontier_table, sweep_table, table


def run(seed, trainer="trainers.trainer:Trainer", values=None, base="", loop=(), **settings):
    """Returns a run with measures named by letters, all 0 for real text; `base` is the run of its warm start."""
    measures = {name: Measure(value, 0.0) for name, value in (values or {"a": 1.0}).items()}
    config = {
        "experiment": "quickstart",
        "seed": seed,
        "init_from": base,
        "model": {"units": 8, **settings},
        "trainer": {"class": trainer},
        "loop": {"steps": 10, "log_every": seed, **dict(loop)},
        "command": [str(seed)],
    }
    evaluation = Evaluation("best/step-10", "plays", Report(measures, {}), {0.7: (1.0 + seed, 2.0)})
    return MeasuredRun(f"runs/{trainer}-{settings}-{base}-{seed}", config, evaluation)


OTHER = "mine:Ramp"


def test_runs_that_differ_in_their_seed_are_a_group():
    groups = group_runs([run(0), run(0, OTHER), run(1), run(0, units=16), run(2, OTHER)])
    assert [sorted(g.runs) for g in groups] == [[0, 1], [0, 2], [0]]
    assert [g.name for g in groups] == ["units=8, teacher_forcing", "units=8, Ramp", "units=16, teacher_forcing"]


def test_a_single_group_has_the_experiments_name():
    assert [g.name for g in group_runs([run(0), run(1)])] == ["quickstart"]


def test_settings_that_only_some_runs_have_name_a_group_if_no_other_setting_differs():
    assert [g.name for g in group_runs([run(0), run(0, num_layers=2)])] == ["quickstart", "num_layers=2"]
    assert [g.name for g in group_runs([run(0, num_layers=2), run(0, OTHER)])] == ["teacher_forcing", "Ramp"]


def test_the_same_run_twice_is_refused():
    with pytest.raises(UserError, match=r"have the same settings and seed 1: give one of them"):
        group_runs([run(1), run(1)])


def test_seeds_that_were_each_warm_started_from_their_own_base_are_a_group_that_lists_the_bases():
    runs = [run(seed, base=f"runs/base-{seed}") for seed in range(3)]
    runs += [run(seed, OTHER, {"a": 5.0 + seed}, base=f"runs/base-{seed}") for seed in range(3)]
    compared = compare(runs)
    assert [sorted(g.runs) for g in compared.groups] == [[0, 1, 2]] * 2
    assert not math.isnan(compared.differences["Ramp", "a"].p)
    for text in (table(compared), by_group(compared)):
        assert text.count("runs/base-0, runs/base-1, runs/base-2") == 2


def test_a_base_that_all_runs_share_is_not_listed():
    runs = [run(seed, name, base="runs/base") for name in ("one:A", OTHER) for seed in range(3)]
    assert "runs/base" not in table(compare(runs)) + by_group(compare(runs))


def test_runs_with_no_warm_start_or_with_other_bases_are_separate_groups():
    scratch, one, other = ([run(seed, base=base) for seed in range(3)] for base in ("", "runs/x", "runs/y"))
    assert [g.name for g in group_runs([*scratch, *one])] == ["warm_start=False", "warm_start=True"]
    assert [g.name for g in group_runs([*one, *other])] == ["init_from=runs/x", "init_from=runs/y"]
    assert [sorted(g.runs) for g in group_runs([*one, *other, *scratch])] == [[0, 1, 2]] * 3
    with pytest.raises(UserError, match="same settings and seed 1"):
        group_runs([*one, run(1, base="runs/x")])


def test_settings_that_do_not_affect_training_separate_no_runs():
    loop = {"steps_per_loop": 3, "histograms_every": 5, "profile": [1, 2], "save_every": 7, "keep": 9}
    assert len(group_runs([run(0), run(1, loop=loop)])) == 1
    assert len(group_runs([run(0), run(1, loop={"steps": 11})])) == 2


def test_runs_that_were_evaluated_at_other_steps_are_separate_groups():
    runs = [run(0, loop={"evaluate_every": 5}), run(1, loop={"evaluate_every": 7})]
    assert [group.name for group in group_runs(runs)] == ["evaluate_every=5", "evaluate_every=7"]


def test_runs_whose_precision_was_chosen_differently_are_not_a_group():
    runs = [run(0), run(1), run(2)]
    for each, precision in zip(runs, ("float32", "mixed_bfloat16", "float32"), strict=True):
        each.config["runtime"] = {"precision": precision}
    groups = group_runs(runs)
    assert [group.name for group in groups] == ["precision=float32", "precision=mixed_bfloat16"]
    assert [sorted(group.runs) for group in groups] == [[0, 2], [1]]


def test_differences_are_paired_by_seed():
    firsts = [run(seed, values={"a": seed + 0.0, "b": 0.0}) for seed in range(4)]
    others = [run(seed, OTHER, {"a": seed + 5 + 0.1 * seed, "b": (-1.0) ** seed}) for seed in (3, 1, 2)]
    comparison = compare([*firsts, *others])
    a, b = comparison.differences["Ramp", "a"], comparison.differences["Ramp", "b"]
    assert (a.mean, a.deviation, a.num_seeds) == pytest.approx((5.2, 0.1, 3))
    assert a.beyond_noise and not b.beyond_noise
    assert b.p == pytest.approx(t_test(np.array([-1.0, -1.0, 1.0])))


def test_a_group_that_varies_far_more_than_the_others_keeps_the_error_rate():
    draw, scales, trials = np.random.default_rng(0), (1.0, 30.0, 1.0, 1.0, 1.0), 600
    false = 0
    for _ in range(trials):
        runs = [run(s, f"mine:G{i}", {"a": scale * draw.normal()}) for i, scale in enumerate(scales) for s in range(3)]
        false += any(each.beyond_noise for each in compare(runs).differences.values())
    assert false / trials <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / trials)


def test_only_the_measures_asked_for_are_tested():
    runs = [run(seed, name, {"a": 1.0, "b": 2.0}) for name in ("one:A", OTHER) for seed in range(3)]
    assert compare(runs, ["b", "missing"]).measures == ["b"]


def test_a_point_on_the_curve_has_no_gap_and_a_better_one_a_negative_gap():
    curve = {1.0: (2.0, 1.0), 0.5: (1.0, 3.0), 0.7: (1.5, 1.5)}
    assert curve_gap((1.25, 2.25), curve) == pytest.approx(0.0)  # half way between two temperatures
    assert curve_gap((1.6, 1.6), curve) == pytest.approx(0.1)
    assert curve_gap((1.4, 1.4), curve) < 0 and curve_gap((0.5, 4.0), curve) < 0
    assert curve_gap((3.0, 3.0), curve) == pytest.approx(1.5)


def test_gaps_are_from_the_first_groups_curve_of_the_same_seed():
    runs = [run(0), run(1), run(1, OTHER), run(2, OTHER)]
    sweeps = [{1.0: (1.0, 1.0)}, {1.0: (2.0, 2.0)}, {1.0: (2.5, 2.25)}, {1.0: (3.0, 3.0)}]
    runs = [each._replace(evaluation=each.evaluation._replace(sweep=s)) for each, s in zip(runs, sweeps, strict=True)]
    gaps = [each.measures.get("curve_gap") for each in with_curve_gaps(runs)]
    assert [gap and gap.value for gap in gaps] == [0.0, 0.0, 0.25, None]


def test_the_gap_to_the_union_is_the_largest_to_any_curve():
    """The point (1.2, 1.2) is better than the curve at cut-off 0 and worse than the curve at cut-off 0.01."""
    curves = {0.0: {1.0: (2.0, 1.0), 0.5: (1.0, 3.0)}, 0.01: {1.0: (1.0, 1.0), 0.5: (0.5, 2.5)}}
    frontier = {(t, e): Point(a, 9.0, b) for e, curve in curves.items() for t, (a, b) in curve.items()}
    for point in ((1.2, 1.2), (1.4, 2.4), (0.2, 0.4)):
        gaps = [curve_gap(point, curve) for curve in curves.values()]
        assert union_gap(point, frontier) == max(gaps) and gaps[0] != gaps[1]
    assert curve_gap((1.2, 1.2), curves[0.0]) < 0 < union_gap((1.2, 1.2), frontier) == pytest.approx(0.2)


def with_cut_off(run, shift=0.0):
    frontier = {
        (1.0, 0.01): Point(1.0 + shift, 0.5, 1.0 + shift),
        (1.0, 0.0): Point(2.0 + shift, 0.7, 2.0 + shift),
        (0.5, 0.01): Point(0.9 + shift, 0.4, 3.0),
        (0.5, 0.0): Point(1.9 + shift, 0.6, 3.0),
    }
    sweep = {t: (point.reference_loss, point.reverse_loss) for (t, e), point in frontier.items() if e == 0}
    return run._replace(evaluation=run.evaluation._replace(sweep=sweep, frontier=frontier))


def test_runs_with_cut_offs_have_a_gap_to_the_union():
    runs = [with_cut_off(run(0)), with_cut_off(run(0, OTHER), 0.25), with_cut_off(run(1, OTHER), 0.25)]
    gaps = [each.measures.get("union_gap") for each in with_curve_gaps(runs)]
    assert [gap and gap.value for gap in gaps] == [1.0, 1.25, None]
    assert [each.measures["curve_gap"].value for each in with_curve_gaps(runs)[:2]] == [0.0, 0.25]
    assert "union_gap" not in with_curve_gaps([run(0), run(0, OTHER)])[1].measures


def test_gaps_are_tested_over_the_common_seeds_if_a_later_group_has_more():
    firsts = [with_cut_off(run(seed), 0.1 * seed) for seed in range(3)]
    others = [with_cut_off(run(seed, OTHER), 0.1 * seed + 0.25 + 0.01 * seed) for seed in range(4)]
    compared = compare(with_curve_gaps([*firsts, *others]))
    for name, mean in {"curve_gap": 0.26, "union_gap": 0.26}.items():
        assert name in compared.measures
        difference = compared.differences["Ramp", name]
        assert difference.num_seeds == 3 and difference.mean == pytest.approx(mean)
    lines = table(compared).splitlines()
    assert "- over the seeds of the first group only: curve_gap, union_gap" in lines
    assert any("curve_gap" in line and "0.2600 ± 0.0100" in line for line in lines)
    cells = [line.split("|")[3].split(",")[-1].strip() for line in frontier_table(compared.groups).splitlines()[2:]]
    assert cells[1::2] == ["+1.2600", "+0.2600"]  # at temperature 1


def test_gaps_are_left_out_with_a_line_if_a_group_has_no_seed_of_the_first():
    runs = [with_cut_off(run(0)), with_cut_off(run(1, OTHER)), with_cut_off(run(2, OTHER))]
    compared = compare(with_curve_gaps(runs))
    assert compared.measures == ["a"]
    assert "- left out, because some run has no value: curve_gap, union_gap" in table(compared).splitlines()
    assert all(line.split("|")[3].strip().endswith("–") for line in frontier_table(compared.groups).splitlines()[2:])


def test_a_measure_without_a_value_in_a_seed_of_one_group_is_left_out():
    firsts, others = [run(0, values={"a": 1.0, "b": 1.0})], [run(0, OTHER, {"a": 1.0, "b": 1.0})]
    assert compare([*firsts, *others, run(1, OTHER, {"a": 1.0, "b": None})]).measures == ["a"]


def test_the_table_of_the_frontier_has_means_over_seeds():
    runs = [with_cut_off(run(0)), with_cut_off(run(1), 0.5), with_cut_off(run(0, OTHER), 0.25)]
    lines = frontier_table(group_runs(runs)).splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    assert cells[0][1:] == ["teacher_forcing", "Ramp"]
    assert [row[0] for row in cells[2:]] == ["0, 0.5", "0, 1", "0.01, 0.5", "0.01, 1"]
    assert cells[3][1:] == ["2.2500, 0.7000, 2.2500, +1.0000", "2.2500, 0.7000, 2.2500, +1.2500"]
    assert cells[5][1:] == ["1.2500, 0.5000, 1.2500, +0.0000", "1.2500, 0.5000, 1.2500, +0.2500"]


def test_the_table_by_group_has_values_and_differences():
    runs = [run(seed, values={"a": 1.0 + seed, "b": 150.0 + seed}) for seed in range(3)]
    runs += [run(seed, OTHER, {"a": 6.0 + seed + 0.1 * seed, "b": 149.0}) for seed in range(3)]
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in by_group(compare(runs)).splitlines()]
    assert lines[0] == ["", "a", "b"]
    assert lines[2:5] == [
        ["real text", "0.0000", "0.0000"],
        ["teacher_forcing", "2.0000 ± 1.0000", "151.0 ± 1.0"],
        ["Ramp", "7.1000 ± 1.1000", "149.0 ± 0.0"],
    ]
    assert lines[6] == ["less teacher_forcing", "a", "b"]
    assert lines[8] == ["Ramp", "+5.1000 ± 0.1000 \\*", "-2.0000 ± 1.0000"]


def test_two_seeds_are_too_few_for_a_test():
    comparison = compare([run(0), run(1), run(0, OTHER, {"a": 9.0}), run(1, OTHER, {"a": 9.1})])
    assert math.isnan(comparison.differences["Ramp", "a"].p)
    assert not comparison.differences["Ramp", "a"].beyond_noise
    assert "no group has 3 seeds in common" in table(comparison)


def test_the_table_has_values_differences_and_seeds():
    firsts = [run(seed, values={"a": 1.0 + seed, "b": None}) for seed in range(3)]
    others = [run(seed, OTHER, {"a": 6.0 + seed + 0.1 * seed, "b": 1.0}) for seed in range(3)]
    lines = table(compare([*firsts, *others])).splitlines()
    assert [cell.strip() for cell in lines[0].split("|")[1:-1]] == [
        "measure", "real text", "teacher_forcing", "Ramp", "Ramp − first",
    ]  # fmt: skip
    assert [cell.strip() for cell in lines[2].split("|")[1:-1]] == [
        "a", "0.0000", "2.0000 ± 1.0000", "7.1000 ± 1.1000", "+5.1000 ± 0.1000 (p 0.00013) \\*",
    ]  # fmt: skip
    assert lines[3:6] == ["", "- teacher_forcing: seeds 0, 1, 2", "- Ramp: seeds 0, 1, 2"]
    assert "left out" in lines[6] and lines[6].endswith(": b")  # not all runs have a value
    assert "two-sided paired t test" in lines[-1] and "over the 1 tests" in lines[-1]


def test_the_table_of_the_sweep_has_means_over_seeds():
    row = sweep_table(compare([run(0), run(1)])).splitlines()[-1]
    assert [cell.strip() for cell in row.split("|")[1:-1]] == ["0.7", "1.5000, 2.0000"]


def with_frontier(seed, points, trainer="trainers.trainer:Trainer"):
    """Returns a run with rollouts at temperature 1; `points`: cut-off -> reference loss, own entropy, reverse loss."""
    made = run(seed, trainer, {"divergence_open": 0.1})
    frontier = {(1.0, epsilon): Point(*point) for epsilon, point in points.items()}
    sweep = {1.0: (frontier[1.0, 0.0].reference_loss, frontier[1.0, 0.0].reverse_loss)}
    return made._replace(evaluation=made.evaluation._replace(frontier=frontier, sweep=sweep))


def test_the_best_cut_off_weighs_divergence_and_diversity():
    runs = [
        with_frontier(0, {0.0: (0.9, 0.7, 0.80), 0.01: (0.7, 0.65, 0.81), 0.1: (0.6, 0.58, 0.95)}),
        with_frontier(1, {0.0: (0.7, 0.7, 0.80), 0.01: (0.7, 0.65, 0.81), 0.1: (0.6, 0.58, 0.95)}),
    ]
    assert best_cut_off(group_runs(runs)[0]) == 0.01
    assert best_cut_off(group_runs(runs[1:])[0]) == 0.0


def test_measures_at_a_cut_off_come_from_its_rollouts():
    base = with_frontier(0, {0.0: (0.9, 0.7, 0.80), 0.01: (0.7, 0.65, 0.81)})
    other = with_frontier(0, {0.0: (0.9, 0.7, 0.80), 0.01: (0.68, 0.66, 0.80)}, OTHER)
    measures = with_measures_at([base, other], 0.01)[1].measures
    expected = {"reference_loss": 0.68, "reverse_loss": 0.80, "divergence_open": 0.02, "union_gap": -0.02}
    for name, value in expected.items():
        assert measures[f"{name}_at_0.01"].value == pytest.approx(value, abs=1e-12)
    assert measures["divergence_open"].value == 0.1


def test_runs_may_name_their_group():
    named = [run(seed, name)._replace(group=group) for seed in (0, 1) for name, group in (("a:A", "x"), (OTHER, "y"))]
    assert [group.name for group in group_runs(named)] == ["x", "y"]
