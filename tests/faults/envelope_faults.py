"""Faults in the envelope of a page: fields missing, renamed, of other types; the list in other shapes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from smspartner_pipelines.sandbox.answers import LIST_KEY
from smspartner_pipelines.sandbox.faults import Strike

from faults import table

Document = dict[str, Any]

_SET: dict[str, tuple[str, str, Callable[[Any], object]]] = {
    "total_text": ("`total` is the string `abc`", "total", lambda _: "abc"),
    "total_string": ("`total` is its digits as a string, which clients should read", "total", str),
    "total_null": ("`total` is null", "total", lambda _: None),
    "total_negative": ("`total` is -1", "total", lambda _: -1),
    "total_float": ("`total` is half a row too high", "total", lambda total: total + 0.5),
    "total_huge": ("`total` is a number of 400 digits", "total", lambda _: 10**399),
    "success_string": ('`success` is the string "true"', "success", lambda _: "true"),
    "list_null": ("the list is null", LIST_KEY, lambda _: None),
    "list_string": ("the list is a string", LIST_KEY, lambda _: "Aucun statut"),
    "list_as_object": (
        'the list is an object with the keys "0", "1", …, as PHP writes some arrays',
        LIST_KEY,
        lambda rows: {str(index): json.loads(row) if isinstance(row, str) else row for index, row in enumerate(rows)},
    ),
}
_MISSING = {"total_missing": "total", "page_missing": "currentPage", "success_missing": "success", "no_list": LIST_KEY}
_RENAMED = {"list_renamed": "StatutResponseList", "list_key_unknown": "statuses"}


def _register_setting(kind: str, description: str, key: str, value_of: Callable[[Any], object]) -> None:
    def edit(document: Document, _strike: Strike) -> Document:
        return document | {key: value_of(document[key])} if key in document else document

    table.document(kind, description)(edit)


def _register_missing(kind: str, missing: str) -> None:
    def edit(document: Document, _strike: Strike) -> Document:
        return {key: value for key, value in document.items() if key != missing}

    table.document(kind, f"`{missing}` is missing")(edit)


def _register_renamed(kind: str, name: str) -> None:
    def edit(document: Document, _strike: Strike) -> Document:
        return {name if key == LIST_KEY else key: value for key, value in document.items()}

    table.document(kind, f"the list is called `{name}`")(edit)


for _kind, (_description, _key, _value_of) in _SET.items():
    _register_setting(_kind, _description, _key, _value_of)
for _kind, _key in _MISSING.items():
    _register_missing(_kind, _key)
for _kind, _key in _RENAMED.items():
    _register_renamed(_kind, _key)


@table.document("extra_envelope_field", "the envelope has an unknown field `perPage`")
def _extra_envelope_field(document: Document, _strike: Strike) -> Document:
    return {"perPage": 1000} | document


@table.document("zero_list_null", "the total is 0, and the list null")
def _zero_list_null(document: Document, _strike: Strike) -> Document:
    return document | {"total": 0, LIST_KEY: None}


@table.document("zero_no_list", "the total is 0, and there is no list")
def _zero_no_list(document: Document, _strike: Strike) -> Document:
    return {key: value for key, value in document.items() if key != LIST_KEY} | {"total": 0}


@table.document("numbers_as_text", "total, page and code are text, which clients should read")
def _numbers_as_text(document: Document, _strike: Strike) -> Document:
    return document | {key: str(document[key]) for key in ("total", "currentPage", "code")}
