"""Tests that a run changes and removes only its own files, and leaves every foreign byte as it was."""

import dataclasses
import math
import os
import pathlib
import random
import re
import shutil
import tempfile

import pytest

from charrnn.batches.sources import DataConfig
from charrnn.files import atomic
from charrnn.generation import exporting, loading
from charrnn.measures.open_loop import Protocol
from charrnn.model.config import ModelConfig
from trainers.configs import LoopConfig, OptimizerConfig, SamplesConfig
from trainers.evaluation import comparison, evaluation, measures_file, pictures
from trainers.experiment import Experiment
from trainers.launch.build import run_experiment
from trainers.reports import summaries
from trainers.reports.console import Console
from trainers.trainer import Trainer

pytestmark = pytest.mark.slow

NAME = "ru[n]* {a,b}?~'\"%41\n\\"  # the run directory; as a pattern, its name matches its siblings
SIBLINGS = ("run", "run other", "run {a,b}x")


class Spoilt(Trainer):
    """A curriculum that diverges once after `now` is set."""

    now = False

    def batch_at(self, step):
        if Spoilt.now:
            self.model.trainable_variables[0].assign(self.model.trainable_variables[0] * math.nan)
            Spoilt.now = False
        return super().batch_at(step)


EXPERIMENT = Experiment(
    corpus="plays:3000",
    trainer_class=Spoilt,
    model=ModelConfig(units=8, embedding_size=3),
    data=DataConfig(seq_length=8, batch_size=4),
    optimizer=OptimizerConfig(name="sgd", learning_rate=0.5),
    loop=LoopConfig(steps=5, log_every=1, evaluate_every=2, save_every=2, keep=1),
    samples=SamplesConfig(num_chars=4),
)
OURS = re.compile(  # the names that docs/notes/reliability.md lists
    r"lock|(config|vocabulary|event_files)\.json|(metrics|samples)\.jsonl|train|validation|checkpoints|best|open_loop"
    r"|(checkpoints|best)/(checkpoint|(start|(retry-\d+-)?(step|stopped)-\d+)\.(index|data-\d{5}-of-\d{5}))"
    r"|open_loop/(own|real|evaluation|comparison|measures\.json|(curves|position|quality_diversity)\.png)"
    r"|plugins(/org_tensorflow_tensorboard_projector(/(projector_config\.pbtxt|(embedding|characters)\.tsv))?)?"
)


class Killed(BaseException):
    """Ends a run as SIGKILL does: nothing is saved."""


def go(run_dir, steps, look=lambda: None):
    loop = dataclasses.replace(EXPERIMENT.loop, steps=steps)
    console = Console(open(os.devnull, "w"))
    run_experiment(dataclasses.replace(EXPERIMENT, loop=loop), "tiny", str(run_dir), console=console, look=look)


def start_and_kill(run_dir):
    """Starts a run, kills it after step 3, and adds every kind of unfinished file that a kill can leave."""

    def look():
        if (run_dir / "metrics.jsonl").exists() and '"step": 3' in (run_dir / "metrics.jsonl").read_text():
            raise Killed

    with pytest.raises(Killed):
        go(run_dir, 9, look)
    for path in run_dir.rglob("events.out.tfevents.*"):
        path.write_bytes(path.read_bytes() + b"\x18\0\0\0torn")
    with open(run_dir / "metrics.jsonl", "a") as file:
        file.write('{"step": 3, "spl')
    unfinished = [("", "config.json"), ("checkpoints", "checkpoint"), ("checkpoints", "scratch")]
    for folder, name in (*unfinished, (PROJECTOR, "embedding.tsv")):
        (run_dir / folder / os.path.basename(atomic._unfinished(name))).write_text("half")
    (run_dir / "checkpoints" / "step-4.index").write_text("half")
    (run_dir / "lock").touch()


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """Returns the run directory of a killed run, to be copied beside another run."""
    run_dir = tmp_path_factory.mktemp("runs") / "killed"
    start_and_kill(run_dir)
    return run_dir


