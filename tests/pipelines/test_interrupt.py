"""Signals: the first one stops the run in order."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
from smspartner_pipelines.interrupt import SIGNALS, stop_on_signals


def handlers() -> list[object]:
    """What handles each signal now."""
    return [signal.getsignal(number) for number in SIGNALS]


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_asks_the_run_to_end(number: int) -> None:
    """A signal sets the event, a second one is no end yet; after the run, also a failed one, all is as before."""
    before = handlers()
    with pytest.raises(ValueError, match="x"), stop_on_signals() as stop:  # noqa: PT012
        for is_set in (False, True):
            assert stop.is_set() is is_set
            signal.raise_signal(number)
        raise ValueError("x")
    assert before == handlers()


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

    def work() -> list[object]:
        with stop_on_signals():
            return handlers()

    with ThreadPoolExecutor(1) as pool:
        assert handlers() == pool.submit(work).result()
