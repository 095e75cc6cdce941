"""Tests the result of a run, from records written by hand."""

import json
import sys

import numpy as np
import pytest

from charrnn.errors import UserError
from trainers.launch.result import Result

LINES = [
    {"step": 50, "split": "train", "nats_per_char": 3.5, "gradient_norm": None},
    {"step": 100, "split": "train", "nats_per_char": 2.5, "gradient_norm": 1.5, "roll_backs": 1.0},
    {"step": 100, "split": "validation", "nats_per_char": 2.0},
    {"step": 120, "split": "validation", "nats_per_char": 2.25},
]
SAMPLE = {"step": 100, "prompt": "A", "temperature": 0.5, "seed": 0, "text": "b\u2028c"}


@pytest.fixture
def write(tmp_path):
    def write(lines, samples=()):
        for name, objects in (("metrics", lines), ("samples", samples)):
            text = "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in objects)
            (tmp_path / f"{name}.jsonl").write_text(text, encoding="utf-8")
        return str(tmp_path)

    return write


def test_measurements_are_columns_by_split(write):
    result = Result.read(write(LINES, [SAMPLE]), finished=True)
    assert {split: list(columns) for split, columns in result.history.items()} == {
        "train": ["step", "nats_per_char", "gradient_norm", "roll_backs"], "validation": ["step", "nats_per_char"],
    }
    assert result.history["train"]["step"].tolist() == [50, 100] and result.history["train"]["step"].dtype == np.int64
    np.testing.assert_array_equal(result.history["train"]["gradient_norm"], [np.nan, 1.5])
    np.testing.assert_array_equal(result.history["train"]["roll_backs"], [np.nan, 1.0])
    assert result.samples == [SAMPLE]


def test_a_result_shows_its_last_step_and_losses(write):
    folder = write(LINES)
    assert repr(Result.read(folder, True)) == (
        f"<Result {folder}: finished at step 120; validation 2.2500 nats per character, best 2.0000 at step 100>"
    )
    assert repr(Result.read(write(LINES[:2]), False)) == (
        f"<Result {folder}: unfinished, measured at step 100; training 2.5000 nats per character>"
    )


def test_the_plotted_curves_are_the_history(write):
    pytest.importorskip("matplotlib")
    result = Result.read(write(LINES), finished=True)
    figure = result.plot()
    (axes,) = figure.axes
    drawn = {line.get_label(): line.get_xydata().tolist() for line in axes.get_lines()}
    assert drawn == {"train": [[50, 3.5], [100, 2.5]], "validation": [[100, 2.0], [120, 2.25]]}
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["train", "validation"]
    assert figure._repr_png_().startswith(b"\x89PNG")
    assert Result.read(write([]), finished=False).plot().axes[0].get_legend() is None


def test_a_plot_without_matplotlib_is_a_user_error(write, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(UserError, match=r"Pictures need matplotlib, .*: pip install matplotlib"):
        Result.read(write(LINES), finished=True).plot()


def test_a_damaged_record_is_named_and_a_missing_model_too(write, tmp_path):
    result = Result.read(write(LINES), finished=False)
    with pytest.raises(UserError, match="is not a run directory"):
        _ = result.model
    (tmp_path / "metrics.jsonl").write_text("{\n")
    with pytest.raises(UserError, match=r"metrics\.jsonl is damaged"):
        Result.read(str(tmp_path), finished=True)
