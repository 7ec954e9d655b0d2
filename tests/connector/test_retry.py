"""When a failed request is tried again, how long that waits, and the pace that all workers share."""

import threading
from bisect import bisect_left
from copy import copy
from itertools import pairwise

import pytest
from smspartner import errors
from smspartner.connection import Connection, Rate, parse_rate
from smspartner.redaction import Secret
from smspartner.retry import Pace, RetryPolicy


def policy(clock, pace=None, **options):
    """A policy of 3 retries that waits on the clock of the test."""
    connection = Connection(api_key=Secret("k" * 20), **{"retries": 3, "backoff": 1.0, **options})
    return RetryPolicy(connection, pace or Pace(None, clock), clock)


class Server:
    """Gives one answer after the other, raising those that are errors; counts what it was asked."""

    def __init__(self, *answers):
        self._answers = iter(answers)
        self.attempts = self.asked = 0

    def attempt(self):
        """A try begins."""
        self.attempts += 1

    def __call__(self):
        """Answer."""
        self.asked += 1
        answer = next(self._answers)
        if isinstance(answer, BaseException):
            raise answer
        return answer


RETRYABLE = [
    errors.ConnectionFailed("x"),
    errors.ResponseTimeout("x"),
    errors.RateLimited("x", http_status=429),
    errors.UnreadableBody("x"),
    errors.UnexpectedStatus("x", http_status=503, retryable=True),
    errors.VendorError("x", code=50),
    errors.VendorError("x", code=500),
]
FINAL = [
    errors.BodyTooLarge("x"),
    errors.VendorError("x", code=3),
    errors.UnknownTag("x", code=4),
    errors.AccessRefused("x", code=10),
    errors.UnexpectedStatus("x", http_status=404, retry_after=7.0),
    errors.Interrupted("asked to stop"),
    KeyError("a bug"),
    KeyboardInterrupt(),
]


@pytest.mark.parametrize("failure", RETRYABLE, ids=repr)
def test_tries_until_answered(clock, failure):
    """Failures that may pass are tried again as often as allowed; then the last failure itself is raised."""
    for retries in (0, 1, 5):
        failures = [copy(failure) for _ in range(retries + 1)]
        server, too_often = Server(*failures[1:], "page"), Server(*failures)
        assert policy(clock, retries=retries).call(server, server.attempt) == "page"
        with pytest.raises(errors.RequestError) as caught:
            policy(clock, retries=retries).call(too_often, too_often.attempt)
        assert caught.value is failures[-1]
        assert [server.attempts, server.asked, too_often.attempts, too_often.asked] == [retries + 1] * 4


@pytest.mark.parametrize("failure", FINAL, ids=repr)
def test_what_cannot_pass_is_not_tried_again(clock, failure):
    """What another try can't change, and what is no request error at all, is raised at once and holds nobody."""
    pace, server = Pace(None, clock), Server(failure)
    with pytest.raises(type(failure)) as caught:
        policy(clock, pace).call(server, server.attempt)
    assert (caught.value is failure, server.asked, clock.waits, pace.wait_turn()) == (True, 1, [], 1000.0)


def test_waits_grow_with_jitter(clock):
    """Waits double from one retry to the next, up to a minute; each is drawn from the upper half of that."""
    shares = []
    for _ in range(5):
        clock.waits.clear()
        server = Server(*[errors.ConnectionFailed("x")] * 20)
        with pytest.raises(errors.ConnectionFailed):
            policy(clock, retries=19).call(server, server.attempt)
        shares += [waited / min(2.0**nth, 60.0) for nth, waited in enumerate(clock.waits)]
    assert len(shares) == 95
    assert all(0.5 <= share <= 1.0 for share in shares)
    assert len(set(shares)) > 90


WISHES = [
    # What the server asks for, and the seconds until the next try at the least and at the most; backoff is 1 s.
    (None, 0.5, 1.0),
    (0.0, 0.5, 1.0),
    (0.2, 0.5, 1.0),
    (20.0, 20.0, 20.0),
    (299.0, 299.0, 299.0),
    (86_400.0, 300.0, 300.0),
    (float("inf"), 300.0, 300.0),
]


