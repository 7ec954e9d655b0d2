"""The proof that the pages of one tag are its whole population: no HTTP, no threads, no clock.

`walk_pages` is a generator. It asks for page numbers, and is sent one answer after the other, in any order; what it
returns is the verdict. docs/completeness.md says in full what is proved, and what can't be.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field

from smspartner.errors import (
    AccessRefused,
    PopulationError,
    PopulationIncomplete,
    PopulationMoved,
    RateLimited,
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
_TOO_MANY_REQUESTS = 429


@dataclass
class PagingSeen:
    """What a run has seen of the vendor's paging so far, shared by all tags.

    It only grows, so that the order of tags does not matter, and what a thread may miss costs one more request at most:
    `largest` is the most rows on a first page, `followed` the sizes of first pages behind which another page stood,
    `declares_more` whether a first page declared more rows than it held. `looked` tells whether a page behind an end
    was asked for, `other_page` whether any tag had a second page with other rows.
    """

    largest: int = 0
    followed: set[int] = field(default_factory=set)
    declares_more: bool = False
    looked: bool = False
    other_page: bool = False

    @property
    def unproved(self) -> bool:
        """Whether the run had to look behind an end, and never saw that the API has pages at all."""
        return self.looked and not self.other_page

    def note_first(self, page: Page) -> None:
        """Note the first page of a tag."""
        self.largest = max(self.largest, page.row_count)
        self.declares_more = self.declares_more or page.total > page.row_count

    def note_other(self, first: Page) -> None:
        """Note that a page with other rows stood behind a tag's first page."""
        self.other_page = True
        self.followed.add(first.row_count)

    def is_full(self, pages: Sequence[Page]) -> bool:
        """Whether the last of a tag's pages is full, so that another may stand behind it."""
        rows = pages[-1].row_count
        if len(pages) > 1:
            return rows == pages[0].row_count
        usual = rows in USUAL_PAGE_SIZES and rows >= self.largest
        return not self.declares_more and (rows in self.followed or usual)


@dataclass(frozen=True)
class Ask:
    """Pages to ask for, in any order, after a pause in seconds; what was asked for before is not wanted any more.

    `behind_end` marks the look behind the end, whose page is none of the population's.
    """

    numbers: Sequence[int]
    pause: float = 0.0
    behind_end: bool = False


@dataclass(frozen=True)
class Proof:
    """How a walk ended: `complete` with all pages in order, or another verdict without any."""

    verdict: str
    reason: str
    pages: tuple[Page, ...] = ()


Answer = tuple[int, Page | RequestError]
"""The number asked for, and what came. Refused keys are never sent in: they end the run, not a tag."""

Walk = Generator[Ask | None, Answer, Proof]
"""Yields what to ask for, or None to be sent the next answer to what it asked for before."""


def walk_pages(
    seen: PagingSeen, *, passes: int = 3, pauses: Sequence[float] = (1.0, 5.0), verify: bool = False
) -> Walk:
    """Read a population until a pass proves it complete, `passes` times at most; the last pass decides.

    `pauses` are the seconds before the second pass, the third, and so on (the last one goes for all later). With
    `verify`, two passes in a row must hold the same phone numbers as often, which also shows a row that came while
    another went: totals alone can't.
    """
    doubt: PopulationError | None = None
    numbers: Hashes | None = None
    for index in range(passes):
        pause = pauses[min(index, len(pauses)) - 1] if doubt is not None and pauses else 0.0
        try:
            pages, shared = yield from _one_pass(seen, pause)
        except PopulationError as exc:
            doubt, numbers = exc, None
            continue
        except UnknownTag as exc:
            return Proof("unknown", exc.what)
        except RequestError as exc:
            return Proof("failed", exc.what)
        before, numbers = numbers, number_hashes(pages) if verify else None
        if numbers is None or (before is not None and numbers.tobytes() == before.tobytes()):
            return Proof("complete", _complete(pages, shared), pages)
        differs = "the phone numbers changed between two passes, though the totals did not"
        doubt = PopulationMoved(differs) if before is not None else None
    if doubt is None:
        doubt = PopulationMoved("no second pass could confirm the phone numbers")
    verdict = "unstable" if isinstance(doubt, PopulationMoved) else "incomplete"
    return Proof(verdict, f"{doubt.what} (read {_counted(passes, 'time')})")


def _complete(pages: tuple[Page, ...], shared: int) -> str:
    """Say what was proved, and how many rows may be the same one, read twice."""
    found = f"all {pages[0].total} rows on {_counted(len(pages), 'page')}"
    return f"{found}; {_counted(shared, 'dated row')} on more than one page" if shared else found


