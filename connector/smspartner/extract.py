"""Tags in, populations out as they finish: many tags and pages side by side, within limits of requests and memory.

As many threads as requests may be under way do all the work: each takes the next page that is wanted, sends the
request, and gives the answer to the walk of its tag, so that nothing is handed from thread to thread. Pages of tags
already begun go before new tags, and a new tag is only begun while the bodies held are within a budget: memory depends
on a few tags, not on the run.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial
from queue import Empty, SimpleQueue

from smspartner.client import Client
from smspartner.connection import Connection
from smspartner.errors import AccessRefused, Interrupted, RequestError
from smspartner.page import Page
from smspartner.pagination import Ask, Unread, walk_pages
from smspartner.paging_seen import PagingSeen
from smspartner.reading import SILENT, Population, Progress, Reading
from smspartner.retry import Pace, RetryPolicy

HELD_BYTES = 32 * 1024 * 1024
"""Bodies of tags under way, or read and not yet taken, before new tags wait; a single tag may be larger."""

_TAG_OVERHEAD = 8 * 1024
"""What a tag costs beside its bodies, so that millions of tiny tags are bounded too."""

_TICK = 1.0
"""Seconds without a population before the consumer is given a None."""

_LOOK_FOR_STOP = 0.1
"""Seconds between two looks at the stop event: nothing can wait for a queue and an event at once."""

_LEAVE_THREADS = 1.0
"""Seconds for threads to end; one whose request hangs is left behind, and can't keep the process alive."""


def extract(
    tags: Sequence[str],
    connection: Connection,
    stop: threading.Event,
    progress: Progress = SILENT,
    *,
    is_unchanged: Callable[[str, Page], bool] | None = None,
    paging: PagingSeen | None = None,
) -> Generator[Population | None]:
    """Read the populations of tags side by side, and give them as they finish, not in the order of `tags`.

    None is a tick: nothing came for a second. A tag that is not complete is among them, with its verdict and no pages.
    A tag is asked for its first page only, if `is_unchanged` says of tag and page that it is loaded like that.
    `paging` gathers what the run sees of the vendor's paging. Leaving the generator early, or setting `stop`, ends all
    requests and threads; populations that were read by then are given first.

    Raises:
        AccessRefused: the API refuses the key or the account; what was read completely before was given.
        Interrupted: `stop` was set.
    """
    seen = PagingSeen() if paging is None else paging

    def begin(tag: str) -> Reading:
        how, is_loaded = connection, partial(is_unchanged, tag) if is_unchanged else None
        walk = walk_pages(tag, seen, passes=how.passes, pauses=how.pass_pauses, verify=how.verify, is_loaded=is_loaded)
        return Reading(tag, walk)

    workers = _Workers(map(begin, tags), len(tags), connection, stop, progress)
    progress.start(len(tags))
    try:
        yield from workers.populations(len(tags))
    finally:
        workers.end()
        progress.stop()


class _NotWanted(Exception):
    """The tag asks for something else by now: the request was not sent."""


_Job = tuple[Reading, Ask, int]
"""A tag, what it asks for, and one page number of that."""


