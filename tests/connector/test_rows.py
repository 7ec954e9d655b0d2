"""Rows of the documented shape and of any other: two paths that give the same."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from smspartner.raw_json import split_rows
from smspartner.rows import Columns, documented_rows, read_documented, read_rows, read_tolerantly

NUMBER = "+33612345678"
ROW = {"phoneNumber": NUMBER, "status": "Delivered", "stopSMS": False, "date": "1517989111"}
MOMENT = 1517989111 * 1_000_000

Row = dict[str, Any]
Plain = tuple[list[list[Any]], dict[int, tuple[str, ...]], dict[str, list[int]]]


def plainly(columns: Columns) -> Plain:
    """All that reading gives, as plain values; dates in microseconds."""
    dates = columns.status_at.cast("int64")
    values = [column.to_pylist() for column in (columns.phone_number, columns.status, columns.stop_sms, dates)]
    return values, columns.reasons, {name: indices.tolist() for name, indices in columns.drift.items()}


def one(
    number: str | None = NUMBER,
    status: str | None = "delivered",
    stop: bool | None = False,  # noqa: FBT001, FBT002
    date: int | None = MOMENT,
    reasons: tuple[str, ...] = (),
    drift: tuple[str, ...] = (),
) -> Plain:
    """One row as it is read."""
    return [[number], [status], [stop], [date]], {0: reasons} if reasons else {}, {name: [0] for name in drift}


@pytest.mark.parametrize(
    ("rows_json", "rows"),
    [
        (json.dumps([ROW, ROW]), [ROW, ROW]),
        ("[]", []),
        ("[{}]", [{"phoneNumber": None, "status": None, "stopSMS": None, "date": None}]),
        ('[{"status": null, "date": ""}]', [{"phoneNumber": None, "status": None, "stopSMS": None, "date": ""}]),
        (json.dumps([ROW], indent=2).replace("\n", "\r\n"), [ROW]),
        (
            '[{"phoneNumber": "a\\u0000b\\ud83d\\ude00", "status": "x\\ny"}]',
            [{"phoneNumber": "a\0b\U0001f600", "status": "x\ny", "stopSMS": None, "date": None}],
        ),
    ],
)
def test_documented_shape(rows_json: str, rows: list[object]) -> None:
    """Rows of the documented shape are read natively, whatever their layout and with fields left out."""
    found = documented_rows([rows_json.encode()])
    assert found is not None
    assert rows == found.to_pylist()


OTHER_SHAPES = [
    *('{"phoneNumber": 33612345678}', '{"stopSMS": "0"}', '{"stopSMS": 0}', '{"date": 1517989111}'),
    *('{"operator": "SFR"}', '{"status": "a", "status": "b"}', '{"statut": "a"}', '{"success": false}'),
    *("null", '"text"', "1", "true", "[]", '{"status": {}}', '{"date": ["1517989111"]}', '{"date": true}'),
    *('{"status": "\\ud83d"}', '{"\\ud83d": 1}', '{"operator": "\\udc00\\ud83d"}'),
]
NO_LISTS = ["null", "1", '"text"', "true", "{}", '{"0": {}}']


@pytest.mark.parametrize("rows_json", [*(f"[{json.dumps(ROW)},{row}]" for row in OTHER_SHAPES), *NO_LISTS])
def test_other_shapes_are_left_to_the_tolerant_path(rows_json: str) -> None:
    """Another type, an unknown or doubled field, broken text, or what is no object in a list, is not read natively."""
    assert documented_rows([rows_json.encode()]) is None


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (ROW, one()),
        ({**ROW, "stopSMS": True}, one(stop=True)),
        (
            {"phoneNumber": 33612345678, "statut": "DELIVERED", "stopSms": "1", "date": 1517989111},
            one(stop=True, drift=("row field phoneNumber as number", "row field date as number")),
        ),
        (
            {"phoneNumber": "0612345678", "status": " waiting ", "date": ""},
            one(status="waiting", date=None, drift=("row without stopSMS",)),
        ),
        ({**ROW, "status": "DELIVRD", "date": "2018-02-07T08:38:31+01:00"}, one()),
        ({**ROW, "statut": "delivered"}, one()),
        ({**ROW, "statut": None, "stopSms": None}, one()),
        ({**ROW, "status": None, "statut": "ko"}, one(status="ko")),
        ({**ROW, "statut": "ko"}, one(status=None, reasons=("spellings_contradict",))),
        (
            {**ROW, "statut": "Parti"},
            one(status=None, reasons=("spellings_contradict",), drift=("status word 'Parti'",)),
        ),
        ({**ROW, "stopSms": "1"}, one(stop=None, reasons=("spellings_contradict",))),
        ({**ROW, "success": True, "code": 200}, one()),
        ({**ROW, "success": "1", "code": "200"}, one()),
        ({**ROW, "success": None, "code": None}, one()),
        ({**ROW, "operator": "SFR", "id": 7}, one(drift=("row field operator", "row field id"))),
        ({**ROW, "x" * 1000: 1}, one(drift=("row field " + "x" * 39 + "…",))),
        ({**ROW, "to\u202e \x1b[31m06 12 34 56 78": 1}, one(drift=("row field to ***",))),
        (
            {**ROW, "status": "lost\x1b[2J at\u202e 06    12345678"},
            one(status=None, reasons=("status_unknown",), drift=("status word 'lost at ***'",)),
        ),
        ({}, one(None, None, False, None, ("phone_number_missing", "status_missing"), ("row without stopSMS",))),
        (
            {"phoneNumber": "n/a", "status": "?", "stopSMS": "?", "date": "?"},
            one(
                *(None, None, None, None),
                ("phone_number_unreadable", "status_unknown", "stop_sms_unreadable", "date_unreadable"),
                ("row field stopSMS as string", "status word '?'"),
            ),
        ),
        ({**ROW, "date": "1517989111000"}, one(date=None, reasons=("date_out_of_range",))),
        *(
            (row, one(None, None, None, None, ("row_error",)))
            for row in (
                {"success": False, "code": 4, "status": "Numéro introuvable"},
                {**ROW, "success": False},
                {**ROW, "success": "0"},
                {**ROW, "success": "perhaps"},
                {**ROW, "code": 4},
                {**ROW, "code": "10"},
                {**ROW, "code": True},
            )
        ),
        *(
            (row, one(None, None, None, None, ("entry_not_object",)))
            for row in (
                *("null", '"Numéro introuvable"', "1", "true", "[]", '"\\ud800"'),
                *('{"date": 1' + "0" * 5000 + "}", '{"x": ' + "[" * 100_000 + "]" * 100_000 + "}", "{"),
            )
        ),
        *(
            (json.dumps({**ROW, **more}), one(None, None, None, None, ("text_broken",)))
            for more in (
                *({"status": "\ud83d"}, {"phoneNumber": "\ud83d"}, {"date": "\udc00"}, {"operator": "\udc00\ud83d"}),
                *({"\ud83d": 1}, {"x": {"y": ["\ud83d"]}}),
            )
        ),
        *(
            (json.dumps(ROW)[:-1] + f", {more}}}", expected)
            for more, expected in (
                ('"status": "Ko"', one(None, None, None, None, ("spellings_contradict",))),
                ('"stat\\u0075s": "Ko"', one(None, None, None, None, ("spellings_contradict",))),
                ('"status": "Delivered"', one()),
                ('"note": 1, "note": 2', one(drift=("row field note",))),
            )
        ),
    ],
)
def test_any_shape(row: object, expected: Plain) -> None:
    """A row of any shape gives what is valid of it, every reason why the rest is not, and what is undocumented."""
    raw = row.encode() if isinstance(row, str) else json.dumps(row).encode()
    assert expected == plainly(read_tolerantly([raw]))


TEXTS = st.one_of(
    st.sampled_from(
        [
            *(NUMBER, "0612345678", "0033612345678", "33612345678", "+33 6 12 34 56 78", "+330612345678"),
            *(f"{NUMBER}\n", "+12123610000", "+447400123456", "+2101234567", "+80012345678", "+33612345678\x00"),
            *("+1234567", "+123456", f" {NUMBER}", "+33\u0666" + "12345678", "06\u00a012\u202f34 56 78"),
            *("+1" + "0" * 14, "+1" + "0" * 15, "0692123456", "+2620692123456", "687750020"),
            *("Delivered", "Not delivered", "Waiting", "ko", " DELIVERED ", "not  delivered", "delivered\x00"),
            *("1517989111", "946684799", "946684800", "4102444800", "4102444801", "999999999", "0", "00", "-1"),
            *(" 1517989111", "1517989111\n", "1517989111000", "2024-03-31 02:30:00", "2024-10-27 02:30:00"),
            *("0000-00-00 00:00:00", "2015-02-07 22:39:46", "2015-02-30 22:39:46", "9999-12-31 23:59:59"),
            *("01517989111", "\u0661517989111", "2025-03-12T13:49:22.5+01:00", "+1517989111", "0x5a7a9b47"),
            *("1517989111.0", "-1517989111", "9" * 10, "9" * 11, "1" * 19, "\uff11", "", " ", "\x00", "\n", "\u2028"),
            *("\ufeff", "n/a", "null", "x" * 5000, "9" * 400, "\U0001f600", "\u0661\u0662\u0663", "\uff10\uff16"),
            *("a\x00b", "\\", '"', "</script>", "\u202e", "e\u0301"),
        ]
    ),
    st.from_regex(r"\+[1-9][0-9]{5,15}", fullmatch=True),
    st.integers(10**8, 10**11).map(str),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.none(),
)
DOCUMENTED_ROWS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            **dict.fromkeys(("phoneNumber", "status", "date"), TEXTS),
            "stopSMS": st.sampled_from([True, False, None]),
        },
    ),
    max_size=12,
)


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(DOCUMENTED_ROWS, max_size=3))
@example([[ROW, {**ROW, "date": "1517989111\n"}], [{}]])
@example([[{**ROW, "date": date}] for date in ("+1517989111", "0001517989111", "\uff11", "9" * 10, "9" * 11)])
@example([[{**ROW, "phoneNumber": number}] for number in ("+330612345678", "+2620692123456", "+33012345")])
def test_both_paths_give_the_same(contents: list[list[Row]]) -> None:
    """Whatever is in rows of the documented shape, reading them natively and one by one gives exactly the same."""
    lists = [json.dumps(rows, ensure_ascii=False).encode() for rows in contents]
    rows = documented_rows(lists) if lists else None
    one_by_one = plainly(read_tolerantly([raw for rows_json in lists for raw in split_rows(rows_json)]))
    assert rows is None or plainly(read_documented(rows)) == one_by_one
    assert plainly(read_rows(lists)) == one_by_one
    assert (rows is None) == (not lists)


@pytest.mark.parametrize("odd", [None, {"status": "\ud83d"}, {**ROW, "operator": "SFR"}, {**ROW, "stopSms": "1"}])
def test_rows_keep_their_order(odd: object) -> None:
    """A row of another shape, on any page of several megabytes, changes nothing of the others and moves none."""
    lists = [[{**ROW, "date": str(1517989111 + 100 * page + row)} for row in range(100)] for page in range(700)]
    lists[333][50] = lists[699][99] = odd  # type: ignore[call-overload]
    raw = [json.dumps(rows, indent=6).encode() for rows in lists]
    assert sum(map(len, raw)) > 8_000_000
    read = read_rows(raw)
    dates = read.status_at.cast("int64").to_pylist()
    expected = [MOMENT + 1_000_000 * index for index in range(70_000)]
    found = plainly(read_tolerantly([json.dumps(odd).encode()]))
    for index in (33_350, 69_999):
        expected[index] = found[0][3][0]
        assert read.reasons.get(index, ()) == found[1].get(0, ())
    assert (dates, len(read.reasons)) == (expected, 2 * len(found[1]))
    drift = {name: indices.tolist() for name, indices in read.drift.items()}
    assert drift == {name: [33_350, 69_999] for name in found[2]}
