"""Tests the tables of results against the content of finished runs and their evaluations."""

import io
import json
import shutil
import statistics

import pytest

from benchmarks import results
from charrnn import command, run_files
from charrnn.batches.sources import DataConfig
from charrnn.model.config import ModelConfig
from trainers.configs import LoopConfig, SamplesConfig
from trainers.experiment import Experiment
from trainers.launch.build import run_experiment
from trainers.reports.console import Console
from trainers.reports.records import read

LOSSES = (2.0, 2.5)
"""Validation losses of the two seeds with the state carried; by windows they are 0.25 higher."""


@pytest.fixture(scope="module")
def run_dirs(tmp_path_factory):
    """Trains a run and copies it with another seed and loss; returns both run directories."""
    folder = tmp_path_factory.mktemp("runs")
    experiment = Experiment(
        corpus="plays:3000",
        model=ModelConfig(units=4, embedding_size=0),
        data=DataConfig(seq_length=20, batch_size=4),
        loop=LoopConfig(steps=2, evaluate_every=2, log_every=1),
        samples=SamplesConfig(num_chars=0),
    )
    paths = [str(folder / str(seed)) for seed in range(2)]
    assert run_experiment(experiment, "tiny", paths[0], console=Console(io.StringIO()))
    shutil.copytree(*paths)
    for seed, (path, loss) in enumerate(zip(paths, LOSSES, strict=True)):
        config = json.loads((folder / path / "config.json").read_text())
        (folder / path / "config.json").write_text(json.dumps({**config, "seed": seed}))
        lines = read(path, run_files.METRICS)
        for line in lines:
            line["seconds"] = 60.0 * line["step"] * (1 + seed)
            if line["split"] == "validation":
                line.update(nats_per_char=loss, nats_per_char_window_256=loss + 0.25)
        (folder / path / run_files.METRICS).write_text("".join(json.dumps(line) + "\n" for line in lines))
    return paths


def call(*arguments):
    return command.run(results.main, results.FLAGS, ["results", *map(str, arguments)])


def test_seeds_of_one_recipe_are_a_row(run_dirs, tmp_path, capsys):
    page, picture = tmp_path / "page.md", tmp_path / "curves.png"
    page.write_text("<!-- made by benchmarks.results: begin -->\n<!-- made by benchmarks.results: end -->\n")
    assert call(*run_dirs, f"--page={page}", f"--plot={picture}") == command.DONE
    row = capsys.readouterr().out.splitlines()[2]
    spread = statistics.stdev(LOSSES)
    assert row == f"| `tiny` on plays:3000 | 0.00 M | 2, 4 | 2 | 2.5000 ± {spread:.4f} | 2.2500 ± {spread:.4f} |"
    assert row in page.read_text() and picture.read_bytes().startswith(b"\x89PNG")


def test_other_systems_have_a_table_of_their_own(run_dirs, tmp_path, capsys):
    evaluated = tmp_path / "evaluated.json"
    measures = {"nats_per_char_7_gram": {"value": 1.75}, "nats_per_char_dynamic": {"value": 1.5}}
    evaluated.write_text(json.dumps({"run_dir": run_dirs[0], "measures": measures}))
    assert call(run_dirs[0], f"--evaluated={evaluated}") == command.DONE
    first, second = capsys.readouterr().out.strip().split("\n\n")
    assert first.splitlines()[2] == "| `tiny` on plays:3000 | 0.00 M | 2 | 1 | 2.2500 | 2.0000 |"
    assert second.splitlines()[2] == "| `tiny` on plays:3000 | 1.7500 | – | 1.5000 |"


def test_recipes_are_told_apart_by_their_settings(run_dirs, tmp_path, capsys):
    other = shutil.copytree(run_dirs[0], tmp_path / "other")
    config = json.loads((other / "config.json").read_text())
    config["optimizer"]["learning_rate"] = 0.5
    (other / "config.json").write_text(json.dumps(config))
    assert call(*run_dirs, other) == command.DONE
    names = [row.split(" | ")[0] for row in capsys.readouterr().out.splitlines()[2:]]
    assert names == [f"| `tiny` on plays:3000, learning_rate={rate}" for rate in (0.001, 0.5)]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nowhere"],
        ["{run}", "{run}"],
        ["{run}", "--evaluated={run}/config.json"],
        ["{run}", "--plot={run}/nowhere/curves.png"],
    ],
)
def test_mistakes_are_reported(run_dirs, capsys, arguments):
    assert call(*(argument.format(run=run_dirs[0]) for argument in arguments)) == command.MISTAKE
    assert capsys.readouterr().err.startswith("error: ")
