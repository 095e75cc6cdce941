"""Tests the user's own reports: wrong ones are refused, and each value arrives once despite kills and roll-backs."""

import io
import json
import math
import pathlib
import re

import pytest

from charrnn import command
from charrnn.batches.sources import DataConfig
from charrnn.errors import UserError
from charrnn.model.config import ModelConfig
from trainers import Report, Trainer, run, train
from trainers.configs import LoopConfig, OptimizerConfig, SamplesConfig
from trainers.experiment import Experiment
from trainers.launch import own_reports
from trainers.launch.build import run_experiment
from trainers.loop.stopping import Stopped
from trainers.reports.console import Console

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "training.md"


def example():
    """Returns the class `Csv` of docs/training.md."""
    (code,) = re.findall(r"^```python\n(import os\n.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    space = {"__name__": "page"}
    exec(code, space)
    return space["Csv"]


class Right(Report):
    def scalars(self, step, split, values):
        pass


class Arguments(Right):
    def __init__(self):
        pass


class NeedsMore(Right):
    def __init__(self, run_dir, token):
        pass


class Short(Report):
    def scalars(self, step, values):
        pass


class NoMethod(Report):
    flush = 3


class Mistyped(Right):
    def sample(self, step, samples):
        pass


class Deaf(Report):
    def log(self, step):
        pass


class Failing(Right):
    def __init__(self, run_dir):
        raise KeyError("TOKEN")


HERE = __name__
MODULES = {"broken_1": "import no_such_1", "broken_2": "from os import no_such_2", "broken_3": "1 / 0"}
WRONG = {
    "losses": "--report=losses is not possible: it must be module:Class",
    "a-b:C": "--report=a-b:C is not possible: it must be module:Class",
    "no_such_module:Csv": "--report=no_such_module:Csv: there is no module 'no_such_module' on Python's path",
    "broken_1:Csv": "--report=broken_1:Csv: there is no module 'no_such_1' on Python's path",
    "broken_2:Csv": "--report=broken_2:Csv: cannot import name 'no_such_2' from 'os'",
    f"{HERE}:Lost": "--report=.*:Lost is not possible: it must be module:Class",
    f"{HERE}:example": "--report=.*:example is not possible: it must be module:Class",
    f"{HERE}:Trainer": "is not possible: it must be module:Class, of a subclass of trainers.Report",
    f"{HERE}:Arguments": r"Arguments\.__init__ cannot be called \(.*\): let it take \(self, run_dir\)",
    f"{HERE}:NeedsMore": r"NeedsMore\.__init__ cannot be called \(.*'token'\): let it take \(self, run_dir\)",
    f"{HERE}:Short": r"Short\.scalars cannot be called \(.*\): let it take \(self, step, split, values\)",
    f"{HERE}:NoMethod": r"NoMethod\.flush is a int: make it a method",
    f"{HERE}:Mistyped": r"Mistyped\.sample would never be called: rename it; nearest: samples",
    f"{HERE}:Deaf": "Deaf would receive nothing: override one of start, scalars, samples",
    f"{HERE}:Report": "Report would receive nothing",
}


@pytest.fixture
def modules(tmp_path, monkeypatch):
    for name, code in MODULES.items():
        (tmp_path / f"{name}.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_report_is_refused_in_one_sentence(name, modules):
    with pytest.raises(UserError, match=WRONG[name]) as error:
        own_reports.resolve([f"{HERE}:Right", name])
    assert "\n" not in str(error.value) and str(error.value).endswith(".")


def test_other_mistakes_in_a_module_show_where_they_are(modules):
    with pytest.raises(ZeroDivisionError) as error:
        own_reports.resolve("broken_3:Csv")
    assert error.traceback[-1].path.name == "broken_3.py"


@pytest.mark.parametrize("wrong", [Trainer, 3, dict(), None, [dict]])
def test_python_objects_that_are_no_reports_are_refused(wrong):
    with pytest.raises(UserError, match=r"^reports=\[.*\] is not possible"):
        own_reports.resolve(wrong or [wrong])


def test_classes_names_and_instances_are_accepted_alone_or_in_a_list():
    instance = Right("runs/a")
    assert own_reports.resolve([Right, f"{HERE}:Right", instance]) == [Right, Right, instance]
    assert own_reports.resolve(f"{HERE}:Right") == own_reports.resolve(Right) == [Right]
    made = own_reports.make([Right, instance, Right], "runs/b")
    assert list(made) == [f"{HERE}:Right", f"{HERE}:Right (2)", f"{HERE}:Right (3)"]
    assert [report.run_dir for report in made.values()] == ["runs/b", "runs/a", "runs/b"]


def test_helpers_and_general_signatures_are_allowed():
    class Free(Report):
        saved_already = False

        def scalars(self, *arguments):
            self.write(arguments)

        def write(self, arguments):
            pass

        def samples(self, at, what, unused=None):
            pass

        @staticmethod
        def flush():
            pass

    assert own_reports.resolve(Free) == [Free]


class Spoilt(Trainer):
    """A trainer that diverges once, at step 4, if `now` is True."""

    now = False

    def batch_at(self, step):
        if Spoilt.now and step == 4:
            self.model.trainable_variables[0].assign(self.model.trainable_variables[0] * math.nan)
            Spoilt.now = False
        return super().batch_at(step)


TINY = Experiment(
    corpus="plays:3000",
    trainer_class=Spoilt,
    model=ModelConfig(units=8, embedding_size=0),
    data=DataConfig(seq_length=8, batch_size=4),
    optimizer=OptimizerConfig(name="sgd", learning_rate=0.5),
    loop=LoopConfig(steps=6, log_every=1, evaluate_every=2, save_every=3, steps_per_loop=1),
    samples=SamplesConfig(num_chars=4),
)


class Killed(BaseException):
    """An error that ends a run without a save, like SIGKILL."""


class Killer(Report):
    """A report that kills the run at the first call of a method with these arguments. Earlier reports get the call."""

    def __init__(self, method, *arguments):
        super().__init__("")
        self.method, self.arguments = method, arguments

    def _look(self, method, *arguments):
        if (method, *arguments[: len(self.arguments)]) == (self.method, *self.arguments):
            self.method = None
            raise Killed

    def scalars(self, step, split, values):
        self._look("scalars", step, split)

    def samples(self, step, samples):
        self._look("samples", step)

    def saved(self, step, path):
        self._look("saved", step)


def go(run_dir, *reports, look=lambda: None):
    output = io.StringIO()
    reports = own_reports.resolve(reports)
    finished = run_experiment(TINY, "tiny", str(run_dir), console=Console(output), look=look, reports=reports)
    assert "raised" not in output.getvalue()
    return finished


def rows(run_dir):
    lines = (run_dir / "losses.csv").read_text().splitlines()
    return [(int(step), split, float(loss)) for step, split, loss in (line.split(",") for line in lines)]


def records(run_dir):
    lines = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    return [(line["step"], line["split"], line["nats_per_char"]) for line in lines]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("runs") / "undisturbed"
    assert go(run_dir, example())
    found = rows(run_dir)
    assert found == records(run_dir)
    steps = {split: [step for step, its, _ in found if its == split] for split in ("train", "validation")}
    assert steps == {"train": [1, 2, 3, 4, 5, 6], "validation": [2, 4, 6]}
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    "killer",
    [("scalars", 2, "train"), ("scalars", 5, "train"), ("samples", 4), ("scalars", 4, "validation"), ("saved", 3)],
    ids=str,
)
def test_each_value_is_there_once_after_a_kill(tmp_path, undisturbed, killer):
    run_dir, csv = tmp_path / "run", example()
    with pytest.raises(Killed):
        go(run_dir, csv, Killer(*killer))
    with open(run_dir / "losses.csv", "a") as file:
        file.write("5,tra")  # a line that the kill cut off
    assert go(run_dir, csv)
    assert rows(run_dir) == undisturbed


@pytest.mark.slow
def test_each_value_is_there_once_after_an_interrupted_evaluation_and_a_kill_after_its_repetition(
    tmp_path, undisturbed
):
    """The checkpoint of step 4 has no evaluation yet.

    After the resume, the line of step 4's training stays, and the line of its evaluation is sent again.
    """
    run_dir, csv, calls = tmp_path / "run", example(), []

    def look():
        calls.append(None)
        if (run_dir / "metrics.jsonl").exists() and '"step": 4, "split": "train"' in (
            run_dir / "metrics.jsonl"
        ).read_text():
            raise Stopped

    assert not go(run_dir, csv, look=look)
    assert (run_dir / "checkpoints" / "stopped-4.index").exists() and (4, "train") == rows(run_dir)[-1][:2]
    with pytest.raises(Killed):
        go(run_dir, csv, Killer("samples", 4))
    assert (4, "validation") == rows(run_dir)[-1][:2]
    assert go(run_dir, csv)
    assert rows(run_dir) == undisturbed


@pytest.mark.slow
def test_a_roll_back_removes_the_lines_of_diverged_steps(tmp_path):
    Spoilt.now = True
    assert go(tmp_path / "run", example()) and not Spoilt.now
    found = rows(tmp_path / "run")
    assert found == records(tmp_path / "run")
    assert [step for step, split, _ in found if split == "train"] == [1, 2, 3, 4, 5, 6]


class Everything(Report):
    """A report that records its calls, and asserts that config.json is written between its constructor and `start`."""

    def __init__(self, run_dir):
        super().__init__(run_dir)
        self.calls = []
        assert not (pathlib.Path(run_dir) / "config.json").exists()

    def start(self, step, measured):
        config = json.loads((pathlib.Path(self.run_dir) / "config.json").read_text())
        self.calls.append(("start", step, measured, config["model"]["units"]))

    def scalars(self, step, split, values):
        self.calls.append(("scalars", step, split))
        values.clear()

    def samples(self, step, samples):
        self.calls.append(("samples", step, samples[0].prompt, len(samples[0].text)))

    def histograms(self, step, values):
        self.calls.append(("histograms", step, "weights/readout/kernel" in values))

    def flush(self):
        self.calls.append(("flush",))

    def saved(self, step, path):
        self.calls.append(("saved", step, str(pathlib.Path(path).relative_to(self.run_dir))))
        raise OSError("no room")

    def end(self, complete):
        self.calls.append(("end", complete))


SETTINGS = {
    "model.units": 8,
    "data.seq_length": 8,
    "data.batch_size": 4,
    "loop.log_every": 2,
    "loop.evaluate_every": 2,
    "loop.histograms_every": 2,
    "samples.num_chars": 3,
    "samples.prompts": "A",
    "samples.temperatures": [1],
}


@pytest.mark.slow
def test_a_report_given_in_python_receives_all_calls_and_does_not_change_the_run(tmp_path, capsys, monkeypatch):
    made, plain = [], own_reports._made
    monkeypatch.setattr(own_reports, "_made", lambda *arguments: made.append(plain(*arguments)) or made[-1])
    asked = dict(steps=2, corpus="plays:3000", set=SETTINGS)
    result = train("quickstart", run_dir=tmp_path / "with", reports=[Everything], **asked)
    without = train("quickstart", run_dir=tmp_path / "without", **asked)
    (report,) = made
    assert report.calls == [
        ("start", 0, 0, 8),
        ("scalars", 2, "train"),
        ("histograms", 2, True),
        ("scalars", 2, "validation"),
        ("saved", 2, "best/step-2"),
        ("samples", 2, "A", 3),
        ("flush",),
        ("saved", 2, "checkpoints/step-2"),
        ("end", True),
    ]
    output = capsys.readouterr().out
    assert output.count("raised OSError: no room") == 1 and "Everything raised" in output
    for split in ("train", "validation"):
        ours, theirs = result.history[split], without.history[split]
        assert ours["nats_per_char"].tolist() == theirs["nats_per_char"].tolist() and ours.keys() == theirs.keys()
    config = json.loads((tmp_path / "with" / "config.json").read_text())
    assert "reports=[<class" in config.pop("command")[0]
    assert {**json.loads((tmp_path / "without" / "config.json").read_text()), "command": 0} == {**config, "command": 0}
    # A resumed run may have another report.
    assert train("quickstart", run_dir=tmp_path / "with", reports=Right, **{**asked, "steps": 3}).finished


@pytest.mark.slow
@pytest.mark.parametrize("name", ["no_such_module:Csv", f"{HERE}:Short", f"{HERE}:Failing"])
def test_the_command_refuses_a_wrong_report_before_anything_is_written(tmp_path, name, capsys):
    given = ["--experiment=quickstart", "--corpus=plays:3000", f"--run_dir={tmp_path / 'run'}", f"--report={name}"]
    assert command.run(run.main, run.FLAGS, ["run", *given, "model.units=8", "data.batch_size=4"]) == command.MISTAKE
    errors = capsys.readouterr().err
    assert errors.startswith("error: ") and errors.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
    if name.endswith("Failing"):
        assert re.search(r"cannot be made, because its constructor raised KeyError: 'TOKEN' \(.*, line \d+\)", errors)
