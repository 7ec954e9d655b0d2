"""Pages become typed rows and quarantine: the native way and the tolerant way give the same."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from smspartner import values
from smspartner.columns import Columns, read_columns, read_documented, read_mixed, read_tolerantly
from smspartner.page import Page
from smspartner.phone_numbers import PhonePrivacy
from smspartner.redaction import Secret
from smspartner.rows import documented_rows, split_rows
from smspartner.transform import Sent, occurrences, type_rows, type_tags
from smspartner.typed_rows import Stamp, TypedRows
from smspartner_schemas.arrow import arrow_schema, empty_table
from smspartner_schemas.contract import QUARANTINE, STATUSES

READ_AT = datetime(2026, 11, 23, 18, 0, 0, 123456, tzinfo=UTC)
STAMP = Stamp("promo-nov", "20261123T180000Z-ab12cd34", READ_AT)
PLAIN = PhonePrivacy()
PRIVACIES = (PLAIN, PhonePrivacy("masked"), PhonePrivacy("hashed", Secret("0123456789abcdef")))
NUMBER = "+33612345678"
ROW = {"phoneNumber": NUMBER, "status": "Delivered", "stopSMS": False, "date": "1517989111"}
DELIVERED_AT = datetime(2018, 2, 7, 7, 38, 31, tzinfo=UTC)

Row = dict[str, Any]


def page(rows: list[Any], number: int = 1) -> Page:
    """A page of these rows, as the connector reads it."""
    rows_json = json.dumps(rows, ensure_ascii=False).encode()
    return Page(number, len(rows), len(split_rows(rows_json)), rows_json)


def typed(*pages: list[Any], privacy: PhonePrivacy = PLAIN) -> TypedRows:
    """Type the rows of these pages."""
    return type_rows(tuple(page(rows, number) for number, rows in enumerate(pages, 1)), STAMP, privacy)


def loaded(number: str = NUMBER, occurrence: int = 1, **facts: Any) -> Row:
    """A row of `statuses`."""
    row = {
        "tag": "promo-nov",
        "phone_number": number,
        "occurrence": occurrence,
        "country": "FR",
        "status": "delivered",
        "stop_sms": False,
        "status_at": DELIVERED_AT,
        "extracted_at": READ_AT,
        "run_id": STAMP.run_id,
    }
    return row | facts


def doubted(position: int, reasons: list[str], raw: object, on_page: int = 1) -> Row:
    """A row of `quarantine`."""
    return {
        "tag": "promo-nov",
        "page": on_page,
        "position": position,
        "reasons": reasons,
        "raw": json.dumps(raw, ensure_ascii=False),
        "extracted_at": READ_AT,
        "run_id": STAMP.run_id,
    }


def everything(result: TypedRows) -> tuple[object, ...]:
    """All that typing gives, as plain values."""
    quarantine = result.quarantine()
    result.table.validate(full=True)
    quarantine.validate(full=True)
    assert (arrow_schema(STATUSES), arrow_schema(QUARANTINE)) == (result.table.schema, quarantine.schema)
    return result.table.to_pylist(), quarantine.to_pylist(), result.places.tolist(), result.reasons, result.drift


def test_one_row() -> None:
    """A documented row becomes a row of `statuses`, with the tag, run and time it was read at."""
    result = typed([ROW])
    assert ([loaded()], [], [0], {}, Counter()) == everything(result)


def test_no_rows() -> None:
    """A population of no rows gives the empty tables, in their schemas."""
    result = typed([])
    assert (empty_table(STATUSES), empty_table(QUARANTINE)) == (result.table, result.quarantine())


def test_documented_and_other_pages_together() -> None:
    """Pages of both shapes become one table; what is doubted is found by page and position, with every reason."""
    bad = {"phoneNumber": "n/a", "status": "?", "stopSMS": True, "date": "soon"}
    other = {"phoneNumber": "06 12 34 56 78", "statut": "ko", "stopSms": "1", "date": "", "operator": "SFR"}
    result = typed([ROW, bad], [None, other], [ROW, {**ROW, "status": "waiting", "date": "0"}])
    lists = [page(rows).rows_json for rows in ([ROW, bad], [None, other])]
    assert [documented_rows([rows_json]) is None for rows_json in lists] == [False, True]
    assert (
        [
            loaded(),
            loaded(occurrence=2, status="ko", stop_sms=True, status_at=None),
            loaded(occurrence=3),
            loaded(occurrence=4, status="waiting", status_at=None),
        ],
        [
            doubted(2, ["phone_number_unreadable", "status_unknown", "date_unreadable"], bad),
            doubted(1, ["entry_not_object"], None, on_page=2),
        ],
        [0, 3, 4, 5],
        {1: ("phone_number_unreadable", "status_unknown", "date_unreadable"), 2: ("entry_not_object",)},
        Counter(["row field operator", "status word '?'"]),
    ) == everything(result)


def test_drift_of_envelopes() -> None:
    """Unknown fields of envelopes are counted by page."""
    pages = tuple(replace(page([ROW], number), drift=("envelope field perPage",)) for number in (1, 2))
    assert Counter({"envelope field perPage": 2}) == type_rows(pages, STAMP, PLAIN).drift


def test_occurrence_counts_doubted_rows_too() -> None:
    """The n-th row of a number is the n-th the API sent, also where a row before it is doubted."""
    other = "+33698765432"
    rows = [ROW, {**ROW, "phoneNumber": other}, {**ROW, "status": "?"}, ROW, {"status": "Waiting"}]
    rows += [{**ROW, "phoneNumber": other}, ROW, {"status": "Waiting"}]
    assert [(NUMBER, 1), (other, 1), (NUMBER, 3), (other, 2), (NUMBER, 4)] == [
        (row["phone_number"], row["occurrence"]) for row in typed(rows[:3], rows[3:]).table.to_pylist()
    ]


@given(st.lists(st.sampled_from(["a", "b", "c", None]), max_size=40))
def test_occurrences(numbers: list[str | None]) -> None:
    """Occurrences count the rows of each number from 1, in order; null where the number is null."""
    seen: Counter[str | None] = Counter()
    expected = []
    for number in numbers:
        seen[number] += 1
        expected.append(None if number is None else seen[number])
    found = occurrences(pa.array(numbers, pa.string()))
    assert (pa.int32(), expected) == (found.type, found.to_pylist())


@pytest.mark.parametrize("privacy", PRIVACIES, ids=lambda privacy: privacy.form)
def test_privacy(privacy: PhonePrivacy) -> None:
    """Masked and hashed numbers keep country and occurrence, and the quarantine's raw JSON shows no number either."""
    result = typed([ROW, ROW, {**ROW, "status": f"call {NUMBER}"}], privacy=privacy)
    number = privacy.protect(NUMBER)
    assert [loaded(number), loaded(number, 2)] == result.table.to_pylist()
    assert (privacy.form == "plain") == (NUMBER[1:] in str(result.quarantine().to_pylist()))


