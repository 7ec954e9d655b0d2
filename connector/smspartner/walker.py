"""One tag's walk under way: its pages as they arrive, the facts it gathers, and how it ends."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from smspartner.errors import PopulationError, PopulationMoved, RequestError, UnknownTag
from smspartner.page import Page
from smspartner.pagination import Ask, Walk
from smspartner.workers import Answer, Task


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


_NOTHING_MORE = Ask((), lambda _number, _page: None)


class Walker:
    """Feeds a walk with answers, whenever they come; only the coordinating thread may call it.

    `flying` counts the tasks under way, and `held` the bytes reserved for it: both are the coordinator's own notes.
    """

    def __init__(self, tag: str, place: int, walk: Walk) -> None:
        self.tag = tag
        self.place = place
        self.flying = 0
        self.held = 0
        self.pages = 0
        self.expected_pages = 1
        self.expected_bytes = 0
        self._walk = walk
        self._ended: tuple[str, str, tuple[Page, ...]] | None = None
        self._declared: int | None = None
        self._rows = 0
        self._requests = 0
        self._retries = 0
        self._began = time.monotonic()
        self._ask_for(next(walk))

    @property
    def ended(self) -> bool:
        """Whether the walk has come to its verdict."""
        return self._ended is not None

    def next_task(self) -> Task | None:
        """Give the next page to ask for, if there is one; the task is wanted as long as its pass goes on."""
        ask, number = self._ask, next(self._to_send, None)
        return None if number is None else Task(self.place, self.tag, number, wanted=lambda: self._ask is ask)

    def count(self, answer: Answer) -> None:
        """Count the requests of an answer, wanted or not."""
        self._requests += answer.tries
        self._retries += max(0, answer.tries - 1)

    def note(self, number: int, page: Page) -> None:
        """Note a page that arrived, before it is judged."""
        self._arrived[number] = page
        self._declared = page.total
        self._rows += page.row_count
        self.pages += 1
        if number == 1:
            self.expected_pages = page.page_count
            self.expected_bytes = len(page.rows_json) * self.expected_pages

    def advance(self, answer: Answer) -> None:
        """Feed an answer to the walk, and note what it wants next or how it ended."""
        try:
            ask = self._feed(answer)
        except StopIteration as proof:
            pages: tuple[Page, ...] = proof.value
            self._end("complete", f"all {self._rows} rows on {_counted(len(pages), 'page')}", pages)
        except (PopulationError, RequestError) as exc:
            self._end(*_verdict(exc, answer))
        else:
            if ask is not None:
                self._ask_for(ask)

    def population(self) -> Population:
        """Give what the walk came to."""
        verdict, reason, pages = self._ended or ("failed", "the walk was given up", ())
        return Population(
            tag=self.tag,
            verdict=verdict,
            reason=reason,
            pages=pages,
            extracted_at=self._pass_began,
            rows_declared=self._declared,
            rows_received=self._rows,
            pages_read=self.pages,
            requests=self._requests,
            retries=self._retries,
            seconds=time.monotonic() - self._began,
        )

    def _feed(self, answer: Answer) -> Ask | None:
        page = answer.result
        if isinstance(page, BaseException):
            return self._walk.throw(page)
        try:
            self._ask.accept(answer.task.number, page)
        except PopulationError as doubt:
            return self._walk.throw(doubt)
        if len(self._arrived) < len(self._ask.numbers):
            return None
        return self._walk.send([self._arrived[number] for number in self._ask.numbers])

    def _ask_for(self, ask: Ask) -> None:
        self._ask, self._to_send = ask, iter(ask.numbers)
        self._arrived: dict[int, Page] = {}
        if ask.numbers[0] == 1:  # a pass begins, perhaps another: what was read before is given up
            self._rows, self.pages, self._declared = 0, 0, None
            self._pass_began = datetime.now(UTC)

    def _end(self, verdict: str, reason: str, pages: tuple[Page, ...]) -> None:
        self._ended = (verdict, reason, pages)
        no_numbers: Iterator[int] = iter(())
        self._ask, self._to_send, self._arrived = _NOTHING_MORE, no_numbers, {}


def _verdict(exc: PopulationError | RequestError, answer: Answer) -> tuple[str, str, tuple[Page, ...]]:
    if isinstance(exc, PopulationMoved):
        return "unstable", exc.what, ()
    if isinstance(exc, PopulationError):
        return "incomplete", exc.what, ()
    if isinstance(exc, UnknownTag):
        return "unknown", exc.what, ()
    return "failed", f"page {answer.task.number}: {exc.what} ({_counted(answer.tries, 'request')})", ()


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
