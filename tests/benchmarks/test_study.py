"""The study of curricula, end to end on tiny runs: tables and figures, stopping, going on, mistakes."""

import json
import pathlib

import pytest

from benchmarks import curricula
from charrnn import command
from trainers.experiment import TRAINERS, Experiment, override, with_trainer
from trainers.loop import stopping

pytestmark = pytest.mark.slow

SMALL = ["--corpora=plays:12000", "--steps=20", "--num_rollouts=2", "--num_chars=50"]
SETTINGS = curricula._SETTINGS.replace("units=256", "units=8").replace("seq_length=64", "seq_length=32")


@pytest.fixture
def call(capsys, monkeypatch):
    """Runs the command with a tiny model -> exit status, standard output, standard error."""
    monkeypatch.setattr(curricula, "_SETTINGS", SETTINGS)
    monkeypatch.setattr(curricula, "TEMPERATURES", (1.0,))

    def call(*arguments):
        status = command.run(curricula.main, curricula.FLAGS, ["curricula", *SMALL, *map(str, arguments)])
        return (status, *capsys.readouterr())

    return call


def test_a_study_is_measured_once_and_shown_as_often_as_wanted(call, tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    page.write_text("before\n" + "".join(f"<!-- made by benchmarks.curricula: {end} -->\n" for end in ("begin", "end")))
    asked = ["--curricula=spans", "--seeds=1", f"--runs={tmp_path / 'runs'}"]
    assert call(*asked)[0] == command.DONE
    monkeypatch.setattr("trainers.evaluation.evaluation.evaluate", None)  # all is kept
    status, out, _ = call(*asked, f"--json={tmp_path / 'found.json'}", f"--page={page}")
    assert status == command.DONE
    kept = json.loads((tmp_path / "runs/plays-12000-spans-0.25-20-0/open_loop/measures.json").read_text())
    expected = kept["evaluation"]["report"]["measures"]["reference_loss"][0]
    found = json.loads((tmp_path / "found.json").read_text())["corpora"]["plays:12000"]
    assert list(found) == ["teacher_forcing", "spans"]
    measured = {name: group["seeds"]["0"]["reference_loss"]["value"] for name, group in found.items()}
    assert measured["spans"] == expected
    difference = measured["spans"] - measured["teacher_forcing"]
    assert found["spans"]["differences"]["reference_loss"]["mean"] == pytest.approx(difference)
    assert f"{difference:+.4f}" in page.read_text() and page.read_text().startswith("before") and "### `plays" in out


def test_a_stopped_study_resumes(call, tmp_path, monkeypatch):
    asked = ["--curricula=", "--seeds=1", f"--runs={tmp_path}"]
    looks = iter(range(6))

    def look(self):
        if next(looks, None) is None:
            raise stopping.Stopped

    with monkeypatch.context() as patched:
        patched.setattr(stopping.Stop, "look", look)
        status, _, err = call(*asked)
    assert status == command.STOPPED and "Stopped and saved in" in err
    run_dir = pathlib.Path(curricula._run_dir("plays:12000", "teacher_forcing", 0))
    assert list((run_dir / "checkpoints").glob("*.index"))
    assert call(*asked)[0] == command.DONE
    lines = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line["split"] == "validation"] == [5, 10, 15, 20]


def test_all_own_inputs_of_a_study_come_in_time():
    parts = {"half_step": 1200, "prob": 0.25, "fifth": 240}
    for name, settings in curricula.STUDIED.items():
        assert name in TRAINERS
        experiment = with_trainer(Experiment(), name)
        config = override(experiment, settings.format(**parts).split()).trainer
        if hasattr(config, "half_step"):
            assert [float(config.prob(step)) for step in (0, 600, 1199)] == [0.0, 0.25, 0.25]


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["spans"], "'spans' belongs to no flag"),
        (["--curricula=span"], "no trainer 'span'; nearest: spans"),
        (["--corpora=/nowhere"], "/nowhere"),
        (["--steps=3"], "steps"),
        (["--num_chars=5000"], "a rollout of 5,000 after 100"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_told_before_the_first_run(call, tmp_path, arguments, said):
    status, out, err = call(f"--runs={tmp_path}", *arguments)
    assert (status, out) == (2, "") and err.startswith("error: ") and err.count("\n") == 1 and said in err
    assert not list(tmp_path.iterdir())
