"""One tag under way: what it asks for next, the answers it was given, and what it came to."""

from __future__ import annotations

import threading
import time
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from smspartner.errors import RequestError
from smspartner.page import Page
from smspartner.pagination import Ask, Proof, Walk


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
    where no page came), `requests` and `retries` of all passes, and of the look behind the end; `seconds` run from the
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
    """Drives one tag's walk; request threads call it side by side.

    `wanted` is what the walk wants now, with those of its page numbers that were not given out yet. `in_flight` counts
    pages given out and not answered, and `held` the bytes reserved for the tag: `Extraction` keeps both.
    """

    def __init__(self, tag: str, walk: Walk) -> None:
        self.tag = tag
        self.proof: Proof | None = None
        self.wanted: tuple[Ask, Iterator[int]] = _NOTHING
        self.in_flight = 0
        self.held = 0
        self.pages_read = 0
        self._lock = threading.Lock()
        self._walk = walk
        self._passes = 0
        self._first: Page | None = None
        self._rows = 0
        self._requests = 0
        self._retries = 0
        self._asked_at: datetime | None = None
        self._extracted_at: datetime | None = None
        self._began = self._answered = 0.0

    def begin(self, ask: Ask) -> None:
        """Ask for what the walk wants from now on."""
        if ask.numbers[0] == 1:  # a pass begins, perhaps another: what was read before is given up
            self._rows, self.pages_read, self._first = 0, 0, None
            self._passes += 1
        self.wanted = (ask, iter(ask.numbers))

    def wants(self, ask: Ask) -> bool:
        """Whether the pages of an ask are still wanted."""
        return self.wanted[0] is ask

    def is_first(self, ask: Ask) -> bool:
        """Whether an ask is still wanted, and is for the first page of the first pass."""
        return self.wants(ask) and self._passes == 1 and ask.numbers[0] == 1

    def note_sent(self, number: int, *, again: bool) -> None:
        """Note a request at the moment it is sent."""
        with self._lock:
            self._requests += 1
            self._retries += again
            now = datetime.now(UTC)
            if self._asked_at is None:
                self._asked_at, self._began = now, time.monotonic()
            if number == 1:
                self._extracted_at = now

    def advance(self, ask: Ask, number: int, answer: Page | RequestError | None, tries: int) -> Ask | None:
        """Give the walk an answer; gives what it wants next, if that is something else.

        It is wanted once `begin` was called with it. An answer to what is not wanted any more is only counted.
        """
        with self._lock:
            self._answered = time.monotonic()
            if answer is None or not self.wants(ask):
                return None
            if isinstance(answer, Page) and not ask.behind_end:
                self._note(number, answer)
            try:
                wanted = self._walk.send((number, answer))
            except StopIteration as end:
                self._end(self._explained(end.value, number, tries))
                return None
            if wanted is not None:
                self.wanted = _NOTHING
            return wanted

    def skip(self, page: Page) -> None:
        """End the tag with its first page, which is as it was loaded."""
        with self._lock:
            self._answered = time.monotonic()
            self._note(1, page)
            self._end(Proof("skipped", "unchanged: total and first page are as loaded"))

    def population(self) -> Population:
        """Give what the tag came to; call it once, when its last answer has come."""
        proof = self.proof or Proof("failed", "it was not read to its end")
        return Population(
            tag=self.tag,
            verdict=proof.verdict,
            reason=proof.reason,
            pages=proof.pages,
            extracted_at=self._extracted_at,
            asked_at=self._asked_at,
            rows_declared=None if self._first is None else self._first.total,
            rows_received=self._rows,
            pages_read=self.pages_read,
            requests=self._requests,
            retries=self._retries,
            seconds=self._answered - self._began,
        )

    @property
    def page_count(self) -> int:
        """How many pages the tag has, as far as known."""
        return self._first.page_count if self._first is not None else 1

    @property
    def expected_bytes(self) -> int:
        """How many bytes of JSON its rows will be, as far as known."""
        return len(self._first.rows_json) * self.page_count if self._first is not None else 0

    def _note(self, number: int, page: Page) -> None:
        self.pages_read += 1
        self._rows += page.row_count
        if number == 1:
            self._first = page

    def _end(self, proof: Proof) -> None:
        self.proof = proof
        self.wanted = _NOTHING
        self._walk.close()

    def _explained(self, proof: Proof, number: int, tries: int) -> Proof:
        if proof.verdict == "failed":
            requests = f"{tries} request" if tries == 1 else f"{tries} requests"
            return Proof("failed", f"page {number}: {proof.reason} ({requests})")
        if proof.verdict == "unknown":
            return Proof("unknown", f"{proof.reason}{_spelling_note(self.tag)}")
        return proof


def _spelling_note(tag: str) -> str:
    """Say what of a tag's spelling may be why the vendor does not know it (api.md: "Request", `tag`)."""
    notes = []
    if tag != tag.lower():
        notes.append("the vendor's tags are lower case, and this one has capitals")
    if tag != unicodedata.normalize("NFC", tag):
        notes.append("this tag has accents as characters of their own (decomposed form): it may have been sent without")
    return "".join(f"; {note}" for note in notes)
