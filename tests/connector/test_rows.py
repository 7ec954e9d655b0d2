"""Rows of the documented shape and of any other."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from smspartner.errors import UnreadableBody
from smspartner.rows import RowFacts, documented_rows, read_rows, split_rows

NUMBER = "+33612345678"
ROW = {"phoneNumber": NUMBER, "status": "Delivered", "stopSMS": False, "date": "1517989111"}
MOMENT = 1517989111 * 1_000_000


def one(row: object) -> RowFacts:
    """Read one row, given as JSON value or as raw JSON text."""
    return read_rows([row.encode() if isinstance(row, str) else json.dumps(row).encode()])


def fact(  # noqa: PLR0917
    number: str | None = NUMBER,
    status: str | None = "delivered",
    stop: bool | None = False,  # noqa: FBT001, FBT002
    date: int | None = MOMENT,
    reasons: tuple[str, ...] = (),
    drift: tuple[str, ...] = (),
) -> RowFacts:
    """The facts of one row."""
    return RowFacts(
        [number],
        [status],
        [stop],
        [date],
        {0: reasons} if reasons else {},
        {name: [0] * count for name, count in Counter(drift).items()},
    )


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


@pytest.mark.parametrize(
    "row",
    [
        *('{"phoneNumber": 33612345678}', '{"stopSMS": "0"}', '{"stopSMS": 0}', '{"date": 1517989111}'),
        *('{"operator": "SFR"}', '{"status": "a", "status": "b"}', '{"statut": "a"}', '{"success": false}'),
        *("null", '"text"', "1", "true", "[]", '{"status": {}}', '{"date": ["1517989111"]}', '{"date": true}'),
    ],
)
def test_other_shapes_are_left_to_the_tolerant_reader(row: str) -> None:
    """One value of another type, one unknown or doubled field, or an entry that is no object is not read natively."""
    assert documented_rows([f"[{json.dumps(ROW)},{row}]".encode()]) is None


@pytest.mark.parametrize("rows_json", ["null", "1", '"text"', "true", "{}", '{"0": {}}'])
def test_no_list_is_not_read_natively(rows_json: str) -> None:
    """Only a JSON list is read natively."""
    assert documented_rows([rows_json.encode()]) is None


@pytest.mark.parametrize(
    ("rows_json", "rows"),
    [
        ("[]", []),
        (' [ {"a": 1} , null,"x", [2] ]', [b'{"a": 1}', b"null", b'"x"', b"[2]"]),
        ("{}", []),
        ('{"0": {"a": 1}, "1": null}', [b'{"a": 1}', b"null"]),
        (' {"7": 1, "3": 2}', [b"1", b"2"]),
    ],
)
def test_split(rows_json: str, rows: list[bytes]) -> None:
    """A list, and the object PHP makes of some lists, are split into the JSON of each row, in the order sent."""
    assert rows == split_rows(rows_json.encode())


@pytest.mark.parametrize(
    "rows_json",
    [
        "null",
        "1",
        "true",
        '"text"',
        '{"phoneNumber": 1}',
        '{"0": 1, "x": 2}',
        '{"²": 1}',
        '{"": 1}',
        "[1",
        "[" * 100_000,
    ],
)
def test_no_list(rows_json: str) -> None:
    """What is neither list nor numbered object is no row list."""
    with pytest.raises(UnreadableBody, match="the body's row list is no list"):
        split_rows(rows_json.encode())


@pytest.mark.parametrize(
    ("row", "facts"),
    [
        (ROW, fact()),
        ({**ROW, "stopSMS": True}, fact(stop=True)),
        (
            {"phoneNumber": 33612345678, "statut": "DELIVERED", "stopSms": "1", "date": 1517989111},
            fact(stop=True, drift=("row field phoneNumber as number", "row field date as number")),
        ),
        (
            {"phoneNumber": "0612345678", "status": " waiting ", "date": ""},
            fact(status="waiting", date=None, drift=("row without stopSMS",)),
        ),
        ({**ROW, "statut": "delivered"}, fact()),
        ({**ROW, "statut": None, "stopSms": None}, fact()),
        ({**ROW, "status": None, "statut": "ko"}, fact(status="ko")),
        ({**ROW, "statut": "ko"}, fact(status=None, reasons=("spellings_contradict",))),
        ({**ROW, "stopSms": "1"}, fact(stop=None, reasons=("spellings_contradict",))),
        ({**ROW, "success": True, "code": 200}, fact()),
        ({**ROW, "success": "1", "code": "200"}, fact()),
        ({**ROW, "success": None, "code": None}, fact()),
        ({**ROW, "operator": "SFR", "id": 7}, fact(drift=("row field operator", "row field id"))),
        ({**ROW, "x" * 1000: 1}, fact(drift=("row field " + "x" * 40,))),
        ({}, fact(None, None, False, None, ("phone_number_missing", "status_missing"), ("row without stopSMS",))),
        (
            {"phoneNumber": "n/a", "status": "?", "stopSMS": "?", "date": "?"},
            fact(
                *(None, None, None, None),
                ("phone_number_unreadable", "status_unknown", "stop_sms_unreadable", "date_unreadable"),
                ("row field stopSMS as string", "status word '?'"),
            ),
        ),
        ({**ROW, "date": "1517989111000"}, fact(date=None, reasons=("date_out_of_range",))),
        *(
            (row, fact(None, None, None, None, ("row_error",)))
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
            (row, fact(None, None, None, None, ("entry_not_object",)))
            for row in (
                *("null", '"Numéro introuvable"', "1", "true", "[]", '"\\ud800"'),
                *('{"date": 1' + "0" * 5000 + "}", '{"x": ' + "[" * 100_000 + "]" * 100_000 + "}", "{"),
            )
        ),
    ],
)
def test_any_shape(row: object, facts: RowFacts) -> None:
    """A row of any shape gives what can be believed of it, and every reason why the rest can't."""
    assert facts == one(row)


def test_rows_keep_their_places() -> None:
    """Every row has its place in every column, and its reasons under that place."""
    rows = [json.dumps(ROW).encode(), b"null", json.dumps({**ROW, "extra": 1, "status": "?"}).encode()]
    expected = RowFacts(
        phone_number=[NUMBER, None, NUMBER],
        status=["delivered", None, None],
        stop_sms=[False, None, False],
        status_at=[MOMENT, None, MOMENT],
        reasons={1: ("entry_not_object",), 2: ("status_unknown",)},
        drift={"row field extra": [2], "status word '?'": [2]},
    )
    assert expected == read_rows(rows)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ('"status": "Ko"', fact(None, None, None, None, ("spellings_contradict",))),
        ('"stat\\u0075s": "Ko"', fact(None, None, None, None, ("spellings_contradict",))),
        ('"status": "Delivered"', None),
        ('"note": 1, "note": 2', None),
    ],
)
def test_doubled_field(more: str, expected: RowFacts | None) -> None:
    """A row that gives a field twice is believed only where both say the same, or it is no field of ours."""
    found = one(json.dumps(ROW)[:-1] + f", {more}}}")
    found.drift.clear()
    assert (expected or fact()) == found
