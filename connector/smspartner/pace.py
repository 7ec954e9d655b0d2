"""The shared pace of all workers: the hard budget of `--rate`, and what the API itself asks for."""

from __future__ import annotations

import threading
import time
from collections import deque

from smspartner.errors import Interrupted

LONGEST_RETRY_AFTER = 300.0
"""Seconds; a server that asks for a longer wait is asked again after this one."""

_SLOWEST_INTERVAL = 60.0
_SHORTEST_INTERVAL = 0.01
"""Seconds; where a pace drops to at the most and starts to drop from at the least."""
_REMEMBERED = 100
_DROP = 2.0


class Pace:
    """Grants one request after the other, never two closer together than the interval.

    `rate` is requests a second (None: as fast as they come, until the API answers 429). Granting from the moment of the
    last grant, not from a schedule, keeps the budget hard: no stretch of time ever sees more than it allows.
    """

    def __init__(self, rate: float | None, stop: threading.Event) -> None:
        self._interval = 1.0 / rate if rate else 0.0
        self._stop = stop
        self._lock = threading.Lock()
        self._next = 0.0
        self._slowed_at = -1.0
        self._granted: deque[float] = deque(maxlen=_REMEMBERED)

    @property
    def interval(self) -> float:
        """Seconds between two requests, at the least."""
        return self._interval

    def wait_turn(self) -> float:
        """Wait until a request may be sent; returns the moment of the grant (monotonic seconds).

        Raises:
            Interrupted: the run was asked to stop.
        """
        while not self._stop.is_set():
            with self._lock:
                now = time.monotonic()
                if now >= self._next:
                    self._next = now + self._interval
                    self._granted.append(now)
                    return now
                wait = self._next - now
            self._stop.wait(wait)
        raise Interrupted("asked to stop")

    def hold(self, seconds: float) -> None:
        """Hold all workers for as long as the server asked (`Retry-After`)."""
        with self._lock:
            self._next = max(self._next, time.monotonic() + min(seconds, LONGEST_RETRY_AFTER))
            self._granted.clear()  # a pause says nothing about the pace

    def slow_down(self, granted_at: float) -> None:
        """Halve the pace for the rest of the run, after a 429 to the request granted at `granted_at`.

        Requests that were under way before the last drop say nothing about the new pace.
        """
        with self._lock:
            if granted_at <= self._slowed_at:
                return
            self._slowed_at = time.monotonic()
            usual = max(self._interval, self._usual_interval(), _SHORTEST_INTERVAL)
            self._interval = min(usual * _DROP, _SLOWEST_INTERVAL)

    def _usual_interval(self) -> float:
        grants = len(self._granted)
        return (self._granted[-1] - self._granted[0]) / (grants - 1) if grants > 1 else 0.0