def _one_pass(seen: PagingSeen, pause: float) -> Generator[Ask | None, Answer, tuple[tuple[Page, ...], int]]:
    """Read all pages once; gives them in order, and how many dated rows stand on more than one.

    Raises:
        PopulationError: a doubt.
        RequestError: a page could not be read.
    """
    first = _page(*(yield Ask((1,), pause)))
    _check_first(first)
    seen.note_first(first)
    found = _Pass(first)
    if found.last > 1:
        answer = yield Ask(range(2, found.last + 1))
        while not found.accept(*answer):
            answer = yield None
    pages = found.pages()
    if any(page.rows_json != first.rows_json for page in pages):
        seen.note_other(first)
    if seen.is_full(pages):
        seen.looked = True
        number, behind = yield Ask((found.last + 1,), behind_end=True)
        _check_behind_end(seen, pages, number, behind)
    return pages, count_shared(pages, found.hashes()) if found.last > 1 else 0


class _Pass:
    """The pages of one pass as they arrive."""

    def __init__(self, first: Page) -> None:
        self.first = first
        self.last = -(-first.total // first.row_count) if first.row_count else 1
        if self.last > MOST_PAGES:
            raise PopulationIncomplete(
                f"{first.total} rows at {first.row_count} a page are more than {MOST_PAGES:,} pages"
            )
        self._pages = {1: first}
        self._hashes = {1: row_hashes(first)} if self.last > 1 else {}
        self._by_rows = {first.rows_json: 1}

    def accept(self, number: int, answer: Page | RequestError) -> bool:
        """Check one page; gives whether it was the last one missing.

        Raises:
            PopulationError: it can't be a page of this population.
            RequestError: it could not be read.
        """
        total = self.first.total
        if isinstance(answer, UnknownTag):
            raise PopulationMoved(f"page 1 declared {total} rows in total, then {answer.what}")
        page = _page(number, answer)
        if page.total != total:
            raise PopulationMoved(f"page 1 declared {total} rows in total, page {number} declared {page.total}")
        _check_number(number, page)
        full = self.first.row_count
        expected = full if number < self.last else total - full * (self.last - 1)
        if page.row_count != expected:
            raise PopulationIncomplete(
                f"page {number} of {self.last} holds {_counted(page.row_count, 'row')} instead of {expected}"
            )
        self._pages[number] = page
        self._hashes[number] = row_hashes(page)
        self._check_repetition(number, page)
        return len(self._pages) == self.last

    def _check_repetition(self, number: int, page: Page) -> None:
        """Doubt a page that repeats another, unless all its rows are one: a dead number that was often written to."""
        before = self._by_rows.setdefault(page.rows_json, number)
        if before != number and len(set(page.raw_rows)) > 1:
            raise PopulationIncomplete(f"page {number} repeats page {before} row for row")
        if self.first.row_count == 1:
            around = [
                self._pages[near].rows_json if near in self._pages else None for near in range(number - 2, number + 3)
            ]
            if any(around[start : start + 3] == [page.rows_json] * 3 for start in range(3)):
                raise PopulationIncomplete(f"page {number} is a third page in a row of one same single row")

    def pages(self) -> tuple[Page, ...]:
        """Give the pages in order."""
        return tuple(self._pages[number] for number in range(1, self.last + 1))

    def hashes(self) -> list[Hashes]:
        """Give the hashes of each page's rows, in order of the pages."""
        return [self._hashes[number] for number in range(1, self.last + 1)]


def _page(_number: int, answer: Page | RequestError) -> Page:
    if isinstance(answer, RequestError):
        raise answer
    return answer


def _check_first(page: Page) -> None:
    _check_number(1, page)
    rows = _counted(page.row_count, "row")
    if page.row_count > page.total:
        raise PopulationIncomplete(f"page 1 holds {rows}, more than the {page.total} declared in total")
    if page.row_count == 0 < page.total:
        raise PopulationIncomplete(f"page 1 is empty, though {_counted(page.total, 'row')} are declared in total")


def _check_number(number: int, page: Page) -> None:
    if page.number != number:
        raise PopulationIncomplete(f"asked for page {number}, the API answered with page {page.number}")


def _check_behind_end(seen: PagingSeen, pages: tuple[Page, ...], number: int, answer: Page | RequestError) -> None:
    """Check that nothing of the population stands behind its last page.

    Raises:
        PopulationMoved: the total is another one by now.
        PopulationIncomplete: other rows stand there.
        RequestError: there was no answer, so that nothing is known of it.
    """
    if isinstance(answer, RequestError):
        if _is_answer_without_rows(answer):
            return
        raise answer
    total = pages[0].total
    if answer.total != total and (answer.row_count or answer.total):  # "0 of 0" is how some count an empty page
        raise PopulationMoved(f"page 1 declared {total} rows in total, page {number} declared {answer.total}")
    if answer.row_count and not any(same_messages(answer, page) for page in reversed(pages)):
        seen.note_other(pages[0])
        rows = _counted(answer.row_count, "row")
        raise PopulationIncomplete(
            f"page {number}, behind the end, holds {rows} that the total of {total} does not count"
        )


def _is_answer_without_rows(error: RequestError) -> bool:
    """Whether the API did answer, and gave no page: refused keys and "too many requests" say nothing of the page."""
    if isinstance(error, AccessRefused | RateLimited):
        return False
    if isinstance(error, VendorError) and error.code == _TOO_MANY_REQUESTS:
        return False
    return isinstance(error, VendorError | UnexpectedStatus | UnreadableBody)


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
