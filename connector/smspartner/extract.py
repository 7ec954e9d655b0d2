"""Many walks side by side: tags in, populations out, in the order of the tags.

One coordinating thread drives all walks and owns their state; a pool of threads sends requests and does nothing else.
They talk through queues, so nothing here needs a lock. Pages of tags already begun go before new tags, and a new tag is
only begun while the bodies held (being read, or read and not yet taken) are within a budget: memory depends on a few
tags, not on the run.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from queue import SimpleQueue

from smspartner.client import Client
from smspartner.connection import Connection
from smspartner.errors import (
    AccessRefused,
    Interrupted,
    PopulationError,
    PopulationMoved,
    RequestError,
    UnknownTag,
)
from smspartner.pace import Pace
from smspartner.pages import Page
from smspartner.paging import Ask, Walk, walk_pages
from smspartner.retry import RetryPolicy
from smspartner.workers import Answer, Task, Workers

HELD_BYTES = 32 * 1024 * 1024
"""Bodies held before new tags wait; a single tag may be larger."""

_TAG_OVERHEAD = 8 * 1024
"""What a tag costs beside its bodies, so that millions of tiny tags are bounded too."""


@dataclass(frozen=True)
class Population:
    """What the walk over one tag came to: all pages of a complete population, or none and the reason why.

    `extracted_at` (aware, UTC) is the moment the last pass began; `seconds` run from first request to last answer.
    """

    tag: str
    verdict: str
    reason: str
    pages: tuple[Page, ...]
    extracted_at: datetime
    rows_declared: int | None
    rows_received: int
    pages_read: int
    requests: int
    retries: int
    seconds: float


Watch = Callable[[str, int, int], None]
"""Told of each page that arrived: its tag, how many pages of the pass arrived, how many it has as far as known."""


@dataclass
class _Walker:
    """One tag's walk and the facts it gathers; only the coordinating thread changes it."""

    tag: str
    place: int
    walk: Walk
    ask: Ask
    to_send: Iterator[int]
    began: float
    pass_began: datetime
    arrived: dict[int, Page] = field(default_factory=dict)
    declared: int | None = None
    rows: int = 0
    pages: int = 0
    requests: int = 0
    retries: int = 0
    flying: int = 0
    held: int = 0
    ended: tuple[str, str, tuple[Page, ...]] | None = None

    def task(self, number: int) -> Task:
        """Ask for one page, as long as the pass that wants it goes on."""
        ask = self.ask
        return Task(self.place, self.tag, number, wanted=lambda: self.ask is ask)


@dataclass(frozen=True)
class _Taken:
    """The consumer took a population: its bodies no longer count."""

    held: int


def extract(
    tags: Sequence[str], client: Client, connection: Connection, stop: threading.Event, watch: Watch | None = None
) -> Iterator[Population]:
    """Read the populations of tags side by side, and give them in the order of `tags`.

    A tag that is not complete is given too, with its verdict and no pages. Leaving the iterator early, or setting
    `stop`, ends all requests.

    Raises:
        AccessRefused: the API refuses the key or the account; nothing more is asked.
        Interrupted: `stop` was set.
    """
    coordinator = _Coordinator(tags, client, connection, stop, watch)
    coordinator.start()
    try:
        for _ in tags:
            got = coordinator.output.get()
            if isinstance(got, BaseException):
                raise got
            population, held = got
            coordinator.events.put(_Taken(held))
            yield population
    finally:
        stop.set()
        coordinator.events.put(_Taken(0))


