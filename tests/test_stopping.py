"""When a run is asked to stop: signals, and time."""

import contextlib
import os
import signal
import threading

import pytest

from charrnn.errors import UserError
from trainers.stopping import Stop, Stopped

NUMBERS = (signal.SIGTERM, signal.SIGINT)


@pytest.mark.parametrize("number", NUMBERS)
def test_a_signal_waits_for_the_run_to_look_and_the_second_is_not_held_up(number):
    before = [signal.getsignal(each) for each in NUMBERS]
    stop = Stop()
    with stop.listen():
        stop.look()
        os.kill(os.getpid(), number)
        for _ in range(2):
            with pytest.raises(Stopped):
                stop.look()
        assert [signal.getsignal(each) for each in NUMBERS] == before


def test_before_the_run_is_under_way_a_signal_does_not_wait():
    with pytest.raises(Stopped), Stop().listen():
        os.kill(os.getpid(), signal.SIGTERM)


def test_afterwards_signals_are_as_they_were_whatever_ended_the_run():
    heard, number = [], signal.SIGTERM
    before = signal.signal(number, lambda *_: heard.append(1))
    try:
        with contextlib.suppress(KeyError), Stop().listen():
            raise KeyError
        os.kill(os.getpid(), number)
    finally:
        signal.signal(number, before)
    assert heard == [1]


def test_in_another_thread_signals_are_left_alone():
    before, ended = [signal.getsignal(each) for each in NUMBERS], []

    def listen():
        stop = Stop()
        with stop.listen():
            stop.look()
            ended.append([signal.getsignal(each) for each in NUMBERS])

    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()
    assert ended == [before]


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
