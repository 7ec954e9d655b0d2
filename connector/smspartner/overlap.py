"""Rows that stand on more than one page: which of them are honest, and which show that pages overlap.

A row carries no id. Two rows of one number and one date are most often one row that was read twice, but a sender's list
may hold a number twice. Rows without a date repeat lawfully: a dead number that is written to each week is one of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from smspartner.errors import PopulationIncomplete
from smspartner.page import Page
from smspartner.values import NO_DATES

Hashes = npt.NDArray[np.int64]
"""64 bits a row: among five million rows, two different ones are taken for the same once in a million tags."""

_ROW_AT_LEAST = 5
"""Rows on two pages, times the pages, that can't be chance where no page holds one of them twice."""

_FACTOR = np.int64(-7046029254386353131)
"""Odd and without pattern: spreads the hashes of three rows over the 64 bits of one."""


_Scalar = str | int | float | bool | None


class _Row(msgspec.Struct, frozen=True, gc=False):
    """What distinguishes one row from another: statuses and opt-outs may change between two requests."""

    phoneNumber: _Scalar = None  # noqa: N815 - the vendor's name
    date: _Scalar = None


_ROWS = msgspec.json.Decoder(list[_Row])
_ONE_ROW = msgspec.json.Decoder(_Row)


def row_hashes(page: Page) -> Hashes:
    """Hash number and date of each row, in order; 8 bytes a row, and about 0.2 µs."""
    return _hashes(_rows(page), page.row_count)


def number_hashes(pages: Sequence[Page]) -> Hashes:
    """Hash the phone number of each row, sorted: equal where two readings hold the same numbers as often."""
    numbers = [_hashes((row.phoneNumber for row in _rows(page)), page.row_count) for page in pages]
    return np.sort(np.concatenate(numbers))


def same_messages(page: Page, other: Page) -> bool:
    """Whether two pages hold the same messages, in any order and perhaps at two moments.

    The numbers must be the same. A status that ripened in between may have got a date; but where every number that is
    dated on both pages has another date there, these are other messages to the same people.
    """
    if page.rows_json == other.rows_json:
        return True
    one, two = list(_rows(page)), list(_rows(other))
    if sorted(hash(row.phoneNumber) for row in one) != sorted(hash(row.phoneNumber) for row in two):
        return False
    dated_one, dated_two = ({row for row in rows if is_dated(row.date)} for rows in (one, two))
    on_both = {row.phoneNumber for row in dated_one} & {row.phoneNumber for row in dated_two}
    return not on_both or not dated_one.isdisjoint(dated_two)


def is_dated(date: object) -> bool:
    """Whether a row's `date` is anything but one of the vendor's ways to give none."""
    return date not in {None, 0} and str(date).strip() not in NO_DATES


def count_shared(pages: Sequence[Page], hashes: Sequence[Hashes]) -> int:
    """Count the different dated rows that stand on two pages or more.

    Raises:
        PopulationIncomplete: they show that pages overlap: three or more different ones follow each other on two pages,
            or there are at least 5 times as many as pages, though no page holds any dated row twice.
    """
    rows = np.concatenate(hashes)
    if not _repeated(np.sort(rows)).any():  # the usual case: every number once, or at another time
        return 0
    dated = np.fromiter((is_dated(row.date) for page in pages for row in _rows(page)), dtype=bool, count=len(rows))
    page_of = np.repeat(np.arange(len(pages)), [len(one) for one in hashes])
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


def _hashes(values: Iterable[Any], count: int) -> Hashes:
    return np.fromiter(map(hash, values), dtype=np.int64, count=count)


def _rows(page: Page) -> list[_Row]:
    """Read number and date of each row; one that can't be read, or compared, is known by its JSON."""
    try:
        return _ROWS.decode(page.rows_json)
    except (msgspec.DecodeError, RecursionError):
        return [_odd_row(raw) for raw in page.raw_rows]


def _odd_row(raw: bytes) -> _Row:
    try:
        return _ONE_ROW.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return _Row(phoneNumber=raw)  # type: ignore[arg-type]  # only hashed and compared
