"""Tests that runs of version 0.1.0 (commit 2c4138d) can still be resumed, sampled, exported, evaluated and compared."""

import json
import shutil
from pathlib import Path

import pytest

from charrnn import command, export, generate
from trainers import compare, evaluate, train
from trainers.experiment import Experiment, override

pytestmark = pytest.mark.slow

EARLIER = Path(__file__).parent / "earlier_runs"
NAMES = ("teacher_forcing", "scheduled_sampling", "stranger")
FEW = ["--num_rollouts=2", "--num_chars=50", "--nopictures"]


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Returns copies of the three run directories by name, and makes the curriculum of `stranger` importable."""
    monkeypatch.syspath_prepend(str(EARLIER))
    shutil.copytree(EARLIER, tmp_path / "runs")
    return {name: tmp_path / "runs" / name for name in NAMES}


def experiment_of(run_dir):
    """Returns the experiment that config.json describes, the name of its curriculum, and the curriculum's settings."""
    config = json.loads((run_dir / "config.json").read_text())
    trainer = {"scheduled_sampling": "scheduled_sampling", "stranger": "strangers:Ramp"}.get(run_dir.name)
    groups = ("model", "data", "optimizer", "loop", "samples", "runtime")
    return override(Experiment(config["corpus"]), settings_of(config, groups)), trainer, config["trainer"]


def settings_of(config, groups):
    return [
        f"{group}.{name}={json.dumps(value) if isinstance(value, list) else value}"
        for group in groups
        for name, value in config[group].items()
    ]


@pytest.mark.parametrize("name", NAMES)
def test_a_run_resumes(runs, name):
    experiment, trainer, settings = experiment_of(runs[name])
    given = {f"trainer.{field}": value for field, value in settings.items() if field != "class"}
    asked = {"run_dir": runs[name], "trainer": trainer, "steps": 6, "set": given, "verbosity": "quiet"}
    result = train(experiment, resume="must", **asked)
    assert result.finished and result.history["train"]["step"].tolist() == [2, 4, 6]


def test_runs_generate_text_and_are_exported(runs, capfd, tmp_path):
    for name, run_dir in runs.items():
        asked = [f"--run_dir={run_dir}", "--prompt=A", "--num_chars=5"]
        assert command.run(generate.main, generate.FLAGS, ["generate", *asked]) == command.DONE
        asked = [f"--run_dir={run_dir}", f"--output={tmp_path / name}", "--formats=keras"]
        assert command.run(export.main, export.FLAGS, ["export", *asked]) == command.DONE
        assert (tmp_path / name / "model.keras").exists()


def test_runs_are_evaluated_and_compared_by_the_names_of_their_curricula(runs, capfd):
    asked = [f"--run_dir={runs['stranger']}", *FEW, "--json"]
    assert command.run(evaluate.main, evaluate.FLAGS, ["evaluate", *asked]) == command.DONE
    capfd.readouterr()
    asked = [*map(str, runs.values()), *FEW, "--temperatures=1"]
    assert command.run(compare.main, compare.FLAGS, ["compare", *asked]) == command.DONE
    table = capfd.readouterr().out
    assert all(name in table for name in ("teacher_forcing", "scheduled_sampling", "Ramp"))
