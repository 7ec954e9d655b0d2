"""The proof that the pages of one tag are its whole population: no HTTP, no threads, no clock.

`walk_pages` is a generator: it asks for page numbers and is sent one answer after the other, in any order. So whoever
sends requests side by side can feed it from any thread, and a test feeds it from a list.
docs/completeness.md says in full what is proved, and what can't be.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field

import numpy as np

from smspartner.errors import (
    CutBody,
    PopulationError,
    PopulationIncomplete,
    PopulationMoved,
    UnexpectedStatus,
    UnknownTag,
    UnreadableBody,
    VendorError,
)
from smspartner.one_pass import Answer, OnePass, Proof, Unread, counted
from smspartner.overlap import Hashes, number_hashes, same_messages
from smspartner.page import Page

USUAL_PAGE_SIZES = frozenset({10, 20, 25, 50, 100, 200, 250, 500, 1000})
SMALLEST_PAGE_SIZE = min(USUAL_PAGE_SIZES)


@dataclass
class PagingSeen:
    """What a run has seen of the vendor's paging so far, shared by all tags.

    It only grows, so that the order of tags does not matter, and what one thread does not see yet of another costs one
    request at most. `largest` is the most rows on a first page, `followed` are the sizes of first pages behind which
    other rows stood, `ended` those behind which a look found none, `alone` counts the tags whose first page held all
    that it declared, by its rows. `declares_more` is whether a first page declared more than it held, and not a whole
    number of pages, as a total that stops at the end of a page would. `looked` is whether a page behind an end was
    asked for.
    """

    largest: int = 0
    followed: set[int] = field(default_factory=set)
    ended: set[int] = field(default_factory=set)
    alone: Counter[int] = field(default_factory=Counter)
    declares_more: bool = False
    looked: bool = False

    @property
    def unproved(self) -> bool:
        """Whether the run had to look behind an end, and no tag had a second page with other rows."""
        return self.looked and not self.followed

    def note_first(self, page: Page, *, again: bool = False) -> None:
        """Note the first page of a tag, or of another pass over it (`again`)."""
        self.largest = max(self.largest, page.row_count)
        self.alone[page.row_count] += page.total == page.row_count and not again
        self.declares_more = self.declares_more or (page.row_count > 0 and page.total % page.row_count > 0)

    def is_full(self, pages: Sequence[Page], *, doubted: bool = False) -> bool:
        """Whether the last of a tag's pages is full, so that another may stand behind it.

        What a tag that was `doubted` in a pass before showed counts for more than what other tags show.
        """
        rows = pages[-1].row_count
        if len(pages) > 1:
            return rows == pages[0].row_count
        shared = self.alone[rows] > 1 and rows >= SMALLEST_PAGE_SIZE and rows not in self.ended
        likely = rows >= self.largest and (rows in USUAL_PAGE_SIZES or shared)
        return (doubted or not self.declares_more) and (rows in self.followed or likely)


@dataclass(frozen=True)
class Ask:
    """Pages to ask for, after a pause in seconds; what was asked for before is not wanted any more."""

    numbers: Sequence[int]
    pause: float = 0.0


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
        arrived = OnePass()
        try:
            first = arrived.add_first((yield Ask([1], pause)))
            seen.note_first(first, again=index > 0)
            if index == 0 and is_loaded is not None and is_loaded(first):
                return arrived.proof("skipped", "unchanged: total and first page are as loaded")
            shared = yield from _read_on(seen, arrived, doubted=doubt is not None)
        except PopulationError as exc:
            doubt, numbers = exc.with_traceback(None), None  # its frames hold all pages
            continue
        except Unread as exc:
            return arrived.proof(*_verdict(tag, exc))
        before, numbers = numbers, number_hashes(arrived.in_order()) if verify else None
        if numbers is None or (before is not None and np.array_equal(numbers, before)):
            return arrived.proof("complete", _complete(arrived.in_order(), shared))
        differ = "the phone numbers changed between two passes, though the totals did not"
        doubt = None if before is None else PopulationMoved(differ)
    unconfirmed = PopulationMoved("no second pass could confirm the phone numbers")
    verdict = "unstable" if doubt is None or isinstance(doubt, PopulationMoved) else "incomplete"
    return arrived.proof(verdict, f"{(doubt or unconfirmed).what} (read {counted(passes, 'time')})")


def _read_on(seen: PagingSeen, arrived: OnePass, *, doubted: bool) -> Generator[Ask | None, Answer, int]:
    """Read all pages after the first, and look behind the last; gives how many dated rows stand on more than one.

    Raises:
        PopulationError: a doubt.
        Unread: a page is not there.
    """
    if arrived.last > 1:
        answer = yield Ask(range(2, arrived.last + 1))
        while arrived.add(answer):
            answer = yield None
    pages = arrived.in_order()
    if any(page.rows_json != pages[0].rows_json for page in pages):
        seen.followed.add(pages[0].row_count)
    if seen.is_full(pages, doubted=doubted):
        seen.looked = True
        _check_behind_end(seen, pages, (yield Ask([arrived.last + 1])))
        seen.ended.add(pages[0].row_count)
    return arrived.count_shared()


def _check_behind_end(seen: PagingSeen, pages: tuple[Page, ...], answer: Answer) -> None:
    """Check that nothing of the population stands behind its last page.

    Raises:
        PopulationMoved: the total is another one by now.
        PopulationIncomplete: other rows stand there.
        Unread: nothing is known of it.
    """
    total, (number, came) = pages[0].total, answer
    if isinstance(came, Unread):
        answered = isinstance(came.error, VendorError | UnexpectedStatus | UnreadableBody)
        if not answered or isinstance(came.error, CutBody):  # what was not sent, or not to its end, may hold rows
            raise came
    elif came.total != total and (came.row_count or came.total):  # some say 0 of 0 where a page is empty
        raise PopulationMoved(f"page 1 declared {total} rows in total, page {number} declared {came.total}")
    elif came.row_count and not any(same_messages(came, page) for page in reversed(pages)):
        seen.followed.add(pages[0].row_count)
        rows = counted(came.row_count, "row")
        raise PopulationIncomplete(f"page {number}, behind the end, holds {rows} that the total {total} does not count")


def _complete(pages: tuple[Page, ...], shared: int) -> str:
    """Say what was proved, and how many rows may be one row that was read twice."""
    proved = f"all {pages[0].total} rows on {counted(len(pages), 'page')}"
    return f"{proved}; {counted(shared, 'dated row')} on more than one page" if shared else proved


def _verdict(tag: str, unread: Unread) -> tuple[str, str]:
    """Say what a page that could not be read means for its tag."""
    if not isinstance(unread.error, UnknownTag):
        return "failed", f"page {unread.number}: {unread.error.what} ({counted(unread.requests, 'request')})"
    notes = [unread.error.what]
    if tag != tag.lower():
        notes.append("this tag has capitals, and the vendor's tags are lower case")
    if tag != unicodedata.normalize("NFC", tag):
        notes.append("this tag has combining accents, and may have been sent with composed ones")
    return "unknown", "; ".join(notes)
