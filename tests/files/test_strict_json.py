"""Tests that the JSON of commands contains no NaN or Infinity, even if the text consists of one character."""

import ast
import io
import json
import math
import pathlib
import warnings

import pytest

from charrnn import command
from charrnn.batches.sources import DataConfig
from charrnn.files import strict_json
from charrnn.measures.frontier import Point
from charrnn.measures.open_loop import Measure
from charrnn.model.config import ModelConfig
from trainers import compare, evaluate
from trainers.configs import LoopConfig, OptimizerConfig, SamplesConfig
from trainers.evaluation import evaluation, measures_file
from trainers.experiment import Experiment
from trainers.launch.build import run_experiment
from trainers.reports.console import Console

HOUSE = pathlib.Path(__file__).parents[2]


def read_strictly(text):
    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    return json.loads(text, parse_constant=refuse)


def test_non_finite_numbers_become_null_at_any_depth():
    value = {"a": [math.nan, (math.inf, 1.5)], "b": Measure(-math.inf, None, 2.0), "c": "NaN", "d": {"e": 3, "f": True}}
    assert read_strictly(strict_json.dumps(value)) == {
        "a": [None, [None, 1.5]], "b": [None, None, 2.0], "c": "NaN", "d": {"e": 3, "f": True},
    }  # fmt: skip


def test_all_writers_of_measurements_write_strict_json():
    """Only these modules may use `json.dumps`: their JSON contains no measurements, or this package reads it."""
    free = {
        "charrnn/text/own_files.py",  # a list of names
        "charrnn/encoded/reader.py",
        "charrnn/generation/state.py",
        "charrnn/files/strict_json.py",
        "charrnn/text/vocabulary.py",
        "trainers/loop/checkpoints.py",  # in a checkpoint, which restores NaN in `pending`
        "trainers/distribution/cluster.py",
        "trainers/experiment.py",
        "trainers/run_directory/event_files.py",
        "trainers/run_directory/lock.py",
        "trainers/run.py",  # settings, which JSON can always represent
        "trainers/run_directory/directory.py",
        "trainers/settings.py",
        "trainers/launch/resolve.py",
        "trainers/launch/start.py",
        "benchmarks/all_reduce.py",
        "benchmarks/contest.py",
        "benchmarks/replica_work.py",
        "benchmarks/startup.py",
    }
    found = set()
    for room in ("charrnn", "trainers", "benchmarks", "experiments"):
        for path in (HOUSE / room).rglob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            if {ast.unparse(node) for node in ast.walk(tree)} & {"json.dumps", "json.dump"}:
                found.add(path.relative_to(HOUSE).as_posix())
    assert found <= free


@pytest.fixture(scope="module")
def sure(tmp_path_factory):
    """Trains a run on a text of one repeated character. The model becomes certain, so ratios of losses are 0 / 0."""
    folder = tmp_path_factory.mktemp("sure")
    (folder / "text.txt").write_text("a" * 2000)
    experiment = Experiment(
        corpus=str(folder / "text.txt"),
        model=ModelConfig(units=8, embedding_size=0),
        data=DataConfig(seq_length=8, batch_size=4),
        optimizer=OptimizerConfig(learning_rate=0.5),
        loop=LoopConfig(steps=60, evaluate_every=60),
        samples=SamplesConfig(num_chars=0),
    )
    assert run_experiment(experiment, "tiny", str(folder / "run"), console=Console(io.StringIO()))
    return folder / "run"


def call(capsys, module, *arguments):
    flags = ["--num_rollouts=3", "--num_chars=60"]
    status = command.run(module.main, module.FLAGS, ["it", *flags, *map(str, arguments)])
    out, err = capsys.readouterr()
    assert status == 0, err
    return out, err


@pytest.mark.slow
def test_evaluate_of_one_character_writes_null_and_says_why(capsys, sure):
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        out, err = call(capsys, evaluate, f"--run_dir={sure}", "--json", "--dynamic", "--ngram", "--calibrate")
    content = read_strictly(out)
    assert content["measures"]["recovery_10"] == {"value": None, "real": None, "error": None}
    assert content["curves"]["recovery"]["own"] == [None, None]
    assert content["measures"]["nats_per_char_dynamic"]["value"] is not None
    (line,) = [line for line in err.splitlines() if "recovery_10" in line]
    assert "recovery_50" in line and "null" in line
    read_strictly(f"[{','.join((sure / 'metrics.jsonl').read_text().splitlines())}]")


@pytest.mark.slow
def test_the_table_of_one_character_has_no_nan(capsys, sure):
    out, _ = call(capsys, evaluate, f"--run_dir={sure}")
    assert "nan" not in out and "\nrecovery_10" in out


@pytest.mark.slow
def test_compare_of_one_character_reuses_its_stored_measures(capsys, sure):
    out, _ = call(capsys, compare, sure, "--temperatures=0.8,1")
    assert "nan" not in out and "| recovery_10" not in out and "recovery_10, recovery_50" in out
    path = sure / "open_loop" / "measures.json"
    read_strictly(path.read_text())
    before = path.stat().st_mtime_ns
    assert call(capsys, compare, sure, "--temperatures=0.8,1")[0] == out and path.stat().st_mtime_ns == before


def test_stored_measures_without_a_value_are_read_again():
    point = {0.8: (math.nan, 1.5)}
    frontier = {(0.8, 0.01): Point(1.0, math.nan, 2.0)}
    kept = evaluation.Evaluation("c", "t", evaluation.Report({"a": Measure(None, None)}, {}), point, frontier)
    again = measures_file._from_json(read_strictly(strict_json.dumps(measures_file._to_json(kept))))
    assert math.isnan(again.sweep[0.8][0]) and again.sweep[0.8][1] == 1.5 and again.report == kept.report
    (same,) = again.frontier.items()
    assert same[0] == (0.8, 0.01) and math.isnan(same[1].own_entropy) and same[1].reverse_loss == 2.0
