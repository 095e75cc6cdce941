"""Tests `trainers.train`: it makes the same run as the command, and one process can call it repeatedly."""

import dataclasses
import functools
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
import tensorflow as tf

import trainers
from charrnn import command
from charrnn.errors import UserError
from experiments.quickstart import EXPERIMENT
from trainers import Trainer, run
from trainers.experiment import override
from trainers.launch import resolve, start

pytestmark = pytest.mark.slow

train = trainers.train

SETTINGS = {
    "model.units": 8,
    "data.seq_length": 8,
    "data.batch_size": np.int64(4),
    "optimizer.clip_norm": 2,
    "optimizer.averaging": 0.5,
    "loop.log_every": 3,
    "loop.evaluate_every": 3,
    "loop.save_every": 2,
    "samples.num_chars": 20,
    "samples.prompts": ("\n\n", "A, B"),
    "samples.temperatures": [0.5, 1],
}
ASKED = dict(corpus="plays:3000", set=SETTINGS)
FLAGGED = [
    *"--experiment=quickstart --corpus=plays:3000 --set=model.units=8 --set=data.seq_length=8".split(),
    *"--set=data.batch_size=4 --set=optimizer.clip_norm=2 --set=optimizer.averaging=0.5".split(),
    *"--set=loop.log_every=3 --set=loop.evaluate_every=3 --set=loop.save_every=2 --set=samples.num_chars=20".split(),
    *("--set=samples.temperatures=0.5,1", r'--set=samples.prompts=["\n\n", "A, B"]'),
]


class Stopping(Trainer):
    """A curriculum that interrupts its process once, in the fourth step, and reads some of its own output."""

    interrupts = True

    @dataclasses.dataclass(frozen=True)
    class Config:
        prob: float = 0.25

    def batch_at(self, step):
        if step == 3 and Stopping.interrupts:
            Stopping.interrupts = False
            os.kill(os.getpid(), signal.SIGINT)
        return super().batch_at(step)

    def own_input_prob(self, step):
        return self.config.prob


def untimed(run_dir):
    lines = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in ("seconds", "chars_per_sec")} for line in lines]


def weights(run_dir):
    reader = tf.train.load_checkpoint(tf.train.latest_checkpoint(str(run_dir / "checkpoints")))
    names = [n for n in reader.get_variable_to_shape_map() if n.endswith("VARIABLE_VALUE") and "save_counter" not in n]
    return {name: reader.get_tensor(name) for name in names}


@pytest.fixture(scope="module")
def a_run(tmp_path_factory):
    """Trains a run in two calls; returns its directory and both results."""
    run_dir = tmp_path_factory.mktemp("runs") / "a run"
    first = train("quickstart", run_dir=run_dir, steps=3, **ASKED)
    return run_dir, first, train("quickstart", run_dir=str(run_dir), steps=6, **ASKED)


def test_a_resumed_run_equals_the_commands_run_bit_for_bit(a_run, tmp_path):
    run_dir, first, second = a_run
    flagged = tmp_path / "run"
    assert command.run(run.main, run.FLAGS, ["run", *FLAGGED, f"--run_dir={flagged}", "--steps=6"]) == command.DONE
    assert untimed(run_dir) == untimed(flagged)
    mine, others = weights(run_dir), weights(flagged)
    assert mine.keys() == others.keys() and all((mine[name] == others[name]).all() for name in mine)
    mine, others = (json.loads((folder / "config.json").read_text()) for folder in (run_dir, flagged))
    said = mine.pop("command")[0]
    assert said.startswith("trainers.train('quickstart', run_dir=") and "'model.units': 8" in said
    assert others.pop("command") == sys.argv and mine == others
    assert first.finished and second.finished and first.history["train"]["step"].tolist() == [3]


def test_python_values_are_read_as_they_are(tmp_path):
    settings = resolve.settings_of({"data.csv_header": True, "samples.prompts": "The end, my friend"})
    experiment = resolve.resolve("quickstart", settings, corpus=["a, b.txt", pathlib.Path("c.txt")])
    assert experiment.data.csv_header == "true" and experiment.samples.prompts == ("The end, my friend",)
    assert json.loads(experiment.corpus) == ["a, b.txt", "c.txt"]
    assert resolve.resolve("quickstart", [], corpus=pathlib.Path("a, b.txt")).corpus == "a, b.txt"


