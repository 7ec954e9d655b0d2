"""Faults in what is read for a page: which rows, which page, how many there are in all."""

from __future__ import annotations

import random

from smspartner_pipelines.sandbox.answers import LIST_KEY, PageDraft
from smspartner_pipelines.sandbox.faults import Strike

from faults import table

_NEWCOMER = {"phoneNumber": "+33699000001", "status": "Waiting", "stopSMS": False, "date": ""}


@table.page("ignored_page", "answers page 1 to any page asked for, and says so")
def _ignored_page(page: PageDraft, _strike: Strike) -> None:
    page.show(1)
    page.document["currentPage"] = 1


@table.page("wrong_page_number", "answers the right rows with `currentPage` one too high")
def _wrong_page_number(page: PageDraft, _strike: Strike) -> None:
    page.document["currentPage"] += 1


@table.page("total_shrinks", "declares one row fewer at every request it strikes; the rows stay")
def _total_shrinks(page: PageDraft, strike: Strike) -> None:
    page.document["total"] = max(0, page.rows - strike.nth)


@table.page("shrunk", "the population lacks its last row, and the total says so")
def _shrunk(page: PageDraft, _strike: Strike) -> None:
    page.rows = page.document["total"] = max(0, page.rows - 1)
    page.show(page.asked)


@table.page("one_in_one_out", "a new row in front and the last row gone: drift that no total shows")
def _one_in_one_out(page: PageDraft, _strike: Strike) -> None:
    between = page.between

    def shifted(start: int, stop: int) -> list[object]:
        return [dict(_NEWCOMER), *between(0, stop - 1)] if start == 0 else between(start - 1, stop - 1)

    page.between = shifted
    page.show(page.asked)


@table.page("total_of_page", "the total is the number of rows on the page")
def _total_of_page(page: PageDraft, _strike: Strike) -> None:
    page.document["total"] = len(page.document[LIST_KEY])


@table.page("total_capped", "the total counts one page less than there is, and that page is answered if asked for")
def _total_capped(page: PageDraft, _strike: Strike) -> None:
    page.document["total"] = max(page.size, (_pages(page) - 1) * page.size)


@table.page("behind_clamped", "a page behind the end is the last page, and says so")
def _behind_clamped(page: PageDraft, _strike: Strike) -> None:
    if page.asked > _pages(page):
        page.show(_pages(page))
        page.document["currentPage"] = _pages(page)


@table.page("behind_repeated", "a page behind the end is the last page, under the number asked for")
def _behind_repeated(page: PageDraft, _strike: Strike) -> None:
    page.show(min(page.asked, _pages(page)))


@table.page("behind_flipped", "a page behind the end is the last page, whose statuses have changed meanwhile")
def _behind_flipped(page: PageDraft, _strike: Strike) -> None:
    if page.asked > _pages(page):
        page.show(_pages(page))
        page.document["currentPage"] = _pages(page)
        page.document[LIST_KEY] = [{**row, "status": "Ko"} for row in page.document[LIST_KEY]]


@table.page("behind_other_rows", "a page behind the end holds a row that no other page holds")
def _behind_other_rows(page: PageDraft, _strike: Strike) -> None:
    if page.asked > _pages(page):
        page.document[LIST_KEY] = [dict(_NEWCOMER)]


@table.page("behind_total_moved", "a page behind the end is empty, and declares one row more")
def _behind_total_moved(page: PageDraft, _strike: Strike) -> None:
    if page.asked > _pages(page):
        page.document["total"] += 1


@table.page("overlap_some", "every page begins with the last three rows of the page before, and lacks three of its own")
def _overlap_some(page: PageDraft, _strike: Strike) -> None:
    if page.asked > 1:
        start = (page.asked - 1) * page.size
        page.document[LIST_KEY] = page.between(start - 3, min(start + page.size, page.rows) - 3)


@table.page("overlap_half", "every page but the first begins with the first half of page 1, as far as it holds rows")
def _overlap_half(page: PageDraft, _strike: Strike) -> None:
    half = min(page.size // 2, len(page.document[LIST_KEY]))
    if page.asked > 1:
        page.document[LIST_KEY][:half] = page.between(0, half)


@table.page("overlap_ties", "every page is cut from an order of its own, as with LIMIT and OFFSET over equal dates")
def _overlap_ties(page: PageDraft, _strike: Strike) -> None:
    rows = page.between(0, page.rows)
    random.Random(page.asked).shuffle(rows)
    page.document[LIST_KEY] = rows[(page.asked - 1) * page.size : page.asked * page.size]


@table.page("shrinks_clamped", "after the first request only page 1 is left, which answers for every page, and says so")
def _shrinks_clamped(page: PageDraft, strike: Strike) -> None:
    if strike.nth > 1:
        page.show(1)
        page.document |= {"currentPage": 1, "total": page.size}


@table.page("one_row_million", "every page is the first row alone, and the total a million")
def _one_row_million(page: PageDraft, _strike: Strike) -> None:
    page.document |= {"total": 10**6, LIST_KEY: page.between(0, 1)}


@table.page("one_row_endless", "every page is the first row alone, and the total 10^15")
def _one_row_endless(page: PageDraft, _strike: Strike) -> None:
    page.document |= {"total": 10**15, LIST_KEY: page.between(0, 1)}


def _pages(page: PageDraft) -> int:
    return max(1, -(-page.rows // page.size))
