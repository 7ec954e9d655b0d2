"""Faults in population, rows and envelope change exactly what they say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from smspartner_pipelines.sandbox import Campaign, Fault, Sandbox
from smspartner_pipelines.sandbox.faults import PAGE_KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Ask = Callable[..., Any]

Row = dict[str, Any]

ROWS: list[Row] = [
    {"phoneNumber": "+33611111111", "status": "Delivered", "stopSMS": False, "date": "1517989101"},
    {"phoneNumber": "+33622222222", "status": "Waiting", "stopSMS": False, "date": ""},
    {"phoneNumber": "+33633333333", "status": "Delivered", "stopSMS": True, "date": "1517989111"},
    {"phoneNumber": "+32470123456", "status": "Not delivered", "stopSMS": False, "date": ""},
    {"phoneNumber": "+33655555555", "status": "Ko", "stopSMS": False, "date": ""},
]
PAGE_1, PAGE_2 = ROWS[:2], ROWS[2:4]
FIRST, SECOND = PAGE_2


def page(number: object, rows: object, total: object = 5) -> Row:
    """Make a page of the population above, which has two rows on a page."""
    return {"success": True, "code": 200, "currentPage": number, "total": total, "StatutResponse_List": rows}


def without(*keys: str) -> Row:
    """Make page 2 without these fields of its envelope."""
    return {key: value for key, value in page(2, PAGE_2).items() if key not in keys}


def edited(first: Row, second: Row | None = None) -> Row:
    """Make page 2 with these fields of its rows changed."""
    return page(2, [FIRST | first, SECOND | (second or {})])


NEWCOMER = {"phoneNumber": "+33699000001", "status": "Waiting", "stopSMS": False, "date": ""}

DOCUMENTS: dict[str, Any] = {
    "ignored_page": page(1, PAGE_1),
    "repeated_page": page(2, PAGE_1),
    "wrong_page_number": page(3, PAGE_2),
    "empty_page": page(2, []),
    "short_page": page(2, [FIRST]),
    "long_page": page(2, [FIRST, SECOND, SECOND]),
    "total_grows": page(2, PAGE_2, 6),
    "total_shrinks": page(2, PAGE_2, 4),
    "shrunk": page(2, PAGE_2, 4),
    "one_in_one_out": page(2, [ROWS[1], ROWS[2]]),
    "total_missing": without("total"),
    "total_text": page(2, PAGE_2, "abc"),
    "total_string": page(2, PAGE_2, "5"),
    "total_null": page(2, PAGE_2, None),
    "total_negative": page(2, PAGE_2, -1),
    "total_float": page(2, PAGE_2, 5.5),
    "total_huge": page(2, PAGE_2, 10**399),
    "page_missing": without("currentPage"),
    "success_missing": without("success"),
    "success_string": page(2, PAGE_2) | {"success": "true"},
    "no_list": without("StatutResponse_List"),
    "list_null": page(2, None),
    "list_string": page(2, "Aucun statut"),
    "list_as_object": page(2, {"0": FIRST, "1": SECOND}),
    "list_renamed": without("StatutResponse_List") | {"StatutResponseList": PAGE_2},
    "list_key_unknown": without("StatutResponse_List") | {"statuses": PAGE_2},
    "extra_envelope_field": page(2, PAGE_2) | {"perPage": 1000},
    "extra_field": edited({"operator": "SFR"}, {"operator": "SFR"}),
    "epoch_number": edited({"date": 1517989111}),
    "local_date": edited({"date": "2018-02-07 08:38:31"}),
    "stop_string": page(
        2,
        [
            {"phoneNumber": "+33633333333", "status": "Delivered", "stopSms": "1", "date": "1517989111"},
            {"phoneNumber": "+32470123456", "status": "Not delivered", "stopSms": "0", "date": ""},
        ],
    ),
    "statut_key": page(
        2,
        [
            {"phoneNumber": "+33633333333", "statut": "Delivered", "stopSMS": True, "date": "1517989111"},
            {"phoneNumber": "+32470123456", "statut": "Not delivered", "stopSMS": False, "date": ""},
        ],
    ),
    "status_lower": edited({"status": " delivered  "}, {"status": " not delivered  "}),
    "number_spaced": edited({"phoneNumber": "+33 6 33 33 33 33"}, {"phoneNumber": "+32 4 70 12 34 56"}),
    "number_national": edited({"phoneNumber": "0633333333"}),
    "number_00": edited({"phoneNumber": "0033633333333"}, {"phoneNumber": "0032470123456"}),
    "bad_status": edited({"status": "Teleported"}),
    "bad_number": edited({"phoneNumber": "n/a"}),
    "bad_date": edited({"date": "soon"}),
    "row_error": page(2, [{"success": False, "code": 4, "status": "Numéro introuvable"}, SECOND]),
    "row_null": page(2, [None, SECOND]),
    "row_text": page(2, ["Numéro introuvable", SECOND]),
    "huge_date": edited({"date": 10**399}),
    "number_with_nul": edited({"phoneNumber": "+33633333333\0"}),
    "status_twice": edited({"status": "Ko"}),  # as readers of JSON see it
}
"""The document that page 2 becomes."""


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """Serve the population above under two tags, two rows on a page."""
    with Sandbox([Campaign.of_rows("promo", ROWS), Campaign.of_rows("other", ROWS)], page_size=2) as running:
        yield running


def test_every_kind_is_tested() -> None:
    """No fault in a page goes without a test of its effect."""
    assert DOCUMENTS.keys() == {kind for kind in PAGE_KINDS if not kind.startswith("echo_")}


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_faults_in_the_document(sandbox: Sandbox, ask: Ask, kind: str) -> None:
    """The page becomes exactly this document, and HTTP says that all is well."""
    sandbox.faults.add(Fault(kind))
    reply = ask(sandbox, "promo", 2)

    assert (200, DOCUMENTS[kind]) == (reply.status, reply.document)


def test_a_field_given_twice(sandbox: Sandbox, ask: Ask) -> None:
    """Both values of the field are in the text of the row."""
    sandbox.faults.add(Fault("status_twice"))
    row = ask(sandbox, "promo", 2).body.decode().split("\n")[6]

    assert ('"status": "Delivered"' in row, '"status": "Ko"' in row) == (True, True)


def test_drifting_totals_move_at_every_request(sandbox: Sandbox, ask: Ask) -> None:
    """A total that grows or shrinks does so by one at each request it strikes, and never below zero."""
    sandbox.faults.add(Fault("total_grows", tag="promo"), Fault("total_shrinks", tag="other"))

    assert [ask(sandbox, "promo", number).document["total"] for number in (1, 2, 3)] == [6, 7, 8]
    assert [ask(sandbox, "other").document["total"] for _ in range(6)] == [4, 3, 2, 1, 0, 0]


@pytest.mark.parametrize(("kind", "population"), [("shrunk", ROWS[:4]), ("one_in_one_out", [NEWCOMER, *ROWS[:4]])])
def test_moved_populations_are_consistent(sandbox: Sandbox, ask: Ask, kind: str, population: list[Row]) -> None:
    """A population that moved can be read completely, and its total is right."""
    sandbox.faults.add(Fault(kind))
    pages = [ask(sandbox, "promo", number).document for number in (1, 2, 3)]

    assert population == [row for one in pages for row in one["StatutResponse_List"]]
    assert [len(population)] * 3 == [one["total"] for one in pages]


@pytest.mark.parametrize("kind", ["short_page", "long_page", "bad_status", "row_null", "shrunk", "one_in_one_out"])
def test_faults_in_rows_spare_empty_pages(ask: Ask, kind: str) -> None:
    """Where there are no rows, faults in rows find nothing to change."""
    with Sandbox([Campaign.of_rows("empty", [])], faults=[Fault(kind)]) as sandbox:
        assert page(1, [], 0) == ask(sandbox, "empty").document


def test_rows_of_raw_json_survive_faults(ask: Ask) -> None:
    """Faults in every row leave rows alone that are no objects."""
    odd: list[object] = [None, 5, '"text"', FIRST]
    with Sandbox([Campaign.of_rows("odd", odd)], faults=[Fault("number_00"), Fault("list_as_object")]) as sandbox:
        expected = {"0": None, "1": 5, "2": "text", "3": FIRST | {"phoneNumber": "0033633333333"}}
        assert expected == ask(sandbox, "odd").document["StatutResponse_List"]
