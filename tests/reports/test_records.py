"""Tests metrics.jsonl and samples.jsonl: the content of a line, and the lines that a resumed run keeps."""

import io
import json
import re

import pytest

from charrnn.batches.sources import DataConfig
from charrnn.errors import UserError
from charrnn.model.config import ModelConfig
from trainers.configs import LoopConfig, SamplesConfig
from trainers.experiment import Experiment
from trainers.launch.build import run_experiment
from trainers.reports.console import Console
from trainers.reports.records import Records
from trainers.reports.samples import Sample

STRANGE = 'a "quote"\\ \n\r\t\x00 é ☂ 🎭 \N{LINE SEPARATOR}\N{PARAGRAPH SEPARATOR}\x85\x0c` end'


def lines_of(path):
    """Returns each line as JSON. Only a line feed ends a line; NaN and Infinity are errors."""
    content = path.read_bytes().decode()
    assert content.endswith("\n")

    def refuse(constant):
        raise ValueError(f"{constant} is not JSON")

    return [json.loads(line, parse_constant=refuse) for line in content.split("\n")[:-1]]


def test_a_line_of_metrics_has_the_step_the_split_and_the_values(tmp_path):
    records = Records(str(tmp_path))
    records.start(0, 0)
    records.scalars(50, "train", {"nats_per_char": 1.25, "chars_per_sec": 1e6})
    records.scalars(100, "validation", {"nats_per_char": 1.5})
    assert lines_of(tmp_path / "metrics.jsonl") == [
        {"step": 50, "split": "train", "nats_per_char": 1.25, "chars_per_sec": 1e6},
        {"step": 100, "split": "validation", "nats_per_char": 1.5},
    ]
    assert not (tmp_path / "samples.jsonl").exists()


def test_non_finite_values_are_null(tmp_path):
    values = {"a": float("nan"), "b": float("inf"), "c": float("-inf"), "d": 0.0}
    Records(str(tmp_path)).scalars(1, "train", values)
    assert lines_of(tmp_path / "metrics.jsonl") == [
        {"step": 1, "split": "train", "a": None, "b": None, "c": None, "d": 0.0}
    ]


def test_a_line_of_a_sample_keeps_every_character(tmp_path):
    samples = [Sample("ROMEO:", 0.5, 0, STRANGE), Sample(STRANGE, 1.0, 3, "")]
    Records(str(tmp_path)).samples(7, samples)
    assert lines_of(tmp_path / "samples.jsonl") == [
        {"step": 7, "prompt": "ROMEO:", "temperature": 0.5, "seed": 0, "text": STRANGE},
        {"step": 7, "prompt": STRANGE, "temperature": 1.0, "seed": 3, "text": ""},
    ]


def written(tmp_path, steps):
    """Writes both files in the format of another program; returns the bytes of each line."""
    text = "é🎭\N{LINE SEPARATOR}"
    parts = [f'{{"split":"train",  "step": {step}, "text": "{text}", "x": 1.50}}\n'.encode() for step in steps]
    for name in ("metrics.jsonl", "samples.jsonl"):
        (tmp_path / name).write_bytes(b"".join(parts))
    return parts


@pytest.mark.parametrize("name", ["metrics.jsonl", "samples.jsonl"])
@pytest.mark.parametrize("step, kept", [(0, 0), (9, 0), (10, 2), (15, 2), (20, 3), (10**9, 4)])
def test_a_resumed_run_takes_out_later_lines_and_keeps_the_rest_byte_for_byte(tmp_path, name, step, kept):
    parts = written(tmp_path, [10, 10, 20, 30])
    Records(str(tmp_path)).start(step, step)
    assert (tmp_path / name).read_bytes() == b"".join(parts[:kept])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["metrics.jsonl", "samples.jsonl"]