def test_masked_numbers_that_look_alike() -> None:
    """Numbers that are the same once masked are counted as occurrences of one, so that the key stays unique."""
    result = typed([ROW, {**ROW, "phoneNumber": "+33699999978"}], privacy=PhonePrivacy("masked"))
    assert [(row["phone_number"], row["occurrence"]) for row in result.table.to_pylist()] == [
        ("+33*******78", 1),
        ("+33*******78", 2),
    ]


def test_doubting_later() -> None:
    """Rows doubted after typing move to quarantine with their reasons, found by page and position."""
    result = typed([ROW, {**ROW, "status": "?"}], [{**ROW, "stopSMS": True}, ROW])
    later = result.doubting({1: ("my_rule", "another"), 2: ("my_rule",)})
    assert (
        [loaded()],
        [
            doubted(2, ["status_unknown"], {**ROW, "status": "?"}),
            doubted(1, ["my_rule", "another"], {**ROW, "stopSMS": True}, on_page=2),
            doubted(2, ["my_rule"], ROW, on_page=2),
        ],
        [0],
        {1: ("status_unknown",), 2: ("my_rule", "another"), 3: ("my_rule",)},
        Counter(["status word '?'"]),
    ) == everything(later)
    assert result.doubting({}) is result
    assert [result.table.num_rows, result.quarantine().num_rows] == [3, 1]


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
ODD = st.sampled_from(
    [
        *("", " ", "\x00", "\n", "\u2028", "\ufeff", "n/a", "0", "null", "x" * 5000, "9" * 400, "\U0001f600"),
        *("\u0661\u0662\u0663", "\uff10\uff16", "a\x00b", "\\", '"', "</script>", "\u202e", "e\u0301"),
    ]
)
NUMBERS = st.one_of(
    st.sampled_from(
        [
            *(
                NUMBER,
                "0612345678",
                "0033612345678",
                "33612345678",
                "+33 6 12 34 56 78",
                "+330612345678",
                f"{NUMBER}\n",
            ),
            *(
                "+12123610000",
                "+447400123456",
                "+2101234567",
                "+80012345678",
                "+33612345678\x00",
                "+1234567",
                "+123456",
            ),
            *(f" {NUMBER}", "+33\u0666" + "12345678", "06\u00a012\u202f34 56 78", "+1" + "0" * 14, "+1" + "0" * 15),
        ]
    ),
    st.from_regex(r"\+[1-9][0-9]{5,15}", fullmatch=True),
    ODD,
    TEXT,
)
WORDS = st.one_of(
    st.sampled_from(["Delivered", "Not delivered", "Waiting", "ko", " DELIVERED ", "not  delivered", "delivered\x00"]),
    ODD,
    TEXT,
)
DATES = st.one_of(
    st.sampled_from(
        [
            *(
                "1517989111",
                "946684799",
                "946684800",
                "4102444800",
                "4102444801",
                "999999999",
                "0",
                "00",
                "-1",
                " 1517989111",
            ),
            *("1517989111\n", "1517989111000", "2024-03-31 02:30:00", "2024-10-27 02:30:00", "0000-00-00 00:00:00"),
            *("2015-02-07 22:39:46", "2015-02-30 22:39:46", "9999-12-31 23:59:59", "01517989111", "\u0661517989111"),
        ]
    ),
    st.integers(10**8, 10**11).map(str),
    ODD,
    TEXT,
)


