"""Tests the picture of the README, which is drawn from a run's records."""

import json

from benchmarks import picture
from charrnn import command, run_files
from trainers.launch.result import Result

LINES = [{"step": s, "split": p, "nats_per_char": 3.0 / s} for s in (1, 2) for p in ("train", "validation")]
SAMPLE = {"step": 2, "prompt": "", "temperature": 1.0, "seed": 0, "text": "MAREN:\nO king!"}


def test_the_picture_shows_the_losses_the_entropy_and_the_last_sample(tmp_path):
    (tmp_path / run_files.CONFIG).write_text('{"corpus": "plays"}')
    (tmp_path / run_files.METRICS).write_text("".join(json.dumps(line) + "\n" for line in LINES))
    (tmp_path / run_files.SAMPLES).write_text(json.dumps(SAMPLE) + "\n")
    arguments = [f"--run_dir={tmp_path}", f"--plot={tmp_path / 'loss.png'}"]
    assert command.run(picture.main, picture.FLAGS, ["picture", *arguments]) == command.DONE
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")

    figure = picture._draw(Result.read(str(tmp_path), finished=True), entropy_rate=0.6)
    train, validation, entropy = figure.axes[0].lines
    assert list(train.get_ydata()) == list(validation.get_ydata()) == [3.0, 1.5]
    assert set(entropy.get_ydata()) == {0.6}
    assert SAMPLE["text"] in figure.texts[0].get_text()


def test_a_run_without_records_is_refused(tmp_path, capsys):
    (tmp_path / run_files.CONFIG).write_text("{}")
    arguments = [f"--run_dir={tmp_path}", f"--plot={tmp_path / 'loss.png'}"]
    assert command.run(picture.main, picture.FLAGS, ["picture", *arguments]) == command.MISTAKE
    assert str(tmp_path) in capsys.readouterr().err
