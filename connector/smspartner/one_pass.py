"""The pages of one pass over a tag: each is checked as it arrives, on its own and against the others."""

from __future__ import annotations

from dataclasses import dataclass

from smspartner.errors import PopulationIncomplete, PopulationMoved, RequestError, UnknownTag
from smspartner.overlap import Hashes, count_shared, row_hashes
from smspartner.page import Page

MOST_PAGES = 100_000


class Unread(Exception):
    """A page that could not be read, after so many requests."""

    def __init__(self, number: int, error: RequestError, requests: int = 1) -> None:
        super().__init__()
        self.number = number
        self.error = error
        self.requests = requests


Answer = tuple[int, Page | Unread]
"""The page number that was asked for, and what came."""


@dataclass(frozen=True)
class Proof:
    """The verdict on a tag: `complete` with all pages in order, or another one without any.

    The counts are those of the last pass; `rows_declared` is None where no page came.
    """

    verdict: str
    reason: str
    pages: tuple[Page, ...] = ()
    rows_declared: int | None = None
    rows_received: int = 0
    pages_read: int = 0


class OnePass:
    """The pages of one pass as they arrive; `last` is the number of the last one."""

    def __init__(self) -> None:
        self.last = 1
        self._pages: dict[int, Page] = {}
        self._hashes: dict[int, Hashes] = {}
        self._by_rows: dict[bytes, int] = {}

    def add_first(self, answer: Answer) -> Page:
        """Check page 1, and give it.

        Raises:
            PopulationIncomplete: it can't be the first page of a population.
            Unread: it is not there.
        """
        page = self._note(*answer)
        _check_number(1, page)
        rows = counted(page.row_count, "row")
        if page.row_count > page.total:
            raise PopulationIncomplete(f"page 1 holds {rows}, more than the {page.total} declared in total")
        if page.row_count == 0 < page.total:
            raise PopulationIncomplete(f"page 1 is empty, though {counted(page.total, 'row')} are declared in total")
        if page.page_count > MOST_PAGES:
            raise PopulationIncomplete(f"{page.total} rows at {page.row_count} a page are over {MOST_PAGES:,} pages")
        self.last = page.page_count
        self._check_repetition(1, page)
        return page

    def add(self, answer: Answer) -> bool:
        """Check a page after the first; gives whether more are to come.

        Raises:
            PopulationError: it can't be a page of this population.
            Unread: it is not there.
        """
        first, (number, came) = self._pages[1], answer
        if isinstance(came, Unread) and isinstance(came.error, UnknownTag):
            raise PopulationMoved(f"page 1 declared {first.total} rows in total, then {came.error.what}")
        page = self._note(number, came)
        if page.total != first.total:
            raise PopulationMoved(f"page 1 declared {first.total} rows in total, page {number} declared {page.total}")
        _check_number(number, page)
        expected = first.row_count if number < self.last else first.total - first.row_count * (self.last - 1)
        if page.row_count != expected:
            rows = counted(page.row_count, "row")
            raise PopulationIncomplete(f"page {number} of {self.last} holds {rows} instead of {expected}")
        self._check_repetition(number, page)
        return len(self._pages) < self.last

    def in_order(self) -> tuple[Page, ...]:
        """Give all pages, in order."""
        return tuple(self._pages[number] for number in range(1, self.last + 1))

    def count_shared(self) -> int:
        """Count the dated rows that stand on more than one page; raises PopulationIncomplete where pages overlap."""
        if self.last == 1:
            return 0
        return count_shared(self.in_order(), [self._hashes[number] for number in range(1, self.last + 1)])

    def proof(self, verdict: str, reason: str) -> Proof:
        """Give the verdict on these pages, with what they count."""
        return Proof(
            verdict=verdict,
            reason=reason,
            pages=self.in_order() if verdict == "complete" else (),
            rows_declared=self._pages[1].total if 1 in self._pages else None,
            rows_received=sum(page.row_count for page in self._pages.values()),
            pages_read=len(self._pages),
        )

    def _note(self, number: int, answer: Page | Unread) -> Page:
        if isinstance(answer, Unread):
            raise answer
        self._pages[number] = answer
        return answer

    def _check_repetition(self, number: int, page: Page) -> None:
        """Refuse a page that repeats another, unless all its rows are alike: a dead number, often written to."""
        if self.last > 1:
            self._hashes[number] = row_hashes(page)
        before = self._by_rows.setdefault(page.rows_json, number)
        if before != number and len(set(page.raw_rows)) > 1:
            raise PopulationIncomplete(f"page {number} repeats page {before} row for row")
        if self._pages[1].row_count == 1:
            near = [self._pages.get(other) for other in range(number - 2, number + 3)]
            alike = [other is not None and other.rows_json == page.rows_json for other in near]
            if any(all(alike[start : start + 3]) for start in range(3)):
                raise PopulationIncomplete(f"page {number} is a third page in a row of one same single row")


def _check_number(number: int, page: Page) -> None:
    if page.number != number:
        raise PopulationIncomplete(f"asked for page {number}, the API answered with page {page.number}")


def counted(number: int, thing: str) -> str:
    """Write a number of things."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
