"""Two processes train one run: one is killed, the other says so; started again, they end where one process does."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import tensorflow as tf

from charrnn import command
from trainers import run

TINY = [
    "--experiment=quickstart",
    "--corpus=plays:3000",
    "--trainer=scheduled_sampling",
    "--set=trainer.half_step=3",
    "--set=model.units=8",
    "--set=data.seq_length=8",
    "--set=data.batch_size=4",
    "--set=loop.log_every=10",
    "--set=loop.evaluate_every=1000",
    "--set=loop.save_every=10",
    "--set=samples.num_chars=20",
]


def start(*arguments):
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1"}
    command = [sys.executable, "-m", "trainers.local_workers", "--num_workers=2", "--", *TINY, *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def children(process):
    with open(f"/proc/{process.pid}/task/{process.pid}/children") as file:
        return [int(number) for number in file.read().split()]


def last_line(run_dir, split):
    """The split's newest numbers, less what time they took."""
    lines = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    last = [line for line in lines if line["split"] == split][-1]
    return {name: value for name, value in last.items() if name != "split" and "sec" not in name}


def weights(run_dir):
    reader = tf.train.load_checkpoint(tf.train.latest_checkpoint(str(run_dir / "checkpoints")))
    names = [n for n in reader.get_variable_to_shape_map() if n.endswith("VARIABLE_VALUE") and "save_counter" not in n]
    return {name: reader.get_tensor(name) for name in names}


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="finds the workers by /proc")
def test_two_workers_are_one_run(tmp_path, relative_error):
    two, one = tmp_path / "two", tmp_path / "one"
    process = start(f"--run_dir={two}", "--steps=1000000")
    while not tf.train.latest_checkpoint(str(two / "checkpoints")) and process.poll() is None:
        time.sleep(0.1)
    os.kill(children(process)[1], signal.SIGKILL)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == command.STOPPED
    (line,) = [line for line in errors.splitlines() if line.startswith("Stopped")]
    assert "another worker is gone" in line and "run the same command on all" in line

    steps = int(tf.train.latest_checkpoint(str(two / "checkpoints")).split("-")[-1]) + 20
    watched = [f"--set=loop.histograms_every={steps - 10}", f"--profile={steps - 5},{steps - 4}"]  # by the chief
    process = start(f"--run_dir={two}", f"--steps={steps}", *watched)
    output, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (command.DONE, "")
    assert f"Going on at step {steps - 20}" in output and output.count("2 replicas") == 1  # the chief's alone
    assert f"Profiled steps {steps - 5:,} to {steps - 4:,}" in output
    assert command.run(run.main, run.FLAGS, ["run", *TINY, f"--run_dir={one}", f"--steps={steps}"]) == command.DONE
    for split in ("train", "validation"):
        assert last_line(two, split) == pytest.approx(last_line(one, split), rel=1e-4)
    got, expected = weights(two), weights(one)
    assert got.keys() == expected.keys()
    assert relative_error([got[name] for name in expected], list(expected.values())) < 1e-4
    assert len(list((two / "train").iterdir())) == 2  # an event file for each start
