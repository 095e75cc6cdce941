"""When a run is asked to stop: signals, and time."""

import os
import signal

import pytest

from charrnn.errors import UserError
from trainers.stopping import Stop, Stopped


@pytest.fixture(autouse=True)
def _handlers():
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_waits_for_the_run_to_look_and_the_second_is_not_held_up(number):
    stop = Stop()
    stop.listen()
    stop.look()
    os.kill(os.getpid(), number)
    for _ in range(2):
        with pytest.raises(Stopped):
            stop.look()
    assert {signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)} == {signal.SIG_DFL}


def test_before_the_run_is_under_way_a_signal_does_not_wait():
    stop = Stop()
    stop.listen()
    with pytest.raises(Stopped):
        os.kill(os.getpid(), signal.SIGTERM)


def test_time_is_counted_in_minutes():
    now = [100.0]
    stop = Stop(max_minutes=1.5, clock=lambda: now[0])
    now[0] += 89.9
    stop.look()
    now[0] += 0.1
    with pytest.raises(Stopped):
        stop.look()


@pytest.mark.parametrize("minutes", [0.0, -1.0, float("nan"), float("inf")])
def test_no_time_at_all_is_refused(minutes):
    with pytest.raises(UserError, match="--max_minutes"):
        Stop(minutes)
