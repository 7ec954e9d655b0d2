"""The threads that send requests, and do nothing else: tasks in, answers out, through queues."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

from smspartner.errors import Interrupted, RequestError
from smspartner.page import Page
from smspartner.retry import RetryPolicy


@dataclass(frozen=True)
class Task:
    """One page to ask for; `wanted` tells whether it still is, once the task's turn has come."""

    place: int
    tag: str
    number: int
    wanted: Callable[[], bool]


@dataclass(frozen=True)
class Answer:
    """What a worker brings back: a page or the failure, after so many tries."""

    task: Task
    result: Page | BaseException
    tries: int


class Workers:
    """As many threads as requests may be under way at once; every task given is answered, in any order.

    The threads are daemons: a request that hangs never keeps the process from ending.
    """

    def __init__(
        self, fetch_page: Callable[[str, int], Page], policy: RetryPolicy, number: int, answers: SimpleQueue[Any]
    ) -> None:
        self._fetch_page = fetch_page
        self._policy = policy
        self._number = number
        self._answers = answers
        self._tasks: SimpleQueue[Task | None] = SimpleQueue()

    def start(self) -> None:
        """Start the threads."""
        for number in range(self._number):
            threading.Thread(target=self._work, name=f"smspartner-request-{number}", daemon=True).start()

    def give(self, task: Task) -> None:
        """Hand over a task; whoever is free takes it."""
        self._tasks.put(task)

    def dismiss(self) -> None:
        """Let each thread end after the task in hand."""
        for _ in range(self._number):
            self._tasks.put(None)

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            self._answers.put(self._fetch(task))

    def _fetch(self, task: Task) -> Answer:
        tries = 0

        def on_attempt() -> None:
            nonlocal tries
            if not task.wanted():
                raise Interrupted("the pass was given up")
            tries += 1

        try:
            page = self._policy.call(lambda: self._fetch_page(task.tag, task.number), on_attempt)
        except BaseException as exc:  # noqa: BLE001  # a worker must answer every task
            # Whoever catches it gets its facts; where in this thread it was raised tells them nothing.
            return Answer(task, exc.with_traceback(None) if isinstance(exc, RequestError) else exc, tries)
        return Answer(task, page, tries)