class _Workers:
    """The threads and what they share; `_turn` guards what is asked for, and the count of bytes held."""

    def __init__(
        self, new: Iterator[Reading], tags: int, connection: Connection, stop: threading.Event, progress: Progress
    ) -> None:
        self._new = new
        self._unfinished = tags
        self._stop = stop
        self._progress = progress
        self._client = Client(connection)
        self._ended = threading.Event()  # the end of this extraction, which need not be the end of the run
        self._policy = RetryPolicy(connection, Pace(connection.rate, self._ended), self._ended)
        self._turn = threading.Condition()
        self._asking: deque[tuple[Reading, Ask, Iterator[int]]] = deque()
        self._paused: list[tuple[float, int, Reading]] = []
        self._held = 0
        self._unknown_size = HELD_BYTES // connection.concurrency
        self._output: SimpleQueue[Reading | BaseException] = SimpleQueue()
        names = (f"smspartner-request-{number}" for number in range(connection.concurrency))
        self._threads = [threading.Thread(target=self._work, name=name, daemon=True) for name in names]

    def end(self) -> None:
        """Let each thread end after the request in hand, and close the connections."""
        self._ended.set()
        with self._turn:
            self._turn.notify_all()
        deadline = time.monotonic() + _LEAVE_THREADS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._client.close()

    def populations(self, tags: int) -> Generator[Population | None]:
        """Start the threads, and give what they read of so many tags; see `extract`."""
        for thread in self._threads:
            thread.start()
        quiet_since = time.monotonic()
        while tags:
            if self._stop.is_set():
                self._ended.set()
            try:
                got = self._output.get(timeout=_LOOK_FOR_STOP)
            except Empty:
                if self._ended.is_set() and self._output.empty():  # what ended it may have come in just now
                    raise Interrupted("asked to stop") from None
                if time.monotonic() - quiet_since >= _TICK:
                    yield None
                    quiet_since = time.monotonic()
                continue
            if isinstance(got, BaseException):
                raise got
            population = got.population()
            self._progress.tag(population.tag, population.verdict)
            yield population
            with self._turn:
                self._held -= got.held
                self._turn.notify()
            tags, quiet_since = tags - 1, time.monotonic()

    def _work(self) -> None:
        """Do one job after the other, until there are no more or something ends the run."""
        try:
            while (job := self._next_job()) is not None:
                reading, ask, number = job
                came = self._send(reading, ask, number)
                asks_anew = reading.take(ask, number, came)
                if isinstance(came, Page):
                    self._progress.page(reading.tag, reading.arrived, reading.page_count)
                self._done(reading, asks_anew=asks_anew)
        except BaseException as exc:  # noqa: BLE001  # anything that ends this thread must reach the consumer
            if not (isinstance(exc, Interrupted) and self._is_over()):
                self._output.put(exc)
            self._ended.set()

    def _is_over(self) -> bool:
        return self._ended.is_set() or self._stop.is_set()

    def _send(self, reading: Reading, ask: Ask, number: int) -> Page | Unread | None:
        """Ask for a page, again where that may help; None if it is not wanted any more.

        Raises:
            AccessRefused, Interrupted: the run ends.
        """
        tries = 0

        def note_sent() -> None:
            nonlocal tries
            if self._is_over():
                raise Interrupted("asked to stop")
            if reading.ask is not ask:
                raise _NotWanted
            reading.note_sent(number, again=tries > 0)
            tries += 1

        try:
            return self._policy.call(lambda: self._client.fetch_page(reading.tag, number), note_sent)
        except _NotWanted:
            return None
        except AccessRefused:
            raise
        except RequestError as exc:
            return Unread(number, exc.with_traceback(None), tries)

    def _next_job(self) -> _Job | None:
        """Wait for a page to ask for; None where no more will come.

        Who gets one wakes the next who waits: to wake all for each page would cost more than the pages.
        """
        with self._turn:
            while self._unfinished and not self._is_over():
                job = self._next_wanted()
                if job is not None:
                    self._turn.notify()
                    return job
                self._turn.wait(max(0.0, self._paused[0][0] - time.monotonic()) if self._paused else None)
        return None

    def _next_wanted(self) -> _Job | None:
        """Give the next page that a tag under way asks for, or a new tag while the bodies held allow one."""
        while self._paused and self._paused[0][0] <= time.monotonic():
            self._begin(heapq.heappop(self._paused)[2])
        while True:
            if not self._asking:
                new = next(self._new, None) if self._held < HELD_BYTES else None
                if new is None:
                    return None
                self._begin(new)
            reading, ask, numbers = self._asking[0]
            number = next(numbers, None) if reading.ask is ask else None
            if number is not None:
                reading.in_flight += 1
                return reading, ask, number
            self._asking.popleft()

    def _begin(self, reading: Reading) -> None:
        self._reserve(reading, reading.size or self._unknown_size)
        self._asking.append((reading, reading.ask, iter(reading.ask.numbers)))

    def _reserve(self, reading: Reading, size: int) -> None:
        """Count the bodies a tag will need as soon as its first page says how many, not as they arrive."""
        self._held += size + _TAG_OVERHEAD - reading.held
        reading.held = size + _TAG_OVERHEAD

    def _done(self, reading: Reading, *, asks_anew: bool) -> None:
        """Note that a job is done; a tag that has ended is handed out once nothing of it is under way."""
        with self._turn:
            reading.in_flight -= 1
            if reading.size or reading.proof is not None:
                self._reserve(reading, reading.size)
            if asks_anew and reading.ask.pause:
                reading.size = 0  # what is read next may be another
                self._reserve(reading, 0)
                heapq.heappush(self._paused, (time.monotonic() + reading.ask.pause, id(reading), reading))
                self._turn.notify()
            elif asks_anew:
                self._begin(reading)
                self._turn.notify()
            if reading.proof is not None and not reading.in_flight:
                self._output.put(reading)
                self._unfinished -= 1
                if not self._unfinished:
                    self._turn.notify_all()