class _Coordinator:
    """Drives all walks: sends tasks to the workers, feeds their answers to the walks, hands out what is finished."""

    def __init__(
        self, tags: Sequence[str], client: Client, connection: Connection, stop: threading.Event, watch: Watch | None
    ) -> None:
        self.events: SimpleQueue[Answer | _Taken] = SimpleQueue()
        self.output: SimpleQueue[tuple[Population, int] | BaseException] = SimpleQueue()
        policy = RetryPolicy(connection, Pace(connection.rate, stop), stop)
        self._workers = Workers(client.fetch_page, policy, connection.concurrency, self.events)
        self._connection = connection
        self._stop_event = stop
        self._watch = watch
        self._new_tags = iter(enumerate(tags))
        self._open: dict[int, _Walker] = {}
        self._finished: dict[int, tuple[Population, int]] = {}
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
            self.output.put(exc)
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
            number = next(walker.to_send, None)
            if number is not None:
                return walker.task(number)
        return self._open_tag() if self._held < HELD_BYTES else None

    def _open_tag(self) -> Task | None:
        place, tag = next(self._new_tags, (-1, ""))
        if place < 0:
            return None
        walk = walk_pages(self._connection.passes, verify=self._connection.verify)
        ask = next(walk)
        walker = _Walker(tag, place, walk, ask, iter(ask.numbers), time.monotonic(), datetime.now(UTC))
        self._reserve(walker, self._usual_size)
        self._open[place] = walker
        return walker.task(next(walker.to_send))

    def _handle(self, event: Answer | _Taken) -> None:
        if self._stop_event.is_set():
            raise Interrupted("asked to stop")
        if isinstance(event, _Taken):
            self._held -= event.held
            return
        walker = self._open[event.task.place]
        self._flying -= 1
        walker.flying -= 1
        walker.requests += event.tries
        walker.retries += max(0, event.tries - 1)
        if event.task.wanted():
            if isinstance(event.result, AccessRefused) or not isinstance(event.result, Page | RequestError):
                raise event.result
            self._advance(walker, event)
        if walker.ended is not None and not walker.flying:
            self._finish(walker, *walker.ended)

    def _advance(self, walker: _Walker, answer: Answer) -> None:
        """Feed an answer to its walk, and note what the walk wants next or how it ended."""
        try:
            ask = self._feed(walker, answer)
        except StopIteration as proof:
            pages: tuple[Page, ...] = proof.value
            _end(walker, "complete", f"all {walker.rows} rows on {_counted(len(pages), 'page')}", pages)
        except (PopulationError, RequestError) as exc:
            _end(walker, *_verdict(exc, answer))
        else:
            if ask is not None:
                self._begin(walker, ask)

    def _feed(self, walker: _Walker, answer: Answer) -> Ask | None:
        page = answer.result
        if isinstance(page, BaseException):
            return walker.walk.throw(page)
        self._note(walker, answer.task.number, page)
        try:
            walker.ask.accept(answer.task.number, page)
        except PopulationError as doubt:
            return walker.walk.throw(doubt)
        if len(walker.arrived) < len(walker.ask.numbers):
            return None
        return walker.walk.send([walker.arrived[number] for number in walker.ask.numbers])

    def _note(self, walker: _Walker, number: int, page: Page) -> None:
        walker.arrived[number] = page
        walker.declared = page.total
        walker.rows += page.row_count
        walker.pages += 1
        if number == 1:
            known = len(page.rows_json) * _pages_expected(page)
            self._usual_size = (self._usual_size + known) // 2
            self._reserve(walker, known)
        if self._watch is not None:
            pages = _pages_expected(page) if number == 1 else len(walker.ask.numbers) + 1
            self._watch(walker.tag, walker.pages, pages)

    def _reserve(self, walker: _Walker, size: int) -> None:
        """Count the bodies a tag will need from the start, as soon as its first page tells, not as they arrive."""
        self._held += size + _TAG_OVERHEAD - walker.held
        walker.held = size + _TAG_OVERHEAD

    def _begin(self, walker: _Walker, ask: Ask) -> None:
        walker.ask, walker.to_send, walker.arrived = ask, iter(ask.numbers), {}
        if ask.numbers[0] == 1:  # another pass: what was read is given up
            walker.rows, walker.pages, walker.declared = 0, 0, None
            walker.pass_began = datetime.now(UTC)

    def _finish(self, walker: _Walker, verdict: str, reason: str, pages: tuple[Page, ...]) -> None:
        del self._open[walker.place]
        population = Population(
            tag=walker.tag,
            verdict=verdict,
            reason=reason,
            pages=pages,
            extracted_at=walker.pass_began,
            rows_declared=walker.declared,
            rows_received=walker.rows,
            pages_read=walker.pages,
            requests=walker.requests,
            retries=walker.retries,
            seconds=time.monotonic() - walker.began,
        )
        self._finished[walker.place] = (population, walker.held)
        while self._delivered in self._finished:
            self.output.put(self._finished.pop(self._delivered))
            self._delivered += 1


_NOTHING_MORE = Ask((), lambda _number, _page: None)


def _end(walker: _Walker, verdict: str, reason: str, pages: tuple[Page, ...]) -> None:
    """Note how the walk ended; tasks still waiting for a worker see that their pass is over."""
    walker.ended = (verdict, reason, pages)
    walker.ask, walker.to_send, walker.arrived = _NOTHING_MORE, iter(()), {}


def _verdict(exc: PopulationError | RequestError, answer: Answer) -> tuple[str, str, tuple[Page, ...]]:
    if isinstance(exc, PopulationMoved):
        return "unstable", str(exc), ()
    if isinstance(exc, PopulationError):
        return "incomplete", str(exc), ()
    if isinstance(exc, UnknownTag):
        return "unknown", str(exc), ()
    return "failed", f"page {answer.task.number}: {exc} ({_counted(answer.tries, 'request')})", ()


def _pages_expected(first: Page) -> int:
    return -(-first.total // first.row_count) if first.row_count else 1


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
