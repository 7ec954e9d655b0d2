"""Faults in what is read for a page: which rows, which page, how many there are in all."""

from __future__ import annotations

from smspartner_pipelines.sandbox.answers import PageDraft
from smspartner_pipelines.sandbox.faults import Strike

from faults import table

_NEWCOMER = {"phoneNumber": "+33699000001", "status": "Waiting", "stopSMS": False, "date": ""}


@table.page("ignored_page", "answers page 1 whatever page is asked for, and says so")
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