def absent_or_null(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """The values, and sometimes null."""
    return st.one_of(values, values, values, st.none())


DOCUMENTED_ROWS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "phoneNumber": absent_or_null(NUMBERS),
            "status": absent_or_null(WORDS),
            "stopSMS": absent_or_null(st.booleans()),
            "date": absent_or_null(DATES),
        },
    ),
    max_size=12,
)


def plainly(columns: Columns) -> tuple[object, ...]:
    """All that reading gives, as plain values."""
    facts = (columns.phone_number, columns.status, columns.stop_sms, columns.status_at)
    return [column.to_pylist() for column in facts], columns.reasons, columns.drift


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(DOCUMENTED_ROWS, DOCUMENTED_ROWS)
@example([ROW, {**ROW, "date": "1517989111\n"}], [{}])
@example(
    [{**ROW, "date": date} for date in ("+1517989111", " 1517989111", "0x5a7a9b47", "0001517989111", "\uff11")], []
)
@example(
    [{**ROW, "date": date} for date in ("1517989111.0", "-1517989111", "9" * 10, "9" * 11, "1" * 19, "\u0661")], []
)
def test_both_ways_give_the_same(first: list[Row], second: list[Row]) -> None:
    """Whatever is in rows of the documented shape, reading them natively and one by one gives exactly the same."""
    pages = (page(first, 1), page(second, 2))
    rows = documented_rows([one.rows_json for one in pages])
    assert rows is not None
    one_by_one = plainly(read_tolerantly([raw for one in pages for raw in one.raw_rows]))
    assert plainly(read_documented(rows)) == one_by_one
    assert plainly(read_columns(pages)) == one_by_one