def test_the_result_has_the_whole_run(a_run):
    run_dir, _, second = a_run
    history = second.history
    assert history["train"]["step"].tolist() == history["validation"]["step"].tolist() == [3, 6]
    lines = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    for split, columns in history.items():
        rows = [line for line in lines if line["split"] == split]
        for name, column in columns.items():
            np.testing.assert_array_equal(column, [row[name] for row in rows])
    assert {sample["temperature"] for sample in second.samples} == {0.5, 1.0} and len(second.samples) == 8
    final, best = history["validation"]["nats_per_char"][-1], history["validation"]["nats_per_char"].argmin()
    assert re.fullmatch(
        rf"<Result .*/a run: finished at step 6; validation {final:.4f} nats per character, "
        rf"best {final:.4f} at step {history['validation']['step'][best]}>",
        repr(second),
    )
    assert second.model is second.model and len(second.model.generate("\n\n", 5)) == 5
    assert os.path.dirname(second.model.checkpoint) == f"{run_dir}/best"


def test_an_interrupt_saves_and_returns_and_the_same_call_resumes(tmp_path, capsys):
    """The curriculum is a class of this file, as in a notebook. The experiment has no name; the order is streams."""
    experiment = override(EXPERIMENT, [setting.removeprefix("--set=") for setting in FLAGGED[2:]])
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    asked = dict(trainer=Stopping, steps=6, corpus="plays:3000", set={"trainer.prob": 0.5}, run_dir=tmp_path / "run")
    result = train(experiment, **asked)
    assert not result.finished and "unfinished, measured at step 3; validation" in repr(result)
    assert "/run; call it again to resume." in capsys.readouterr().out
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["experiment"] == "custom"
    assert config["trainer"] == {"class": f"{Stopping.__module__}:Stopping", "prob": 0.5}
    assert train(experiment, **asked).finished

    results = []  # the reference run, uninterrupted, in another thread, which receives no signals
    asked["run_dir"] = tmp_path / "whole"
    thread = threading.Thread(target=lambda: results.append(train(experiment, **asked)))
    thread.start()
    thread.join()
    assert results[0].finished
    mine, others = weights(tmp_path / "run"), weights(tmp_path / "whole")
    assert all((mine[name] == others[name]).all() for name in mine)
    assert untimed(tmp_path / "run") == untimed(tmp_path / "whole")


def test_a_run_that_has_ended_early_says_so_and_does_nothing(tmp_path, capsys):
    standing = {"optimizer.learning_rate": 1e-30, "loop.evaluate_every": 1, "loop.patience": 2, "samples.num_chars": 0}
    asked = dict(run_dir=tmp_path / "run", corpus="plays:3000", set={**SETTINGS, **standing})
    result = train("quickstart", steps=50, **asked)
    assert result.finished and result.history["validation"]["step"].tolist() == [1, 2, 3]
    assert "Stopped early at step 3: no new best validation loss in 2 evaluations" in capsys.readouterr().out
    assert train("quickstart", steps=60, **asked).finished
    assert re.search(r"stopped early, at step 3: .*loop\.patience", capsys.readouterr().out)


def test_a_run_stopped_before_the_first_step_has_an_empty_result(tmp_path, capsys):
    clock = iter([0.0, *[1e9] * 9])
    result = starting_with_clock(lambda: next(clock), run_dir=tmp_path / "run", max_minutes=1, **ASKED)
    assert not result.finished and result.history == {} and result.samples == []
    assert repr(result) == f"<Result {tmp_path / 'run'}: unfinished>"


def starting_with_clock(clock, **asked):
    with pytest.MonkeyPatch.context() as patch:
        from trainers.loop import stopping

        patch.setattr(stopping, "Stop", functools.partial(stopping.Stop, clock=clock))
        return train("quickstart", **asked)


