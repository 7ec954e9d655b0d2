"""The proof that the pages of one tag are its whole population: no HTTP, no threads, no clock.

`walk_pages` is a generator: it asks for page numbers and is sent one answer after the other, in any order. So whoever
sends requests side by side can feed it from any thread, and a test feeds it from a list.
docs/completeness.md says in full what is proved, and what can't be.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field

import numpy as np

from smspartner.errors import (
    PopulationError,
    PopulationIncomplete,
    PopulationMoved,
    RequestError,
    UnexpectedStatus,
    UnknownTag,
    UnreadableBody,
    VendorError,
)
from smspartner.overlap import Hashes, count_shared, number_hashes, row_hashes, same_messages
from smspartner.page import Page

USUAL_PAGE_SIZES = frozenset({10, 20, 25, 50, 100, 200, 250, 500, 1000})
MOST_PAGES = 100_000


@dataclass(frozen=True)
class Unread:
    """A page that could not be read, after so many requests."""

    error: RequestError
    requests: int = 1


Answer = tuple[int, Page | Unread]
"""The page number that was asked for, and what came."""


@dataclass(frozen=True)
class Ask:
    """Pages to ask for, after a pause in seconds; what was asked for before is not wanted any more."""

    numbers: Sequence[int]
    pause: float = 0.0


@dataclass
class PagingSeen:
    """What a run has seen of the vendor's paging so far, shared by all tags.

    It only grows, so that the order of tags does not matter, and what one thread does not see yet of another costs one
    request at most. `largest` is the most rows on a first page, `followed` are the sizes of first pages behind which
    other rows stood, `declares_more` is whether a first page declared more than it held, `looked` whether a page behind
    an end was asked for.
    """

    largest: int = 0
    followed: set[int] = field(default_factory=set)
    declares_more: bool = False
    looked: bool = False

    @property
    def unproved(self) -> bool:
        """Whether the run had to look behind an end, and no tag had a second page with other rows."""
        return self.looked and not self.followed

    def note_first(self, page: Page) -> None:
        """Note the first page of a tag."""
        self.largest = max(self.largest, page.row_count)
        self.declares_more = self.declares_more or page.total > page.row_count

    def is_full(self, pages: Sequence[Page]) -> bool:
        """Whether the last of a tag's pages is full, so that another may stand behind it."""
        rows = pages[-1].row_count
        if len(pages) > 1:
            return rows == pages[0].row_count
        usual = rows in USUAL_PAGE_SIZES and rows >= self.largest
        return not self.declares_more and (rows in self.followed or usual)


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


class _Unreadable(Exception):
    """A page could not be read, which ends the tag."""

    def __init__(self, number: int, unread: Unread) -> None:
        super().__init__()
        self.number = number
        self.unread = unread


Walk = Generator[Ask | None, Answer, Proof]
"""Yields what to ask for, or None to be sent the next answer to what it asked for before."""


def walk_pages(
    tag: str,
    seen: PagingSeen,
    *,
    passes: int = 3,
    pauses: Sequence[float] = (1.0, 5.0),
    verify: bool = False,
    is_loaded: Callable[[Page], bool] | None = None,
) -> Walk:
    """Read a population until a pass proves it complete, `passes` times at most; the last pass decides.

    `pauses` are the seconds before the second pass, the third, and so on (the last one before all later). With
    `verify`, two passes in a row must hold the same phone numbers as often, which also shows a row that came while
    another went: totals alone can't. Where `is_loaded` finds the first page unchanged, the tag is `skipped`.
    """
    doubt: PopulationError | None = None
    numbers: Hashes | None = None
    for index in range(passes):
        pause = pauses[min(index, len(pauses)) - 1] if doubt is not None and pauses else 0.0
        arrived = _Pages()
        try:
            first = arrived.add_first((yield Ask([1], pause)))
            seen.note_first(first)
            if index == 0 and is_loaded is not None and is_loaded(first):
                return arrived.proof("skipped", "unchanged: total and first page are as loaded")
            shared = yield from _read_on(seen, arrived)
        except PopulationError as exc:
            doubt, numbers = exc, None
            continue
        except _Unreadable as exc:
            return arrived.proof(*_verdict(tag, exc.number, exc.unread))
        before, numbers = numbers, number_hashes(arrived.in_order()) if verify else None
        if numbers is None or (before is not None and np.array_equal(numbers, before)):
            return arrived.proof("complete", _complete(arrived, shared))
        differ = "the phone numbers changed between two passes, though the totals did not"
        doubt = None if before is None else PopulationMoved(differ)
    unconfirmed = PopulationMoved("no second pass could confirm the phone numbers")
    verdict = "unstable" if doubt is None or isinstance(doubt, PopulationMoved) else "incomplete"
    return arrived.proof(verdict, f"{(doubt or unconfirmed).what} (read {_counted(passes, 'time')})")


