"""Tests the command `charrnn.export`: its outputs, and one sentence for a mistake."""

import dataclasses
import json
import re

import pytest
import tensorflow as tf

from charrnn import command, export
from charrnn.text.vocabulary import Vocabulary


@pytest.fixture
def run(make_model, tmp_path, capsys):
    """Runs the command on a run with random weights. Returns exit status, standard output and standard error."""
    model, run_dir = make_model(), tmp_path / "run"
    run_dir.mkdir()
    config = {"model": dataclasses.asdict(model.config), "runtime": {"precision": "float32"}}
    (run_dir / "config.json").write_text(json.dumps({**config, "data": {"order": "windows"}}))
    Vocabulary("abcdef").save(run_dir / "vocabulary.json")
    tf.train.CheckpointManager(tf.train.Checkpoint(model=model), str(run_dir / "checkpoints"), 1).save()

    def run(*arguments):
        status = command.run(export.main, export.FLAGS, ["export", f"--run_dir={run_dir}", *arguments])
        return (status, *capsys.readouterr())

    return run


def test_the_given_formats_are_written_and_never_overwritten(run, tmp_path):
    output = tmp_path / "new" / "exported"
    assert run(f"--output={output}", "--formats=keras,tflite") == (0, f"Exported to {output}: keras, tflite\n", "")
    made = ["README.md", "model.keras", "step.tflite", "vocabulary.json"]
    assert sorted(path.name for path in output.iterdir()) == made
    assert [path.name for path in output.parent.iterdir()] == ["exported"]
    status, out, err = run(f"--output={output}")
    assert (status, out) == (2, "") and f"{output} exists" in err


def test_an_exported_page_starts_with_the_given_filters(run, tmp_path):
    output = tmp_path / "page"
    flags = ["--formats=html", "--top_k=3", "--epsilon=0.01", "--unknown=drop"]
    assert run(f"--output={output}", *flags) == (0, f"Exported to {output}: html\n", "")
    assert sorted(path.name for path in output.iterdir()) == ["README.md", "model.html", "vocabulary.json"]
    assert "model.html" in (output / "README.md").read_text() and "keras" not in (output / "README.md").read_text()
    described = re.search(r'(?s)id="described">(.*?)</script>', (output / "model.html").read_text())[1]
    found = json.loads(described)
    assert found["sampler"] == {"top_k": 3, "top_p": 1.0, "min_p": 0.0, "epsilon": 0.01} and found["unknown"] == "drop"


@pytest.mark.parametrize(
    "arguments, said",
    [
        ([], "--output"),
        (["--output=x", "--run_dir="], "--run_dir"),
        (["--output=x", "more"], "'more' belongs to no flag"),
        (["--output=x", "--formats=onnx"], "formats=onnx is not possible"),
        (["--output=x", "--top_p=0"], "top_p=0.0 is not possible"),
        (["--output=x", "--formats=html", "--unknown=keep"], "unknown=keep is not possible"),
        (["--output=x", "--run_dir=/nowhere/at/all"], "/nowhere/at/all is not a run directory"),
    ],
)
def test_a_mistake_is_reported_in_one_sentence(run, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    status, out, err = run(*arguments)
    assert (status, out) == (2, "")
    assert err.startswith("error: ") and err.count("\n") == 1 and said in err
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
