"""Kills runs at random moments, resumes them, and compares: python -m benchmarks.resilience [--kills=50].

For each of three curricula, one of them also on two replicas: a small undisturbed run, and equal runs that are killed
(SIGKILL) and resumed until they are finished. Weights, optimizer, records, samples and TensorBoard curves must be equal
bit for bit; only times and speeds may differ. One kill in five happens while the process starts, one while it writes a
checkpoint. Further arguments are settings, as --set takes them. Exit status: 0 equal; 1 different.
"""

import collections
import json
import math
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from typing import NamedTuple

import numpy as np
from absl import flags

from benchmarks import machine
from benchmarks.pages import Page
from charrnn import command
from charrnn.files import atomic, paths

FLAGS = flags.FlagValues()
flags.DEFINE_integer("kills", 50, "Total number of kills.", lower_bound=1, flag_values=FLAGS)
flags.DEFINE_integer("steps", 40, "Steps per run.", lower_bound=12, flag_values=FLAGS)
flags.DEFINE_integer("seed", 0, "Seed of the moments.", flag_values=FLAGS)
command.path_flag("page", None, "Markdown page in which to replace the table between the marks.", FLAGS)

_SAMPLING = ["--trainer=scheduled_sampling", "trainer.half_step=6"]
_RUNS = {
    "teacher_forcing": ["--trainer=teacher_forcing", "data.order=streams"],
    "scheduled_sampling": [*_SAMPLING, "data.order=windows"],
    "validation_gated": ["--trainer=validation_gated", "data.order=windows", "trainer.increment=0.2"],
    "two replicas": [*_SAMPLING, "data.order=streams", "--strategy=mirrored", "runtime.virtual_replicas=2"],
}
_SMALL = (
    "model.units=8 model.embedding_size=0 data.seq_length=8 data.batch_size=4 loop.log_every=2 loop.evaluate_every=4 "
    "loop.save_every=3 samples.num_chars=20"
).split()
_START_SECONDS = 2.0  # approximate start of a forked process
_WRITING = math.inf  # a moment: while a checkpoint is being written
_TIMES = ("seconds", "chars_per_sec", "interval_seconds")


class Task(NamedTuple):
    """The kills of one curriculum."""

    name: str
    kills: int
    steps: int
    settings: list[str]
    folder: str
    seed: int


class Outcome(NamedTuple):
    """The result of a task."""

    name: str
    kills: int
    runs: int
    left: dict[str, int]  # remains of a kill -> number of kills
    differences: list[str]


def main(settings: list[str]) -> int:
    """Runs the command. Returns the exit status."""
    page = Page(FLAGS.page, "benchmarks.resilience")
    _import_tensorflow()
    with tempfile.TemporaryDirectory() as folder:
        tasks = []
        for i, (name, own) in enumerate(_RUNS.items()):
            kills = FLAGS.kills // len(_RUNS) + (i < FLAGS.kills % len(_RUNS))
            if not kills:
                break
            place = os.path.join(folder, name)
            tasks.append(Task(name, kills, FLAGS.steps, [*own, *_SMALL, *settings], place, FLAGS.seed + i))
        deaf = {"initializer": signal.signal, "initargs": (signal.SIGINT, signal.SIG_IGN)}  # Ctrl-C is reported once
        with multiprocessing.get_context("fork").Pool(os.cpu_count(), **deaf) as pool:
            outcomes = pool.map(_torment, tasks, chunksize=1)
    text = f"{machine.describe()}; runs of {FLAGS.steps} steps.\n\n{_table(outcomes)}"
    print(text)
    differences = [f"{outcome.name}: {each}" for outcome in outcomes for each in outcome.differences]
    print("\n".join(differences))
    page.put(text)
    return 1 if differences else command.DONE


