"""Tests the profiler, with one step and with several steps per call."""

import pytest
import tensorflow as tf

from charrnn.errors import UserError
from trainers.configs import LoopConfig
from trainers.loop.profiling import Profiler


@pytest.fixture
def started(monkeypatch):
    """Replaces the functions of TensorFlow's profiler; returns the list of their calls."""
    told = []
    monkeypatch.setattr(tf.profiler.experimental, "start", lambda folder: told.append(("start", folder)))
    monkeypatch.setattr(tf.profiler.experimental, "stop", lambda: told.append("stop"))
    return told


@pytest.mark.parametrize(
    ("stride", "steps", "recorded"),
    [
        (1, (3, 4), [3, 4]),
        (1, (1, 1), [1]),
        (1, (12, 12), [12]),
        (1, (), []),
        (4, (3, 3), [1, 2, 3, 4]),  # all steps of the call
        (4, (4, 6), [1, 2, 3, 4, 5, 6, 7, 8]),
    ],
)
def test_the_steps_asked_for_are_recorded(started, stride, steps, recorded):
    """The steps run twice, as after a roll-back. Only the first time is recorded."""
    profiler, within = Profiler("run", steps), []
    for first in [*range(1, 13, stride), *range(1, 13, stride)]:
        with profiler.around(first, first + stride - 1):
            if len(started) % 2:
                within.extend(range(first, first + stride))
    profiler.stop()
    assert within == recorded
    assert started == ([("start", "run"), "stop"] if steps else [])


def test_a_run_that_stops_while_it_profiles_keeps_the_profile(started):
    said = []
    profiler = Profiler("run", (2, 9), said.append)
    for step in (1, 2, 3):
        with profiler.around(step, step):
            pass
    profiler.stop()
    profiler.stop()
    assert started == [("start", "run"), "stop"]
    assert said == ["Profiled steps 2 to 3; to see them: pip install tensorboard-plugin-profile"]


def test_a_record_lies_where_tensorboard_looks(tmp_path):
    said = []
    profiler = Profiler(str(tmp_path), (2, 2), said.append)
    work = tf.function(lambda x: tf.linalg.matmul(x, x, name="a_name_to_be_found"))
    for step in (1, 2, 3):
        with profiler.around(step, step):
            work(tf.eye(8)).numpy()
    (record,) = tmp_path.glob("plugins/profile/*/*.xplane.pb")
    assert b"a_name_to_be_found" in record.read_bytes()
    assert said == ["Profiled steps 2 to 2; to see them: pip install tensorboard-plugin-profile"]


@pytest.mark.parametrize("steps", [(1,), (0, 3), (3, 2), (1, 2, 3)])
def test_profile_must_be_two_steps_in_order(steps):
    with pytest.raises(UserError, match=r"loop.profile=\S+ is not possible"):
        LoopConfig(profile=steps)


def test_a_step_beyond_the_run_is_refused():
    config = LoopConfig(steps=100, profile=(10, 20))
    assert config.in_steps(7).profile == (10, 20)
    with pytest.raises(UserError, match=r"loop.profile=10,20 is not possible: it must be within the run's 14 steps"):
        LoopConfig(epochs=2, profile=(10, 20)).in_steps(7)
