"""Tests that killed and resumed runs end like an undisturbed run."""

import subprocess
import sys

import pytest

from benchmarks import resilience

pytestmark = pytest.mark.slow


def test_killed_runs_end_as_the_undisturbed_one():
    """Kills one run each under teacher forcing, scheduled sampling and an adaptive curriculum."""
    arguments = ["--kills=3", "--steps=12"]
    process = subprocess.run(
        [sys.executable, "-m", "benchmarks.resilience", *arguments], capture_output=True, text=True, timeout=400
    )
    assert process.returncode == 0, process.stdout + process.stderr
    assert "3 kills;" in process.stdout and process.stdout.count("| 1 |") >= 3


def test_a_difference_is_found(tmp_path):
    """The test above proves something only if its comparison can fail. The comparison ignores times."""
    for name, text in (("one", '{"step": 1, "x": 1.0, "seconds": 1}\n'), ("other", '{"step": 1, "x": 2.0}\n')):
        (tmp_path / name).write_text(text)
    one, other = (resilience._metrics(str(tmp_path / name)) for name in ("one", "other"))
    assert not resilience._equal(one, other)
    assert resilience._equal(one, [{"step": 1, "x": 1.0}])
    assert not resilience._equal({"a": [1.0]}, {"a": [1.0 + 1e-15]})
