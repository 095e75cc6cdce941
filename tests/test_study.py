"""Tests a study end to end on tiny runs: its files, resuming, printed commands, Python, and mistakes."""

import importlib
import json
import shlex

import numpy as np
import pytest

import trainers
from charrnn import command
from charrnn.errors import UserError
from charrnn.text.plays import Plays
from trainers import run
from trainers.evaluation import evaluation
from trainers.loop import stopping

pytestmark = pytest.mark.slow

SMALL = ["--experiment=quickstart", "--corpus=plays:12000", "--steps=4", "--num_rollouts=2", "--num_chars=50"]
SETTINGS = (
    "model.units=8 data.seq_length=16 data.batch_size=4 loop.save_every=2 loop.evaluate_every=2 samples.num_chars=0"
)
SWEEP = ["--temperatures=0.9,1", "--epsilons=0.05"]


@pytest.fixture
def call(capsys):
    """Runs the command. Returns exit status, standard output and standard error."""
    study = importlib.import_module("trainers.study")

    def call(*arguments):
        settings = [f"--set={setting}" for setting in SETTINGS.split()]
        status = command.run(study.main, study.FLAGS, ["study", *SMALL, *SWEEP, *settings, *map(str, arguments)])
        study.FLAGS.unparse_flags()
        return (status, *capsys.readouterr())

    return call


def test_a_study_trains_measures_compares_and_reports(call, tmp_path, monkeypatch):
    asked = ["--trainers=teacher_forcing,spans", "--arm=coin=scheduled_sampling trainer.max_prob=0.5", "--seeds=3"]
    status, out, _ = call(*asked, f"--study_dir={tmp_path}")
    assert status == command.DONE and "9/9" in out
    page, figures = (tmp_path / "study.md").read_text(), json.loads((tmp_path / "study.json").read_text())
    assert page in out and page.startswith(figures["finding"]) and "3 seeds" in page.partition("\n")[0]
    assert "- `coin`: scheduled_sampling, " in page and "max_prob 0.5" in page
    assert list(figures["arms"]) == ["teacher_forcing", "spans", "coin"]
    kept = json.loads((tmp_path / "coin-2/open_loop/measures.json").read_text())["evaluation"]["report"]["measures"]
    assert figures["arms"]["coin"]["seeds"]["2"]["reference_loss"]["value"] == kept["reference_loss"][0]
    base, coin = (figures["arms"][arm]["seeds"] for arm in ("teacher_forcing", "coin"))
    differences = [coin[s]["reference_loss"]["value"] - base[s]["reference_loss"]["value"] for s in "012"]
    assert figures["arms"]["coin"]["differences"]["reference_loss"]["mean"] == pytest.approx(sum(differences) / 3)
    for picture in ("effects.png", "quality_diversity.png"):
        assert (tmp_path / picture).stat().st_size > 5000 and f"({picture})" in page
    monkeypatch.setattr("trainers.evaluation.evaluation.evaluate", None)  # all measures are stored
    monkeypatch.setattr("trainers.launch.build.run_experiment", None)
    assert call(*asked, f"--study_dir={tmp_path}")[0] == command.DONE


def test_an_arm_that_diverges_is_left_out(call, tmp_path):
    wild = "--arm=wild=spans optimizer.learning_rate=1e6"
    asked = ["--trainers=teacher_forcing,spans", wild, "--seeds=2", f"--study_dir={tmp_path}", "--nopictures"]
    status, out, err = call(*asked)
    assert status == command.DIVERGED and err == ""
    page, figures = (tmp_path / "study.md").read_text(), json.loads((tmp_path / "study.json").read_text())
    assert "`wild` diverged and is not compared." in page.partition("\n")[0] and "it diverged (" in page
    assert list(figures["arms"]) == ["teacher_forcing", "spans"] and "wild-0" in figures["diverged"]["wild"]
    assert not (tmp_path / "wild-1").exists() and "the arm wild is left out" in out
    status, out, err = call("--trainers=teacher_forcing", wild, "--seeds=2", f"--study_dir={tmp_path}", "--nopictures")
    assert status == command.DIVERGED and "no two arms are left to compare: set optimizer.learning_rate" in err


