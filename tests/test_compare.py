"""Tests the command `trainers.compare`: tables, Markdown and pictures of two small runs."""

import io
import json
import pathlib
import sys

import numpy as np
import pytest
import tensorflow as tf

from charrnn import command
from charrnn.batches.sources import DataConfig
from charrnn.model.config import ModelConfig
from trainers import compare
from trainers.configs import LoopConfig, SamplesConfig
from trainers.experiment import Experiment
from trainers.launch.build import run_experiment
from trainers.reports.console import Console

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run_dirs(tmp_path_factory):
    """Trains two runs, one per group. They store their measures, so only the first test takes the time to measure."""
    folder = tmp_path_factory.mktemp("runs")
    paths = []
    for units in (6, 8):
        experiment = Experiment(
            corpus="plays:3000",
            model=ModelConfig(units=units, embedding_size=0),
            data=DataConfig(seq_length=20, batch_size=4),
            loop=LoopConfig(steps=2, evaluate_every=1),
            samples=SamplesConfig(num_chars=0),
        )
        paths.append(str(folder / str(units)))
        assert run_experiment(experiment, "tiny", paths[-1], console=Console(io.StringIO()))
    return paths


@pytest.fixture
def call(capsys):
    """Runs the command. Returns exit status, standard output and standard error."""

    def call(*arguments):
        flags = ["--num_rollouts=2", "--num_chars=50", "--temperatures=0.8,1"]
        status = command.run(compare.main, compare.FLAGS, ["compare", *flags, *arguments])
        return (status, *capsys.readouterr())

    return call


def test_tables_go_to_standard_output_and_to_the_file(call, run_dirs, tmp_path):
    status, out, _ = call(*run_dirs, f"--markdown={tmp_path / 'paper.md'}", "--nopictures")
    assert status == 0 and (tmp_path / "paper.md").read_text() == out
    cells = [cell.strip() for cell in out.splitlines()[0].split("|")[1:-1]]
    assert cells == ["measure", "real text", "units=6", "units=8", "units=8 − first"]
    kept = [json.loads(pathlib.Path(path, "open_loop/measures.json").read_text()) for path in run_dirs]
    losses = [each["evaluation"]["report"]["measures"]["reference_loss"][0] for each in kept]
    row = next(line for line in out.splitlines() if line.startswith("| reference_loss "))
    for cell in (f"{losses[0]:.4f}", f"{losses[1]:.4f}", f"{losses[1] - losses[0]:+.4f}"):
        assert f"| {cell} " in row
    assert "| 0.8 " in out and "- units=6: seeds 0" in out
    assert not pathlib.Path(run_dirs[0], "open_loop/position.png").exists()


def test_cut_offs_add_a_table_and_a_gap(call, run_dirs):
    status, out, _ = call(*run_dirs, "--epsilons=0,0.05", "--nopictures")
    tables = [[line for line in part.splitlines() if line.startswith("|")] for part in out.split("\n\n")]
    assert status == 0 and any(line.startswith("| union_gap ") for line in tables[0])
    assert [line.split("|")[1].strip() for line in tables[-1][2:]] == ["0, 0.8", "0, 1", "0.05, 0.8", "0.05, 1"]
    assert "union_gap" not in call(*run_dirs, "--nopictures")[1]


def test_lines_on_a_text_that_the_runs_were_not_trained_on_are_printed_once_each(call, run_dirs, tmp_path):
    other = tmp_path / "other.txt"
    other.write_text("Zebra quiz. " * 300)
    status, _, err = call(*run_dirs, f"--text={other}", "--nopictures")
    lines = err.splitlines()
    assert status == 0 and len(lines) == len(set(lines))
    for run_dir in run_dirs:
        assert f"{other} is not the text that {run_dir} was trained on; it is split in the same way" in lines
    assert sum("Counted as the unknown character" in line and "'Z'" in line for line in lines) == 1


def test_pictures_lie_in_the_first_run_and_in_tensorboard(call, run_dirs):
    pytest.importorskip("matplotlib")
    status, _, err = call(*run_dirs)
    assert status == 0
    folder, shown = pathlib.Path(run_dirs[0], "open_loop"), {}
    for path in (folder / "comparison").glob("events.out.tfevents.*"):
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            for value in tf.compat.v1.Event.FromString(record).summary.value:
                shown[value.tag.removeprefix("open loop/")] = tf.io.decode_png(tf.make_ndarray(value.tensor)[2]).numpy()
    assert sorted(shown) == ["position", "quality_diversity"]
    for name, image in shown.items():
        assert f"picture: {folder / name}.png" in err
        assert (image == tf.io.decode_png((folder / f"{name}.png").read_bytes(), channels=3).numpy()).all()
        assert len(np.unique(image.astype(int) @ [1, 256, 65536])) > 50  # lines of several colours


def test_without_matplotlib_the_tables_are_still_printed(call, run_dirs, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    status, out, err = call(*run_dirs)
    assert status == 0 and out.startswith("| measure")
    assert "matplotlib" in err.splitlines()[-1]


@pytest.mark.parametrize(
    "arguments, said",
    [
        ([], "No runs"),
        (["/nowhere/at/all"], "/nowhere/at/all is not a run directory"),
        (["--temperatures=0.5,warm", "x"], "--temperatures=0.5,warm is not a list of numbers"),
        (["--temperatures=0", "x"], "--temperatures=0.0 is not possible: it must be above 0"),
        (["--num_rollouts=0", "x"], "--num_rollouts=0"),
        (
            ["--epsilons=1", "x"],
            "--epsilons=1.0 is not possible: it must be at least 0 (0: all characters) and below 1",
        ),
        (["--epsilon=-1", "x"], "--epsilon=-1.0 is not possible"),
        (["--mardown=x", "x"], "no flag --mardown; nearest: markdown"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_reported_in_one_sentence(call, arguments, said):
    status, out, err = call(*arguments)
    assert (status, out) == (2, "")
    assert err.startswith("error: ") and err.count("\n") == 1
    assert said in err


def test_the_same_run_twice_is_refused(call, run_dirs):
    status, out, err = call(run_dirs[0], run_dirs[0])
    assert (status, out) == (2, "") and "have the same settings and seed 0" in err


def test_a_file_that_cannot_be_written_is_reported(call, run_dirs):
    status, _, err = call(*run_dirs, "--markdown=/nowhere/at/all.md")
    assert status == 2 and "error: --markdown=/nowhere/at/all.md cannot be written" in err
