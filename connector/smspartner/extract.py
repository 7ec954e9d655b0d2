"""Many walks side by side: tags in, what is made of their populations out, in the order of the tags.

One coordinating thread drives all walks and owns their state; a pool of threads sends requests and does nothing else;
one more makes what the caller wants of the populations, typed rows say, while the caller is busy with those before.
They talk through queues, so nothing here needs a lock. Pages of tags already begun go before new tags, and a new tag is
only begun while the bodies held (being read, or read and not yet taken) are within a budget: memory depends on a few
tags, not on the run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Generic, TypeVar

from smspartner.client import Client
from smspartner.connection import Connection
from smspartner.errors import AccessRefused, Interrupted, RequestError
from smspartner.pace import Pace
from smspartner.page import Page
from smspartner.pagination import walk_pages
from smspartner.retry import RetryPolicy
from smspartner.walker import Population, Walker
from smspartner.workers import Answer, Task, Workers

HELD_BYTES = 32 * 1024 * 1024
"""Bodies held before new tags wait; a single tag may be larger."""

READY_ROWS = 32 * 1024
"""Rows made and given at a time, about: enough to make the cost of a pass nothing, and a few megabytes."""

_TAG_OVERHEAD = 8 * 1024
"""What a tag costs beside its bodies, so that millions of tiny tags are bounded too."""


Watch = Callable[[str, int, int], None]
"""Told of each page that arrived: its tag, how many pages of the pass arrived, how many it has as far as known."""


Made = TypeVar("Made")


@dataclass(frozen=True)
class _Read:
    """A population that was read, and the bytes that count as held for it."""

    population: Population
    held: int


@dataclass(frozen=True)
class _Made(Generic[Made]):
    """What was made of some populations, whose bodies still count as held."""

    things: list[Made]
    held: int


@dataclass(frozen=True)
class _Taken:
    """The consumer took what was made: so many bytes no longer count."""

    held: int


@dataclass(frozen=True)
class _End:
    """Nothing more comes: all is read, or something ended it."""

    failure: BaseException | None = None


def extract(  # noqa: PLR0917 - what is read, by whom, and what becomes of it
    tags: Sequence[str],
    client: Client,
    connection: Connection,
    stop: threading.Event,
    make: Callable[[list[Population]], Iterable[Made]],
    watch: Watch | None = None,
) -> Generator[list[Made]]:
    """Read the populations of tags side by side, and give what `make` makes of them, in the order of `tags`.

    `make` runs in a thread of its own, so that rows are typed while the caller loads those before them. It is called
    with all populations that are ready at a time, which lets it deal with small ones in one go. A tag that is not
    complete is among them, with its verdict and no pages. Leaving the iterator early, or setting `stop`, ends all
    requests.

    Raises:
        AccessRefused: the API refuses the key or the account; nothing more is asked.
        Interrupted: `stop` was set.
        Exception: whatever `make` raises.
    """
    coordinator = _Coordinator(tags, client, connection, stop, watch)
    made: SimpleQueue[_Made[Made] | _End] = SimpleQueue()
    making = threading.Thread(
        target=_make_all, args=(coordinator.output, make, made), name="smspartner-make", daemon=True
    )
    coordinator.start()
    making.start()
    try:
        while isinstance(got := made.get(), _Made):
            coordinator.events.put(_Taken(got.held))
            yield got.things
        if got.failure is not None:
            raise got.failure
    finally:
        stop.set()
        coordinator.events.put(_Taken(0))
        making.join()


def _make_all(
    output: SimpleQueue[_Read | _End],
    make: Callable[[list[Population]], Iterable[Made]],
    made: SimpleQueue[_Made[Made] | _End],
) -> None:
    """Take populations as they are ready, and hand on what is made of them."""
    end = None
    while end is None:
        ready, end = _ready(output)
        if ready:
            try:
                things = list(make([one.population for one in ready]))
            except BaseException as exc:  # noqa: BLE001  # whatever ends this thread must reach the consumer
                end = _End(exc)
            else:
                made.put(_Made(things, sum(one.held for one in ready)))
    made.put(end)


def _ready(output: SimpleQueue[_Read | _End]) -> tuple[list[_Read], _End | None]:
    """Wait for a population, and take those along that are finished already; and the end, once it has come."""
    ready: list[_Read] = []
    rows = 0
    while not ready or (rows < READY_ROWS and not output.empty()):
        got = output.get()
        if isinstance(got, _End):
            return ready, got
        ready.append(got)
        rows += got.population.rows_received
    return ready, None


class _Coordinator:
    """Drives all walks: sends tasks to the workers, feeds their answers to the walks, hands out what is finished."""

    def __init__(
        self, tags: Sequence[str], client: Client, connection: Connection, stop: threading.Event, watch: Watch | None
    ) -> None:
        self.events: SimpleQueue[Answer | _Taken] = SimpleQueue()
        self.output: SimpleQueue[_Read | _End] = SimpleQueue()
        policy = RetryPolicy(connection, Pace(connection.rate, stop), stop)
        self._workers = Workers(client.fetch_page, policy, connection.concurrency, self.events)
        self._connection = connection
        self._stop_event = stop
        self._watch = watch
        self._new_tags = iter(enumerate(tags))
        self._open: dict[int, Walker] = {}
        self._finished: dict[int, _Read] = {}
        self._to_deliver = len(tags)
        self._delivered = 0
        self._flying = 0
        self._held = 0
        self._usual_size = HELD_BYTES // connection.concurrency

    def start(self) -> None:
        """Start the one thread that everything here runs on."""
        threading.Thread(target=self._run, name="smspartner-extract", daemon=True).start()

    def _run(self) -> None:
        """Run until every tag is handed out, or until something ends the run."""
        self._workers.start()
        try:
            while self._delivered < self._to_deliver:
                self._send_tasks()
                self._handle(self.events.get())
        except BaseException as exc:  # noqa: BLE001  # whatever ends this thread must reach the consumer
            self._stop_event.set()  # tasks that still wait for a worker are not sent any more
            self.output.put(_End(exc))
        else:
            self.output.put(_End())
        finally:
            self._workers.dismiss()

    def _send_tasks(self) -> None:
        """Keep the workers busy, with one more task waiting for each."""
        while self._flying < 2 * self._connection.concurrency:
            task = self._next_task()
            if task is None:
                return
            self._open[task.place].flying += 1
            self._flying += 1
            self._workers.give(task)

    def _next_task(self) -> Task | None:
        for walker in self._open.values():
            task = walker.next_task()
            if task is not None:
                return task
        return self._open_tag() if self._held < HELD_BYTES else None

    def _open_tag(self) -> Task | None:
        place, tag = next(self._new_tags, (-1, ""))
        if place < 0:
            return None
        walker = Walker(tag, place, walk_pages(self._connection.passes, verify=self._connection.verify))
        self._reserve(walker, self._usual_size)
        self._open[place] = walker
        return walker.next_task()

    def _handle(self, event: Answer | _Taken) -> None:
        if self._stop_event.is_set():
            raise Interrupted("asked to stop")
        if isinstance(event, _Taken):
            self._held -= event.held
            return
        walker = self._open[event.task.place]
        self._flying -= 1
        walker.flying -= 1
        walker.count(event)
        if event.task.wanted():
            self._deliver(walker, event)
        if walker.ended and not walker.flying:
            self._finish(walker)

    def _deliver(self, walker: Walker, answer: Answer) -> None:
        number, result = answer.task.number, answer.result
        if isinstance(result, AccessRefused) or not isinstance(result, Page | RequestError):
            raise result
        if isinstance(result, Page):
            walker.note(number, result)
            if number == 1:
                self._usual_size = (self._usual_size + walker.expected_bytes) // 2
                self._reserve(walker, walker.expected_bytes)
            if self._watch is not None:
                self._watch(walker.tag, walker.pages, walker.expected_pages)
        walker.advance(answer)

    def _reserve(self, walker: Walker, size: int) -> None:
        """Count the bodies a tag will need from the start, as soon as its first page tells, not as they arrive."""
        self._held += size + _TAG_OVERHEAD - walker.held
        walker.held = size + _TAG_OVERHEAD

    def _finish(self, walker: Walker) -> None:
        del self._open[walker.place]
        self._finished[walker.place] = _Read(walker.population(), walker.held)
        while self._delivered in self._finished:
            self.output.put(self._finished.pop(self._delivered))
            self._delivered += 1
