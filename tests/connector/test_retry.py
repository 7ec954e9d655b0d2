"""When a failed request is tried again, and how long that waits."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from smspartner.connection import Connection
from smspartner.errors import (
    AccessRefused,
    BodyTooLarge,
    ConnectionFailed,
    Interrupted,
    RateLimited,
    RequestError,
    ResponseTimeout,
    UnexpectedStatus,
    UnknownTag,
    UnreadableBody,
    VendorError,
)
from smspartner.pace import Pace
from smspartner.redaction import Secret
from smspartner.retry import LONGEST_BACKOFF, RetryPolicy


def policy(clock: Any, pace: Pace | None = None, **options: Any) -> RetryPolicy:
    """A policy of 3 retries that waits on the clock of the test."""
    connection = Connection(api_key=Secret("k" * 20), **{"retries": 3, "backoff": 1.0, **options})
    return RetryPolicy(connection, pace or Pace(None, clock), clock)


class Server:
    """Gives one answer after the other, raising those that are errors; counts what it was asked."""

    def __init__(self, answers: Iterable[object]) -> None:
        self._answers = iter(answers)
        self.attempts = 0
        self.asked = 0

    def attempt(self) -> None:
        """A try begins."""
        self.attempts += 1

    def __call__(self) -> object:
        """Answer."""
        self.asked += 1
        answer = next(self._answers)
        if isinstance(answer, BaseException):
            raise answer
        return answer


RETRYABLE: list[Callable[[], RequestError]] = [
    lambda: ConnectionFailed("x"),
    lambda: ResponseTimeout("x"),
    lambda: RateLimited("x", http_status=429),
    lambda: UnreadableBody("x"),
    lambda: UnexpectedStatus("x", http_status=503, retryable=True),
]
FINAL: list[Callable[[], BaseException]] = [
    lambda: BodyTooLarge("x"),
    lambda: VendorError("x", code=3),
    lambda: UnknownTag("x", code=4),
    lambda: AccessRefused("x", code=10),
    lambda: UnexpectedStatus("x", http_status=404, retryable=False),
    lambda: Interrupted("asked to stop"),
    lambda: KeyError("a bug"),
    lambda: KeyboardInterrupt(),  # noqa: PLW0108
]


@pytest.mark.parametrize("make", RETRYABLE)
@pytest.mark.parametrize("failures", [0, 1, 3])
def test_tries_until_answered(clock: Any, make: Callable[[], RequestError], failures: int) -> None:
    """Failures that may pass are tried again, and each try is counted once."""
    server = Server([*(make() for _ in range(failures)), "page"])
    assert policy(clock).call(server, server.attempt) == "page"
    assert (failures + 1, failures + 1) == (server.attempts, server.asked)


@pytest.mark.parametrize("make", RETRYABLE)
@pytest.mark.parametrize("retries", [0, 1, 5])
def test_gives_up(clock: Any, make: Callable[[], RequestError], retries: int) -> None:
    """After as many retries as allowed, the last failure itself is raised."""
    failures = [make() for _ in range(retries + 1)]
    server = Server([*failures, "page"])
    with pytest.raises(RequestError) as caught:
        policy(clock, retries=retries).call(server, server.attempt)
    assert caught.value is failures[-1]
    assert (retries + 1, retries + 1) == (server.attempts, server.asked)


@pytest.mark.parametrize("make", FINAL)
def test_what_cannot_pass_is_not_tried_again(clock: Any, make: Callable[[], BaseException]) -> None:
    """What another try can't mend, and what is no request error at all, is raised at once."""
    failure = make()
    server = Server([failure])
    with pytest.raises(type(failure)) as caught:
        policy(clock).call(server, server.attempt)
    assert (caught.value is failure, server.asked, clock.waits) == (True, 1, [])


def test_waits_grow_with_jitter(clock: Any) -> None:
    """Waits double from one retry to the next, up to a minute; each is between half of that and all of it."""
    server = Server([ConnectionFailed("x")] * 20)
    with pytest.raises(ConnectionFailed):
        policy(clock, retries=19).call(server, server.attempt)
    longest = [min(2.0**nth, LONGEST_BACKOFF) for nth in range(19)]
    assert len(clock.waits) == 19
    assert all(most / 2 <= waited <= most for waited, most in zip(clock.waits, longest, strict=True))


@pytest.mark.parametrize(
    "failure",
    [
        RateLimited("x", http_status=429, retry_after=7.0),
        UnexpectedStatus("x", http_status=503, retryable=True, retry_after=7.0),
    ],
)
def test_retry_after_holds_all_workers(clock: Any, failure: RequestError) -> None:
    """`Retry-After` holds the request that was told so, and all others at the same pace."""
    pace = Pace(None, clock)
    granted: list[float] = []
    server = Server([failure, "page"])
    policy(clock, pace).call(server, lambda: granted.append(clock.now))
    assert granted == [1000.0, 1007.0]

    pace.hold(7.0)
    other = Server(["page"])
    policy(clock, pace).call(other, lambda: granted.append(clock.now))
    assert granted == [1000.0, 1007.0, 1014.0]


def test_retry_after_has_a_cap(clock: Any) -> None:
    """A server that asks for a day is asked again after five minutes."""
    server = Server([RateLimited("x", http_status=429, retry_after=86400.0), "page"])
    policy(clock).call(server, server.attempt)
    assert clock.now == 1300.0


def test_retry_after_of_a_final_answer_holds_nobody(clock: Any) -> None:
    """An answer that is not asked for again does not hold the others."""
    server = Server([UnexpectedStatus("x", http_status=404, retryable=False, retry_after=7.0)])
    pace = Pace(None, clock)
    with pytest.raises(UnexpectedStatus):
        policy(clock, pace).call(server, server.attempt)
    assert pace.wait_turn() == 1000.0


def test_429_slows_everybody_down(clock: Any) -> None:
    """Each 429 to a request of the present pace halves the pace for the whole run."""
    pace = Pace(10.0, clock)
    server = Server([RateLimited("x", http_status=429), RateLimited("x", http_status=429), "page"])
    policy(clock, pace, backoff=0.0).call(server, server.attempt)
    assert pace.interval == pytest.approx(0.4)


@pytest.mark.parametrize("failure", [ConnectionFailed("x"), UnreadableBody("x")])
def test_other_failures_keep_the_pace(clock: Any, failure: RequestError) -> None:
    """Only a 429 changes the pace."""
    pace = Pace(10.0, clock)
    policy(clock, pace).call(Server([failure, "page"]), lambda: None)
    assert pace.interval == 0.1


def test_stop_ends_the_retrying(clock: Any) -> None:
    """A run that is asked to stop while a request waits for its next try ends there."""

    def fail() -> object:
        clock.set()
        raise ConnectionFailed("x")

    with pytest.raises(Interrupted, match=r"^asked to stop;"):
        policy(clock).call(fail, lambda: None)


def test_stopped_runs_send_nothing(clock: Any) -> None:
    """A run that was asked to stop sends no further request."""
    clock.set()
    server = Server(["page"])
    with pytest.raises(Interrupted):
        policy(clock).call(server, server.attempt)
    assert (server.attempts, server.asked) == (0, 0)
