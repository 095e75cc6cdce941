"""Tests that two worker processes train one run, which resumes bit for bit after interrupts and kills.

The reference run is one process with gradient accumulation over two parts. It equals an undisturbed run of two workers
bit for bit, because its parts are the rows of the two workers, and the sum of two numbers does not depend on their
order.
"""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from charrnn import command
from tests.signals import wait_for_tensorflow
from trainers import run

pytestmark = pytest.mark.slow

TINY = [
    "--experiment=quickstart",
    "--corpus=plays:3000",
    "--trainer=poisoned:Poisoned",
    "--report=steps:Steps",
    "--set=trainer.half_step=3",
    "--set=model.units=8",
    "--set=data.seq_length=8",
    "--set=data.batch_size=4",
    "--set=loop.log_every=10",
    "--set=loop.evaluate_every=1000",
    "--set=loop.save_every=10",
    "--set=samples.num_chars=20",
]
POISONED = """
import os
import numpy as np
from trainers.curricula.scheduled_sampling import ScheduledSampling

class Poisoned(ScheduledSampling):
    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        source = self.source._source  # the batches after a gap come from this source
        batch_at = source.batch_at
        source.batch_at = lambda step: changed(step, batch_at(step))

def changed(step, batch):
    if step == 1:
        open(f"{os.path.dirname(__file__)}/begun-{os.getpid()}", "w").close()
    return batch._replace(weights=batch.weights * np.float32("nan")) if step == 14 else batch
"""
"""One batch has a non-finite loss: all workers roll back to step 10 and skip it. A file tells that one has begun."""
STEPS = """
import os
from trainers import Report

class Steps(Report):
    def __init__(self, run_dir):
        super().__init__(run_dir)
        with open(f"{run_dir}-processes", "a") as file:
            file.write(f"{os.getpid()}\\n")

    def start(self, step, measured):
        self.path = f"{self.run_dir}/steps"
        kept = [line for line in open(self.path) if int(line) <= step] if os.path.exists(self.path) else []
        with open(self.path, "w") as file:
            file.writelines(kept)

    def scalars(self, step, split, values):
        if split == "train":
            with open(self.path, "a") as file:
                file.write(f"{step}\\n")
"""


def start(folder, *arguments):
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "PYTHONPATH": f"{folder}{os.pathsep}{os.getcwd()}"}
    command = [sys.executable, "-m", "trainers.local_workers", "--num_workers=2", "--", *TINY, *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def children(process):
    with open(f"/proc/{process.pid}/task/{process.pid}/children") as file:
        return [int(number) for number in file.read().split()]


def numbers(run_dir):
    """Returns the lines of metrics.jsonl without times and speeds."""
    lines = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if "sec" not in name} for line in lines]


def by_split(lines):
    return [[line for line in lines if line["split"] == split] for split in ("train", "validation")]


def saved_step(run_dir):
    return int((tf.train.latest_checkpoint(str(run_dir / "checkpoints")) or "-0").split("-")[-1])


