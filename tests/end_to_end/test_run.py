"""Tests the command trainers.run from end to end: training, interrupts, resumes and mistakes."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from charrnn import command
from tests.signals import wait_for_tensorflow
from trainers import run
from trainers.loop.checkpoints import Checkpoints

pytestmark = pytest.mark.slow

TINY = [
    "--experiment=quickstart",
    "--corpus=plays:3000",
    "--steps=6",
    "--set=model.units=8",
    "--set=data.seq_length=8",
    "--set=data.batch_size=4",
    "--set=loop.log_every=2",
    "--set=loop.evaluate_every=3",
    "--set=loop.save_every=2",
    "--set=samples.num_chars=20",
]
COMMAND = [sys.executable, "-m", "trainers.run"]
CURRICULUM = ["--trainer=scheduled_sampling", "--set=trainer.half_step=3", "--set=trainer.max_prob=1.0"]


@pytest.fixture
def start(capsys):
    """Returns a function that calls the command and returns its status, output lines and standard error."""

    def call(*arguments):
        status = command.run(run.main, run.FLAGS, ["run", *map(str, arguments)])
        captured = capsys.readouterr()
        return status, captured.out.splitlines(), captured.err

    return call


def records(run_dir, name="metrics.jsonl"):
    """Returns the lines of a record without times and speeds."""
    lines = [json.loads(line) for line in (run_dir / name).read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in ("seconds", "chars_per_sec")} for line in lines]


def saved(run_dir):
    """Returns the variables of the newest checkpoint by name, except the number of saves."""
    reader = tf.train.load_checkpoint(tf.train.latest_checkpoint(str(run_dir / "checkpoints")))
    names = [n for n in reader.get_variable_to_shape_map() if n.endswith("VARIABLE_VALUE") and "save_counter" not in n]
    return {name: reader.get_tensor(name) for name in names}


def histograms(folder):
    """Returns the histograms of weights and gradients as {(tag, step): bytes}, as TensorBoard reads them."""
    events = EventAccumulator(str(folder), {"tensors": 0}).Reload()
    tags = [tag for tag in events.Tags()["tensors"] if tag.startswith(("weights/", "gradients/"))]
    return {(tag, e.step): e.tensor_proto.SerializeToString() for tag in tags for e in events.Tensors(tag)}


def assert_equal_to_the_bit(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        np.testing.assert_array_equal(value, other[name], err_msg=name)


def snapshot(folder):
    return {str(p): (p.stat().st_size, p.stat().st_mtime_ns) for p in pathlib.Path(folder).rglob("*")}


def test_a_resumed_run_equals_an_undisturbed_run_bit_for_bit(start, tmp_path):
    settings = ["--set=data.order=streams", "--set=model.cell=lstm", *CURRICULUM]
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    shown = "--set=loop.histograms_every=2"
    assert start(*TINY, *settings, shown, f"--run_dir={whole}")[0] == command.DONE
    for steps in (3, 6):
        status, lines, _ = start(*TINY, *settings, shown, f"--run_dir={parts}", f"--steps={steps}")
        assert status == command.DONE
    assert any("Resuming at step 3" in line for line in lines)

    assert_equal_to_the_bit(saved(parts), saved(whole))
    assert records(parts, "samples.jsonl") == records(whole, "samples.jsonl")
    validation = [[r for r in records(d) if r["split"] == "validation"] for d in (whole, parts)]
    assert validation[0] == validation[1] and len(validation[0]) == 2
    train = [[r for r in records(d) if r["split"] == "train"] for d in (whole, parts)]
    assert [r["step"] for r in train[0]] == [2, 4, 6]
    assert [r["step"] for r in train[1]] == [2, 3, 4, 6]  # the first part logged at its end, step 3
    assert train[0][2] == train[1][3]
    assert 0.5 < train[0][2]["own_input_prob"] < 1.0
    numbers = [histograms(d / "train") for d in (whole, parts)]
    assert len(numbers[0]) == 3 * 2 * 5  # steps, weights and gradients, variables
    assert numbers[0].items() <= numbers[1].items() and {step for _, step in numbers[1]} == {2, 3, 4, 6}


def test_the_run_directory_holds_the_documented_files_and_can_be_moved(start, tmp_path):
    run_dir = tmp_path / "run"
    status, lines, errors = start(*TINY, f"--run_dir={run_dir}", "--profile=2,3")
    assert (status, errors) == (command.DONE, "")
    assert len(list(run_dir.glob("plugins/profile/*/*.xplane.pb"))) == 1
    files = ["config.json", "event_files.json", "metrics.jsonl", "samples.jsonl", "vocabulary.json"]
    folders = ["best", "checkpoints"]
    found = {p.name.partition(".tfevents.")[0] for p in run_dir.iterdir()}
    assert found == {*files, *folders, "train", "validation", "plugins", "events.out"}
    config = json.loads((run_dir / "config.json").read_text())
    assert config["model"]["units"] == 8 and config["loop"]["steps"] == 6 and config["experiment"] == "quickstart"
    assert config["trainer"] == {"class": "teacher_forcing"}
    first = json.loads((run_dir / "metrics.jsonl").read_text().splitlines()[0])
    promised = "step split nats_per_char bits_per_char chars_per_sec own_input_prob learning_rate gradient_norm"
    assert first.keys() >= {*promised.split(), "skipped_updates", "seconds"}
    assert first["bits_per_char"] == pytest.approx(first["nats_per_char"] / np.log(2))
    sample = json.loads((run_dir / "samples.jsonl").read_text().splitlines()[0])
    assert sample.keys() == {"step", "prompt", "temperature", "seed", "text"} and len(sample["text"]) == 20
    assert any("entropy" in line for line in lines)

    before = snapshot(run_dir / "checkpoints"), records(run_dir)
    status, lines, _ = start(*TINY, f"--run_dir={run_dir}")  # finished: the same command does nothing more
    assert status == command.DONE and any("nothing to do" in line for line in lines)
    assert (snapshot(run_dir / "checkpoints"), records(run_dir)) == before
    assert start(*TINY, f"--run_dir={run_dir}", "--resume=never")[0] == command.MISTAKE
    moved = run_dir.rename(tmp_path / "moved")
    status, lines, _ = start(*TINY, f"--run_dir={moved}", "--steps=7", "--resume=must", "--verbosity=quiet")
    assert status == command.DONE and len(lines) == 1
    assert re.fullmatch(r"Done in \d:\d\d: .*/moved, step 7, train \S+ nats/char, validation \S+ nats/char", lines[0])
    assert records(moved)[-1]["step"] == 7


def test_a_signal_saves_and_says_how_to_resume(start, tmp_path):
    """The process also refuses a second one, and ignores the signals that it was started to ignore."""
    run_dir = tmp_path / "run"
    arguments = [*TINY, f"--run_dir={run_dir}", "--steps=1000000", "--set=loop.save_every=100", "loop.evaluate_every=7"]

    ignoring = 'trap "" INT HUP; exec "$@"'  # as for a script's background process, and under nohup
    process = subprocess.Popen(
        ["bash", "-c", ignoring, "", *COMMAND, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    deadline, metrics = time.monotonic() + 300, run_dir / "metrics.jsonl"
    while not (metrics.exists() and len(records(run_dir)) > 1) and time.monotonic() < deadline:
        time.sleep(0.1)
    status, _, errors = start(*arguments)
    assert status == command.MISTAKE
    assert re.fullmatch(rf"error: .*/run is written by process {process.pid} on \S+ since .*\n", errors)
    before = len(records(run_dir))
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGHUP)
    while len(records(run_dir)) < before + 10 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == command.STOPPED
    assert re.fullmatch(r"Stopped and saved in .*/run; .*\n", errors)
    step = int(tf.train.latest_checkpoint(str(run_dir / "checkpoints")).rpartition("-")[2])
    assert step >= 2 and records(run_dir)[-1]["step"] in (step, step - 1, step - step % 2)

    status, lines, _ = start(*arguments, "--max_minutes=0.05")
    assert status == command.STOPPED and any("Resuming at step" in line for line in lines)
    keys = [(line["split"], line["step"]) for line in records(run_dir)]
    steps = [line["step"] for line in records(run_dir) if line["split"] == "train"]
    assert len(set(keys)) == len(keys) and steps == list(range(2, steps[-1] + 1, 2))


ENDLESS = [*TINY, "--steps=1000000", "--set=loop.save_every=1000000", "--set=loop.evaluate_every=1000000"]


def newest(run_dir):
    return int(tf.train.latest_checkpoint(str(run_dir / "checkpoints")).rpartition("-")[2])


def test_a_run_is_saved_when_its_reader_leaves(start, tmp_path, monkeypatch):
    """The reader leaves like `head`, or `tee` at a Ctrl-C. No logged step is lost, and the run resumes."""
    read, write = os.pipe()
    reader = threading.Thread(target=lambda: leave_after(os.fdopen(read), 12))
    reader.start()
    with os.fdopen(write, "w") as pipe, monkeypatch.context() as during:
        during.setattr(sys, "stdout", pipe)
        status, _, errors = start(*ENDLESS, f"--run_dir={tmp_path / 'run'}")
    reader.join()
    assert status == command.STOPPED == 75
    assert re.fullmatch(r"Stopped and saved in .*/run because .*\n", errors)
    step = newest(tmp_path / "run")
    assert step >= records(tmp_path / "run")[-1]["step"] > 0
    status, lines, _ = start(*TINY, f"--run_dir={tmp_path / 'run'}", f"--steps={step + 2}")
    assert status == command.DONE and any(f"Resuming at step {step:,}" in line for line in lines)


def leave_after(pipe, lines):
    with pipe:
        for _ in range(lines):
            pipe.readline()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no /dev/full")
@pytest.mark.parametrize(("arguments", "step"), [(ENDLESS, 0), ([*TINY, "--verbosity=quiet"], 6)])
def test_a_full_disk_behind_the_output_saves_the_run(start, tmp_path, monkeypatch, arguments, step):
    """Writing fails at the first line; or, with --verbosity=quiet, at the last, after the training."""
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        status, _, errors = start(*arguments, f"--run_dir={tmp_path / 'run'}")
    assert status == command.NOT_WRITTEN == 74 and newest(tmp_path / "run") == step
    assert len(errors.splitlines()) == 1 and "Standard output" in errors and "No space left on device" in errors


def test_a_hook_that_prints_to_a_closed_output_loses_no_step(start, tmp_path, monkeypatch):
    (tmp_path / "talking.py").write_text(
        "from trainers import Trainer\n"
        "class Talking(Trainer):\n"
        "    def batch_at(self, step):\n"
        "        print('step', step, flush=True)\n"
        "        return super().batch_at(step)\n"
    )
    monkeypatch.chdir(tmp_path)
    with os.fdopen(os.open(os.devnull, os.O_RDONLY), "w") as closed:  # as with >&- in a shell
        monkeypatch.setattr(sys, "stdout", closed)
        status, _, errors = start(*TINY, "--trainer=talking:Talking", f"--run_dir={tmp_path / 'run'}")
    assert (status, errors, newest(tmp_path / "run")) == (command.DONE, "", 6)


def test_a_run_without_any_stream_finishes(tmp_path):
    run_dir = tmp_path / "run"
    shell = '"$@" <&- >&- 2>&-'
    assert subprocess.run(["bash", "-c", shell, "", *COMMAND, *TINY, f"--run_dir={run_dir}"]).returncode == command.DONE
    assert newest(run_dir) == 6 and len(records(run_dir)) == 5


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_a_signal_before_the_first_step_prints_one_line(tmp_path, number):
    process = subprocess.Popen([*COMMAND, *TINY, "--run_dir=run"], stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    wait_for_tensorflow(process.pid)
    process.send_signal(number)
    _, errors = process.communicate(timeout=100)
    assert process.returncode == command.STOPPED and re.fullmatch("Stopped before the first step; .*\n", errors)
    assert list(tmp_path.iterdir()) == []


def test_a_hangup_that_arrives_twice_saves_the_run(start, tmp_path, monkeypatch):
    (tmp_path / "hanging.py").write_text(
        "import os, signal\n"
        "from trainers import Trainer\n"
        "class Hanging(Trainer):\n"
        "    def batch_at(self, step):\n"
        "        if step == 4:\n"
        "            os.kill(os.getpid(), signal.SIGHUP)\n"
        "            os.kill(os.getpid(), signal.SIGHUP)\n"
        "        return super().batch_at(step)\n"
    )
    monkeypatch.chdir(tmp_path)
    status, _, errors = start(*ENDLESS, f"--run_dir={tmp_path / 'run'}", "--trainer=hanging:Hanging")
    assert status == command.STOPPED and re.fullmatch("Stopped and saved in .*/run; run the same .*\n", errors)
    assert newest(tmp_path / "run") >= 5


def test_list_shows_each_experiment_in_one_line(start):
    status, lines, _ = start("--list")
    names = [line.split()[0] for line in lines]
    assert status == command.DONE
    assert names == sorted(p.stem for p in pathlib.Path("experiments").glob("*.py") if p.stem != "__init__")
    assert all(len(line.split(maxsplit=1)[1]) > 20 for line in lines)


def test_print_config_shows_all_settings_and_writes_nothing(start, tmp_path, monkeypatch):
    status, lines, _ = start(*TINY, "--print_config", "model.cell=lstm", f"--run_dir={tmp_path / 'run'}")
    config = json.loads("\n".join(lines))
    assert status == command.DONE and config["model"]["cell"] == "lstm" and config["corpus"] == "plays:3000"
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_trains_evaluates_samples_saves_and_leaves_nothing_behind(start, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    saved = []
    monkeypatch.setattr(Checkpoints, "save", lambda checkpoints, step: saved.append(step))
    status, lines, _ = start(*TINY, "--dry_run", "--verbosity=all", "--set=loop.save_every=1")
    assert status == command.DONE and saved == [2]
    assert [line.split()[1:3] for line in lines if line.startswith("step ")] == [
        ["1", "train"], ["2", "train"], ["2", "validation"],
    ]
    assert sum(line.startswith("── step 2, temperature") for line in lines) == 2
    assert list(tmp_path.iterdir()) == []


def test_the_first_curriculum_of_the_docs_runs_unchanged(start, tmp_path, monkeypatch):
    page = pathlib.Path("docs/curricula.md").read_text()
    code = next(code for code in re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL) if "class Ramp" in code)
    (tmp_path / "my_curriculum.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    arguments = [*TINY, f"--run_dir={tmp_path / 'run'}", "--trainer=my_curriculum:Ramp", "--set=trainer.ramp_steps=4"]
    assert start(*arguments)[0] == command.DONE
    lines = [r for r in records(tmp_path / "run") if r["split"] == "train"]
    assert [r["own_input_prob"] for r in lines] == [0.125, 0.375, 0.5]  # at steps 1, 3 and 5
    assert 0.1 < lines[-1]["own_input_share"] < 0.8


def test_a_hooks_mistake_is_reported_before_anything_is_written(start, tmp_path, monkeypatch):
    (tmp_path / "my_hooks.py").write_text(
        "from trainers import Trainer\n"
        "class Mine(Trainer):\n"
        "    def own_input_prob(self, step):\n"
        "        return 1 + step / 2\n"
    )
    monkeypatch.chdir(tmp_path)
    status, _, errors = start(*TINY, "--run_dir=run", "--trainer=my_hooks:Mine")
    assert status == command.MISTAKE
    assert "Mine.own_input_prob returned 1.5 at step 1 where a probability from 0 to 1 is wanted." in errors
    assert len(errors.splitlines()) == 1 and not (tmp_path / "run").exists()


def test_divergence_keeps_the_last_good_checkpoint(start, tmp_path, monkeypatch):
    (tmp_path / "exploding.py").write_text(
        "import tensorflow as tf\n"
        "from trainers import Trainer\n"
        "class Exploding(Trainer):\n"
        "    def forward(self, batch, state):\n"
        "        rollout = super().forward(batch, state)\n"
        "        broken = tf.where(self.step < 4, 1.0, float('nan'))\n"
        "        return rollout._replace(logits=rollout.logits * broken)\n"
    )
    monkeypatch.chdir(tmp_path)
    status, lines, errors = start(*TINY, f"--run_dir={tmp_path / 'run'}", "--trainer=exploding:Exploding")
    assert status == command.DIVERGED and "diverged" in errors and len(errors.splitlines()) == 1
    assert sum("roll-back" in line for line in lines) == 3
    assert tf.train.latest_checkpoint(str(tmp_path / "run" / "checkpoints")).endswith("retry-3-step-4")
    assert all(np.isfinite(value).all() for value in saved(tmp_path / "run").values())


BAD_FILES = {
    "empty.txt": b"",
    "one.txt": b"a",
    "short.txt": b"to be or not to be",
    "binary.bin": bytes(range(256)) * 10,
    "nul.txt": b"text\0text" * 100,
    "latin.txt": "caf\u00e9 ".encode("latin-1") * 100,
}


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--experiment=shakespeare_gpu"], ["shakespeare_gpu", "shakespeare_gru"]),
        (["--experiment=../quickstart"], ["../quickstart", "quickstart"]),
        (["--experiment="], ["''"]),
        ([], ["--experiment=NAME", "quickstart"]),
        ([*TINY, "--stepz=3"], ["--stepz", "steps"]),
        ([*TINY, "--steps=many"], ["steps", "many"]),
        ([*TINY, "--steps=0"], ["loop.steps", "0", "at least 1"]),
        ([*TINY, "--seed=-1"], ["seed", "-1"]),
        ([*TINY, "--seed=99999999999"], ["seed", "99999999999"]),
        ([*TINY, "--resume=perhaps"], ["--resume", "perhaps", "auto, never or must"]),
        ([*TINY, "--resume=must"], ["holds no run"]),
        ([*TINY, "--max_minutes=0"], ["--max_minutes=0", "above 0"]),
        ([*TINY, "--verbosity=loud"], ["--verbosity=loud", "quiet, normal or all"]),
        ([*TINY, "--profile=5,7"], ["loop.profile=5,7", "within the run's 6 steps"]),
        ([*TINY, "--set=loop.histograms_every=-1"], ["loop.histograms_every=-1", "at least 0"]),
        ([*TINY, "--precision=float8"], ["precision", "float8", "mixed_bfloat16"]),
        ([*TINY, "--strategy=magic"], ["strategy", "magic", "one_device"]),
        ([*TINY, "--strategy=mirrored", "--set=data.batch_size=3"], ["data.batch_size", "3 rows", "multiple of 2"]),
        ([*TINY, "--strategy=multi_worker"], ["TF_CONFIG", "trainers.local_workers"]),
        ([*TINY, "--trainer=sampling"], ["sampling", "scheduled_sampling"]),
        ([*TINY, "--trainer=no_such_module:Class"], ["no_such_module"]),
        ([*TINY, "--trainer=json:JSONDecoder"], ["JSONDecoder", "trainers.Trainer"]),
        ([*TINY, "--set=model.unit=3"], ["model.unit", "model.units"]),
        ([*TINY, "--set=units=3"], ["units=3", "group.field=value"]),
        ([*TINY, "--set=model.units"], ["model.units", "group.field=value"]),
        ([*TINY, "--set=model.units=many"], ["model.units=many", "a whole number"]),
        ([*TINY, "--set=model.units=0"], ["model.units=0", "at least 1"]),
        ([*TINY, "--set=model.cell=gur"], ["model.cell=gur", "gru, lstm"]),
        ([*TINY, "--set=optimizer.name=adamm"], ["optimizer.name=adamm", "adam"]),
        ([*TINY, "--set=optimizer.learning_rate=nan"], ["optimizer.learning_rate=nan", "above 0"]),
        ([*TINY, "--set=runtime.xla=maybe"], ["runtime.xla=maybe", "true or false"]),
        ([*TINY, "--set=trainer.half_step=3"], ["trainer.half_step"]),
        ([*TINY, *CURRICULUM, "--set=trainer.max_prob=1.5"], ["trainer.max_prob=1.5", "between 0 and 1"]),
        ([*TINY, *CURRICULUM, "--set=trainer.schedule=cosine"], ["trainer.schedule=cosine", "inverse_sigmoid"]),
        ([*TINY, "--init_from=full"], ["full is not a run directory", "config.json"]),
        ([*TINY, "--overfit_batches=85"], ["data.overfit_batches=85", "at most 84"]),
        ([*TINY, "--set=data.validation_fraction=1.0"], ["data.validation_fraction", "1.0"]),
        ([*TINY, "--set=samples.temperatures=1,-1"], ["samples.temperatures", "at least 0"]),
        ([*TINY, "stray"], ["stray", "group.field=value"]),
        ([*TINY, "--corpus=nowhere.txt"], ["nowhere.txt", "plays", "shakespeare"]),
        ([*TINY, "--corpus=plays:few"], ["plays:few"]),
        ([*TINY, "--corpus=empty.txt"], ["empty.txt"]),
        ([*TINY, "--corpus=one.txt"], ["0 characters", "data.batch_size", "data.seq_length"]),
        ([*TINY, "--corpus=short.txt"], ["16 characters", "data.batch_size", "data.seq_length"]),
        ([*TINY, "--corpus=binary.bin"], ["binary.bin", "data.vocabulary=bytes"]),
        ([*TINY, "--corpus=nul.txt"], ["nul.txt", "data.vocabulary=bytes"]),
        ([*TINY, "--corpus=latin.txt"], ["latin.txt", "0xe9", "offset 3", "data.vocabulary=bytes"]),
        ([*TINY, "--run_dir=one.txt"], ["one.txt", "--run_dir"]),
        ([*TINY, "--run_dir=one.txt/run"], ["one.txt/run", "--run_dir"]),
        ([*TINY, "--run_dir=full"], ["full", "not a run directory"]),
    ],
    ids=lambda value: value[-1] if value else "nothing",
)
def test_a_mistake_is_one_sentence_and_nothing_is_written(start, tmp_path, monkeypatch, arguments, parts):
    monkeypatch.chdir(tmp_path)
    for name, data in BAD_FILES.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("my only copy")
    before = snapshot(tmp_path)
    status, _, errors = start(*arguments)
    assert status == command.MISTAKE
    assert errors.startswith("error: ") and len(errors.splitlines()) == 1
    for part in parts:
        assert part in errors
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--set=model.units=9"], ["model.units was 8, is 9"]),
        (["--set=model.cell=lstm", "--set=data.order=windows"], ["model.cell", "data.order"]),
        (["--seed=3"], ["seed was 0, is 3"]),
        (["--corpus=plays:2999"], ["corpus_sha256"]),
        (["--corpus=other.txt"], ["vocabulary", "'x'"]),
        (["--xla"], ["runtime.xla"]),
        (["--overfit_batches=3"], ["data.overfit_batches was 0, is 3"]),
        (["--trainer=scheduled_sampling"], ["trainer.class"]),
    ],
    ids=lambda value: value[0],
)
def test_another_runs_directory_is_refused_with_the_differences(start, a_run, arguments, parts):
    before = snapshot(a_run)
    status, _, errors = start(*TINY, f"--run_dir={a_run}", *arguments)
    assert status == command.MISTAKE and len(errors.splitlines()) == 1
    for part in [*parts, "belongs to another run", "Give another --run_dir"]:
        assert part in errors
    assert snapshot(a_run) == before


@pytest.fixture(scope="module")
def a_run(tmp_path_factory):
    """Trains a run, and enters its parent folder, which also holds a corpus with another vocabulary."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "other.txt").write_text("xyz " * 1000)
    run_dir = folder / "run"
    assert command.run(run.main, run.FLAGS, ["run", *TINY, f"--run_dir={run_dir}", "--steps=2"]) == command.DONE
    before = os.getcwd()
    os.chdir(folder)
    yield run_dir
    os.chdir(before)


@pytest.fixture(autouse=True)
def _stay_here():
    """Restores the working directory and the signal handlers after each test."""
    folder, handlers = os.getcwd(), {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)}
    yield
    os.chdir(folder)
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_a_read_only_directory_is_refused_at_the_start(start):
    """If the tests run as root, the command runs as an ordinary user, because permissions do not stop root."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o555)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)
        try:
            status, _, errors = start(*TINY, f"--run_dir={folder}/run")
        finally:
            os.seteuid(user)
            os.chmod(folder, 0o755)
        assert os.listdir(folder) == []
    assert status == command.MISTAKE and len(errors.splitlines()) == 1
    assert "cannot be written to" in errors