def test_a_dry_run_takes_two_steps_evaluates_samples_saves_and_leaves_nothing(tmp_path, monkeypatch, capsys):
    removed = contents_when_removed(monkeypatch)
    monkeypatch.chdir(tmp_path)
    result = train("quickstart", dry_run=True, **{**ASKED, "set": {**SETTINGS, "loop.evaluate_every": 1}})
    (saved,) = removed
    assert result.finished and result.history["train"]["step"].tolist() == [1, 2]
    assert result.history["validation"]["step"].tolist() == [2] and {s["step"] for s in result.samples} == {2}
    assert {"checkpoints/step-2.index", "best/step-2.index"} <= saved and "checkpoints/step-1.index" not in saved
    assert list(tmp_path.iterdir()) == [] and not os.path.exists(result.run_dir)


def contents_when_removed(monkeypatch):
    """Returns a list that receives the paths in each dry run's temporary directory when it is removed."""
    found, inner = [], start.tempfile.TemporaryDirectory

    class Watched(inner):
        def cleanup(self):
            place = pathlib.Path(self.name, "dry_run")
            found.append({path.relative_to(place).as_posix() for path in place.rglob("*")})
            super().cleanup()

        def __exit__(self, *arguments):
            self.cleanup()

    monkeypatch.setattr(start.tempfile, "TemporaryDirectory", Watched)
    return found


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (dict(experiment="shakespeare_gpu"), "There is no experiment 'shakespeare_gpu'; nearest: .*shakespeare_gru"),
        (dict(experiment=Trainer), "is no experiment: give the name"),
        (dict(steps=0), "loop.steps=0 is not possible: it must be at least 1"),
        (dict(steps=2.5), "loop.steps=2.5 is not possible: it must be a whole number"),
        (dict(seed=-1), "seed=-1 is not possible"),
        (dict(seed="three"), "seed=three is not possible: it must be a whole number"),
        (dict(corpus="nowhere.txt"), "nowhere.txt"),
        (dict(trainer="sampling"), "There is no trainer 'sampling'; nearest: scheduled_sampling"),
        (dict(trainer=dict), "trainer=<class 'dict'>"),
        (dict(xla="perhaps"), "runtime.xla=perhaps is not possible: it must be true or false"),
        (dict(max_minutes=0), "--max_minutes=0"),
        (dict(resume="must"), "holds no run"),
        (dict(set={"model.unit": 3}), "model.unit.*nearest: model.units"),
        (dict(set={"model.units": 3.5}), "model.units=3.5 is not possible: it must be a whole number"),
        (dict(set={"model.units": None}), "model.units=None is not possible"),
        (dict(set={"samples.temperatures": ["warm"]}), "samples.temperatures=warm is not possible"),
        (dict(set=["model.units=3"]), "it must be a dict"),
        (dict(set={"runtime.virtual_replicas": 3}), "must be known before TensorFlow starts"),
    ],
    ids=str,
)
def test_a_mistake_is_a_user_error_and_nothing_is_written(tmp_path, asked, said):
    asked = {"experiment": "quickstart", "run_dir": tmp_path / "run", **asked}
    with pytest.raises(UserError, match=said):
        train(**asked)
    assert list(tmp_path.iterdir()) == []


def test_another_runs_directory_is_refused_with_the_differences(a_run):
    with pytest.raises(UserError, match=r"belongs to another run: model.units was 8, is 9\. Give another"):
        train("quickstart", run_dir=a_run[0], corpus="plays:3000", set={**SETTINGS, "model.units": 9})


def test_importing_train_does_not_import_tensorflow():
    program = "import sys; from trainers import train; print(train.__name__, 'tensorflow' in sys.modules)"
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert process.stdout == "train False\n"


class Talking(Trainer):
    def batch_at(self, step):
        print("step", step, flush=True)
        return super().batch_at(step)


def test_train_saves_and_returns_when_its_reader_leaves_even_if_a_hook_prints(tmp_path, monkeypatch):
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        result = train("quickstart", trainer=Talking, run_dir=tmp_path / "run", steps=6, verbosity="quiet", **ASKED)
        assert sys.stdout is pipe
    assert not result.finished and list((tmp_path / "run" / "checkpoints").glob("step-*.index"))
    monkeypatch.undo()
    assert train("quickstart", trainer=Talking, run_dir=tmp_path / "run", steps=6, **ASKED).finished