def test_lines_of_an_evaluation_are_removed_separately_from_lines_of_training(tmp_path):
    records = Records(str(tmp_path))
    for step in (1, 2):
        records.scalars(step, "train", {"x": step})
        records.scalars(step, "validation", {"x": step})
        records.samples(step, [Sample("a", 1.0, 0, "b")])
    records.start(2, 1)
    lines = [(line["split"], line["step"]) for line in lines_of(tmp_path / "metrics.jsonl")]
    assert lines == [("train", 1), ("validation", 1), ("train", 2)]
    assert [line["step"] for line in lines_of(tmp_path / "samples.jsonl")] == [1]


def test_a_torn_last_line_is_taken_out_wherever_it_was_torn(tmp_path):
    *whole, torn = written(tmp_path, [10, 20])
    for length in range(1, len(torn)):  # also in the middle of a character
        (tmp_path / "metrics.jsonl").write_bytes(b"".join(whole) + torn[:length])
        Records(str(tmp_path)).start(20, 20)
        assert (tmp_path / "metrics.jsonl").read_bytes() == b"".join(whole)


def test_a_file_with_nothing_to_take_out_is_not_written(tmp_path):
    written(tmp_path, [10, 20])
    before = (tmp_path / "metrics.jsonl").stat()
    Records(str(tmp_path)).start(20, 20)
    after = (tmp_path / "metrics.jsonl").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_nothing_is_touched_before_the_start(tmp_path):
    parts = written(tmp_path, [10, 20])
    Records(str(tmp_path))
    assert (tmp_path / "metrics.jsonl").read_bytes() == b"".join(parts)


def test_a_resumed_run_appends(tmp_path):
    first = Records(str(tmp_path))
    for step in (1, 2, 3):
        first.scalars(step, "train", {"x": step})
    second = Records(str(tmp_path))
    second.start(2, 2)
    second.scalars(3, "train", {"x": 33})
    assert [(line["step"], line["x"]) for line in lines_of(tmp_path / "metrics.jsonl")] == [(1, 1), (2, 2), (3, 33)]


@pytest.mark.slow
def test_a_runs_lines_have_the_documented_keys(tmp_path):
    experiment = Experiment(
        corpus="plays:3000",
        model=ModelConfig(units=4, embedding_size=0),
        data=DataConfig(seq_length=20, batch_size=4),
        loop=LoopConfig(steps=4, log_every=2, evaluate_every=2),
        samples=SamplesConfig(prompts=("\n",), temperatures=(0.5, 1.0), num_chars=5),
    )
    assert run_experiment(experiment, "tiny", str(tmp_path / "run"), console=Console(io.StringIO()))
    metrics = lines_of(tmp_path / "run" / "metrics.jsonl")
    splits = [(line["step"], line["split"]) for line in metrics]
    assert splits == [(2, "train"), (2, "validation"), (4, "train"), (4, "validation")]
    documented = {"step", "split", "nats_per_char", "bits_per_char", "seconds"}
    training = {"chars_per_sec", "own_input_prob", "learning_rate", "gradient_norm", "skipped_updates"}
    for line in metrics:
        assert documented | (training if line["split"] == "train" else set()) <= set(line)
        assert all(isinstance(value, float) for name, value in line.items() if name not in ("step", "split"))
    samples = lines_of(tmp_path / "run" / "samples.jsonl")
    assert [(line["step"], line["temperature"]) for line in samples] == [(2, 0.5), (2, 1.0), (4, 0.5), (4, 1.0)]
    assert all(list(line) == ["step", "prompt", "temperature", "seed", "text"] for line in samples)
    assert all(len(line["text"]) == 5 for line in samples)


@pytest.mark.parametrize("name", ["metrics.jsonl", "samples.jsonl"])
@pytest.mark.parametrize(
    "line", ["", "{", "[]", '{"split": "train"}', "null", '{"step": "1"}', "[" * 100_000], ids=lambda line: line[:20]
)
def test_a_damaged_line_is_refused_and_nothing_is_lost(tmp_path, name, line):
    text = f'{{"step": 1}}\n{line}\n{{"step": 2}}\n'
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=re.escape(f"{name} is damaged")):
        Records(str(tmp_path)).start(1, 1)
    assert (tmp_path / name).read_text() == text