@pytest.mark.parametrize("kind", [errors.RateLimited, errors.UnreadableBody, errors.VendorError])
def test_the_wait_is_the_longer_of_backoff_and_wish(clock, kind):
    """A next try waits for its backoff or for what the server asks for, whichever is longer, at most 300 s."""
    options = {"code": 50} if kind is errors.VendorError else {}
    for wish, least, most in WISHES:
        sent = []
        failure = kind("x", retry_after=wish, **options)
        policy(clock).call(Server(failure, "page"), lambda sent=sent: sent.append(clock.now))
        slower = 2.0 if kind is errors.RateLimited else 0.0  # half of one a second
        assert least - 1e-6 <= sent[1] - sent[0] <= max(most, slower) + 1e-6, wish


@pytest.mark.parametrize(
    ("failure", "held"),
    [
        (errors.RateLimited("x"), (0.5, 1.0)),
        (errors.RateLimited("x", retry_after=7.0), (7.0, 7.0)),
        (errors.UnexpectedStatus("x", http_status=503, retryable=True, retry_after=7.0), (7.0, 7.0)),
        (errors.UnexpectedStatus("x", http_status=503, retryable=True), (0.0, 0.0)),
        (errors.ConnectionFailed("x"), (0.0, 0.0)),
    ],
)
def test_who_waits(clock, failure, held):
    """A 429 and `Retry-After` hold all workers, also where they come last; a backoff holds its own request only."""
    pace = Pace(None, clock)
    granted(pace, 100)  # so that half of the pace is no wait to speak of
    with pytest.raises(errors.RequestError):
        policy(clock, pace, retries=0).call(Server(failure), lambda: None)
    assert held[0] <= pace.wait_turn() - 1000.0 <= held[1]


def test_stop_wakes_whoever_waits(clock):
    """A run that is asked to stop sends nothing more, and wakes retries, holds and turns that wait."""
    server = Server(errors.ConnectionFailed("x"), "page")
    with pytest.raises(errors.Interrupted, match=r"^asked to stop;"):
        policy(clock).call(server, clock.set)
    assert (server.asked, clock.is_set()) == (1, True)
    stop, ended = threading.Event(), []
    pace = Pace(Rate(1, 3600.0), stop)
    pace.wait_turn()

    def wait():
        with pytest.raises(errors.Interrupted):
            pace.wait_turn()
        ended.append(True)

    thread = threading.Thread(target=wait)
    thread.start()
    stop.set()
    thread.join(30)
    assert ended == [True]


def granted(pace, number):
    """The moments of so many grants."""
    return [pace.wait_turn() for _ in range(number)]


def fullest(moments, seconds):
    """The most grants in any stretch of so many seconds."""
    moments = sorted(moments)
    return max(bisect_left(moments, start + seconds) - at for at, start in enumerate(moments))


RATES = [
    # Written, its stretch of time in seconds, grants in it, and how many come at once.
    ("5/s", 1.0, 5, 5),
    ("10/s", 1.0, 10, 10),
    ("100/s", 1.0, 100, 100),
    ("300/min", 60.0, 300, 100),
    ("1800/min", 60.0, 1800, 100),
    ("60/min", 60.0, 60, 60),
    ("0.5/min", 120.0, 1, 1),
    ("7200/h", 3600.0, 7200, 100),
]