def weights(run_dir):
    reader = tf.train.load_checkpoint(tf.train.latest_checkpoint(str(run_dir / "checkpoints")))
    names = [n for n in reader.get_variable_to_shape_map() if n.endswith("VARIABLE_VALUE") and "save_counter" not in n]
    return {name: reader.get_tensor(name) for name in names}


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="finds the workers by /proc")
def test_two_workers_train_one_run(tmp_path, monkeypatch):
    (tmp_path / "poisoned.py").write_text(POISONED)
    (tmp_path / "steps.py").write_text(STEPS)
    two, one = tmp_path / "two", tmp_path / "one"
    stopped = {}
    for number in (signal.SIGTERM, signal.SIGKILL):
        before = saved_step(two)
        process = start(tmp_path, f"--run_dir={two}", "--steps=1000000")
        while saved_step(two) <= before + 10 and process.poll() is None:
            time.sleep(0.1)
        os.kill(children(process)[1], number)
        output, errors = process.communicate(timeout=400)
        assert process.returncode == command.STOPPED, errors
        stopped[number] = [line for line in errors.splitlines() if line.startswith("Stopped")]
        assert output.count("roll-back") == (before == 0)
    assert len(stopped[signal.SIGTERM]) == 2 and all("Stopped and saved" in line for line in stopped[signal.SIGTERM])
    (line,) = stopped[signal.SIGKILL]
    assert "another worker is gone" in line and "run the same command on all" in line

    steps = saved_step(two) + 20
    measured = "--set=loop.evaluate_every=10"
    early = [measured, "--set=loop.patience=1", "--set=loop.min_delta=100"]  # the second evaluation ends both
    watched = [f"--set=loop.histograms_every={steps - 10}", f"--profile={steps - 5},{steps - 4}"]  # on the chief
    process = start(tmp_path, f"--run_dir={two}", f"--steps={steps + 1000}", *early, *watched)
    output, errors = process.communicate(timeout=400)
    assert (process.returncode, errors) == (command.DONE, "")
    assert f"Stopped early at step {steps:,}: " in output
    assert f"Resuming at step {steps - 20:,}" in output and output.count("2 replicas") == 1  # on the chief only
    assert f"Profiled steps {steps - 5:,} to {steps - 4:,}" in output
    monkeypatch.syspath_prepend(tmp_path)
    arguments = ["run", *TINY, measured, f"--run_dir={one}", f"--steps={steps}", "--set=optimizer.accumulate=2"]
    assert command.run(run.main, run.FLAGS, arguments) == command.DONE
    (trained, ended), (expected_lines, all_ended) = map(by_split, (numbers(two), numbers(one)))
    assert trained == expected_lines and trained[-1]["step"] == steps
    assert ended[-2:] == all_ended[-2:]
    assert [int(line) for line in (two / "steps").read_text().split()] == [line["step"] for line in trained]
    assert len({*(tmp_path / "two-processes").read_text().split()}) == 3  # one for each start, on the chief
    got, expected = weights(two), weights(one)
    assert got.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(got[name], value)
    assert len(list((two / "train").iterdir())) == 4  # an event file for each start, and one after the roll-back


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="finds the workers by /proc")
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT])
def test_signals_are_passed_on_to_all_workers(tmp_path, number):
    process = start(tmp_path, f"--run_dir={tmp_path / 'run'}", "--steps=1000000")
    while len(children(process)) < 2:
        time.sleep(0.02)
    for pid in children(process):
        wait_for_tensorflow(pid)
    process.send_signal(number)
    _, errors = process.communicate(timeout=100)
    assert process.returncode == command.STOPPED and errors.count("Stopped before the first step") == 2, errors
    assert not (tmp_path / "run").exists()


REFUSING = """
from trainers import Report

class Refusing(Report):
    def __init__(self, run_dir):
        raise OSError("no room")

    def scalars(self, step, split, values):
        pass
"""


@pytest.mark.parametrize("late", [False, True], ids=["before_the_model_is_made", "after"])
def test_a_mistake_that_the_chief_alone_finds_ends_all_workers_as_a_mistake(tmp_path, late):
    """Otherwise the chief's status 2 would drown in the others' 75, which asks a cluster to start the run again."""
    for name, text in {"poisoned": POISONED, "steps": STEPS, "refusing": REFUSING}.items():
        (tmp_path / f"{name}.py").write_text(text)
    run_dir = tmp_path / "run"
    if not late:
        run_dir.mkdir()
        (run_dir / "notes.txt").touch()
    _, errors = (process := start(tmp_path, f"--run_dir={run_dir}", "--report=refusing:Refusing")).communicate()
    said = "raised OSError: no room" if late else "is not a run directory"
    lines = sorted(errors.splitlines(), key=lambda line: said in line)
    assert process.returncode == command.MISTAKE and len(lines) == 2, errors
    assert lines[0].startswith("error: Another worker is gone before the first step") and said in lines[1], errors


def has_ended(pid):
    """Returns whether a process has ended. A zombie, which its parent did not yet wait for, counts as ended."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def files(folder):
    """Returns the content of each file by path, without the lock, because its owner removes it."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != "lock")
    return {path: path.read_bytes() for path in found}


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="finds the workers by /proc")
@pytest.mark.parametrize("silent", [0, 1], ids=["chief", "other"])
def test_a_silent_worker_ends_the_others_and_then_itself(tmp_path, silent):
    """A frozen worker keeps its connections but answers nothing, like a machine that hangs."""
    (tmp_path / "poisoned.py").write_text(POISONED)
    (tmp_path / "steps.py").write_text(STEPS)
    run_dir = tmp_path / "run"
    rarely = [f"--set=loop.{name}=1000000" for name in ("log_every", "save_every")]
    process = start(tmp_path, f"--run_dir={run_dir}", "--steps=1000000", *rarely)
    while len(list(tmp_path.glob("begun-*"))) < 2 and process.poll() is None:
        time.sleep(0.1)
    pids = children(process)
    os.kill(pids[silent], signal.SIGSTOP)
    since = time.monotonic()
    try:
        while not has_ended(pids[1 - silent]) and time.monotonic() - since < 60:
            time.sleep(0.1)
        waited, before = time.monotonic() - since, files(run_dir)
        assert not has_ended(pids[silent])
    finally:
        os.kill(pids[silent], signal.SIGCONT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == command.STOPPED, errors
    assert 3 < waited < 40  # about 10 s on an idle machine
    lines = errors.splitlines()
    assert len(lines) == 2 and all("another worker is gone" in line for line in lines), errors
    assert files(run_dir) == before
