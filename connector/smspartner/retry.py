"""When a failed request is tried again, and the pace that all workers share: `--rate`, and what the API asks for."""

from __future__ import annotations

import random
import threading
import time
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

_DROP = 0.5
_SLOWEST = 1 / 30
_REMEMBERED = 1_000

Answer = TypeVar("Answer")


class NotWanted(Exception):
    """The request is not wanted any more: it was not sent, and used no budget."""


class Pace:
    """Grants requests to all workers: never more in a stretch of time than `rate` allows, nor during a hold.

    Up to 100 are granted at once, then they come evenly. After a 429 the pace is halved and recovers within a minute,
    never above the rate. Without a rate, they are granted as they come until the API answers 429.
    """

    def __init__(self, rate: Rate | None, stop: threading.Event) -> None:
        self._stop = stop
        self._lock = threading.Lock()
        self._usual = rate.per_second if rate else None
        whole = rate is None or rate.count == int(rate.count)
        self._budget = int(rate.count) if rate and whole else int(rate is not None)
        self._window = _window(rate.per_seconds if whole else 1 / rate.per_second) if rate else 0.0
        self._starts: deque[float] = deque(maxlen=self._budget or _REMEMBERED)
        self._next_even = 0.0
        self._held_until = 0.0
        self._low: float | None = None
        self._full = 0.0
        self._slowed_at = 0.0
        self._rising_from = 0.0

    def wait_turn(self, wanted: Callable[[], bool] | None = None) -> float:
        """Wait until a request may be sent; give the moment of the grant (monotonic seconds).

        Raises:
            Interrupted: the run was asked to stop.
            NotWanted: `wanted` says no.
        """
        while not self._stop.is_set():
            if wanted is not None and not wanted():
                raise NotWanted
            with self._lock:
                now = time.monotonic()
                ready = self._ready(now)
                if ready <= now:
                    self._grant(now)
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
            current = self._per_second(now)
            observed = self._fastest_second(now)
            pace = observed if current is None else min(current, observed)
            self._full = self._full if self._low is not None else pace
            self._low = min(max(pace * _DROP, _SLOWEST), self._full)
            self._slowed_at = self._rising_from = now
            self._next_even = now + 1 / self._low

    def _per_second(self, now: float) -> float | None:
        if self._low is not None and now >= self._rising_from + RECOVERY:
            self._low = None
        if self._low is None:
            return self._usual
        return self._low + (self._full - self._low) * max(0.0, now - self._rising_from) / RECOVERY

    def _ready(self, now: float) -> float:
        ready = self._held_until
        if self._budget and len(self._starts) == self._budget:
            ready = max(ready, self._starts[0] + self._window)
        pace = self._per_second(now)
        if pace is not None:
            at_once = min(MOST_AT_ONCE, self._budget) if self._low is None else 1
            ready = max(ready, self._next_even - (at_once - 1) / pace)
        return ready

    def _grant(self, now: float) -> None:
        self._starts.append(now)
        pace = self._per_second(now)
        if pace is not None:
            self._next_even = max(self._next_even, now) + 1 / pace

    def _fastest_second(self, now: float) -> int:
        """Count the requests of the fullest second of the last minute: holds and pauses say nothing about the pace."""
        starts = [start for start in self._starts if start > now - RECOVERY]
        first = most = 0
        for last, start in enumerate(starts):
            while starts[first] <= start - 1.0:
                first += 1
            most = max(most, last - first + 1)
        return max(1, most)


class RetryPolicy:
    """Tries one request again while that may help, at the shared pace."""

    def __init__(self, connection: Connection, pace: Pace, stop: threading.Event) -> None:
        self._pace = pace
        self._stop = stop
        self._backoff = connection.backoff
        self._attempts = connection.retries + 1

    def call(
        self, request: Callable[[], Answer], on_attempt: Callable[[], None], wanted: Callable[[], bool] | None = None
    ) -> Answer:
        """Send a request until it is answered; `on_attempt` is called as each try is sent.

        `wanted` is asked before each try: what is not wanted any more uses no budget.

        Raises:
            RequestError: as the last try raised it.
            Interrupted: the run was asked to stop.
            NotWanted: the request is not wanted any more.
        """
        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(self._attempts),
            retry=tenacity.retry_if_exception(_may_help),
            wait=self._wait,
            sleep=self._sleep,
            reraise=True,
        )
        answer: Answer = retrying(self._attempt, request, on_attempt, wanted)
        return answer

    def _attempt(
        self, request: Callable[[], Answer], on_attempt: Callable[[], None], wanted: Callable[[], bool] | None
    ) -> Answer:
        granted_at = self._pace.wait_turn(wanted)
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

    def _sleep(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise Interrupted("asked to stop")


def _window(seconds: float) -> float:
    return seconds + max(seconds * _MARGIN, _LONGEST_WAY)


def _may_help(exc: BaseException) -> bool:
    return isinstance(exc, RequestError) and exc.retryable
