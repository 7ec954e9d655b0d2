"""When a failed request is tried again: one `tenacity` policy around exactly one mapped request."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import TypeVar

import tenacity

from smspartner.connection import Connection
from smspartner.errors import Interrupted, RateLimited, RequestError
from smspartner.pace import Pace

LONGEST_BACKOFF = 60.0
"""Seconds."""

Answer = TypeVar("Answer")


class RetryPolicy:
    """Tries a request again while it may help, at the shared pace."""

    def __init__(self, connection: Connection, pace: Pace, stop: threading.Event) -> None:
        self._pace = pace
        self._stop = stop
        self._backoff = connection.backoff
        self._attempts = connection.retries + 1

    def call(self, request: Callable[[], Answer], on_attempt: Callable[[], None]) -> Answer:
        """Send a request until it is answered; `on_attempt` is told before each try.

        Raises:
            RequestError: as the last try raised it.
            Interrupted: the run was asked to stop.
        """
        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(self._attempts),
            retry=tenacity.retry_if_exception(_may_help),
            wait=self._wait,
            sleep=self._sleep,
            reraise=True,
        )
        answer: Answer = retrying(self._attempt, request, on_attempt)
        return answer

    def _attempt(self, request: Callable[[], Answer], on_attempt: Callable[[], None]) -> Answer:
        granted_at = self._pace.wait_turn()
        on_attempt()
        try:
            return request()
        except RequestError as exc:
            if isinstance(exc, RateLimited):
                self._pace.slow_down(granted_at)
            if exc.retry_after is not None and exc.retryable:
                self._pace.hold(exc.retry_after)
            raise

    def _wait(self, state: tenacity.RetryCallState) -> float:
        exc = state.outcome.exception() if state.outcome else None
        if isinstance(exc, RequestError) and exc.retry_after is not None:
            return 0.0  # the shared pace holds everybody for that long
        longest = min(self._backoff * 2.0 ** (state.attempt_number - 1), LONGEST_BACKOFF)
        return random.uniform(longest / 2, longest)  # noqa: S311  # spreads workers, guards nothing

    def _sleep(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise Interrupted("asked to stop")


def _may_help(exc: BaseException) -> bool:
    return isinstance(exc, RequestError) and exc.retryable
