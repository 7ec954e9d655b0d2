"""Which page is asked for next: those of tags begun before, else a new tag's, within a budget of memory."""

from __future__ import annotations

import heapq
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from smspartner.page import Page
from smspartner.pagination import Ask
from smspartner.reading import Population, Reading

HELD_BYTES = 32 * 1024 * 1024
"""Bodies of tags under way, or read and not yet taken, before new tags wait; a single tag may be larger."""

_TAG_OVERHEAD = 8 * 1024
"""What a tag costs beside its bodies, so that millions of tiny tags are bounded too."""


@dataclass(frozen=True)
class Job:
    """One page to ask for; it is wanted as long as its tag still asks for it."""

    reading: Reading
    ask: Ask
    number: int


class Schedule:
    """The tags under way, paused and to come; request threads use it side by side."""

    def __init__(self, new: Iterator[Reading], tags: int, usual_size: int) -> None:
        self._new = new
        self._unfinished = tags
        self._usual_size = usual_size
        self._asking: deque[Reading] = deque()
        self._paused: list[tuple[float, int, Reading, Ask]] = []
        self._held = 0
        self._ended = False
        self._turn = threading.Condition()

    def next_job(self) -> Job | None:
        """Wait for a page to ask for; None where no more will come.

        Who gets one wakes the next who waits: to wake all for each page would cost more than the pages.
        """
        with self._turn:
            while self._unfinished and not self._ended:
                job = self._wanted() or self._new_tag()
                if job is not None:
                    self._turn.notify()
                    return job
                self._turn.wait(max(0.0, self._paused[0][0] - time.monotonic()) if self._paused else None)
        return None

    def done(self, job: Job, came: object, wanted: Ask | None) -> tuple[Population, int] | None:
        """Note that a job is done: what came, and what the tag wants next, if that is something else.

        Gives what the tag came to, once it has ended and nothing of it is under way, and the bytes that count as held
        until `release`.
        """
        reading = job.reading
        with self._turn:
            reading.in_flight -= 1
            if isinstance(came, Page) and job.number == 1:
                expected = len(came.rows_json) * came.page_count
                self._usual_size = (self._usual_size + min(expected, HELD_BYTES)) // 2
                self._reserve(reading, expected)
            if wanted is not None:
                self._go_on(reading, wanted)
            if reading.proof is None or reading.in_flight:
                return None
            self._reserve(reading, sum(len(page.rows_json) for page in reading.proof.pages))
            self._unfinished -= 1
            if not self._unfinished:
                self._turn.notify_all()
            return reading.population(reading.proof), reading.held

    def release(self, held: int) -> None:
        """Count the bodies of a population no longer."""
        with self._turn:
            self._held -= held
            self._turn.notify()

    def end(self) -> None:
        """Give out no more jobs."""
        with self._turn:
            self._ended = True
            self._turn.notify_all()

    def _wanted(self) -> Job | None:
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
                return Job(reading, ask, number)
            self._asking.popleft()
        return None

    def _new_tag(self) -> Job | None:
        """Begin a new tag, if there is one and the bodies held allow it."""
        reading = next(self._new, None) if self._held < HELD_BYTES else None
        if reading is None:
            return None
        self._begin(reading, reading.first_ask)
        return self._wanted()

    def _go_on(self, reading: Reading, ask: Ask) -> None:
        """Let a tag ask for other pages than before, now or after a pause, in which it holds nothing."""
        if ask.pause:
            self._held -= reading.held
            reading.held = 0
            heapq.heappush(self._paused, (time.monotonic() + ask.pause, id(reading), reading, ask))
        else:
            self._begin(reading, ask)
        self._turn.notify()

    def _begin(self, reading: Reading, ask: Ask) -> None:
        if not reading.held:
            self._reserve(reading, self._usual_size)
        reading.begin(ask)
        self._asking.append(reading)

    def _reserve(self, reading: Reading, size: int) -> None:
        """Count the bodies a tag will need as soon as its first page says how many, not as they arrive."""
        self._held += size + _TAG_OVERHEAD - reading.held
        reading.held = size + _TAG_OVERHEAD
