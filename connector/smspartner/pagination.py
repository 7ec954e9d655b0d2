"""The proof that the pages of one tag are its whole population: no HTTP, no threads, no clock.

`walk_pages` is a generator: it asks for page numbers and is sent one answer after the other, in any order. So whoever
sends requests side by side can feed it from any thread, and a test feeds it from a list.
docs/completeness.md says in full what is proved, and what can't be.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

import numpy as np

from smspartner.errors import PopulationError, PopulationIncomplete, PopulationMoved, RequestError, UnknownTag
from smspartner.page import Page
from smspartner.paging_seen import PagingSeen, count_shared, is_without_rows, number_hashes, same_messages
from smspartner.raw_json import Hashes

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
class Ask:
    """Pages to ask for, after a pause in seconds; what was asked for before is not wanted any more."""

    numbers: Sequence[int]
    pause: float = 0.0


@dataclass(frozen=True)
class Proof:
    """The verdict on a tag: `complete` with all pages in order, or another one without any.

    The counts are those of the last pass; `rows_declared` is None where no page came.
    """

    verdict: str
    reason: str
    pages: tuple[Page, ...]
    rows_declared: int | None
    rows_received: int
    pages_read: int


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
    problem: PopulationError | None = None
    numbers: Hashes | None = None
    for index in range(passes):
        pause = pauses[min(index, len(pauses)) - 1] if problem is not None and pauses else 0.0
        arrived = OnePass()
        try:
            arrived.add(*(yield Ask([1], pause)))
            first = arrived.pages[1]
            seen.note_first(first)
            if index == 0 and is_loaded is not None and is_loaded(first):
                return arrived.proof("skipped", "unchanged: total and first page are as loaded")
            shared = yield from _read_on(seen, arrived, again=problem is not None)
        except PopulationError as exc:
            problem, numbers = exc.with_traceback(None), None  # its frames hold all pages
            continue
        except Unread as exc:
            return arrived.proof(*_verdict(tag, exc))
        before, numbers = numbers, number_hashes(arrived.in_order()) if verify else None
        if numbers is None or (before is not None and np.array_equal(numbers, before)):
            return arrived.proof("complete", _complete(arrived.in_order(), shared))
        differ = "the phone numbers changed between two passes, though the totals did not"
        problem = None if before is None else PopulationMoved(differ)
    unconfirmed = PopulationMoved("no second pass could confirm the phone numbers")
    verdict = "unstable" if problem is None or isinstance(problem, PopulationMoved) else "incomplete"
    return arrived.proof(verdict, f"{(problem or unconfirmed).what} (read {_counted(passes, 'time')})")


class OnePass:
    """The pages of one pass by their numbers: each is checked as it arrives, on its own and against the others."""

    def __init__(self) -> None:
        self.pages: dict[int, Page] = {}
        self.last = 1
        self._by_numbers, self._by_rows = dict[bytes, int](), dict[bytes, int]()

    def add(self, number: int, came: Page | Unread) -> bool:
        """Check a page, page 1 before all others; gives whether more are to come.

        Raises:
            PopulationError: it can't be a page of this population.
            Unread: it is not there.
        """
        if isinstance(came, Unread):
            if number > 1 and isinstance(came.error, UnknownTag):
                raise PopulationMoved(f"page 1 declared {self.pages[1].total} rows in total, then {came.error.what}")
            raise came
        self.pages[number] = came
        first = self.pages[1]
        if came.total != first.total:
            raise PopulationMoved(f"page 1 declared {first.total} rows in total, page {number} declared {came.total}")
        if came.number != number:
            raise PopulationIncomplete(f"asked for page {number}, the API answered with page {came.number}")
        if first.page_count > MOST_PAGES:
            raise PopulationIncomplete(f"{first.total} rows at {first.row_count} a page are over {MOST_PAGES:,} pages")
        self.last = first.page_count
        expected = first.row_count if number < self.last else first.total - first.row_count * (self.last - 1)
        if came.row_count != expected:
            rows = _counted(came.row_count, "row")
            raise PopulationIncomplete(f"page {number} of {self.last} holds {rows} instead of {expected}")
        if self.last > 1:
            self._check_repetition(number, came)
        return len(self.pages) < self.last

    def in_order(self) -> tuple[Page, ...]:
        """Give all pages, in order."""
        return tuple(self.pages[number] for number in range(1, self.last + 1))

    def proof(self, verdict: str, reason: str) -> Proof:
        """Give the verdict on these pages, with what they count."""
        pages = self.in_order() if verdict == "complete" else ()
        declared = self.pages[1].total if self.pages else None
        return Proof(
            verdict, reason, pages, declared, sum(page.row_count for page in self.pages.values()), len(self.pages)
        )

    def _check_repetition(self, number: int, page: Page) -> None:
        """Refuse a page that repeats another, unless all its rows are alike: a dead number, often written to.

        Statuses ripen between two requests: of the pages with its numbers, the last to come is compared row by row.
        Where the dates are others, these are other messages to the same people.
        """
        key = page.numbers.tobytes()
        last = self._by_numbers.get(key)
        self._by_numbers[key] = number
        if last is not None:  # else no page has the same rows, which take longer to hash
            self._by_rows.setdefault(self.pages[last].rows_json, last)
            before = self._by_rows.setdefault(page.rows_json, number)
            if before != number and len(set(page.raw_rows)) > 1:
                raise PopulationIncomplete(f"page {number} repeats page {before} row for row")
            if before == number and same_messages(page, self.pages[last]):
                both = zip(page.raw_rows, self.pages[last].raw_rows, strict=True)
                if 2 * len({one for one, other in both if one == other}) > page.row_count:
                    raise PopulationIncomplete(f"page {number} repeats page {last} in most rows")
        if page.row_count == 1:
            near = [self.pages.get(other) for other in range(number - 2, number + 3)]
            alike = [other is not None and other.rows_json == page.rows_json for other in near]
            if any(all(alike[start : start + 3]) for start in range(3)):
                raise PopulationIncomplete(f"page {number} is a third page in a row of one same single row")


def _read_on(seen: PagingSeen, arrived: OnePass, *, again: bool) -> Generator[Ask | None, Answer, int]:
    """Read all pages after the first, and look behind the last; gives how many dated rows stand on more than one.

    Raises:
        PopulationError: they are no population, or pages overlap.
        Unread: a page is not there.
    """
    if arrived.last > 1:
        answer = yield Ask(range(2, arrived.last + 1))
        while arrived.add(*answer):
            answer = yield None
    pages = arrived.in_order()
    if any(page.rows_json != pages[0].rows_json for page in pages):
        seen.followed.add(pages[0].row_count)
    if seen.is_full(pages, again=again):
        seen.looked = True
        number, came = yield Ask([arrived.last + 1])
        if isinstance(came, Page):
            seen.check_behind_end(pages, number, came)
        elif not is_without_rows(came.error):
            raise came
        seen.ended.add(pages[0].row_count)
    return count_shared(pages)


def _complete(pages: tuple[Page, ...], shared: int) -> str:
    """Say what was proved, and how many rows may be one row that was read twice."""
    proved = f"all {pages[0].total} rows on {_counted(len(pages), 'page')}"
    return f"{proved}; {_counted(shared, 'dated row')} on more than one page" if shared else proved


def _verdict(tag: str, unread: Unread) -> tuple[str, str]:
    """Say what a page that could not be read means for its tag."""
    if not isinstance(unread.error, UnknownTag):
        return "failed", f"page {unread.number}: {unread.error.what} ({_counted(unread.requests, 'request')})"
    notes = [unread.error.what]
    if tag != tag.lower():
        notes.append("this tag has capitals, and the vendor's tags are lower case")
    if tag != unicodedata.normalize("NFC", tag):
        notes.append("this tag has combining accents, and may have been sent with composed ones")
    return "unknown", "; ".join(notes)


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