def _import_tensorflow() -> None:
    """Imports TensorFlow once for all forks, without starting it, because a fork loses threads."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with command._held_back():
        from trainers.launch import build  # noqa: F401


def _torment(task: Task) -> Outcome:
    """Runs the undisturbed run, then killed ones until there are enough kills; compares all."""
    chance, left = random.Random(task.seed), collections.Counter()
    os.makedirs(task.folder)
    whole = os.path.join(task.folder, "whole")
    under_way, end = _live(task, whole, None)
    killed, runs = 0, []
    while killed < task.kills:
        runs.append(os.path.join(task.folder, f"killed-{len(runs)}"))
        done = False
        while not done:
            moment = None
            if killed < task.kills:
                kinds = [chance.uniform(-_START_SECONDS, 0), *[chance.uniform(0, end - under_way)] * 3, _WRITING]
                moment = chance.choice(kinds)
            done = _live(task, runs[-1], moment) is not None
            if not done:
                killed += 1
                left.update(_left(runs[-1]))
    found = [f"{os.path.basename(run)}: {each}" for run in runs for each in differences(whole, run)]
    return Outcome(task.name, killed, len(runs), dict(left), found)


def _live(task: Task, run_dir: str, moment: float | None) -> tuple[float, float] | None:
    """Runs one process of a run, and kills it.

    Args:
        task: the curriculum.
        run_dir: the run directory.
        moment: seconds after training starts, negative: before it; _WRITING: during a checkpoint; None: no kill.

    Returns:
        Times of the start of training and of the end; None if it was killed.
    """
    log = f"{run_dir}.log"
    start = time.monotonic()
    process = os.fork()
    if not process:
        _become(["run", *_options(task, run_dir)], log)
    under_way, status = None, None
    while status is None:
        time.sleep(0.0005)
        ended, code = os.waitpid(process, os.WNOHANG)
        status = code if ended else None
        if under_way is None and _began(log):
            under_way = time.monotonic()
        if status is None and _is_now(moment, start, under_way, run_dir):
            os.kill(process, signal.SIGKILL)
            moment = None
    if os.WIFSIGNALED(status):
        return None
    if status:
        with open(log, encoding="utf-8") as file:
            raise RuntimeError(f"{task.name} ended with {os.waitstatus_to_exitcode(status)}: {file.read()}")
    return under_way or start, time.monotonic()


def _is_now(moment: float | None, start: float, under_way: float | None, run_dir: str) -> bool:
    if moment is None:
        return False
    if moment == _WRITING:
        return any(map(_half_written, _folders(run_dir)))
    if moment < 0:
        return time.monotonic() - start >= moment + _START_SECONDS
    return under_way is not None and time.monotonic() - under_way >= moment


def _folders(run_dir: str) -> list[str]:
    return [os.path.join(run_dir, name) for name in ("checkpoints", "best")]


def _half_written(folder: str) -> bool:
    """Returns whether a checkpoint, or the list of them, is partially written."""
    return any(name.startswith(atomic.PREFIX) for name in paths.names_in(folder))


def _options(task: Task, run_dir: str) -> list[str]:
    options = ["--experiment=quickstart", "--corpus=plays:3000", f"--steps={task.steps}", f"--run_dir={run_dir}"]
    return [*options, *task.settings]


def _become(arguments: list[str], log: str) -> None:
    """Turns this process into the command of a run. Does not return."""
    from trainers import run

    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    os.dup2(file, 1)
    os.dup2(file, 2)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False)
    try:
        os._exit(command.run(run.main, run.FLAGS, arguments))
    except BaseException as error:
        print(repr(error), file=sys.stderr, flush=True)
        os._exit(1)


def _began(log: str) -> bool:
    try:
        with open(log, encoding="utf-8") as file:
            text = file.read()
    except FileNotFoundError:
        return False
    return any(mark in text for mark in ("Starting in", "Resuming at step", "nothing to do"))


def _left(run_dir: str) -> list[str]:
    """Returns the remains of a kill, which show where the run was."""
    try:
        names = os.listdir(os.path.join(run_dir, "checkpoints"))
    except FileNotFoundError:
        return ["nothing yet"]
    steps = [int(name[5:-6]) for name in names if name.startswith("step-") and name.endswith(".index")]
    lines = _read(os.path.join(run_dir, "metrics.jsonl")).split("\n")
    whole = [json.loads(line)["step"] for line in lines[:-1]]
    found = {
        "a half-written checkpoint": any(map(_half_written, _folders(run_dir))),
        "lines after the newest checkpoint": bool(whole) and max(whole) > max(steps, default=0),
        "a torn line": bool(lines[-1]),
    }
    return [what for what, is_there in found.items() if is_there] or ["nothing to mend"]


def _read(path: str) -> str:
    if not os.path.exists(path):
        return ""
    with open(path, encoding="utf-8") as file:
        return file.read()


def differences(one: str, other: str) -> list[str]:
    """Returns the differences between two run directories, without times and speeds."""
    looks = {"metrics.jsonl": _metrics, "samples.jsonl": _samples, "checkpoints": _saved, "best": _saved}
    looks |= {"train": _curves, "validation": _curves}
    pairs = {name: [look(os.path.join(run_dir, name)) for run_dir in (one, other)] for name, look in looks.items()}
    found = [name for name, (a, b) in pairs.items() if not _equal(a, b)]
    for name in ("train", "validation"):
        for tag, points in pairs[name][1].items():
            steps = [step for step, _ in points]
            if steps != sorted(set(steps)):
                found.append(f"{name}: {tag} goes back and forth")
    return found


def _equal(a, b) -> bool:
    """Returns whether two values are equal bit for bit; nan equals nan."""
    try:
        np.testing.assert_equal(a, b)
    except AssertionError:
        return False
    return True


def _metrics(path: str) -> list[dict]:
    return [_timeless(json.loads(line)) for line in _read(path).splitlines()]


def _samples(path: str) -> str:
    return _read(path)


def _saved(folder: str) -> dict:
    """Returns the name and the content of the newest checkpoint."""
    import tensorflow as tf

    path = tf.train.latest_checkpoint(folder)
    reader = tf.train.load_checkpoint(path)
    unequal = ("save_counter", "_CHECKPOINTABLE_OBJECT_GRAPH")  # number of saves
    names = [name for name in reader.get_variable_to_shape_map() if not name.startswith(unequal)]
    values = {name: reader.get_tensor(name) for name in names}
    (memory,) = [name for name in values if name.startswith("memory/")]
    state = _timeless(json.loads(values[memory]))
    state["pending"] = [_timeless(row) for row in state["pending"]]
    return {**values, memory: state, "name": os.path.basename(path)}


def _curves(folder: str) -> dict[str, list]:
    """Returns the points (step, value) of each curve and text, as TensorBoard reads them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(folder, size_guidance={"tensors": 0}).Reload()
    tags = [tag for tag in events.Tags()["tensors"] if tag not in _TIMES]
    return {tag: [(e.step, e.tensor_proto.SerializeToString()) for e in events.Tensors(tag)] for tag in tags}


def _timeless(values: dict) -> dict:
    return {name: value for name, value in values.items() if name not in _TIMES}


def _table(outcomes: list[Outcome]) -> str:
    lines = ["| run | kills | runs | what the kills left behind | differences |", "|---" * 5 + "|"]
    for each in outcomes:
        left = "; ".join(f"{what}: {count}" for what, count in sorted(each.left.items()))
        lines.append(f"| {each.name} | {each.kills} | {each.runs} | {left} | {len(each.differences)} |")
    kills, runs = (sum(getattr(each, name) for each in outcomes) for name in ("kills", "runs"))
    equal = runs - len({(e.name, d.partition(":")[0]) for e in outcomes for d in e.differences})
    return "\n".join([*lines, "", f"{kills} kills; {equal} of {runs} killed runs ended as the undisturbed one."])


if __name__ == "__main__":
    sys.exit(command.run(main, FLAGS))
