"""Populations become snapshots: none of their rows is lost, and none waits for a slow one."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from smspartner import vendor
from smspartner.errors import AccessRefused, CountMismatch
from smspartner.page import Page
from smspartner.privacy import NOBODY, ErasedNumbers, Person, PhonePrivacy
from smspartner.raw_json import read_list
from smspartner.reading import Population
from smspartner.redaction import Secret
from smspartner.snapshot import Snapshot
from smspartner.transform import READY_ROWS, transform, type_populations
from smspartner_schemas.arrow import arrow_schema
from smspartner_schemas.contract import QUARANTINE, STATUSES
from smspartner_schemas.rules import broken_rules, column_rules

READ_AT = datetime(2026, 11, 23, 18, 0, 0, 123456, tzinfo=UTC)
RUN = "20261123T180000Z-ab12cd34"
PLAIN = PhonePrivacy()
KEYED = PhonePrivacy("plain", Secret("0123456789abcdef"))
PRIVACIES = (PLAIN, PhonePrivacy("masked"), PhonePrivacy("hashed", Secret("0123456789abcdef")))
NUMBER, OTHER = "+33612345678", "+33698765432"
ROW = {"phoneNumber": NUMBER, "status": "Delivered", "stopSMS": False, "date": "1517989111"}
DELIVERED_AT = datetime(2018, 2, 7, 7, 38, 31, tzinfo=UTC)

Row = dict[str, Any]


def page(rows: list[Any], number: int = 1, **facts: Any) -> Page:
    """A page of these rows, as the connector reads it."""
    return Page(number, len(rows), *read_list(json.dumps(rows).encode()), **facts)


def population(*contents: list[Any], tag: str = "promo-nov", **facts: Any) -> Population:
    """A complete population of these pages."""
    pages = tuple(page(rows, number) for number, rows in enumerate(contents, 1))
    total = sum(map(len, contents))
    whole = Population(tag, "complete", "", pages, READ_AT, READ_AT, total, total, len(pages), len(pages), 0, 0.1)
    return replace(whole, **facts)


def snapshot(*contents: list[Any], privacy: PhonePrivacy = PLAIN, erased: ErasedNumbers = NOBODY) -> Snapshot:
    """The snapshot of these pages; its tables are as the contract says."""
    (taken,) = transform([population(*contents)], RUN, privacy, erased)
    assert taken is not None
    return sound(taken, privacy)


def sound(taken: Snapshot, privacy: PhonePrivacy = PLAIN) -> Snapshot:
    """The same snapshot, its tables checked against schema and rules, the primary key among them."""
    taken.table.validate(full=True)
    taken.quarantine.validate(full=True)
    assert (arrow_schema(STATUSES), arrow_schema(QUARANTINE)) == (taken.table.schema, taken.quarantine.schema)
    assert broken_rules(taken.table, column_rules(phone_form=privacy.form)) == {}
    keys = [tuple(row[name] for name in STATUSES.primary_key) for row in taken.table.to_pylist()]
    assert len(set(keys)) == len(keys)
    taken.check_counts()
    return taken


def loaded(number: str = NUMBER, occurrence: int = 1, **facts: Any) -> Row:
    """A row of `statuses`."""
    row = {"tag": "promo-nov", "phone_number": number, "occurrence": occurrence, "country": "FR"}
    row |= {"status": "delivered", "stop_sms": False, "status_at": DELIVERED_AT}
    return row | {"extracted_at": READ_AT, "run_id": RUN} | facts


def quarantined(position: int, reasons: list[str], raw: object, on_page: int = 1) -> Row:
    """A row of `quarantine`."""
    row = {"tag": "promo-nov", "page": on_page, "position": position, "reasons": reasons, "raw": json.dumps(raw)}
    return row | {"extracted_at": READ_AT, "run_id": RUN}


def counted(taken: Snapshot) -> list[tuple[str, int]]:
    """Number and occurrence of each loaded row."""
    return [(row["phone_number"], row["occurrence"]) for row in taken.table.to_pylist()]


def test_documented_and_other_pages_together() -> None:
    """Pages of both shapes become one table; what is not valid is named by page and position, with every reason."""
    bad = {"phoneNumber": "n/a", "status": "?", "stopSMS": True, "date": "soon"}
    other = {"phoneNumber": "06 92 12 34 56", "statut": "ko", "stopSms": "1", "date": "", "operator": "SFR"}
    taken = snapshot([ROW, bad], [None, other], [ROW, {**ROW, "status": "waiting", "date": "0"}])
    assert taken.table.to_pylist() == [
        loaded(),
        loaded("+262692123456", country="RE", status="ko", stop_sms=True, status_at=None),
        loaded(occurrence=2),
        loaded(occurrence=3, status="waiting", status_at=None),
    ]
    assert taken.quarantine.to_pylist() == [
        quarantined(2, ["phone_number_unreadable", "status_unknown", "date_unreadable"], bad),
        quarantined(1, ["entry_not_object"], None, on_page=2),
    ]
    assert taken.drift == (("row field operator", 1), ("status word '?'", 1))
    assert [snapshot([]).table.num_rows, snapshot().table.num_rows, snapshot([]).complete] == [0, 0, True]


def test_dates_ahead() -> None:
    """A date more than a day after the reading is not valid, in any form; up to a day it is."""
    read_at = READ_AT.replace(microsecond=0)
    ahead = int((read_at + timedelta(days=1)).timestamp())
    dates: list[Any] = [str(ahead), str(ahead + 1), "2026-11-24T18:00:01Z", "2026-11-24 19:00:00"]
    for content in (dates, [ahead, ahead + 1, *dates[2:]]):
        sent = population([{**ROW, "date": date} for date in content], extracted_at=read_at)
        (taken,) = type_populations([sent], RUN, PLAIN, NOBODY)
        found = [(row["position"], row["reasons"]) for row in taken.quarantine.to_pylist()]
        assert found == [(2, ["date_in_future"]), (3, ["date_in_future"])]


def test_missing_dates_are_counted_under_their_own_tag() -> None:
    """Drift is counted tag by tag, that of envelopes by page, whatever was typed together."""
    undated, unstopped = {**ROW, "date": None}, {key: ROW[key] for key in ("phoneNumber", "status", "date")}
    tags = [
        population([ROW], [ROW], tag="a"),
        population([{}, ROW, {}, {}], tag="b"),
        population([undated, ROW, undated], tag="c"),
        population([ROW, unstopped], tag="d"),
    ]
    pages = tuple(replace(one, drift=("envelope field perPage",)) for one in tags[0].pages)
    tags[0] = replace(tags[0], pages=pages)
    assert [one.drift for one in type_populations(tags, RUN, PLAIN, NOBODY)] == [
        (("envelope field perPage", 2),),
        (("row without stopSMS", 3),),
        (("delivered row without date", 2),),
        (("row without stopSMS", 1),),
    ]


def test_occurrences_count_loaded_rows() -> None:
    """The n-th row of a number is the n-th that is loaded: those in quarantine, and of others, do not count."""
    rows = [ROW, {**ROW, "phoneNumber": OTHER}, {**ROW, "status": "?"}, ROW, {"status": "Waiting"}]
    rows += [{**ROW, "phoneNumber": OTHER}, ROW, {"status": "Waiting"}]
    expected = [(NUMBER, 1), (OTHER, 1), (NUMBER, 2), (OTHER, 2), (NUMBER, 3)]
    assert expected == counted(snapshot(rows[:3], rows[3:]))


@pytest.mark.parametrize("privacy", PRIVACIES, ids=lambda privacy: privacy.form)
def test_privacy(privacy: PhonePrivacy) -> None:
    """Masked and hashed numbers keep country and occurrence, and the quarantine's raw JSON shows no number either."""
    taken = snapshot([ROW, ROW, {**ROW, "status": f"call {NUMBER}"}], privacy=privacy)
    number = privacy.protect(NUMBER)
    assert [loaded(number), loaded(number, 2)] == taken.table.to_pylist()
    assert (privacy.form == "plain") == (NUMBER[1:] in str(taken.quarantine.to_pylist()))
    assert taken.phone_numbers == privacy.label
    if privacy.form == "masked":  # numbers that look alike are occurrences of one
        alike = snapshot([ROW, {**ROW, "phoneNumber": "+33699999978"}], privacy=privacy)
        assert counted(alike) == [(number, 1), (number, 2)]


