"""What a run has seen of the vendor's paging, and the look behind the end of a tag that follows from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from smspartner.errors import (
    CutBody,
    PopulationIncomplete,
    PopulationMoved,
    RequestError,
    UnexpectedStatus,
    UnreadableBody,
    VendorError,
)
from smspartner.overlap import same_messages
from smspartner.page import Page

USUAL_PAGE_SIZES = frozenset({10, 20, 25, 50, 100, 200, 250, 500, 1000})


@dataclass
class PagingSeen:
    """What a run has seen of the vendor's paging so far, shared by all tags.

    `largest` is the most rows on a first page, `followed` are the sizes of first pages behind which other rows stood,
    `ended` those behind which a look found none, `alone` counts the first pages that held all they declared, by their
    rows. `declares_more` is whether a first page declared more than it held, and not a whole number of pages, as a
    total that stops at the end of a page would. It only grows, so that the order of tags does not matter, and what one
    thread does not see yet of another costs one request at most.
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

    def note_first(self, page: Page) -> None:
        """Note the first page of a tag."""
        self.largest = max(self.largest, page.row_count)
        self.alone[page.row_count] += page.total == page.row_count
        self.declares_more = self.declares_more or (page.row_count > 0 and page.total % page.row_count > 0)

    def is_full(self, pages: Sequence[Page], *, again: bool) -> bool:
        """Whether the last of a tag's pages is full, so that another may stand behind it.

        Where a pass before had a problem (`again`), what other tags show of totals does not count.
        """
        rows = pages[-1].row_count
        if len(pages) > 1:
            return rows == pages[0].row_count
        if self.declares_more and not again:
            return False
        shared = self.alone[rows] > 1 and rows >= min(USUAL_PAGE_SIZES) and rows not in self.ended
        return rows in self.followed or (rows >= self.largest and (rows in USUAL_PAGE_SIZES or shared))

    def check_behind_end(self, pages: Sequence[Page], number: int, behind: Page) -> None:
        """Check that no row of the population is on the page behind its last one.

        Raises:
            PopulationMoved: the total is another one by now.
            PopulationIncomplete: other rows stand there.
        """
        total = pages[0].total
        if behind.total != total and (behind.row_count or behind.total):  # some say 0 of 0 where a page is empty
            raise PopulationMoved(f"page 1 declared {total} rows in total, page {number} declared {behind.total}")
        if behind.row_count and not any(same_messages(behind, page) for page in reversed(pages)):
            self.followed.add(pages[0].row_count)
            raise PopulationIncomplete(
                f"page {number}, behind the end, holds rows ({behind.row_count}) that the total {total} does not count"
            )


def is_without_rows(error: RequestError) -> bool:
    """Whether such an answer ends a tag: one that was not sent, or not to its end, may hold rows."""
    return isinstance(error, VendorError | UnexpectedStatus | UnreadableBody) and not isinstance(error, CutBody)
