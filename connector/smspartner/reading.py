"""One tag under way: what it asks for, the answers it was given, and what it came to."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from smspartner.page import Page
from smspartner.pagination import Ask, Proof, Unread, Walk


@dataclass(frozen=True)
class FirstPage:
    """What is loaded of a settled tag's first page: the total it declared, and a digest of its rows as loaded."""

    total: int
    digest: str


@dataclass(frozen=True)
class Population:
    """One tag's population: all of its pages in order where the verdict is `complete`, or none and the reason why.

    Other verdicts here: `unknown`, `incomplete`, `unstable`, `failed`, and `skipped` (a settled tag whose first page is
    unchanged). `extracted_at` (aware, UTC) is when page 1 of the pass that counts was sent, `asked_at` when the tag's
    first request was. `rows_declared`, `rows_received` and `pages_read` are of the last pass (`rows_declared` is None
    where no page came), `requests` and `retries` of all passes and of the look behind the end; `seconds` run from the
    first request to the last answer.
    """

    tag: str
    verdict: str
    reason: str
    pages: tuple[Page, ...]
    extracted_at: datetime | None
    asked_at: datetime | None
    rows_declared: int | None
    rows_received: int
    pages_read: int
    requests: int
    retries: int
    seconds: float


_NOTHING: tuple[Ask, Iterator[int]] = (Ask(()), iter(()))


class Reading:
    """Drives one tag's walk, and counts its requests; request threads call it side by side.

    `wanted` is what the walk wants now, with those of its page numbers that were not given out yet. `in_flight` counts
    pages given out and not answered, and `held` the bytes reserved for the tag: `Schedule` keeps both.
    """

    def __init__(self, tag: str, walk: Walk) -> None:
        self.tag = tag
        self.first_ask: Ask = next(walk)  # type: ignore[assignment]  # a walk begins by asking for page 1
        self.proof: Proof | None = None
        self.wanted = _NOTHING
        self.in_flight = 0
        self.held = 0
        self.arrived = 0
        self.page_count = 1
        self._walk = walk
        self._lock = threading.Lock()
        self._requests = 0
        self._retries = 0
        self._asked_at: datetime | None = None
        self._extracted_at: datetime | None = None
        self._began = self._answered = 0.0

    def begin(self, ask: Ask) -> None:
        """Ask for what the walk wants from now on."""
        self.wanted = (ask, iter(ask.numbers))

    def wants(self, ask: Ask) -> bool:
        """Whether the pages of an ask are still wanted."""
        return self.wanted[0] is ask

    def note_sent(self, number: int, *, again: bool) -> None:
        """Note a request at the moment it is sent."""
        with self._lock:
            now = datetime.now(UTC)
            if self._asked_at is None:
                self._asked_at, self._began = now, time.monotonic()
            if number == 1:
                self._extracted_at = now
            self._requests += 1
            self._retries += again

    def advance(self, ask: Ask, number: int, came: Page | Unread | None) -> Ask | None:
        """Give the walk an answer; gives what it wants next, if that is something else.

        It is wanted once `begin` was called with it. An answer to what is not wanted any more is only timed.
        """
        with self._lock:
            self._answered = time.monotonic()
            if came is None or not self.wants(ask):
                return None
            if isinstance(came, Page) and number == 1:
                self.arrived, self.page_count = 0, came.page_count
            self.arrived += number <= self.page_count
            try:
                wanted = self._walk.send((number, came))
            except StopIteration as end:
                self.proof, self.wanted = end.value, _NOTHING
                return None
            if wanted is not None:
                self.wanted = _NOTHING
            return wanted

    def population(self, proof: Proof) -> Population:
        """Give what the tag came to, once its last answer has come."""
        return Population(
            tag=self.tag,
            verdict=proof.verdict,
            reason=proof.reason,
            pages=proof.pages,
            extracted_at=self._extracted_at,
            asked_at=self._asked_at,
            rows_declared=proof.rows_declared,
            rows_received=proof.rows_received,
            pages_read=proof.pages_read,
            requests=self._requests,
            retries=self._retries,
            seconds=self._answered - self._began,
        )
