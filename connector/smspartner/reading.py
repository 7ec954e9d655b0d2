"""One tag under way: what it asks for, the answers it was given, and what it came to."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from smspartner.page import Page
from smspartner.pagination import Ask, Proof, Unread, Walk


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


class Reading:
    """Drives one tag's walk, and counts its requests; request threads call it side by side.

    `ask` is what the walk wants now, and `size` the bytes that the rows of all pages will have, as far as is known.
    `in_flight` counts pages that were given out and not answered, and `held` the bytes reserved for the tag: `extract`
    keeps both.
    """

    def __init__(self, tag: str, walk: Walk) -> None:
        self.tag = tag
        self.ask: Ask = next(walk)  # type: ignore[assignment]  # a walk begins by asking for page 1
        self.proof: Proof | None = None
        self.size = self.in_flight = self.held = 0
        self.arrived, self.page_count = 0, 1
        self._walk = walk
        self._lock = threading.Lock()
        self._requests = self._retries = 0
        self._asked_at: datetime | None = None
        self._extracted_at: datetime | None = None
        self._began = self._answered = 0.0

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

    def take(self, ask: Ask, number: int, came: Page | Unread | None) -> bool:
        """Give the walk an answer; gives whether it asks for something else from here on.

        An answer that it does not ask for any more, or None, is only timed.
        """
        with self._lock:
            self._answered = time.monotonic()
            if came is None or self.ask is not ask:
                return False
            if isinstance(came, Page) and number == 1:
                self.arrived, self.page_count, self.size = 0, came.page_count, len(came.rows_json) * came.page_count
            self.arrived += number <= self.page_count
            try:
                wanted = self._walk.send((number, came))
            except StopIteration as end:
                self.proof, self.ask = end.value, Ask(())
                return False
            if wanted is not None:
                self.ask = wanted
            return wanted is not None

    def population(self) -> Population:
        """Give what the tag came to, once its last answer has come."""
        return Population(
            tag=self.tag,
            **vars(self.proof),
            extracted_at=self._extracted_at,
            asked_at=self._asked_at,
            requests=self._requests,
            retries=self._retries,
            seconds=self._answered - self._began,
        )
