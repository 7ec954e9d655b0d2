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
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from types import MappingProxyType

from smspartner.client import Client
from smspartner.connection import Connection
from smspartner.errors import AccessRefused, Interrupted, RequestError
from smspartner.page import Page
from smspartner.pagination import Ask, PagingSeen, walk_pages
from smspartner.reading import FirstPage, Population, Reading
from smspartner.retry import Pace, RetryPolicy

__all__ = ["HELD_BYTES", "SILENT", "FirstPage", "PagingSeen", "Population", "Progress", "extract"]

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
    known = _Known(settled, digest, PagingSeen() if paging is None else paging)
    extraction = _Extraction(tags, connection, stop, progress, known)
    progress.start(len(tags))
    try:
        extraction.start()
        yield from extraction.populations()
    finally:
        extraction.end()
        progress.stop()


@dataclass(frozen=True)
class _Known:
    """What is loaded of settled tags, how a page is compared with it, and what the run has seen of paging."""

    settled: Mapping[str, FirstPage]
    digest: Callable[[Page], str] | None
    paging: PagingSeen

    def is_unchanged(self, tag: str, page: Page) -> bool:
        """Whether a first page is as it was loaded."""
        loaded = self.settled.get(tag)
        if loaded is None or self.digest is None or page.number != 1 or page.total != loaded.total:
            return False
        return bool(loaded.digest) and self.digest(page) == loaded.digest


@dataclass(frozen=True)
class _Job:
    """One page to ask for; it is wanted as long as its tag still asks for it."""

    reading: Reading
    ask: Ask
    number: int


class _NotWanted(Interrupted):
    """The pass that a page was for has ended: the page is not asked for."""