@pytest.mark.parametrize("form", ["plain", "masked", "hashed"])
def test_erased_numbers(form: Any) -> None:
    """Rows of an erased number are left out and counted, also where any field of a row that is not valid names it."""
    privacy = PhonePrivacy(form, KEYED.key)
    erased = ErasedNumbers([Person(OTHER, KEYED).erasure(READ_AT)], privacy)
    named = {"phoneNumber": NUMBER, "status": "lost at \uff10\uff16 98 76 54 32"}
    first = [ROW, {**ROW, "phoneNumber": OTHER}, named, {**ROW, "phoneNumber": "06    98    76    54    32"}]
    taken = snapshot(
        first,
        [{**ROW, "status": "?"}, {**ROW, "phoneNumber": OTHER, "status": "?"}, ROW],
        privacy=privacy,
        erased=erased,
    )
    number = privacy.protect(NUMBER)
    assert (counted(taken), taken.rows_erased) == ([(number, 1), (number, 2)], 4)
    assert [(row["page"], row["position"]) for row in taken.quarantine.to_pylist()] == [(2, 1)]


def test_positions_in_a_tag_of_many_megabytes() -> None:
    """Page and position of rows that are not valid are right anywhere in a tag of over 8 MB of JSON."""
    contents = [[{**ROW, "date": str(1517989111 + row)} for row in range(400)] for _ in range(300)]
    bad = {**ROW, "status": "?"}
    places = [(1, 1), (120, 400), (121, 1), (200, 17), (299, 400), (300, 400)]
    for on_page, position in places:
        contents[on_page - 1][position - 1] = bad
    contents[250][10] = {**ROW, "operator": "SFR"}  # this page is read row by row
    whole = population(*contents)
    assert sum(len(one.rows_json) for one in whole.pages) > 8_000_000
    (taken,) = transform([whole], RUN, PLAIN)
    assert taken is not None
    found = [(row["page"], row["position"], json.loads(row["raw"])) for row in taken.quarantine.to_pylist()]
    assert found == [(*place, bad) for place in places]
    later = taken.quarantined_rows({119_993: ("my_rule",)})
    assert later.quarantine.select(["page", "position"]).to_pylist()[-2:] == [
        {"page": 300, "position": 399},
        {"page": 300, "position": 400},
    ]


