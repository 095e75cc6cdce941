"""Tests four processes with a quarter of the rows each.

They compute the same as one, sum the gradients once, and all know what one of them knows.
"""

import json
import math
import os
import subprocess
import sys

import numpy as np
import pytest
import rounding

from tests.distribution import cases
from trainers.distribution.cluster import local_configs

pytestmark = pytest.mark.slow

COUNT = 4


@pytest.fixture(scope="module")
def workers():
    """Starts the processes; returns the JSON object that each of them prints."""
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "PYTHONPATH": os.getcwd()}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.distribution.cases"], env={**environment, "TF_CONFIG": config}, **pipes
        )
        for config in local_configs(COUNT)
    ]
    lines = [worker.stdout.readline() for worker in started]
    for worker in started:
        worker.communicate()
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("name", cases.CASES)
def test_four_processes_compute_the_same_as_one(workers, relative_error, name):
    whole = cases.make(name)
    rows = [worker[name]["rows"] for worker in workers]
    assert len({len(each) for each in rows}) == 1
    np.testing.assert_array_equal(np.concatenate(rows), whole.batch_at(1).inputs)
    expected = cases.train(whole)
    limit = rounding.bound("bfloat16", rounding.ADDITIONS) if name == "bfloat16" else rounding.MODEL
    right = [np.array(each) for each in expected["weights"]]
    for worker in workers:
        assert worker[name]["measured"] == workers[0][name]["measured"]
        for got, wanted in zip(worker[name]["measured"], expected["measured"], strict=True):
            assert got == pytest.approx(wanted, rel=limit)
        assert worker[name]["weights"] == workers[0][name]["weights"]
    assert relative_error([np.array(each) for each in workers[0][name]["weights"]], right) < limit


@pytest.mark.parametrize("name", cases.CASES)
def test_a_step_sums_the_gradients_once_and_gathers_only_for_a_whole_batch(workers, name):
    for worker in workers:
        sizes = sorted(map(math.prod, worker[name]["Reduce"]))
        num_weights = worker[name]["num_weights"]
        assert num_weights <= sizes[-1] < num_weights + 10  # together with the measurements
        assert sizes[:-1] in ([], [1])  # the sum of the weights of the targets
        assert bool(worker[name]["Gather"]) == (name == "whole")  # its loss needs the rows of all processes


def test_all_processes_agree_on_what_one_of_them_finds(workers):
    for worker in workers:
        assert worker["agreed"] == {"any": [False, True], "refused": [[0, 2, 2, 4]]}
