"""The threads that send requests: tasks in, answers out."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

import pytest
from smspartner.connection import Connection
from smspartner.errors import ConnectionFailed, Interrupted
from smspartner.pace import Pace
from smspartner.page import Page
from smspartner.redaction import Secret
from smspartner.retry import RetryPolicy
from smspartner.workers import Answer, Task, Workers

CONNECTION = Connection(api_key=Secret("k" * 20), retries=2, backoff=0.0)


def page(number: int) -> Page:
    """A page of no rows."""
    return Page(number, 0, 0, b"[]", None)


def workers(
    fetch: Callable[[str, int], Page], number: int, stop: threading.Event
) -> tuple[Workers, SimpleQueue[Answer]]:
    """Workers that are started, and where their answers come out."""
    answers: SimpleQueue[Answer] = SimpleQueue()
    made = Workers(fetch, RetryPolicy(CONNECTION, Pace(None, stop), stop), number, answers)
    made.start()
    return made, answers


def task(place: int, number: int = 1, *, wanted: bool = True) -> Task:
    """A task for a page of tag `t`."""
    return Task(place, "t", number, lambda: wanted)


def test_every_task_is_answered() -> None:
    """Each task has exactly one answer, with its page and the number of tries."""
    made, answers = workers(lambda _tag, number: page(number), 3, threading.Event())
    for number in range(1, 21):
        made.give(task(0, number))
    got = [answers.get(timeout=30) for _ in range(20)]
    made.dismiss()
    assert [(number, page(number), 1) for number in range(1, 21)] == sorted(
        ((answer.task.number, answer.result, answer.tries) for answer in got), key=lambda fact: fact[0]
    )
    assert answers.empty()


def test_as_many_at_once_as_there_are_workers() -> None:
    """Exactly as many requests are under way at once as there are workers."""
    all_there = threading.Barrier(3)

    def fetch(_tag: str, number: int) -> Page:
        all_there.wait(30)  # passes only when three wait at the same time
        return page(number)

    made, answers = workers(fetch, 3, threading.Event())
    for number in range(1, 7):
        made.give(task(0, number))
    assert [answers.get(timeout=30).tries for _ in range(6)] == [1] * 6
    made.dismiss()


def test_tries_are_counted() -> None:
    """Tries count each request sent, in success and in failure."""
    failure = ConnectionFailed("x")

    def fetch(_tag: str, number: int) -> Page:
        if number == 1:
            raise failure
        return page(number)

    made, answers = workers(fetch, 1, threading.Event())
    made.give(task(0, 1))
    made.give(task(0, 2))
    got = [answers.get(timeout=30) for _ in range(2)]
    made.dismiss()
    assert [(failure, 3), (page(2), 1)] == [(answer.result, answer.tries) for answer in got]


def test_tasks_not_wanted_any_more_are_not_sent() -> None:
    """A task whose pass was given up meanwhile is answered without a request."""
    asked: list[int] = []
    made, answers = workers(lambda _tag, number: asked.append(number) or page(number), 1, threading.Event())  # type: ignore[func-returns-value]
    made.give(task(0, 1, wanted=False))
    got = answers.get(timeout=30)
    made.dismiss()
    assert (Interrupted, "the pass was given up", 0, []) == (type(got.result), got.result.what, got.tries, asked)


@pytest.mark.parametrize("failure", [KeyError("a bug"), KeyboardInterrupt(), SystemExit(3), MemoryError()])
def test_whatever_happens_is_an_answer(failure: BaseException) -> None:
    """Even a bug, or an exit, is handed to whoever waits for the answer; the worker goes on."""

    def fetch(_tag: str, number: int) -> Page:
        if number == 1:
            raise failure
        return page(number)

    made, answers = workers(fetch, 1, threading.Event())
    made.give(task(0, 1))
    made.give(task(0, 2))
    assert [failure, page(2)] == [answers.get(timeout=30).result for _ in range(2)]
    made.dismiss()


def test_a_stopped_run_answers_without_requests() -> None:
    """After the stop, tasks are answered, but none is sent."""
    stop = threading.Event()
    stop.set()
    asked: list[int] = []
    made, answers = workers(lambda _tag, number: asked.append(number) or page(number), 2, stop)  # type: ignore[func-returns-value]
    for number in range(1, 5):
        made.give(task(0, number))
    assert [(Interrupted, 0)] * 4 == [(type(a.result), a.tries) for a in (answers.get(timeout=30) for _ in range(4))]
    made.dismiss()
    assert asked == []


def test_dismissed_workers_end() -> None:
    """Dismissed threads end after the tasks in hand, and they never keep a process alive."""
    stop = threading.Event()
    made, answers = workers(lambda _tag, number: page(number), 2, stop)
    threads = [thread for thread in threading.enumerate() if thread.name.startswith("smspartner-request-")]
    assert all(thread.daemon for thread in threads)
    made.give(task(0))
    made.dismiss()
    assert answers.get(timeout=30).tries == 1
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