def test_rows_of_one_run_carry_the_time_of_the_pass_that_counts() -> None:
    """Every row, also in quarantine, carries its population's `extracted_at`, not when the tag was first asked for."""
    later = READ_AT + timedelta(minutes=5)
    tags = [population([ROW, {}], tag="a"), population([ROW, {}], tag="b", extracted_at=later)]
    for taken, moment in zip(transform(tags, RUN, PLAIN), (READ_AT, later), strict=True):
        assert taken is not None
        found = taken.table["extracted_at"].to_pylist() + taken.quarantine["extracted_at"].to_pylist()
        assert (found, taken.extracted_at, taken.asked_at) == ([moment, moment], moment, READ_AT)


ANY_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)
NAMES = st.sampled_from(sorted(vendor.ROW_KEYS | vendor.ERROR_ROW_KEYS | {"operator"}))
LIKELY = st.sampled_from([NUMBER, OTHER, "0612345678", "Delivered", "Waiting", "?", "1517989111", "", True, None])
ANY_ROWS = st.lists(st.one_of(st.just(ROW), st.dictionaries(NAMES, LIKELY | ANY_VALUE), ANY_VALUE), max_size=8)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(st.lists(ANY_ROWS, min_size=1, max_size=2), max_size=4), st.sampled_from(PRIVACIES), st.booleans())
def test_no_row_is_lost(tags: list[list[list[Any]]], privacy: PhonePrivacy, erasing: bool) -> None:  # noqa: FBT001
    """Of rows of any shape, each is loaded, erased, or in quarantine with a reason; typed together as each alone."""
    erased = NOBODY
    if erasing:
        privacy = replace(privacy, key=KEYED.key)
        erased = ErasedNumbers([Person(OTHER, KEYED).erasure(READ_AT)], privacy)
    populations = [
        population(*contents, tag=f"tag-{number}", extracted_at=READ_AT + timedelta(number))
        for number, contents in enumerate(tags)
    ]
    together = type_populations(populations, RUN, privacy, erased)
    for one, contents, taken in zip(populations, tags, together, strict=True):
        sound(taken, privacy)
        (alone,) = type_populations([one], RUN, privacy, erased)
        last = {taken.table.num_rows - 1: ("my_rule",)} if taken.table.num_rows else {}
        assert (alone, alone.quarantined_rows(last)) == (taken, taken.quarantined_rows(last))
        assert taken.table["tag"].combine_chunks().dictionary.to_pylist() in ([one.tag], [])
        for row in taken.quarantine.to_pylist():
            sent = contents[row["page"] - 1][row["position"] - 1]
            assert row["reasons"]
            assert privacy.form != "plain" or json.loads(row["raw"]) == sent
        if erasing:
            assert privacy.protect(OTHER) not in taken.table["phone_number"].to_pylist()