class _Extraction:
    """The tags under way, and the threads that read them; `_turn` guards everything that more than one of them uses."""

    def __init__(
        self, tags: Sequence[str], connection: Connection, stop: threading.Event, progress: Progress, known: _Known
    ) -> None:
        self._connection = connection
        self._stop = stop
        self._progress = progress
        self._known = known
        self._client = Client(connection)
        self._ended = threading.Event()  # the end of this extraction, which need not be the end of the run
        self._policy = RetryPolicy(connection, Pace(connection.rate, self._ended), self._ended)
        self._output: SimpleQueue[tuple[Population, int] | BaseException | None] = SimpleQueue()
        self._turn = threading.Condition()
        self._new_tags = iter(tags)
        self._unfinished = len(tags)
        self._asking: deque[Reading] = deque()
        self._paused: list[tuple[float, int, Reading, Ask]] = []
        self._held = 0
        self._usual_size = HELD_BYTES // connection.concurrency
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start the threads."""
        if not self._unfinished:
            self._output.put(None)
        for number in range(self._connection.concurrency if self._unfinished else 0):
            thread = threading.Thread(target=self._work, name=f"smspartner-request-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def end(self) -> None:
        """Let each thread end after the request in hand, and close the connections."""
        self._ended.set()
        with self._turn:
            self._turn.notify_all()
        deadline = time.monotonic() + _LEAVE_THREADS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._client.close()

    def populations(self) -> Generator[Population | None]:
        """Give what is read; see `extract`."""
        quiet_since = time.monotonic()
        while True:
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
            if got is None:
                return
            if isinstance(got, BaseException):
                raise got
            population, held = got
            self._progress.tag(population.tag, population.verdict)
            yield population
            self._release(held)
            quiet_since = time.monotonic()

    def _work(self) -> None:
        """Do one job after the other, until there are no more or something ends the run."""
        try:
            while (job := self._next_job()) is not None:
                answer, tries = self._send(job)
                self._take_in(job, answer, tries)
        except BaseException as exc:  # noqa: BLE001  # whatever ends this thread must reach the consumer
            if not (isinstance(exc, Interrupted) and self._is_over()):
                self._output.put(exc)
            self._ended.set()

    def _is_over(self) -> bool:
        return self._ended.is_set() or self._stop.is_set()

    def _next_job(self) -> _Job | None:
        """Wait for a page to ask for; None where no more will come."""
        with self._turn:
            while self._unfinished and not self._is_over():
                job = self._wanted_page() or self._new_tag()
                if job is not None:
                    return job
                self._turn.wait(self._paused[0][0] - time.monotonic() if self._paused else None)
        return None

    def _wanted_page(self) -> _Job | None:
        """Give the next page that a tag under way asks for."""
        while self._paused and self._paused[0][0] <= time.monotonic():
            _, _, reading, ask = heapq.heappop(self._paused)
            self._begin(reading, ask)
        while self._asking:
            reading = self._asking[0]
            ask, numbers = reading.wanted
            number = next(numbers, None)
            if number is not None:
                reading.in_flight += 1
                return _Job(reading, ask, number)
            self._asking.popleft()
        return None

    def _new_tag(self) -> _Job | None:
        """Begin a new tag, if there is one and the bodies held allow it."""
        tag = next(self._new_tags, None) if self._held < HELD_BYTES else None
        if tag is None:
            return None
        walk = walk_pages(
            self._known.paging,
            passes=self._connection.passes,
            pauses=self._connection.pass_pauses,
            verify=self._connection.verify,
        )
        self._begin(Reading(tag, walk), next(walk))  # type: ignore[arg-type]  # what a walk wants first is never None
        return self._wanted_page()

    def _begin(self, reading: Reading, ask: Ask) -> None:
        """Let a tag ask for pages now."""
        if not reading.held:
            self._reserve(reading, self._usual_size)
        reading.begin(ask)
        self._asking.append(reading)

    def _send(self, job: _Job) -> tuple[Page | RequestError | None, int]:
        """Ask for a page, again where that may help; gives the answer, None if it is not wanted, and the tries."""
        tries = 0

        def note_attempt() -> None:
            nonlocal tries
            if self._is_over():
                raise Interrupted("asked to stop")
            if not job.reading.wants(job.ask):
                raise _NotWanted("the pass has ended")
            job.reading.note_sent(job.number, again=tries > 0)
            tries += 1

        try:
            return self._policy.call(lambda: self._client.fetch_page(job.reading.tag, job.number), note_attempt), tries
        except AccessRefused:
            raise
        except RequestError as exc:
            return exc.with_traceback(None), tries
        except _NotWanted:
            return None, tries

    def _take_in(self, job: _Job, answer: Page | RequestError | None, tries: int) -> None:
        """Give an answer to its tag, and do what the tag wants next."""
        reading, wanted = job.reading, None
        if isinstance(answer, Page) and reading.is_first(job.ask) and self._known.is_unchanged(reading.tag, answer):
            self._known.paging.note_first(answer)
            reading.skip(answer)
        else:
            wanted = reading.advance(job.ask, job.number, answer, tries)
        if isinstance(answer, Page):
            self._progress.page(reading.tag, reading.pages_read, reading.page_count)
        with self._turn:
            reading.in_flight -= 1
            if isinstance(answer, Page) and job.number == 1:
                self._usual_size = (self._usual_size + min(reading.expected_bytes, HELD_BYTES)) // 2
                self._reserve(reading, reading.expected_bytes)
            if wanted is not None:
                self._go_on(reading, wanted)
            if reading.proof is not None and not reading.in_flight:
                self._finish(reading)

    def _go_on(self, reading: Reading, ask: Ask) -> None:
        """Let a tag ask for other pages than before, now or after a pause, in which it holds nothing."""
        if reading in self._asking:
            self._asking.remove(reading)
        if ask.pause:
            self._held -= reading.held
            reading.held = 0
            heapq.heappush(self._paused, (time.monotonic() + ask.pause, id(reading), reading, ask))
        else:
            self._begin(reading, ask)
        self._turn.notify_all()

    def _finish(self, reading: Reading) -> None:
        """Hand out what a tag came to; its bodies count as held until it is taken."""
        population = reading.population()
        self._reserve(reading, sum(len(page.rows_json) for page in population.pages))
        self._output.put((population, reading.held))
        self._unfinished -= 1
        if not self._unfinished:
            self._output.put(None)
            self._turn.notify_all()

    def _reserve(self, reading: Reading, size: int) -> None:
        """Count the bodies a tag will need from the start, as soon as its first page tells, not as they arrive."""
        self._held += size + _TAG_OVERHEAD - reading.held
        reading.held = size + _TAG_OVERHEAD

    def _release(self, held: int) -> None:
        """Count the bodies of a population no longer."""
        with self._turn:
            self._held -= held
            self._turn.notify_all()
