"""Signals that come while packages are imported: they end the import, whatever that makes of them."""

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


def test_an_import_that_breaks_by_it_ends_with_the_interrupt():
    with pytest.raises(KeyboardInterrupt), insisted():
        try:
            signal.raise_signal(signal.SIGINT)
        except BaseException:
            raise AttributeError("a half-imported module lacks this") from None


def test_an_interrupt_does_not_wait_for_the_end():
    reached = []
    with pytest.raises(KeyboardInterrupt), insisted():
        signal.raise_signal(signal.SIGINT)
        reached.append(1)
    assert not reached


def test_other_errors_pass_and_ignored_signals_stay_ignored():
    with pytest.raises(ImportError, match="no such thing"), insisted():
        raise ImportError("no such thing")
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with insisted():
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_code_in_a_string_does_not_turn_it_into_an_exit_by_a_signal():
    """Python ends by SIGINT, after all, if a KeyboardInterrupt has left such code at any time."""
    with pytest.raises(KeyboardInterrupt), insisted():
        try:
            exec("signal.raise_signal(signal.SIGINT)", {"signal": signal})
        except KeyboardInterrupt:
            pytest.fail("it passed through")