@pytest.mark.parametrize(("written", "seconds", "number", "at_once"), RATES)
def test_the_budget_is_hard(clock, written, seconds, number, at_once):
    """No stretch of time holds more requests than `--rate` allows, also after pauses; bursts are of 100 at most.

    Nor where requests arrive, though one may take almost 0.1 s longer than others, to open its connection.
    """
    pace = Pace(parse_rate(written), clock)
    moments = granted(pace, number // 3)
    clock.now += seconds / 3
    moments += granted(pace, number)
    clock.now += seconds * 5
    moments += granted(pace, number + number // 2)
    assert fullest(moments, seconds) == fullest(moments, seconds + 0.09) == number
    assert fullest(moments, min(seconds, 0.01)) == at_once
    assert moments[-1] - moments[0] < seconds * 9.2


def test_after_a_burst_requests_come_evenly(clock):
    """After the first 100, grants are as far apart as the rate says."""
    moments = granted(Pace(parse_rate("300/min"), clock), 200)
    assert moments[99] == pytest.approx(1000.0)
    assert all(later - earlier == pytest.approx(0.2) for earlier, later in pairwise(moments[100:]))


def test_the_budget_is_shared():
    """All workers share one budget: no second of the real clock holds more grants than it allows."""
    pace, moments = Pace(Rate(20, 0.2), threading.Event()), []

    def work():
        moments.extend(granted(pace, 10))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(moments) == 60
    assert fullest(moments, 0.2) <= 20


def test_holds(clock):
    """Without a rate nobody waits; a hold keeps everybody waiting, at most 300 s; a shorter one takes nothing back."""
    pace = Pace(None, clock)
    assert (granted(pace, 500), clock.waits) == ([1000.0] * 500, [])
    pace.hold(20.0)
    pace.hold(5.0)
    assert granted(pace, 2) == [1020.0, 1020.0]
    pace.hold(1e9)
    assert pace.wait_turn() == 1320.0


def slowed(rate, clock):
    """A pace that has just been slowed down at twenty requests a second."""
    pace = Pace(rate, clock)
    for _ in range(100):
        clock.now += 0.05
        moment = pace.wait_turn()
    pace.slow_down(moment)
    return pace


@pytest.mark.parametrize("rate", [None, Rate(1200, 60.0), Rate(60_000, 60.0)])
def test_a_429_halves_the_pace_and_it_recovers_within_a_minute(clock, rate):
    """After a 429 the pace in use is halved; it rises evenly, and a minute later it is what it was."""
    pace = slowed(rate, clock)
    begun = clock.now
    first, second, third = granted(pace, 3)
    assert third - second == pytest.approx(second - first, rel=0.05) == pytest.approx(0.1, rel=0.05)
    while clock.now < begun + 30.0:
        before, now = clock.now, pace.wait_turn()
    assert now - before == pytest.approx(1 / 15, rel=0.1)
    clock.now = begun + 60.5
    assert granted(pace, 20) == [begun + 60.5] * 20


def test_one_hold_slows_down_once(clock):
    """Requests that were under way when the pace was slowed say nothing about the new one."""
    pace = slowed(None, clock)
    for moment in (clock.now, clock.now - 1.0):
        pace.slow_down(moment)
    first, second = granted(pace, 2)
    assert second - first == pytest.approx(0.1, rel=0.05)
    pace.slow_down(second)
    clock.now += 0.001
    first, second = granted(pace, 2)
    assert second - first == pytest.approx(0.05 * 4, rel=0.1)


def test_pauses_and_holds_are_not_taken_for_the_pace(clock):
    """Half of the pace is half of how fast requests went, however long nobody asked for anything, or was held."""
    pace = slowed(None, clock)
    pace.hold(50.0)
    first, second = granted(pace, 2)
    assert (first, second - first) == (pytest.approx(1055.0), pytest.approx(0.1, rel=0.05))
    idle = Pace(None, clock)
    for _ in range(60):
        clock.now += 0.05
        idle.wait_turn()
    clock.now += 45.0
    idle.slow_down(idle.wait_turn())
    first, second = granted(idle, 2)
    assert second - first == pytest.approx(0.1, rel=0.05)


@pytest.mark.parametrize("written", ["0.5/min", "1/min", "10/min", "1/s"])
def test_slowing_down_never_exceeds_the_rate(clock, written):
    """However often the API answers 429, the user's rate holds, and something is still sent."""
    rate = parse_rate(written)
    pace, moments = Pace(rate, clock), []
    for _ in range(8):
        moments.append(pace.wait_turn())
        pace.slow_down(moments[-1])
        clock.now += 0.001
    assert fullest(moments, max(rate.per_seconds, 1 / rate.per_second)) <= max(rate.count, 1)
    assert moments[-1] - moments[0] < 8 * 2 * max(rate.per_seconds, 60.0)


def test_429_slows_the_run_and_other_failures_do_not(clock):
    """Only a 429, as HTTP status or as the vendor's code, changes the pace."""
    for failure in (errors.RateLimited("x"), errors.UnreadableBody("x"), errors.VendorError("x", code=50)):
        pace = Pace(Rate(1, 2.0), clock)
        policy(clock, pace).call(Server(failure, "page"), lambda: None)
        first, second = granted(pace, 2)
        assert second - first == pytest.approx(4.0 if isinstance(failure, errors.RateLimited) else 2.0, rel=0.15)
