"""What pages show of the vendor's paging: rows behind the end of a tag, and rows that stand on more than one page.

A row carries no id. Two rows of one number and one date are most often one row that was read twice, but a sender's list
may hold a number twice. Rows without a date repeat lawfully: a dead number that is written to each week is one of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from smspartner.errors import (
    CutBody,
    PopulationIncomplete,
    PopulationMoved,
    RequestError,
    UnexpectedStatus,
    UnreadableBody,
    VendorError,
)
from smspartner.page import Page
from smspartner.raw_json import Hashes, Scalar
from smspartner.values import NO_DATES

USUAL_PAGE_SIZES = frozenset({10, 20, 25, 50, 100, 200, 250, 500, 1000})

_ROW_AT_LEAST = 5
"""Rows on two pages, times the pages, that can't be chance where no page holds one of them twice."""

_FACTOR = np.int64(-7046029254386353131)
"""Odd and without pattern: spreads the hashes of three rows over the 64 bits of one."""


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


class _Row(msgspec.Struct, frozen=True, gc=False):
    """What distinguishes one row from another: statuses and opt-outs may change between two requests."""

    phoneNumber: Scalar = None  # noqa: N815 - the vendor's name
    date: Scalar = None


_ROW, _ROWS = msgspec.json.Decoder(_Row), msgspec.json.Decoder(list[_Row])


def number_hashes(pages: Sequence[Page]) -> Hashes:
    """Give a hash of each phone number, sorted: equal where two readings hold the same numbers as often."""
    return np.sort(np.concatenate([page.numbers for page in pages]))


def same_messages(page: Page, other: Page) -> bool:
    """Whether two pages hold the same messages, in any order and perhaps at two moments.

    The numbers must be the same. A status that ripened in between may have got a date; but where every number that is
    dated on both pages has another date there, these are other messages to the same people.
    """
    if page.rows_json == other.rows_json:
        return True
    if not np.array_equal(number_hashes([page]), number_hashes([other])):
        return False
    dated_one, dated_two = ({row for row in _rows(one) if _is_dated(row)} for one in (page, other))
    on_both = {row.phoneNumber for row in dated_one} & {row.phoneNumber for row in dated_two}
    return not on_both or not dated_one.isdisjoint(dated_two)


def count_shared(pages: Sequence[Page]) -> int:
    """Count the different dated rows that stand on two pages or more.

    Raises:
        PopulationIncomplete: they show that pages overlap: three or more different ones follow each other on two pages,
            or there are at least 5 times as many as pages, though no page holds any dated row twice.
    """
    if len(pages) == 1 or not _repeated(number_hashes(pages)).any():  # the usual case: every number once
        return 0
    by_page = [np.fromiter(map(hash, _rows(page)), np.int64, page.row_count) for page in pages]
    rows = np.concatenate(by_page)
    if not _repeated(np.sort(rows)).any():  # or at another time
        return 0
    dated = np.fromiter((_is_dated(row) for page in pages for row in _rows(page)), bool, len(rows))
    page_of = np.repeat(np.arange(len(pages)), [page.row_count for page in pages])
    return _count_dated(rows[dated], page_of[dated], pages)


def _count_dated(rows: Hashes, page_of: Hashes, pages: Sequence[Page]) -> int:
    order = np.lexsort((page_of, rows))
    same_row, same_page = _repeated(rows[order]), _repeated(page_of[order])
    shared = np.unique(rows[order][1:][same_row & ~same_page])
    if not len(shared):
        return 0
    overlapping = _common_run(rows, page_of, shared)
    if overlapping is not None:
        first, second = (pages[place].number for place in overlapping)
        raise PopulationIncomplete(f"pages {first} and {second} overlap: the same dated rows follow each other on both")
    if len(shared) >= _ROW_AT_LEAST * len(pages) and not (same_row & same_page).any():
        raise PopulationIncomplete(
            f"pages overlap: {len(shared)} dated rows stand on more than one of {len(pages)} pages, none twice on one"
        )
    return len(shared)


def _common_run(rows: Hashes, page_of: Hashes, shared: Hashes) -> tuple[int, int] | None:
    """Find two pages on which three different rows follow each other alike, a row beside its twin taken as one."""
    own = np.concatenate([[True], ~(_repeated(rows) & _repeated(page_of))])
    rows, page_of = rows[own], page_of[own]
    candidate = np.isin(rows, shared)
    runs = candidate[:-2] & candidate[1:-1] & candidate[2:] & (page_of[:-2] == page_of[2:]) & (rows[:-2] != rows[2:])
    triples = ((rows[:-2] * _FACTOR + rows[1:-1]) * _FACTOR + rows[2:])[runs]
    on = page_of[:-2][runs]
    order = np.lexsort((on, triples))
    found = np.flatnonzero(_repeated(triples[order]) & ~_repeated(on[order]))
    return (int(on[order][found[0]]), int(on[order][found[0] + 1])) if len(found) else None


def _repeated(values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Whether each value but the first is the same as the one before it."""
    equal: npt.NDArray[np.bool_] = values[1:] == values[:-1]
    return equal


def _rows(page: Page) -> list[_Row]:
    """Read number and date of each row; one that can't be read, or compared, is known by its JSON."""
    try:
        return _ROWS.decode(page.rows_json)
    except (msgspec.DecodeError, RecursionError):
        return [_odd_row(raw) for raw in page.raw_rows]


def _odd_row(raw: bytes) -> _Row:
    try:
        return _ROW.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return _Row(phoneNumber=raw)  # type: ignore[arg-type]  # only hashed and compared


def _is_dated(row: _Row) -> bool:
    """Whether a row's `date` is anything but one of the vendor's ways to give none."""
    return row.date not in {None, 0} and str(row.date).strip() not in NO_DATES
