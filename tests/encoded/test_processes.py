"""Tests calls in worker processes: the order of the results, errors, and that no worker outlives its caller."""

import math
import operator
import os
import signal
import subprocess
import sys
import time

import pytest

from charrnn.encoded import processes as workers
from charrnn.errors import UserError
from charrnn.text import chunks

RUN = """
import os, time
from charrnn.encoded import processes as workers
for pid in workers.call_all([(os.getpid, ())] * 2 + [(time.sleep, (0.5,))] * 2, 2):
    print(pid, flush=True)
"""


@pytest.mark.parametrize("processes", [1, 2, 5])
def test_results_come_in_the_order_of_the_calls(processes):
    calls = [(math.factorial, (i,)) for i in range(9)]
    assert list(workers.call_all(calls, processes)) == [math.factorial(i) for i in range(9)]
    assert list(workers.call_all([], processes)) == []


def test_the_calls_run_in_other_processes_without_tensorflow(tmp_path):
    pids = list(workers.call_all([(os.getpid, ())] * 4, 2))
    assert os.getpid() not in pids and 1 <= len(set(pids)) <= 2
    (tmp_path / "text").write_text("text")
    calls = [(chunks.digest, ([str(tmp_path / "text")],)), (eval, ("'tensorflow' in __import__('sys').modules",))]
    assert list(workers.call_all(calls * 2, 1))[1] is True  # in this process, the check finds TensorFlow
    assert list(workers.call_all(calls * 2, 2))[1::2] == [False, False]


@pytest.mark.parametrize("processes", [1, 2])
def test_the_first_error_is_raised(processes, tmp_path):
    calls = [(math.sqrt, (4.0,)), (chunks.digest, ([str(tmp_path / "missing")],)), (operator.truediv, (1, 0))]
    results = workers.call_all(calls, processes)
    assert next(results) == 2.0
    with pytest.raises(UserError, match="missing"):
        next(results)


def test_a_worker_that_dies_raises_an_error_with_its_status():
    with pytest.raises(RuntimeError, match="status 3"):
        list(workers.call_all([(os._exit, (3,))] * 2, 2))


def test_no_worker_outlives_a_caller_that_is_killed():
    caller = subprocess.Popen([sys.executable, "-c", RUN], stdout=subprocess.PIPE)
    pids = {int(caller.stdout.readline()) for _ in range(2)}
    caller.send_signal(signal.SIGKILL)
    caller.wait()
    deadline = time.monotonic() + 100
    while any(is_running(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