def test_an_interrupted_study_resumes(call, tmp_path, monkeypatch):
    asked = ["--trainers=teacher_forcing,spans", "--seeds=1", f"--study_dir={tmp_path}", "--nopictures"]
    looks = iter(range(3))

    def look(self):
        if next(looks, None) is None:
            raise stopping.Stopped

    with monkeypatch.context() as patched:
        patched.setattr(stopping.Stop, "look", look)
        status, _, err = call(*asked)
    assert status == command.STOPPED and "run the same command to resume" in err
    assert list((tmp_path / "teacher_forcing-0/checkpoints").glob("*.index"))
    status, out, _ = call(*asked)
    assert status == command.DONE and "takes 3 seeds" in out
    lines = [json.loads(line) for line in (tmp_path / "teacher_forcing-0/metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line["split"] == "validation"] == [2, 4]


def test_runs_that_the_printed_commands_trained_are_used(call, tmp_path, monkeypatch):
    asked = ["--trainers=teacher_forcing,spans", "--seeds=1", f"--study_dir={tmp_path}", "--nopictures"]
    status, out, _ = call(*asked, "--print_commands")
    assert status == command.DONE and not list(tmp_path.iterdir())
    lines = out.splitlines()
    assert [line.rpartition("/")[2] for line in lines] == ["teacher_forcing-0", "spans-0"]
    for line in lines:
        assert command.run(run.main, run.FLAGS, shlex.split(line)[2:]) == command.DONE
        run.FLAGS.unparse_flags()
    assert "python -m" not in call(*asked, "--print_commands")[1]
    monkeypatch.setattr("trainers.launch.build.run_experiment", None)
    assert call(*asked)[0] == command.DONE


def test_a_study_measures_finished_runs_at_the_temperature_it_is_given(call, tmp_path):
    asked = ["--trainers=teacher_forcing,spans", "--seeds=1", f"--study_dir={tmp_path}", "--nopictures"]
    losses = []
    for temperature in (1.0, 3.0, 1.0):
        assert call(*asked, f"--set=model.temperature={temperature}")[0] == command.DONE
        arms = json.loads((tmp_path / "study.json").read_text())["arms"]
        losses.append([arm["seeds"]["0"]["nats_per_char"]["value"] for arm in arms.values()])
    assert losses[0] == losses[2] and not set(losses[0]) & set(losses[1])


def test_a_study_runs_from_python(tmp_path, capsys):
    importlib.import_module("trainers.study")  # the import of the command must not hide the function of this name
    settings = dict(setting.split("=") for setting in SETTINGS.split())
    how = {"corpus": "plays:12000", "steps": 4, "set": settings, "num_rollouts": 2, "num_chars": 50, "seeds": 1}
    how |= {"measures": ["curve_gap"], "temperatures": np.array([0.9, 1], np.float32), "num_rollouts": np.int64(2)}
    study = trainers.study("quickstart", grid={"model.units": [8, 9]}, study_dir=tmp_path, pictures=False, **how)
    assert "curve_gap" in study.comparison.measures and "nats_per_char" not in study.comparison.measures
    names = ["teacher_forcing,units=8", "teacher_forcing,units=9"]
    assert [group.name for group in study.comparison.groups] == names
    assert study.finding in repr(study) and study.finding in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["--trainers=teacher_forcing"], "two arms or more"),
        (["--trainers=teacher_forcing,span"], "no trainer 'span'; nearest: spans"),
        (["--trainers=teacher_forcing,spans", "--corpus=/nowhere"], "/nowhere"),
        (["--trainers=teacher_forcing,spans", "--num_chars=5000"], "a rollout of 5,000 after 100"),
        (["--trainers=teacher_forcing,spans", "--temperatures=0.9"], "--temperatures=0.9"),
        (["--trainers=teacher_forcing,spans", "--weights=step-2"], "--weights=step-2"),
        (["--trainers=teacher_forcing,spans", "--measures=reference_los"], "--measures=reference_los"),
        (["--arm=spans"], "--arm=spans is not possible"),
        (["--arm=a=spans trainer.length"], "--arm=a=spans trainer.length is not possible"),
        (["--arm=a=distillation trainer.teacher=runs/none"], "runs/none"),
        (["--grid=trainer.lenght=1,2"], "--grid: no arm has the setting trainer.lenght"),
        (["--arm=a=spans", "--grid=trainer.length=1,x"], "trainer.length=x"),
        (["--seeds=0"], "--seeds=0"),
        (["--experiment=quick"], "no experiment 'quick'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_reported_before_the_first_run(call, tmp_path, arguments, said):
    status, out, err = call(f"--study_dir={tmp_path / 'study'}", "--seeds=1", *arguments)
    assert (status, out) == (2, "") and err.startswith("error: ") and err.count("\n") == 1 and said in err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "wrong, said",
    [
        ({"temperatures": ["1"]}, r"temperatures=\['1'\] is not possible: it must be a list of numbers"),
        ({"epsilons": [None]}, r"epsilons=\[None\] is not possible"),
        ({"num_chars": "50"}, "num_chars='50' is not possible: it must be a whole number"),
        ({"num_rollouts": 2.5}, "num_rollouts=2.5 is not possible"),
        ({"max_minutes": "3"}, "--max_minutes=3 is not possible: it must be a number above 0"),
        ({"measures": [["js_1"]]}, r"--measures=\['js_1'\] is not possible: it must be among"),
    ],
    ids=str,
)
def test_a_value_of_another_type_is_refused_in_python(tmp_path, wrong, said):
    with pytest.raises(UserError, match=said):
        trainers.study("quickstart", ["teacher_forcing", "spans"], study_dir=tmp_path / "study", seeds=1, **wrong)
    assert not list(tmp_path.iterdir())


def test_a_run_of_other_settings_in_the_folder_is_refused(call, tmp_path):
    asked = ["--trainers=teacher_forcing,spans", "--seeds=1", f"--study_dir={tmp_path}", "--nopictures"]
    assert call(*asked)[0] == command.DONE
    status, _, err = call(*asked, "--set=optimizer.clip_norm=0.5")
    assert status == command.MISTAKE and "teacher_forcing-0 belongs to another run: optimizer.clip_norm was 1.0" in err


def test_a_run_that_was_evaluated_at_other_steps_is_refused(call, tmp_path):
    """It may have other best weights, and a curriculum may change at an evaluation."""
    asked = ["--trainers=teacher_forcing,spans", "--seeds=1", f"--study_dir={tmp_path}", "--nopictures"]
    assert call(*asked, "--set=loop.evaluate_every=2")[0] == command.DONE
    status, _, err = call(*asked, "--set=loop.evaluate_every=1")
    assert status == command.MISTAKE and "-0 has loop.evaluate_every=2, not loop.evaluate_every=1: give" in err


@pytest.mark.parametrize("early_stop", [[], ["--set=loop.patience=9"]], ids=str)
def test_a_run_of_more_steps_than_the_study_is_refused_before_anything_is_written(call, tmp_path, early_stop):
    asked = ["--seeds=1", f"--study_dir={tmp_path}", "--nopictures", *early_stop]
    assert call(*asked, "--trainers=teacher_forcing,spans")[0] == command.DONE
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    status, _, err = call(*asked, "--steps=2", "--trainers=teacher_forcing,two_pass")
    said = f"{tmp_path}/teacher_forcing-0 has 4 steps, more than --steps=2: give another --study_dir."
    assert status == command.MISTAKE and said in err
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_a_text_that_changes_during_a_study_is_reported(call, tmp_path, monkeypatch):
    text, evaluate = tmp_path / "text.txt", evaluation.evaluate
    text.write_text(Plays().text(12000, seed=1))

    def evaluate_after_a_change(*arguments, **named):
        text.write_text(Plays().text(12000, seed=2))
        return evaluate(*arguments, **named)

    monkeypatch.setattr("trainers.evaluation.evaluation.evaluate", evaluate_after_a_change)
    asked = ["--trainers=teacher_forcing,spans", "--seeds=1", f"--study_dir={tmp_path / 'study'}", "--nopictures"]
    status, _, err = call(*asked, f"--corpus={text}")
    assert status == command.MISTAKE and f"{text} has changed during the study: restore it" in err
