"""The shared pace: a hard budget, and what the server asks for."""

from __future__ import annotations

import math
import threading
from itertools import pairwise
from typing import Any

import pytest
from smspartner.errors import Interrupted
from smspartner.pace import LONGEST_RETRY_AFTER, Pace


def test_without_a_rate_nobody_waits(clock: Any) -> None:
    """Without `--rate`, and until the API complains, requests are granted as they come."""
    pace = Pace(None, clock)
    assert [pace.wait_turn() for _ in range(5)] == [1000.0] * 5
    assert (pace.interval, clock.waits) == (0.0, [])


def test_the_budget_is_hard(clock: Any) -> None:
    """Requests are never granted closer than the interval, also after a pause: none is saved up."""
    pace = Pace(4.0, clock)
    granted = [pace.wait_turn() for _ in range(3)]
    clock.now += 10.0
    granted += [pace.wait_turn() for _ in range(3)]
    assert granted == [1000.0, 1000.25, 1000.5, 1010.5, 1010.75, 1011.0]


def test_the_budget_is_shared() -> None:
    """All workers share one budget: no two grants of any two threads are closer than the interval."""
    pace, granted = Pace(400.0, threading.Event()), []

    def work() -> None:
        granted.extend([pace.wait_turn() for _ in range(8)])

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(granted) == 48
    assert min(later - earlier for earlier, later in pairwise(sorted(granted))) >= pace.interval - 1e-9


def test_stop_ends_the_waiting(clock: Any) -> None:
    """Whoever asks for a turn after the run was asked to stop is sent away, even if nothing is to be waited for."""
    pace = Pace(None, clock)
    clock.set()
    with pytest.raises(Interrupted, match=r"^asked to stop;"):
        pace.wait_turn()


def test_stop_ends_a_wait_that_has_begun() -> None:
    """A stop wakes those who wait for their turn."""
    stop = threading.Event()
    pace = Pace(0.001, stop)
    pace.wait_turn()
    ended: list[type[BaseException]] = []

    def wait() -> None:
        try:
            pace.wait_turn()
        except Interrupted as exc:
            ended.append(type(exc))

    thread = threading.Thread(target=wait)
    thread.start()
    stop.set()
    thread.join(30)
    assert [Interrupted] == ended


def test_hold(clock: Any) -> None:
    """A hold keeps everybody waiting for as long as the server asked; a shorter one takes nothing back."""
    pace = Pace(None, clock)
    pace.hold(20.0)
    pace.hold(5.0)
    assert [pace.wait_turn(), pace.wait_turn()] == [1020.0, 1020.0]


@pytest.mark.parametrize("asked", [301.0, 1e9, math.inf])
def test_hold_has_a_cap(clock: Any, asked: float) -> None:
    """A server that asks for a longer wait than five minutes is asked again after five minutes."""
    pace = Pace(None, clock)
    pace.hold(asked)
    assert (LONGEST_RETRY_AFTER, pace.wait_turn()) == (300.0, 1300.0)


def test_slow_down_halves_the_pace(clock: Any) -> None:
    """After a 429 requests are granted half as often, for the rest of the run."""
    pace = Pace(10.0, clock)
    pace.slow_down(pace.wait_turn())
    first = pace.wait_turn()
    assert [pytest.approx(pace.wait_turn() - first), pace.interval] == [0.2, 0.2]


def test_one_episode_slows_down_once(clock: Any) -> None:
    """Requests that were under way before the last drop say nothing about the new pace: they drop it no further."""
    pace = Pace(10.0, clock)
    granted = [pace.wait_turn() for _ in range(4)]
    for moment in granted:
        pace.slow_down(moment)
    assert pace.interval == pytest.approx(0.2)
    later = pace.wait_turn()
    clock.now += 0.01
    pace.slow_down(later)
    assert pace.interval == pytest.approx(0.4)


def test_slow_down_without_a_rate(clock: Any) -> None:
    """Without a rate, the pace drops to half of how fast requests were granted so far."""
    pace = Pace(None, clock)
    for _ in range(5):
        granted = pace.wait_turn()
        clock.now += 0.5
    pace.slow_down(granted)
    assert pace.interval == 1.0


def test_the_pace_never_drops_below_one_a_minute(clock: Any) -> None:
    """However often the API complains, one request a minute is sent."""
    pace = Pace(0.1, clock)
    pace.wait_turn()
    intervals = []
    for _ in range(5):
        clock.now += 1.0
        pace.slow_down(clock.now)
        intervals.append(pace.interval)
    assert intervals == [20.0, 40.0, 60.0, 60.0, 60.0]