def _read_on(seen: PagingSeen, arrived: _Pages) -> Generator[Ask | None, Answer, int]:
    """Read all pages after the first, and look behind the last; gives how many dated rows stand on more than one.

    Raises:
        PopulationError: a doubt.
        _Unreadable: a page could not be read.
    """
    if arrived.last > 1:
        answer = yield Ask(range(2, arrived.last + 1))
        while arrived.add(answer):
            answer = yield None
    pages = arrived.in_order()
    if any(page.rows_json != pages[0].rows_json for page in pages):
        seen.followed.add(pages[0].row_count)
    if seen.is_full(pages):
        seen.looked = True
        _check_behind_end(seen, pages, (yield Ask([arrived.last + 1])))
    return count_shared(pages, arrived.hashes())


class _Pages:
    """The pages of one pass as they arrive."""

    def __init__(self) -> None:
        self.last = 1
        self._pages: dict[int, Page] = {}
        self._hashes: dict[int, Hashes] = {}
        self._by_rows: dict[bytes, int] = {}

    def add_first(self, answer: Answer) -> Page:
        """Check page 1, and give it.

        Raises:
            PopulationIncomplete: it can't be the first page of a population.
            _Unreadable: it could not be read.
        """
        page = self._note(*answer)
        _check_number(1, page)
        rows = _counted(page.row_count, "row")
        if page.row_count > page.total:
            raise PopulationIncomplete(f"page 1 holds {rows}, more than the {page.total} declared in total")
        if page.row_count == 0 < page.total:
            raise PopulationIncomplete(f"page 1 is empty, though {_counted(page.total, 'row')} are declared in total")
        if page.page_count > MOST_PAGES:
            raise PopulationIncomplete(f"{page.total} rows at {page.row_count} a page are over {MOST_PAGES:,} pages")
        self.last = page.page_count
        self._check_repetition(1, page)
        return page

    def add(self, answer: Answer) -> bool:
        """Check a page after the first; gives whether more are to come.

        Raises:
            PopulationError: it can't be a page of this population.
            _Unreadable: it could not be read.
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
            rows = _counted(page.row_count, "row")
            raise PopulationIncomplete(f"page {number} of {self.last} holds {rows} instead of {expected}")
        self._check_repetition(number, page)
        return len(self._pages) < self.last

    def in_order(self) -> tuple[Page, ...]:
        """Give all pages, in order."""
        return tuple(self._pages[number] for number in range(1, self.last + 1))

    def hashes(self) -> list[Hashes]:
        """Give the hashes of each page's rows, in order of the pages."""
        return [self._hashes[number] for number in range(1, self.last + 1)] if self.last > 1 else []

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
            raise _Unreadable(number, answer)
        self._pages[number] = answer
        return answer

    def _check_repetition(self, number: int, page: Page) -> None:
        """Doubt a page that repeats another, unless its rows are all alike: a dead number that was often written to."""
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


def _check_behind_end(seen: PagingSeen, pages: tuple[Page, ...], answer: Answer) -> None:
    """Check that nothing of the population stands behind its last page.

    Raises:
        PopulationMoved: the total is another one by now.
        PopulationIncomplete: other rows stand there.
        _Unreadable: nothing is known of it.
    """
    total, (number, came) = pages[0].total, answer
    if isinstance(came, Unread):
        answered_without_rows = isinstance(came.error, VendorError | UnexpectedStatus | UnreadableBody)
        if not answered_without_rows:  # no answer at all, too large a one, or "too many requests"
            raise _Unreadable(number, came)
    elif came.total != total and (came.row_count or came.total):  # some say 0 of 0 where a page is empty
        raise PopulationMoved(f"page 1 declared {total} rows in total, page {number} declared {came.total}")
    elif came.row_count and not any(same_messages(came, page) for page in reversed(pages)):
        seen.followed.add(pages[0].row_count)
        rows = _counted(came.row_count, "row")
        raise PopulationIncomplete(f"page {number}, behind the end, holds {rows} that the total {total} does not count")


def _complete(arrived: _Pages, shared: int) -> str:
    pages = arrived.in_order()
    proved = f"all {pages[0].total} rows on {_counted(len(pages), 'page')}"
    return f"{proved}; {_counted(shared, 'dated row')} on more than one page" if shared else proved


def _verdict(tag: str, number: int, unread: Unread) -> tuple[str, str]:
    """Say what a page that could not be read means for its tag."""
    if not isinstance(unread.error, UnknownTag):
        return "failed", f"page {number}: {unread.error.what} ({_counted(unread.requests, 'request')})"
    notes = [unread.error.what]
    if tag != tag.lower():
        notes.append("this tag has capitals, and the vendor's tags are lower case")
    if tag != unicodedata.normalize("NFC", tag):
        notes.append("this tag has combining accents, and may have been sent with composed ones")
    return "unknown", "; ".join(notes)


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
