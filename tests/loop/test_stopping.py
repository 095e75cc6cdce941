"""Tests how signals and the time limit stop a run."""

import contextlib
import os
import signal
import threading

import pytest

from charrnn.errors import UserError
from trainers.loop.stopping import Stop, Stopped

NUMBERS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def handlers(*numbers):
    return [signal.getsignal(each) for each in numbers]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_waits_for_the_run_to_look_and_the_second_is_not_held_up(number):
    before = handlers(*NUMBERS)
    stop = Stop()
    with stop.listen():
        stop.look()
        os.kill(os.getpid(), number)
        for _ in range(2):
            with pytest.raises(Stopped):
                stop.look()
        assert handlers(*NUMBERS) == [*before[:2], signal.SIG_IGN]  # a terminal that closes may send it later
    assert handlers(*NUMBERS) == before


def test_a_second_signal_kills_a_command_even_if_it_is_an_interrupt():
    stop = Stop()
    with stop.listen(kill=True):
        stop.look()
        os.kill(os.getpid(), signal.SIGINT)
        assert handlers(signal.SIGTERM, signal.SIGINT) == [signal.SIG_DFL] * 2


def test_a_terminal_that_closes_may_send_its_signal_twice_and_other_signals_may_follow():
    stop = Stop()
    with stop.listen():
        stop.look()
        for number in (signal.SIGHUP, signal.SIGHUP, signal.SIGTERM):  # as systemd ends a session
            os.kill(os.getpid(), number)
            with pytest.raises(Stopped):
                stop.look()


@pytest.mark.parametrize("number", NUMBERS)
def test_a_signal_that_was_ignored_stays_ignored(number):
    """`nohup` starts its command with signals ignored; so does a shell that starts a script's background process."""
    before = signal.signal(number, signal.SIG_IGN)
    try:
        stop = Stop()
        with stop.listen(kill=True):
            os.kill(os.getpid(), number)
            stop.look()
            other = next(each for each in NUMBERS if each != number)
            os.kill(os.getpid(), other)
            with pytest.raises(Stopped):
                stop.look()
            assert signal.getsignal(number) == signal.SIG_IGN
    finally:
        signal.signal(number, before)


@pytest.mark.parametrize("number", NUMBERS)
def test_before_the_run_is_under_way_a_signal_does_not_wait(number):
    with pytest.raises(Stopped), Stop().listen():
        try:
            os.kill(os.getpid(), number)
        except Exception:
            pytest.fail("it is no error")


def test_the_previous_signal_handlers_return_after_an_error():
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
    before, ended = handlers(*NUMBERS), []

    def listen():
        stop = Stop()
        with stop.listen():
            stop.look()
            ended.append(handlers(*NUMBERS))

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
def test_a_time_limit_must_be_positive_and_finite(minutes):
    with pytest.raises(UserError, match="--max_minutes"):
        Stop(minutes)
