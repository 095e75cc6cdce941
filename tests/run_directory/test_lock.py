"""Tests the lock of a run directory: one process writes at a time, and after its end the next one may."""

import json
import os
import signal
import socket
import subprocess
import sys

import pytest
import tensorflow as tf

from charrnn.errors import UserError
from trainers.run_directory import lock


def test_a_second_writer_is_refused_until_the_first_one_ends(tmp_path):
    folder = str(tmp_path / "a" / "run")
    with lock.hold(folder):
        with pytest.raises(UserError, match=f"written by process {os.getpid()} on {socket.gethostname()} since 20"):
            with lock.hold(folder):
                pass
        assert os.listdir(folder) == ["lock"]
        (tmp_path / "a" / "run" / "config.json").touch()
    assert os.listdir(folder) == ["config.json"]
    with lock.hold(folder):
        pass


def test_only_folders_that_the_lock_created_and_that_stay_empty_are_removed(tmp_path):
    (tmp_path / "mine").mkdir()
    with pytest.raises(KeyError), lock.hold(str(tmp_path / "mine" / "a" / "run")):
        raise KeyError
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["mine"]
    with lock.hold(str(tmp_path / "mine")):
        pass
    assert (tmp_path / "mine").exists()


def test_the_lock_of_a_process_that_was_killed_is_taken_over(tmp_path):
    program = "import fcntl, sys, time; f = open(sys.argv[1], 'w'); fcntl.flock(f, fcntl.LOCK_EX); print('{}', file=f)"
    waits = "f.flush(); print(flush=True); time.sleep(60)"
    path = tmp_path / "lock"
    process = subprocess.Popen([sys.executable, "-c", f"{program}; {waits}", str(path)], stdout=subprocess.PIPE)
    process.stdout.readline()
    with pytest.raises(UserError, match="written by another process"), lock.hold(str(tmp_path)):
        pass
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with lock.hold(str(tmp_path)):
        assert json.loads(path.read_text())["pid"] == os.getpid()


def test_without_file_locks_the_process_named_in_the_file_decides():
    """A bucket has no file locks. TensorFlow's file system in memory represents it here."""
    folder, path = "ram://runs/mine", "ram://runs/mine/lock"
    with lock.hold(folder):
        with pytest.raises(UserError, match=f"process {os.getpid()}"), lock.hold(folder):
            pass
        mine = lock._read(path)
    assert not tf.io.gfile.exists(path)
    for left, free in [
        ({**mine, "started": "1"}, True),  # another process has the id now
        ({**mine, "pid": 2**22 + 1}, True),  # a dead process
        ({**mine, "host": "elsewhere"}, False),
    ]:
        with tf.io.gfile.GFile(path, "w") as file:
            file.write(json.dumps(left))
        if free:
            with lock.hold(folder):
                assert lock._read(path)["pid"] == os.getpid()
        else:
            with pytest.raises(UserError, match=f"on elsewhere .* remove {path}"), lock.hold(folder):
                pass
