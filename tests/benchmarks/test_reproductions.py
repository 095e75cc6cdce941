"""Tests the tables of the reproductions against the content of the run directories."""

import json

import numpy as np
import pytest
import tensorflow as tf

import trainers
from benchmarks import reproductions
from charrnn import command
from charrnn.batches.texts import load_texts
from charrnn.measures.ngrams import KneserNey
from experiments import nietzsche_lstm


@pytest.fixture
def run_dir(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"experiment": "shakespeare_lstm"}))
    lines = []
    for step, loss in ((5, 3.0), (10, 2.5), (15, 2.25), (20, 2.0)):
        lines.append({"step": step, "split": "train", "nats_per_char": loss, "seconds": 2.0 * step})
        if step % 10 == 0:
            lines.append({"step": step, "split": "validation", "nats_per_char": loss + 1, "seconds": 2.0 * step})
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return tmp_path


def call(*arguments):
    return command.run(reproductions.main, reproductions.FLAGS, ["reproductions", *map(str, arguments)])


def test_each_epoch_is_a_row(run_dir, capsys):
    assert call(run_dir) == command.DONE
    rows = capsys.readouterr().out.splitlines()[3:5]
    assert rows == ["| 1 | 2.083 | 2.500 | 3.5000 | 20 |", "| 2 | 1.735 | 2.000 | 3.0000 | 20 |"]


def test_a_published_mean_is_compared_with_a_mean(run_dir, capsys):
    (run_dir / "config.json").write_text(json.dumps({"experiment": "shakespeare_gru"}))
    call(run_dir)
    assert "| 1 | 2.676 | 2.750 | 3.5000 | 20 |" in capsys.readouterr().out


def test_an_epochs_seconds_are_its_steps_times_the_seconds_of_a_step(run_dir, tmp_path, capsys):
    page = tmp_path / "page.md"
    mark = "<!-- made by benchmarks.reproductions: {} -->"
    page.write_text(f"before\n{mark.format('begin')}\nold\n{mark.format('end')}\nafter\n")
    measured = {name: {"seconds": value} for name, value in (("closed loop", 0.5), ("keras", 1.25), ("matmuls", 0.4))}
    speed = tmp_path / "speed.json"
    rows = [{"experiment": name, "measured": measured} for name in ("shakespeare_lstm", "another")]
    speed.write_text(json.dumps({"rows": rows}))
    for _ in range(2):
        assert call(run_dir, f"--page={page}", f"--speed={speed}") == command.DONE
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "old" not in text
    assert text.count("| `shakespeare_lstm` | 5.0 | 12.5 | 2.50 × | 4.0 |") == 1 and "another" not in text


def test_the_file_keeps_its_entries_of_other_runs(run_dir, tmp_path, capsys):
    file = tmp_path / "kept.json"
    call(run_dir, f"--json={file}")
    sample = {"step": 20, "prompt": "ROMEO:", "temperature": 0.5, "seed": 1, "text": " Hold"}
    old = {**sample, "step": 10, "text": " old"}
    (run_dir / "samples.jsonl").write_text(json.dumps(old) + "\n" + json.dumps(sample) + "\n")
    (run_dir / "config.json").write_text(json.dumps({"experiment": "linux_lstm"}))
    assert call(run_dir, f"--json={file}") == command.DONE
    text = capsys.readouterr().out
    assert call(f"--json={file}") == command.DONE and capsys.readouterr().out == text[text.rindex("### `shakesp") :]
    assert text.count("### `linux_lstm`") == 1 and "temperature 0.5\n```\nROMEO: Hold\n```" in text


@pytest.mark.slow
def test_a_better_recipe_is_measured_as_the_original_is(run_dir, tmp_path, capsys, monkeypatch):
    """The loss is measured on windows of which only the last character counts; the 7-gram reads the same windows."""
    set = {"model.units": 8, "data.seq_length": 16, "data.batch_size": 4, "data.lowercase": True}
    set["samples.num_chars"] = 0
    run = trainers.train("quickstart", corpus="plays:12000", steps=4, run_dir=tmp_path / "better", set=set)
    monkeypatch.setitem(reproductions.BETTER, ("quickstart", "plays:12000"), "nietzsche_lstm")
    (run_dir / "config.json").write_text(json.dumps({"experiment": "nietzsche_lstm"}))
    file = tmp_path / "kept.json"
    assert call(run_dir, f"--better={tmp_path / 'better'}", f"--json={file}") == command.DONE
    set["data.lowercase"] = False
    trainers.train("quickstart", corpus="plays:12000", steps=4, run_dir=tmp_path / "other", set=set)
    assert call(run_dir, f"--better={tmp_path / 'other'}") == command.MISTAKE
    assert "their vocabularies differ" in capsys.readouterr().err
    assert call(f"--json={file}") == command.DONE
    texts = load_texts("plays:12000", nietzsche_lstm.EXPERIMENT.data, lambda line: None)
    ids, found = texts.validation, json.loads(file.read_text())["better"]["nietzsche_lstm"]
    windows = np.stack([ids[i : i + 61] for i in range(0, len(ids) - 60, 3)]).astype(np.int32)
    logits, _ = run.model.model(windows[:, :-1])
    right = np.take_along_axis(tf.nn.log_softmax(logits[:, -1]).numpy(), windows[:, -1:], 1)
    assert found["validation"] == pytest.approx(-right.mean(), rel=1e-5)
    ngrams = KneserNey(np.asarray(texts.train), texts.vocabulary.size)
    assert found["ngram"] == pytest.approx(-ngrams.log_probs(windows)[:, -1].mean(), rel=1e-5)
    assert f"| 3.0000, 3.0000 | {found['ngram']:.4f} | `quickstart` |" in capsys.readouterr().out


@pytest.mark.slow
def test_an_original_that_ends_with_a_batch_of_texts_shows_them(tmp_path, capsys, monkeypatch):
    set = {"model.units": 8, "data.seq_length": 16, "data.batch_size": 4, "samples.num_chars": 20}
    run = trainers.train("quickstart", corpus="plays:12000", steps=4, run_dir=tmp_path / "run", set=set)
    monkeypatch.setitem(reproductions.ORIGINALS, "quickstart", reproductions.Original(1, {}, batch=2))
    assert call(tmp_path / "run") == command.DONE
    out = capsys.readouterr().out
    last = json.loads((tmp_path / "run" / "samples.jsonl").read_text().splitlines()[-1])
    for i in range(2):
        text = run.model.generate(last["prompt"], 20, seed=i, temperature=last["temperature"])
        assert f"{i + 1} of 2 in one batch\n```\n{(last['prompt'] + text).strip()}\n```" in out


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nowhere"],
        ["{run}", "--page={run}/config.json"],
        ["{run}", "--speed=nothing"],
        ["{run}", "--json={run}/config.json"],
    ],
)
def test_mistakes_are_reported(run_dir, capsys, arguments):
    assert call(*(argument.format(run=run_dir) for argument in arguments)) == command.MISTAKE
    assert capsys.readouterr().err.startswith("error: ")
