"""Tests that a signal during an import ends the import, even if the package catches or replaces the exception."""

import signal

import pytest

from charrnn.process.interrupts import SIGNALS, insisted


def handlers():
    return [signal.getsignal(number) for number in SIGNALS]


def test_an_import_that_catches_everything_ends_with_the_interrupt():
    before = handlers()
    with pytest.raises(KeyboardInterrupt), insisted():
        try:
            signal.raise_signal(signal.SIGINT)
        except BaseException:
            pass
    assert handlers() == before


def test_an_import_that_fails_because_of_an_interrupt_ends_with_the_interrupt():
    with pytest.raises(KeyboardInterrupt), insisted():
        try:
            signal.raise_signal(signal.SIGINT)
        except BaseException:
            raise AttributeError("a half-imported module lacks this") from None


def test_an_interrupt_does_not_wait_for_the_end_of_the_import():
    reached = []
    with pytest.raises(KeyboardInterrupt), insisted():
        signal.raise_signal(signal.SIGINT)
        reached.append(1)
    assert not reached


def test_other_errors_propagate_and_ignored_signals_stay_ignored():
    with pytest.raises(ImportError, match="no such thing"), insisted():
        raise ImportError("no such thing")
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with insisted():
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_an_interrupt_within_exec_does_not_become_an_exit_by_a_signal():
    """If a KeyboardInterrupt ever leaves `exec`, Python exits by SIGINT, even if the exception was caught."""
    with pytest.raises(KeyboardInterrupt), insisted():
        try:
            exec("signal.raise_signal(signal.SIGINT)", {"signal": signal})
        except KeyboardInterrupt:
            pytest.fail("it passed through")
