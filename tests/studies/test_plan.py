"""Tests the arms and the runs of a study, and the commands that train them."""

import gc
import json
import shlex
import weakref

import pytest

from charrnn.errors import UserError
from trainers import run
from trainers.experiment import Experiment
from trainers.launch.resolve import resolve
from trainers.studies.plan import make_arms, make_plan
from trainers.trainer import Trainer


class Mine(Trainer):
    pass


def test_arms_are_named_like_their_curricula_or_as_given():
    arms = make_arms(["teacher_forcing", Mine], {"soft": ("distillation", {"trainer.soft_share": 1.0})})
    assert [arm.name for arm in arms] == ["teacher_forcing", "Mine", "soft"]
    assert arms[2].trainer == "distillation" and arms[2].settings == ("trainer.soft_share=1.0",)


def test_a_grid_multiplies_the_arms_that_have_the_setting_and_do_not_give_it():
    fixed = {"fixed": ("spans", {"trainer.max_prob": 0.3})}
    grid = {"trainer.max_prob": [0.1, 0.2], "trainer.length": [4, 8]}
    arms = make_arms(["teacher_forcing", "scheduled_sampling"], fixed, grid)
    assert [arm.name for arm in arms] == [
        "teacher_forcing",
        "scheduled_sampling,max_prob=0.1",
        "scheduled_sampling,max_prob=0.2",
        "fixed,length=4",
        "fixed,length=8",
    ]
    assert arms[3].settings == ("trainer.max_prob=0.3", "trainer.length=4")
    sizes = make_arms(["teacher_forcing"], grid={"model.units": [8, 16]})
    assert [arm.settings for arm in sizes] == [("model.units=8",), ("model.units=16",)]


def test_runs_come_seed_by_seed_each_with_its_settings():
    arms = make_arms(["teacher_forcing", "scheduled_sampling"])
    plan = make_plan("quickstart", arms, 2, "s", ["model.units=8", "trainer.max_prob=0.5"], "plays:9000", 30)
    assert [(each.arm, each.experiment.seed) for each in plan] == [
        ("teacher_forcing", 0),
        ("scheduled_sampling", 0),
        ("teacher_forcing", 1),
        ("scheduled_sampling", 1),
    ]
    first, second = (each.experiment for each in plan[:2])
    assert first.model.units == second.model.units == 8 and first.loop.steps == 30 and first.corpus == "plays:9000"
    assert second.trainer.max_prob == 0.5  # the other arm has no such setting
    assert [each.run_dir for each in plan[:2]] == ["s/teacher_forcing-0", "s/scheduled_sampling-0"]


def trained_by(shell_command, run_dir):
    """Returns the experiment that a command trains, and asserts that it trains in this run directory."""
    python, *arguments = shlex.split(shell_command)
    assert python == "python" and arguments[:2] == ["-m", "trainers.run"]
    flags = run.FLAGS
    for name in flags:
        flags[name].unparse()  # an earlier test may have set it
    try:
        assert flags(["run", *arguments[2:]]) == ["run"]
        given = {name: flags[name].value for name in ("steps", "seed")}
        found = resolve(flags.experiment, flags.set, flags.trainer, **given)
        assert flags.run_dir == run_dir
    finally:
        flags.unparse_flags()
    return found


def test_the_command_of_a_run_trains_this_run():
    arms = make_arms([], {"a b: 'c'": ("distillation", {"trainer.teacher": "runs/x y", "trainer.own_share": 0.5})})
    planned = make_plan("quickstart", arms, 1, "a place", ["model.units=8"], steps=7)[0]
    assert planned.run_dir == "a place/a-b---c--0"
    assert trained_by(planned.command, planned.run_dir) == planned.experiment


