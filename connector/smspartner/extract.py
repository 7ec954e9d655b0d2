"""Tags in, populations out as they finish: many tags and pages side by side, within limits of requests and memory.

As many threads as requests may be under way do all the work: each takes the next page that is wanted, sends the
request, and gives the answer to the walk of its tag, so that nothing is handed from thread to thread. Pages of tags
already begun go before new tags, and a new tag is only begun while the bodies held are within a budget: memory depends
on a few tags, not on the run.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from functools import partial
from queue import Empty, SimpleQueue
from types import MappingProxyType

from smspartner.client import Client
from smspartner.connection import Connection
from smspartner.errors import AccessRefused, Interrupted, RequestError
from smspartner.page import Page
from smspartner.pagination import Unread, walk_pages
from smspartner.paging_seen import PagingSeen
from smspartner.reading import FirstPage, Population, Reading
from smspartner.retry import NotWanted, Pace, RetryPolicy
from smspartner.schedule import HELD_BYTES, Job, Schedule

__all__ = ["SILENT", "FirstPage", "PagingSeen", "Population", "Progress", "extract"]

_TICK = 1.0
"""Seconds without a population before the consumer is given a None."""

_LOOK_FOR_STOP = 0.1
"""Seconds between two looks at the stop event: nothing can wait for a queue and an event at once."""

_LEAVE_THREADS = 1.0
"""Seconds for threads to end; one whose request hangs is left behind, and can't keep the process alive."""

_NONE_SETTLED: Mapping[str, FirstPage] = MappingProxyType({})


class Progress:
    """What a run shows of itself while it reads; this one shows nothing. Request threads call it side by side."""

    def start(self, tags: int) -> None:
        """So many tags will be read."""

    def page(self, tag: str, arrived: int, pages: int) -> None:
        """A page arrived: the tag has so many now, of how many it is known to have."""

    def tag(self, tag: str, verdict: str) -> None:
        """A tag has come to its end."""

    def stop(self) -> None:
        """No more will come."""


SILENT = Progress()


def extract(
    tags: Sequence[str],
    connection: Connection,
    stop: threading.Event,
    progress: Progress = SILENT,
    *,
    settled: Mapping[str, FirstPage] = _NONE_SETTLED,
    digest: Callable[[Page], str] | None = None,
    paging: PagingSeen | None = None,
) -> Generator[Population | None]:
    """Read the populations of tags side by side, and give them as they finish, not in the order of `tags`.

    None is a tick: nothing came for a second. A tag that is not complete is among them, with its verdict and no pages.
    A tag in `settled` is asked for its first page only, if that declares the same total and has the same `digest`.
    `paging` gathers what the run sees of the vendor's paging. Leaving the generator early, or setting `stop`, ends all
    requests and threads; populations that were read by then are given first.

    Raises:
        AccessRefused: the API refuses the key or the account; what was read completely before was given.
        Interrupted: `stop` was set.
    """
    seen = PagingSeen() if paging is None else paging

    def begin(tag: str) -> Reading:
        loaded, how = settled.get(tag), connection
        is_loaded = partial(_is_unchanged, loaded, digest) if loaded is not None and digest is not None else None
        walk = walk_pages(tag, seen, passes=how.passes, pauses=how.pass_pauses, verify=how.verify, is_loaded=is_loaded)
        return Reading(tag, walk)

    schedule = Schedule(map(begin, tags), len(tags), HELD_BYTES // connection.concurrency)
    threads = _Threads(schedule, connection, stop, progress)
    progress.start(len(tags))
    try:
        threads.start()
        yield from threads.populations(len(tags))
    finally:
        threads.end()
        progress.stop()


def _is_unchanged(loaded: FirstPage, digest: Callable[[Page], str], page: Page) -> bool:
    return page.total == loaded.total and bool(loaded.digest) and digest(page) == loaded.digest


class _Threads:
    """As many threads as requests may be under way: each takes a job, sends its request, and feeds its tag."""

    def __init__(self, schedule: Schedule, connection: Connection, stop: threading.Event, progress: Progress) -> None:
        self._schedule = schedule
        self._stop = stop
        self._progress = progress
        self._client = Client(connection)
        self._ended = threading.Event()  # the end of this extraction, which need not be the end of the run
        self._policy = RetryPolicy(connection, Pace(connection.rate, self._ended), self._ended)
        self._output: SimpleQueue[tuple[Population, int] | BaseException] = SimpleQueue()
        names = (f"smspartner-request-{number}" for number in range(connection.concurrency))
        self._threads = [threading.Thread(target=self._work, name=name, daemon=True) for name in names]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Let each thread end after the request in hand, and close the connections."""
        self._ended.set()
        self._schedule.end()
        deadline = time.monotonic() + _LEAVE_THREADS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._client.close()

    def populations(self, tags: int) -> Generator[Population | None]:
        """Give what is read, of so many tags; see `extract`."""
        quiet_since = time.monotonic()
        while tags:
            if self._stop.is_set():
                self._ended.set()
            try:
                got = self._output.get(timeout=_LOOK_FOR_STOP)
            except Empty:
                if self._ended.is_set():
                    raise Interrupted("asked to stop") from None
                if time.monotonic() - quiet_since >= _TICK:
                    yield None
                    quiet_since = time.monotonic()
                continue
            if isinstance(got, BaseException):
                raise got
            population, held = got
            self._progress.tag(population.tag, population.verdict)
            yield population
            self._schedule.release(held)
            tags, quiet_since = tags - 1, time.monotonic()

    def _work(self) -> None:
        """Do one job after the other, until there are no more or something ends the run."""
        try:
            while not self._is_over() and (job := self._schedule.next_job()) is not None:
                came = self._send(job)
                wanted = job.reading.advance(job.ask, job.number, came)
                if isinstance(came, Page):
                    self._progress.page(job.reading.tag, job.reading.arrived, job.reading.page_count)
                ended = self._schedule.done(job, came, wanted)
                if ended is not None:
                    self._output.put(ended)
        except BaseException as exc:  # noqa: BLE001  # anything that ends this thread must reach the consumer
            if not (isinstance(exc, Interrupted) and self._is_over()):
                self._output.put(exc)
            self._ended.set()

    def _is_over(self) -> bool:
        return self._ended.is_set() or self._stop.is_set()

    def _send(self, job: Job) -> Page | Unread | None:
        """Ask for a page, again where that may help; None if it is not wanted any more.

        Raises:
            AccessRefused, Interrupted: the run ends.
        """
        reading, tries = job.reading, 0

        def wanted() -> bool:
            if self._is_over():
                raise Interrupted("asked to stop")
            return reading.wants(job.ask)

        def note_sent() -> None:
            nonlocal tries
            reading.note_sent(job.number, again=tries > 0)
            tries += 1

        try:
            return self._policy.call(lambda: self._client.fetch_page(reading.tag, job.number), note_sent, wanted)
        except NotWanted:
            return None
        except AccessRefused:
            raise
        except RequestError as exc:
            return Unread(job.number, exc.with_traceback(None), tries)