def fed(
    closed: threading.Event, *given: Population | Exception | threading.Event | None
) -> Iterator[Population | None]:
    """A source of these, which raises exceptions, and is silent until an event; `closed` is set as it ends."""
    try:
        for one in given:
            if isinstance(one, Exception):
                raise one
            if isinstance(one, threading.Event):
                one.wait(30)
            else:
                yield one
    finally:
        closed.set()


def test_a_snapshot_comes_while_its_source_is_silent() -> None:
    """Populations come at the latest with the next tick, which passes through."""
    closed, silence = threading.Event(), threading.Event()
    given = (population([ROW], tag="a"), population(verdict="unknown", tag="b"), None, silence)
    snapshots = transform(fed(closed, *given), RUN, PLAIN)
    assert [getattr(next(snapshots), "tag", None) for _ in range(3)] == ["a", "b", None]
    silence.set()
    snapshots.close()
    assert closed.is_set()


def test_what_ends_the_source_comes_last() -> None:
    """An exception of the source is raised after the snapshots of what came before it."""
    given = (population([ROW], tag="a"), None, population([ROW], tag="b"), AccessRefused("no", code=10))
    taken: list[str | None] = []
    with pytest.raises(AccessRefused, match=r"^no; "):
        taken.extend(getattr(one, "tag", None) for one in transform(fed(threading.Event(), *given), RUN, PLAIN))
    assert taken == ["a", None, "b"]


@pytest.mark.parametrize("failing", [False, True])
def test_the_source_is_closed(failing: bool) -> None:  # noqa: FBT001
    """Closing the generator, or an error of its own, closes the source and ends the thread."""
    closed, one = threading.Event(), population([ROW], rows_received=2 if failing else 1)
    snapshots = transform(fed(closed, *[one, None] * 20), RUN, PLAIN)
    with pytest.raises(CountMismatch) if failing else nullcontext():  # rows that get lost are a bug, which ends the run
        next(snapshots)
    snapshots.close()
    assert closed.is_set()
    assert not any(thread.name == "smspartner-transform" for thread in threading.enumerate())


def test_it_works_ahead_of_the_consumer_within_bounds() -> None:
    """The source is not read much further than rows are taken: memory is bounded by a few passes."""
    many, too_many = population(verdict="unknown", rows_received=READY_ROWS), threading.Event()

    def populations() -> Iterator[Population]:
        for number in range(50):
            if number > 5:  # one is taken, one waits to be, one waits for room, and the next ones may be asked for
                too_many.set()
            yield many

    snapshots = transform(populations(), RUN, PLAIN)
    next(snapshots)
    assert not too_many.wait(0.5)
    snapshots.close()