@pytest.mark.parametrize(
    "make, said",
    [
        (lambda: make_arms(["spans", "spans"]), "Two arms have the name spans"),
        (lambda: make_arms(["a b", "a-b"]), "Two arms have the name a b, or the folder a-b-0"),
        (
            lambda: make_arms(["spans"], grid={"trainer.lenght": [1, 2]}),
            "no arm has the setting .*nearest: trainer.length",
        ),
        (lambda: make_arms(["spans"], grid={"trainer.length": []}), "followed by =VALUE"),
        (lambda: make_arms("spans"), "trainers='spans' is not possible: it must be a list"),
        (lambda: make_arms(None), "trainers=None"),
        (lambda: make_arms([Mine, 3]), "trainers=3 is not possible: each must be a name"),
        (lambda: make_arms([], {"x": "ab"}), r"arms\['x'\]='ab' is not possible: it must be a pair"),
        (lambda: make_arms([], {"x": Mine}), r"arms\['x'\]=.*Mine.* must be a pair"),
        (lambda: make_arms([], {"x": (3, {})}), "trainers=3"),
        (lambda: make_arms([], {1: ("spans", {})}), "arms=.* a dict"),
        (lambda: make_arms([], [("x", "spans")]), "arms=.* a dict"),
        (lambda: make_arms([], {"x": ("spans", ["a=b"])}), r"settings of arms\['x'\]=.* a dict such as"),
        (lambda: make_arms(["spans"], grid=["trainer.length"]), "grid=.* a dict"),
        (lambda: make_arms(["spans"], grid={"trainer.length": 4}), r"grid\['trainer.length'\]=4 .* a list"),
        (lambda: make_arms(["spans"], grid={"model.cell": "gru"}), r"grid\['model.cell'\]='gru' .* a list"),
        (lambda: make_plan("quickstart", make_arms(["spans"]), 1.5, "s"), "--seeds=1.5"),
        (lambda: make_plan("quickstart", make_arms(["spans"]), "2", "s"), "--seeds=2"),
        (lambda: make_plan("quickstart", make_arms(["spam"]), 1, "s"), "no trainer 'spam'"),
        (lambda: make_plan("quickstart", make_arms(["spans"]), 0, "s"), "--seeds=0"),
        (lambda: make_plan("quickstart", make_arms(["spans"]), 1, "s", ["trainer.lenght=3"]), "no setting .*length"),
        (lambda: make_plan("quikstart", make_arms(["spans"]), 1, "s"), "no experiment 'quikstart'"),
    ],
)
def test_mistakes_are_refused(make, said):
    with pytest.raises(UserError, match=said):
        make()


def test_a_plan_takes_an_experiment_object():
    mine = Experiment(corpus="plays:9000")
    assert make_plan(mine, make_arms(["teacher_forcing"]), 1, "s")[0].experiment == mine


def test_the_runs_of_a_plan_share_a_text_and_the_next_plan_reads_it_again(tmp_path):
    text = tmp_path / "text.txt"

    def plan_of(content):
        text.write_text(content)
        return make_plan("quickstart", make_arms(["teacher_forcing", "spans"]), 2, str(tmp_path), corpus=str(text))

    first = plan_of("To be, or not to be. " * 50)
    assert all(planned.texts is first[0].texts for planned in first)
    second = plan_of("That is the question. " * 50)
    assert second[0].texts.sha256 != first[0].texts.sha256
    ids = weakref.ref(first[0].texts.train)
    del first
    gc.collect()
    assert ids() is None


@pytest.mark.parametrize("begun", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_all_runs_of_a_study_have_the_precision_of_the_first_that_has_begun(tmp_path, begun):
    """This machine's precision does not count, nor does an earlier run whose arm sets its own precision."""
    arms = make_arms(["teacher_forcing"], {"fixed": ("spans", {"runtime.precision": "mixed_float16"})})
    settings = ["runtime.precision=auto"]
    for name, precision in {"fixed-0": "mixed_float16", "teacher_forcing-1": begun}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps({"runtime": {"precision": precision}}))
    plan = make_plan("quickstart", arms, 3, str(tmp_path), settings)
    assert [each.experiment.runtime.precision for each in plan] == [begun, "mixed_float16"] * 3
    for each in plan:
        assert trained_by(each.command, each.run_dir) == each.experiment
    assert f"--set=runtime.precision={begun}" in plan[-2].arguments


def test_a_new_study_has_this_machines_precision_in_all_its_commands(tmp_path):
    arms = make_arms(["teacher_forcing", "spans"])
    plan = make_plan("quickstart", arms, 1, str(tmp_path), ["runtime.precision=auto"])
    (precision,) = {each.experiment.runtime.precision for each in plan}
    assert precision in ("float32", "mixed_bfloat16")
    assert all(trained_by(each.command, each.run_dir) == each.experiment for each in plan)
