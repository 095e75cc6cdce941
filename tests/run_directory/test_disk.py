"""Tests a full disk: a small one in memory, and /dev/full."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import textwrap

import pytest

from charrnn import command
from trainers.reports.records import Records
from trainers.run_directory import disk

_MOUNT = ["unshare", "-rm", "sh", "-c"]


def can_mount():
    if not shutil.which("unshare"):
        return False
    return subprocess.run([*_MOUNT, "mount -t tmpfs none /mnt"], capture_output=True).returncode == 0


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no /dev/full")
def test_a_line_that_cannot_be_written_is_reported(tmp_path):
    (tmp_path / "metrics.jsonl").symlink_to("/dev/full")
    with pytest.raises(disk.NotWritten, match=r"metrics.jsonl cannot be written \(No space left on device\)"):
        Records(str(tmp_path)).scalars(1, "train", {"x": 1.0})


PROGRAM = """
    import json, os, shutil, sys
    from benchmarks.resilience import differences
    from charrnn import command
    from trainers.run_directory import disk
    from trainers import run
    from trainers.reports.summaries import Summaries

    def fill(spare):
        with open("/mnt/filling", "wb", buffering=0) as file:
            file.write(bytes(shutil.disk_usage("/mnt").free - spare))

    def start(run_dir):
        return command.run(run.main, run.FLAGS, ["run", *sys.argv[1:], f"--run_dir={run_dir}"])

    found = {"whole": start("/mnt/whole")}
    fill(200_000)
    print("full", file=sys.stderr)
    found["full"] = start("/mnt/run")
    with open("/mnt/run/metrics.jsonl") as file:
        found["lines"] = len([json.loads(line) for line in file])
    os.remove("/mnt/filling")
    print("room", file=sys.stderr)
    found["again"] = start("/mnt/run")
    found["differences"] = differences("/mnt/whole", "/mnt/run")
    shutil.rmtree("/mnt/run")
    summaries = Summaries("/mnt/summaries")
    fill(4096)
    try:
        for step in range(100):
            summaries.scalars(step, "train", {"x" * 100: 1.0})
        summaries.flush()
    except disk.NotWritten as error:
        found["summaries"] = str(error)
    print(json.dumps(found))
"""


@pytest.mark.slow
@pytest.mark.skipif(not can_mount(), reason="no small disk can be mounted here: unshare -rm, mount -t tmpfs")
def test_a_full_disk_ends_a_run_in_one_line_and_with_room_it_resumes_exactly(tmp_path):
    arguments = "--experiment=quickstart --corpus=plays:3000 --steps=6 model.units=16 data.seq_length=8"
    arguments += " data.batch_size=4 loop.log_every=2 loop.evaluate_every=3 loop.save_every=2 samples.num_chars=20"
    (tmp_path / "program.py").write_text(textwrap.dedent(PROGRAM))
    shell = f"mount -t tmpfs -o size=4m none /mnt && exec {sys.executable} {tmp_path}/program.py {arguments}"
    environment = {**os.environ, "PYTHONPATH": os.getcwd(), "TF_CPP_MIN_LOG_LEVEL": "3"}
    process = subprocess.run([*_MOUNT, shell], capture_output=True, text=True, env=environment)
    assert process.returncode == 0, process.stderr
    found = json.loads(process.stdout.splitlines()[-1])
    assert (found["whole"], found["full"], found["again"]) == (command.DONE, command.NOT_WRITTEN, command.DONE)
    assert found["lines"] > 0 and found["differences"] == []
    assert found["summaries"].startswith("/mnt/summaries/train cannot be written (")
    (said,) = re.findall(r"(?<=^full\n).*?(?=^room$)", process.stderr, flags=re.DOTALL | re.MULTILINE)
    assert re.fullmatch(r"error: /mnt/run/\S+ cannot be written \(.*\); .* the same command to resume\.\n", said)


def test_the_reason_of_a_disk_error_is_short():
    with pytest.raises(disk.NotWritten, match=r"^it cannot be written \(No such file or directory\)$"):
        with disk.writing("it"):
            pathlib.Path("/nowhere/at/all").read_text()
