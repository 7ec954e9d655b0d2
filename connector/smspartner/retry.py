"""When a failed request is tried again, and the pace that all workers share: `--rate`, and what the API asks for."""

from __future__ import annotations

import random
import threading
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable
from typing import TypeVar

import tenacity

from smspartner.connection import Connection, Rate
from smspartner.errors import Interrupted, RateLimited, RequestError

LONGEST_HOLD = 300.0
"""Seconds; a server that asks for a longer wait is asked again after this one."""

LONGEST_BACKOFF = 60.0
RECOVERY = 60.0
"""Seconds; after the last 429, the pace rises evenly to what it was."""

MOST_AT_ONCE = 100
_MARGIN = 0.02
_LONGEST_WAY = 0.1
"""What the budget's stretch of time is longer by, its share and at least so many seconds: requests that start within
one must not arrive within a shorter one, though some first open a connection."""

_SLOWEST = 1 / 30
_REMEMBERED = 1_000

Answer = TypeVar("Answer")


class Pace:
    """Grants requests to all workers: never more in a stretch of time than `rate` allows, nor during a hold.

    Up to 100 are granted at once, then they come evenly. After a 429 the pace is halved and recovers within a minute,
    never above the rate. Without a rate, they are granted as they come until the API answers 429.
    """

    def __init__(self, rate: Rate | None, stop: threading.Event) -> None:
        self._stop = stop
        self._lock = threading.Lock()
        self._usual = rate.per_second if rate else float("inf")
        self._budget, seconds = 0, 0.0
        if rate is not None:
            whole = rate.count == int(rate.count)  # else one request in a longer stretch of time
            self._budget, seconds = (int(rate.count), rate.per_seconds) if whole else (1, 1 / rate.per_second)
        self._window = seconds + max(seconds * _MARGIN, _LONGEST_WAY)
        self._starts: deque[float] = deque(maxlen=self._budget or _REMEMBERED)
        self._next_even = self._held_until = self._slowed_at = self._rising_from = 0.0
        self._low: float | None = None
        self._full = self._usual

    def wait_turn(self) -> float:
        """Wait until a request may be sent; give the moment of the grant (monotonic seconds).

        Raises:
            Interrupted: the run was asked to stop.
        """
        while not self._stop.is_set():
            with self._lock:
                now = time.monotonic()
                pace = self._per_second(now)
                ready = max(self._held_until, self._ready(pace))
                if ready <= now:
                    self._starts.append(now)
                    self._next_even = max(self._next_even, now) + 1 / pace
                    return now
            self._stop.wait(ready - now)
        raise Interrupted("asked to stop")

    def hold(self, seconds: float) -> None:
        """Hold all workers for so many seconds, at most for 300."""
        with self._lock:
            self._held_until = max(self._held_until, time.monotonic() + min(seconds, LONGEST_HOLD))
            self._rising_from = max(self._rising_from, self._held_until)

    def slow_down(self, granted_at: float) -> None:
        """Halve the pace, after a 429 to the request granted at `granted_at`.

        Requests that were under way at the last drop say nothing about the new pace.
        """
        with self._lock:
            now = time.monotonic()
            if granted_at <= self._slowed_at:
                return
            pace = min(self._per_second(now), self._fastest_second(now))
            if self._low is None:
                self._full = pace
            self._low = max(pace / 2, _SLOWEST)
            self._slowed_at = self._rising_from = now
            self._next_even = now + 1 / self._low

    def _per_second(self, now: float) -> float:
        if self._low is not None and now >= self._rising_from + RECOVERY:
            self._low = None
        if self._low is None:
            return self._usual
        return self._low + (self._full - self._low) * max(0.0, now - self._rising_from) / RECOVERY

    def _ready(self, pace: float) -> float:
        """Give when the budget and a pace in requests a second allow the next one."""
        at_once = min(MOST_AT_ONCE, self._budget) if self._low is None else 1
        even = self._next_even - (at_once - 1) / pace
        full = self._budget and len(self._starts) == self._budget
        return max(even, self._starts[0] + self._window) if full else even

    def _fastest_second(self, now: float) -> int:
        """Count the requests of the fullest second of the last minute: holds and pauses say nothing about the pace."""
        starts = [start for start in self._starts if start > now - RECOVERY]
        return max((bisect_left(starts, start + 1.0) - first for first, start in enumerate(starts)), default=1)


class RetryPolicy:
    """Tries one request again while that may help, at the shared pace."""

    def __init__(self, connection: Connection, pace: Pace, stop: threading.Event) -> None:
        self._pace = pace
        self._stop = stop
        self._backoff = connection.backoff
        self._attempts = connection.retries + 1

    def call(self, request: Callable[[], Answer], on_attempt: Callable[[], None]) -> Answer:
        """Send a request until it is answered; `on_attempt` is called as each try is sent, and may raise to prevent it.

        Raises:
            RequestError: as the last try raised it.
            Interrupted: the run was asked to stop.
        """
        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(self._attempts),
            retry=tenacity.retry_if_exception(lambda exc: isinstance(exc, RequestError) and exc.retryable),
            wait=self._wait,
            sleep=tenacity.sleep_using_event(self._stop),
            reraise=True,
        )
        answer: Answer = retrying(self._attempt, request, on_attempt)
        return answer

    def _attempt(self, request: Callable[[], Answer], on_attempt: Callable[[], None]) -> Answer:
        granted_at = self._pace.wait_turn()
        on_attempt()
        try:
            return request()
        except RateLimited:
            self._pace.slow_down(granted_at)
            raise

    def _wait(self, state: tenacity.RetryCallState) -> float:
        """Give the seconds that this request alone waits; what the API asks for, all workers wait together."""
        exc = state.outcome.exception() if state.outcome else None
        longest = min(self._backoff * 2.0 ** (state.attempt_number - 1), LONGEST_BACKOFF)
        backoff = random.uniform(longest / 2, longest)  # noqa: S311  # spreads workers, guards nothing
        asked_for = (exc.retry_after or 0.0) if isinstance(exc, RequestError) else 0.0
        if asked_for > 0 or isinstance(exc, RateLimited):
            self._pace.hold(max(backoff, asked_for))
            return 0.0
        return backoff
