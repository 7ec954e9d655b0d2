"""The walk over one tag's pages, and the proof that what it brings home is the whole population.

Neither HTTP nor threads are known here: the walk is a generator that asks for page numbers and is sent their pages.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

from smspartner.errors import PopulationIncomplete, PopulationMoved, UnknownTag
from smspartner.page import Page
from smspartner.rows import read_rows

Accept = Callable[[int, Page], None]


@dataclass(frozen=True)
class Ask:
    """The pages to ask for next, in any order; `accept` is called with each as it arrives and raises on a doubt."""

    numbers: Sequence[int]
    accept: Accept


Walk = Generator[Ask, list[Page], tuple[Page, ...]]
"""Yields what to ask for, is sent the pages in the order of `numbers`, and returns a complete population."""


def walk_pages(passes: int, *, verify: bool = False) -> Walk:
    """Read a population until one pass proves it complete.

    A population that moves is read again, `passes` times at most. With `verify`, two passes in a row must hold the same
    phone numbers as often, which also shows a row that came while another went: totals alone can't.

    Raises:
        PopulationMoved: it never held still.
        PopulationIncomplete: the pages can't be a whole population.
        RequestError: as sent into the walk.
    """
    before: tuple[Page, ...] | None = None
    moved = PopulationMoved("the population was read once only")
    for _ in range(passes):
        try:
            pages = yield from _one_pass()
        except PopulationMoved as exc:
            moved, before = exc, None
            continue
        if not verify or (before is not None and _numbers(before) == _numbers(pages)):
            return pages
        if before is not None:
            moved = PopulationMoved("the phone numbers changed between two passes, though the totals did not")
        before = pages
    raise PopulationMoved(f"{moved.what} (read {passes} times)")


def _one_pass() -> Walk:
    (first,) = yield Ask([1], _check_first)
    if first.row_count == first.total:
        return (first,)
    last = first.page_count
    seen = {first.rows_json: 1}

    def accept(number: int, page: Page) -> None:
        _check_answer(number, page)
        if page.total != first.total:
            raise PopulationMoved(f"page 1 declared {first.total} rows in total, page {number} declared {page.total}")
        expected = first.row_count if number < last else first.total - first.row_count * (last - 1)
        if page.row_count != expected:
            raise PopulationIncomplete(f"page {number} of {last} holds {page.row_count} rows instead of {expected}")
        # A single row may well occur twice, for a number sent to twice; a whole page hardly.
        if page.row_count > 1 and seen.setdefault(page.rows_json, number) != number:
            raise PopulationIncomplete(f"page {number} repeats page {seen[page.rows_json]} row for row")

    try:
        rest = yield Ask(range(2, last + 1), accept)
    except UnknownTag as exc:
        gone = exc.what
    else:
        return (first, *rest)
    raise PopulationMoved(f"page 1 declared {first.total} rows in total, then {gone}")


def _check_first(number: int, page: Page) -> None:
    _check_answer(number, page)
    if page.row_count > page.total:
        raise PopulationIncomplete(f"page 1 holds {page.row_count} rows, more than the {page.total} declared in total")
    if page.row_count == 0 < page.total:
        raise PopulationIncomplete(f"page 1 is empty, though {page.total} rows are declared in total")


def _check_answer(number: int, page: Page) -> None:
    if page.number != number:
        raise PopulationIncomplete(f"asked for page {number}, the API answered with page {page.number}")


def _numbers(pages: tuple[Page, ...]) -> list[str]:
    """Give the phone numbers of a population as a sorted list, whatever the shape of its pages."""
    return sorted(number or "unreadable" for page in pages for number in read_rows(page.raw_rows).phone_number)
