"""Ctrl-C and SIGTERM."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from smspartner_pipelines.interrupt import SIGNALS, Interrupt, raised


@pytest.mark.parametrize("number", SIGNALS)
def test_work_in_hand_is_finished(number: signal.Signals) -> None:
    """A signal during the work on an item lets that be finished; the next item is not begun."""
    done = []
    with Interrupt() as interrupt:
        with pytest.raises(KeyboardInterrupt):  # noqa: PT012
            for item in interrupt.between([1, 2, 3]):
                if item == 2:
                    signal.raise_signal(number)
                done.append(item)
        with pytest.raises(KeyboardInterrupt):
            interrupt.check()
    assert done == [1, 2]


@pytest.mark.parametrize("number", SIGNALS)
def test_waiting_ends_at_once(number: signal.Signals) -> None:
    """A signal while the run waits for the next item ends it there."""
    reached = []

    def items() -> Iterator[int]:
        yield 1
        signal.raise_signal(number)
        reached.append("beyond the wait")
        yield 2

    with Interrupt() as interrupt, pytest.raises(KeyboardInterrupt):
        list(interrupt.between(items()))
    assert reached == []


def test_a_second_signal_ends_the_work_too() -> None:
    """Whoever presses Ctrl-C twice does not wait for the work in hand; a third time disturbs no cleaning up."""
    with Interrupt() as interrupt:
        with interrupt.work():
            signal.raise_signal(signal.SIGINT)
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            interrupt.check()


def test_lost_in_a_finalizer() -> None:
    """A signal that comes while Python tidies up, where exceptions are lost, ends the wait all the same."""

    class Tidied:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGINT)

    def items() -> Iterator[int]:
        yield 1
        Tidied()
        time.sleep(30)
        yield 2

    began = time.monotonic()
    with Interrupt() as interrupt, pytest.raises(KeyboardInterrupt):
        list(interrupt.between(items()))
    assert time.monotonic() - began < 30


def test_outside_the_work() -> None:
    """Before and after the work any number of signals tear nothing from what is prepared or written to its end."""
    with Interrupt() as interrupt:
        for _ in range(3):
            signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            interrupt.check()


@pytest.mark.parametrize("number", SIGNALS)
def test_ignored_signals_stay_ignored(number: signal.Signals) -> None:
    """What was ignored when the process began (`nohup`, a job in the background) does not end a run."""
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with Interrupt() as interrupt:
            signal.raise_signal(number)
            interrupt.check()
    finally:
        signal.signal(number, before)


def test_raised() -> None:
    """What only waits, as the sandbox does, is ended by an exception."""
    with pytest.raises(KeyboardInterrupt), raised():
        signal.raise_signal(signal.SIGTERM)


def test_without_a_signal() -> None:
    """Without a signal all items are given, and checks pass."""
    with Interrupt() as interrupt:
        interrupt.check()
        assert list(interrupt.between(range(3))) == [0, 1, 2]


def test_handlers_are_given_back() -> None:
    """After the run, signals do what they did before it, also if it failed."""
    before = [signal.getsignal(number) for number in SIGNALS]
    with pytest.raises(ValueError, match="x"), Interrupt():  # noqa: PT012
        assert before != [signal.getsignal(number) for number in SIGNALS]
        raise ValueError("x")
    assert before == [signal.getsignal(number) for number in SIGNALS]


def test_outside_the_main_thread() -> None:
    """In another thread, a scheduler's worker say, signals are left alone and items are given."""
    before, found = [signal.getsignal(number) for number in SIGNALS], []

    def work() -> None:
        with Interrupt() as interrupt:
            found.append([signal.getsignal(number) for number in SIGNALS])
            found.append(list(interrupt.between([1, 2])))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert [before, [1, 2]] == found


def strike_between_items(at: int) -> tuple[bool, bool]:
    """Send a signal at the n-th event after an item; tell whether it was sent, and whether a wait began after it."""
    events, waited = iter(range(1, at)), []

    def strike(_frame: object, _event: str, _argument: object) -> None:
        if next(events, None) is None and not sent:
            sent.append(True)
            signal.raise_signal(signal.SIGINT)

    def items() -> Iterator[int]:
        yield 1
        waited.extend(sent)
        sys.setprofile(None)
        yield 2

    sent: list[bool] = []
    with Interrupt() as interrupt, suppress(KeyboardInterrupt):
        for item in interrupt.between(items()):
            sys.setprofile(strike if item == 1 else None)
    sys.setprofile(None)
    return bool(sent), bool(waited)


def test_no_wait_begins_after_a_signal() -> None:
    """Wherever between two items a signal comes in, the next wait does not begin: it might be a long one."""
    found = [strike_between_items(at) for at in range(1, 30)]
    sent = [waited for was_sent, waited in found if was_sent]
    assert (5 < len(sent) < 30, any(sent)) == (True, False)