HOSTILE = """
    samples_temp0.8.txt my_template a.tmp 123.tmp config.json.123.tmp checkpoint.tmp0123 checkpoint_old start.txt * [ ~
    checkpoint.tmp0123456789abcdef0123456789abcdef step-4_temp step-6_temp step-notes.index step-2.data-a_old-of-mine_
    step-2.data-00000-of-00001.bak events.out.tfevents.backup events.out.tfevents.1700000000.host.1.0.v2 lock.txt
    0123456789abcdef .charrnn- .charrnn-0-0 loss.png model_temp
""".split()
PROJECTOR = "plugins/org_tensorflow_tensorboard_projector"
ODD = "[]*?{}~'\"% \n\\.-_0aé"
FOLDERS = ["", "checkpoints", "best", "train", "validation", "open_loop", "open_loop/own", PROJECTOR, "my", ".."]
AROUND = [("", ".bak"), ("", "_temp"), ("", ".tmp"), ("", "~"), (".", ""), ("copy of ", ""), ("", " (1)"), ("", "*")]


def foreign_files(own, draw):
    """Returns paths relative to the run directory, each with the file of the run that it copies, or None.

    The names are hostile, random, or a name of the run with an addition; each kind is drawn three times.
    """
    found = {}
    for _ in range(3):
        odd = ["".join(draw.choices(ODD, k=draw.randint(1, 12))) for _ in range(20)]
        for name in (*HOSTILE, os.fsdecode(b"not UTF-8 \xff.tmp"), *odd):
            found[os.path.join(draw.choice(FOLDERS), name)] = None
        for path in own:
            before, after = draw.choice(AROUND)
            found[os.path.join(os.path.dirname(path), f"{before}{os.path.basename(path)}{after}")] = path
    return {name: source for name, source in found.items() if not OURS.fullmatch(os.path.normpath(name))}


def put(run_dir, files):
    """Writes the files, some of them into a folder of that name; yields each path with its content."""
    for number, (name, source) in enumerate(files.items()):
        path = run_dir / name
        if os.path.lexists(path) or any(parent.is_file() for parent in path.parents):
            continue
        path = path if number % 4 else path / "inner"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.fsencode(name) if source is None else (run_dir / source).read_bytes())
        yield path, path.read_bytes()


def snapshot(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_no_foreign_byte_is_changed(killed):
    """The run starts, is killed, resumes, rolls back, and is evaluated, compared and exported."""
    with tempfile.TemporaryDirectory() as place:
        parent = pathlib.Path(place)
        run_dir = parent / NAME
        for sibling in SIBLINGS:
            shutil.copytree(killed, parent / sibling)
        foreign = snapshot(parent)
        start_and_kill(run_dir)
        own = sorted(str(path.relative_to(run_dir)) for path in run_dir.rglob("*") if path.is_file())
        foreign.update(put(run_dir, foreign_files(own, random.Random(0))))
        beside = sorted(os.listdir(parent))

        def check():
            changed = [path for path, content in foreign.items() if not path.is_file() or path.read_bytes() != content]
            assert changed == []

        go(run_dir, 9)
        check()
        Spoilt.now = True
        go(run_dir, 12)
        assert (run_dir / PROJECTOR / "embedding.tsv").is_file()
        assert "retry-1-step-12" in (run_dir / "checkpoints" / "checkpoint").read_text()
        loaded = loading.load(run_dir)
        evaluated = measures_file.read_or_evaluate(str(run_dir), Protocol(2, 50, 0), None, "best", [1.0])
        summaries.write_curves(str(run_dir), evaluated.report.curves)
        runs = [comparison.MeasuredRun(str(run_dir), evaluation.read_config(str(run_dir)), evaluated)]
        pictures.show(str(run_dir), "comparison", lambda folder: pictures.draw(comparison.compare(runs), folder))
        exporting.export(loaded, str(parent / "out[1]"), ["tflite"])
        check()
        assert sorted(os.listdir(parent)) == sorted([*beside, "out[1]"])
        assert not [path for path in run_dir.rglob("*") if atomic._NAME.fullmatch(path.name)]
