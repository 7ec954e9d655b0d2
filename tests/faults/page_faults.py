"""Faults in a page as a whole: fields of other names and types, which rows it holds, how many there are in all."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

from smspartner_pipelines.sandbox.answers import LIST_KEY, Page
from smspartner_pipelines.sandbox.faults import Kind, Strike

from faults.table import document

NEWCOMER = {"phoneNumber": "+33699000001", "status": "Waiting", "stopSMS": False, "date": ""}


def _set(meaning: str, key: str, value_of: Callable[[Any], object]) -> Kind:
    return document(meaning, lambda page, _: page | {key: value_of(page[key])} if key in page else page)


def _without(key: str) -> Kind:
    return document(f"`{key}` is missing", lambda page, _: {one: page[one] for one in page if one != key})


def _renamed(name: str) -> Kind:
    return document(
        f"the list is called `{name}`", lambda page, _: {name if key == LIST_KEY else key: page[key] for key in page}
    )


def _as_object(rows: list[Any]) -> dict[str, Any]:
    return {str(index): json.loads(row) if isinstance(row, str) else row for index, row in enumerate(rows)}


_ENVELOPES = {
    "total_text": _set("`total` is the string `abc`", "total", lambda _: "abc"),
    "total_string": _set("`total` is its digits as a string, which clients should read", "total", str),
    "total_null": _set("`total` is null", "total", lambda _: None),
    "total_negative": _set("`total` is -1", "total", lambda _: -1),
    "total_float": _set("`total` is half a row too high", "total", lambda total: total + 0.5),
    "total_huge": _set("`total` is a number of 400 digits", "total", lambda _: 10**399),
    "success_string": _set('`success` is the string "true"', "success", lambda _: "true"),
    "list_null": _set("the list is null", LIST_KEY, lambda _: None),
    "list_string": _set("the list is a string", LIST_KEY, lambda _: "Aucun statut"),
    "list_as_object": _set(
        'the list is an object with the keys "0", "1", …, as PHP writes some arrays', LIST_KEY, _as_object
    ),
    "total_missing": _without("total"),
    "page_missing": _without("currentPage"),
    "success_missing": _without("success"),
    "no_list": _without(LIST_KEY),
    "list_renamed": _renamed("StatutResponseList"),
    "list_key_unknown": _renamed("statuses"),
    "extra_envelope_field": document(
        "the envelope has an unknown field `perPage`", lambda page, _: {"perPage": 1000} | page
    ),
    "zero_list_null": document(
        "the total is 0, and the list null", lambda page, _: page | {"total": 0, LIST_KEY: None}
    ),
    "zero_no_list": document(
        "the total is 0, and there is no list",
        lambda page, _: {key: 0 if key == "total" else page[key] for key in page if key != LIST_KEY},
    ),
    "numbers_as_text": document(
        "total, page and code are text, which clients should read",
        lambda page, _: page | {key: str(page[key]) for key in ("total", "currentPage", "code")},
    ),
}


def _last(page: Page) -> int:
    return max(1, -(-page.rows // page.size))


def _ignored_page(page: Page, _strike: Strike) -> None:
    page.show(1)
    page.document["currentPage"] = 1


def _wrong_page_number(page: Page, _strike: Strike) -> None:
    page.document["currentPage"] += 1


def _total_shrinks(page: Page, strike: Strike) -> None:
    page.document["total"] = max(0, page.rows - strike.nth)


def _shrunk(page: Page, _strike: Strike) -> None:
    page.rows = page.document["total"] = max(0, page.rows - 1)
    page.show(page.asked)


def _one_in_one_out(page: Page, _strike: Strike) -> None:
    between = page.between

    def shifted(start: int, stop: int) -> list[object]:
        return [dict(NEWCOMER), *between(0, stop - 1)] if start == 0 else between(start - 1, stop - 1)

    page.between = shifted
    page.show(page.asked)


def _total_of_page(page: Page, _strike: Strike) -> None:
    page.document["total"] = len(page.document[LIST_KEY])


def _total_capped(page: Page, _strike: Strike) -> None:
    page.document["total"] = max(page.size, (_last(page) - 1) * page.size)


def _behind_repeated(page: Page, _strike: Strike) -> None:
    page.show(min(page.asked, _last(page)))


def _behind(change: Callable[[Page], dict[str, Any]]) -> Callable[[Page, Strike], None]:
    """Change the document of a page behind the end; the function is given the page, which shows the last one."""

    def edit(page: Page, _strike: Strike) -> None:
        if page.asked > _last(page):
            page.show(_last(page))
            page.document |= change(page)

    return edit


def _flipped(page: Page) -> dict[str, Any]:
    rows = [{**row, "status": "Ko"} for row in page.document[LIST_KEY]]
    return {"currentPage": _last(page), LIST_KEY: rows}


def _overlap_some(page: Page, _strike: Strike) -> None:
    if page.asked > 1:
        start = (page.asked - 1) * page.size
        page.document[LIST_KEY] = page.between(start - 3, min(start + page.size, page.rows) - 3)


def _overlap_half(page: Page, _strike: Strike) -> None:
    half = min(page.size // 2, len(page.document[LIST_KEY]))
    if page.asked > 1:
        page.document[LIST_KEY][:half] = page.between(0, half)


def _overlap_ties(page: Page, _strike: Strike) -> None:
    rows = page.between(0, page.rows)
    random.Random(page.asked).shuffle(rows)
    page.document[LIST_KEY] = rows[(page.asked - 1) * page.size : page.asked * page.size]


def _shrinks_clamped(page: Page, strike: Strike) -> None:
    if strike.nth > 1:
        page.show(1)
        page.document |= {"currentPage": 1, "total": page.size}


def _one_row(total: int) -> Callable[[Page, Strike], None]:
    def edit(page: Page, _strike: Strike) -> None:
        page.document |= {"total": total, LIST_KEY: page.between(0, 1)}

    return edit


_POPULATIONS: dict[str, tuple[str, Callable[[Page, Strike], None]]] = {
    "ignored_page": ("answers page 1 to any page asked for, and says so", _ignored_page),
    "wrong_page_number": ("answers the right rows with `currentPage` one too high", _wrong_page_number),
    "total_shrinks": ("declares one row fewer at every request it strikes; the rows stay", _total_shrinks),
    "shrunk": ("the population lacks its last row, and the total says so", _shrunk),
    "one_in_one_out": ("a new row in front and the last row gone: drift that no total shows", _one_in_one_out),
    "total_of_page": ("the total is the number of rows on the page", _total_of_page),
    "total_capped": (
        "the total counts one page less than there is, and that page is answered if asked for",
        _total_capped,
    ),
    "behind_clamped": (
        "a page behind the end is the last page, and says so",
        _behind(lambda page: {"currentPage": _last(page)}),
    ),
    "behind_repeated": ("a page behind the end is the last page, under the number asked for", _behind_repeated),
    "behind_flipped": (
        "a page behind the end is the last page, whose statuses have changed meanwhile",
        _behind(_flipped),
    ),
    "behind_other_rows": (
        "a page behind the end holds a row that no other page holds",
        _behind(lambda _page: {LIST_KEY: [dict(NEWCOMER)]}),
    ),
    "behind_total_moved": (
        "a page behind the end is empty, and declares one row more",
        _behind(lambda page: {"total": page.document["total"] + 1, LIST_KEY: []}),
    ),
    "overlap_some": (
        "every page begins with the last three rows of the page before, and lacks three of its own",
        _overlap_some,
    ),
    "overlap_half": (
        "every page but the first begins with the first half of page 1, as far as it holds rows",
        _overlap_half,
    ),
    "overlap_ties": (
        "every page is cut from an order of its own, as with LIMIT and OFFSET over equal dates",
        _overlap_ties,
    ),
    "shrinks_clamped": (
        "after the first request only page 1 is left, which answers for every page, and says so",
        _shrinks_clamped,
    ),
    "one_row_million": ("every page is the first row alone, and the total a million", _one_row(10**6)),
    "one_row_endless": ("every page is the first row alone, and the total 10^15", _one_row(10**15)),
}

KINDS = _ENVELOPES | {name: Kind(meaning, page=edit) for name, (meaning, edit) in _POPULATIONS.items()}
