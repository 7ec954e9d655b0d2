"""Signals: the first one stops the run in order."""

from __future__ import annotations

import signal
import threading

import pytest
from smspartner_pipelines.interrupt import SIGNALS, stop_on_signals


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_asks_the_run_to_end(number: int) -> None:
    """A signal sets the event, and further ones change nothing: what is read is loaded, and the report written."""
    with stop_on_signals() as stop:
        assert not stop.is_set()
        signal.raise_signal(number)
        assert stop.is_set()
        signal.raise_signal(number)


def test_handlers_are_put_back() -> None:
    """What handled signals before handles them after the run, also if that failed."""
    before = [signal.getsignal(number) for number in SIGNALS]
    with pytest.raises(ValueError, match="x"), stop_on_signals():  # noqa: PT012
        assert before != [signal.getsignal(number) for number in SIGNALS]
        raise ValueError("x")
    assert before == [signal.getsignal(number) for number in SIGNALS]


def test_ignored_signals_stay_ignored() -> None:
    """A signal that was ignored when the run began (nohup) stays ignored."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_on_signals() as stop:
            signal.raise_signal(signal.SIGHUP)
            assert not stop.is_set()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_outside_the_main_thread() -> None:
    """In another thread, a scheduler's worker say, signals are left alone."""
    before, found = [signal.getsignal(number) for number in SIGNALS], []

    def work() -> None:
        with stop_on_signals():
            found.extend(signal.getsignal(number) for number in SIGNALS)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert before == found
