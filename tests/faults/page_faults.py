"""Faults in a page as a whole: fields of other names and types, which rows it holds, how many there are in all."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

from smspartner_pipelines.sandbox.answers import LIST_KEY, Page
from smspartner_pipelines.sandbox.faults import Kind, Strike

from faults.table import Document, document

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


def _made(meaning: str, fields: Callable[[Page, Strike], Document]) -> Kind:
    """Change fields of a page, which are made of the page and of all rows there are."""
    return Kind(meaning, page=lambda page, strike: page.document.update(fields(page, strike)))


def _last(page: Page) -> int:
    return max(1, -(-page.rows // page.size))


def _all(page: Page) -> list[Any]:
    return page.between(0, page.rows)


def _cut(page: Page, rows: list[Any], number: int) -> list[Any]:
    """Give the rows of a page of this number, of all these rows."""
    return rows[(number - 1) * page.size : number * page.size]


def _behind(fields: Callable[[Page, list[Any]], Document]) -> Callable[[Page, Strike], Document]:
    """Let a page behind the end show the last one, but for fields that are made of the page and of those rows."""

    def change(page: Page, _strike: Strike) -> Document:
        last = _cut(page, _all(page), _last(page))
        return {LIST_KEY: last, **fields(page, last)} if page.asked > _last(page) else {}

    return change


def _overlap_some(page: Page, _strike: Strike) -> Document:
    start = (page.asked - 1) * page.size
    return {LIST_KEY: page.between(start - 3, min(start + page.size, page.rows) - 3)} if start else {}


def _overlap_half(page: Page, _strike: Strike) -> Document:
    half = min(page.size // 2, len(page.document[LIST_KEY]))
    return {LIST_KEY: page.between(0, half) + page.document[LIST_KEY][half:]}


def _overlap_ties(page: Page, _strike: Strike) -> Document:
    rows = _all(page)
    random.Random(page.asked).shuffle(rows)
    return {LIST_KEY: _cut(page, rows, page.asked)}


def _shrinks_clamped(page: Page, strike: Strike) -> Document:
    first = {"currentPage": 1, "total": page.size, LIST_KEY: _cut(page, _all(page), 1)}
    return first if strike.nth > 1 else {}


KINDS = _ENVELOPES | {
    "ignored_page": _made(
        "answers page 1 to any page asked for, and says so",
        lambda page, _: {"currentPage": 1, LIST_KEY: _cut(page, _all(page), 1)},
    ),
    "wrong_page_number": _made(
        "answers the right rows with `currentPage` one too high", lambda page, _: {"currentPage": page.asked + 1}
    ),
    "total_shrinks": _made(
        "declares one row fewer at every request it strikes; the rows stay",
        lambda page, strike: {"total": max(0, page.rows - strike.nth)},
    ),
    "shrunk": _made(
        "the population lacks its last row, and the total says so",
        lambda page, _: {"total": max(0, page.rows - 1), LIST_KEY: _cut(page, _all(page)[:-1], page.asked)},
    ),
    "one_in_one_out": _made(
        "a new row in front and the last row gone: drift that no total shows",
        lambda page, _: {LIST_KEY: _cut(page, [dict(NEWCOMER), *_all(page)][:-1], page.asked)},
    ),
    "total_of_page": _made(
        "the total is the number of rows on the page", lambda page, _: {"total": len(page.document[LIST_KEY])}
    ),
    "total_capped": _made(
        "the total counts one page less than there is, and that page is answered if asked for",
        lambda page, _: {"total": max(page.size, (_last(page) - 1) * page.size)},
    ),
    "behind_clamped": _made(
        "a page behind the end is the last page, and says so", _behind(lambda page, _: {"currentPage": _last(page)})
    ),
    "behind_repeated": _made(
        "a page behind the end is the last page, under the number asked for", _behind(lambda _page, _: {})
    ),
    "behind_flipped": _made(
        "a page behind the end is the last page, whose statuses have changed meanwhile",
        _behind(lambda page, rows: {"currentPage": _last(page), LIST_KEY: [row | {"status": "Ko"} for row in rows]}),
    ),
    "behind_other_rows": _made(
        "a page behind the end holds a row that no other page holds",
        _behind(lambda _page, _: {LIST_KEY: [dict(NEWCOMER)]}),
    ),
    "behind_total_moved": _made(
        "a page behind the end is empty, and declares one row more",
        _behind(lambda page, _: {"total": page.rows + 1, LIST_KEY: []}),
    ),
    "overlap_some": _made(
        "every page begins with the last three rows of the page before, and lacks three of its own", _overlap_some
    ),
    "overlap_half": _made(
        "every page but the first begins with the first half of page 1, as far as it holds rows", _overlap_half
    ),
    "overlap_ties": _made(
        "every page is cut from an order of its own, as with LIMIT and OFFSET over equal dates", _overlap_ties
    ),
    "shrinks_clamped": _made(
        "after the first request only page 1 is left, which answers for every page, and says so", _shrinks_clamped
    ),
    "one_row_million": _made(
        "every page is the first row alone, and the total a million",
        lambda page, _: {"total": 10**6, LIST_KEY: page.between(0, 1)},
    ),
    "one_row_endless": _made(
        "every page is the first row alone, and the total 10^15",
        lambda page, _: {"total": 10**15, LIST_KEY: page.between(0, 1)},
    ),
}