ODD_ROWS = st.sampled_from(
    [
        *(None, 7, [], {}, {"success": False, "code": 10}),
        *({**ROW, **more} for more in ({"operator": "SFR"}, {"stopSms": "1"}, {"date": 1517989111}, {"statut": "ko"})),
    ]
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(st.tuples(DOCUMENTED_ROWS, st.lists(ODD_ROWS, max_size=3))))
def test_mixed_rows_give_the_same(parts: list[tuple[list[Row], list[Any]]]) -> None:
    """Rows of other shapes, anywhere among those of the documented one, change nothing of how these are read."""
    raw = [json.dumps(row).encode() for documented, odd in parts for row in (*documented, *odd)]
    assert plainly(read_mixed(raw)) == plainly(read_tolerantly(raw))


def test_a_field_given_twice_among_documented_rows() -> None:
    """A row that contradicts itself is found wherever it stands."""
    twice = json.dumps(ROW)[:-1].encode() + b', "status": "Ko"}'
    raw = [json.dumps(ROW).encode(), twice, b"{}"]
    found = read_mixed(raw)
    assert plainly(found) == plainly(read_tolerantly(raw))
    assert found.reasons[1] == (values.CONTRADICTION,)


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(st.lists(DOCUMENTED_ROWS, min_size=1, max_size=2), max_size=4), st.sampled_from(PRIVACIES), st.data())
def test_tags_typed_together(tags: list[list[list[Row]]], privacy: PhonePrivacy, data: st.DataObject) -> None:
    """Tags typed in one pass have exactly the rows, reasons, places and drift that each has when typed by itself."""
    sent = []
    for number, contents in enumerate(tags):
        pages = tuple(page(rows, place) for place, rows in enumerate(contents, 1))
        if data.draw(st.booleans()):  # another shape: this one is read row by row
            pages = (
                *pages,
                replace(page([{"operator": "SFR"}, None, ROW], len(pages) + 1), drift=("envelope field x",)),
            )
        sent.append(Sent(pages, replace(STAMP, tag=f"tag-{number}", extracted_at=READ_AT + timedelta(number))))
    together = type_tags(sent, privacy)
    assert [everything(one) for one in together] == [everything(type_tags([one], privacy)[0]) for one in sent]
    held = [one for one in together if len(one.places)]
    assert [one.table["tag"].chunk(0).dictionary.to_pylist() for one in held] == [[one.stamp.tag] for one in held]


ANY_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=4,
)
NAMES = st.sampled_from(
    ["phoneNumber", "status", "statut", "stopSMS", "stopSms", "date", "success", "code", "operator"]
)
ANY_ROWS = st.lists(st.one_of(st.dictionaries(NAMES, NUMBERS | WORDS | DATES | ANY_VALUE), ANY_VALUE), max_size=8)


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(ANY_ROWS, st.sampled_from(PRIVACIES))
def test_no_row_is_lost(rows: list[object], privacy: PhonePrivacy) -> None:
    """Of rows of any shape, each is either loaded or in quarantine with a reason, in the order received."""
    result = typed(rows, privacy=privacy)
    table, quarantine, places, reasons, _ = everything(result)
    assert list(range(len(rows))) == sorted([*places, *reasons])  # type: ignore[misc]
    assert (len(places), len(reasons)) == (len(table), len(quarantine))  # type: ignore[arg-type]
    assert all(row["reasons"] for row in quarantine)  # type: ignore[attr-defined]
    if privacy is PLAIN:
        doubted_rows = [rows[place] for place in sorted(reasons)]  # type: ignore[call-overload]
        assert doubted_rows == [json.loads(row["raw"]) for row in quarantine]  # type: ignore[attr-defined]
