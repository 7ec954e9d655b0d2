"""Quarantined rows that can be believed take the place that reading the tag again would have given them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from smspartner.erasure import NOBODY, ErasedNumbers, Person
from smspartner.errors import CountMismatch, RawRowMissing
from smspartner_pipelines.load.destination import StoredTag
from smspartner_pipelines.load.state import state_of
from smspartner.page import read_page
from smspartner.phone_numbers import PhonePrivacy
from smspartner.redaction import Secret
from smspartner.replay import replay
from smspartner.snapshot import Snapshot, take_snapshot
from smspartner.stored_rows import places_of, without
from smspartner.walker import Population

RUN, LATER = "20261123T180000Z-ab12cd34", "20261124T180000Z-ab12cd34"
READ_AT = datetime(2026, 11, 23, 18, tzinfo=UTC)
PRIVACY = PhonePrivacy("plain", Secret("0123456789abcdef"))

Row = dict[str, Any]


def row(number: int = 1, **facts: Any) -> Row:
    """A row of the API."""
    return {
        "phoneNumber": f"+336399800{number:02}",
        "status": "Delivered",
        "stopSMS": False,
        "date": "1517989111",
    } | facts


def read(rows: list[Any], page_rows: int, run: str = RUN, erased: ErasedNumbers = NOBODY, **options: Any) -> Snapshot:
    """The snapshot of a population of these rows, so many on a page."""
    parts = [rows[start : start + page_rows] for start in range(0, len(rows), page_rows)] or [[]]
    bodies = [
        {"success": True, "code": 200, "currentPage": number, "total": len(rows), "StatutResponse_List": part}
        for number, part in enumerate(parts, 1)
    ]
    pages = tuple(read_page(json.dumps(body).encode()) for body in bodies)
    facts = (READ_AT, len(rows), len(rows), len(pages), len(pages), 0, 0.5)
    privacy = options.get("privacy", PRIVACY)
    return take_snapshot(Population("t", "complete", "", pages, *facts), run, privacy, erased)


def stored(snapshot: Snapshot) -> StoredTag:
    """What a destination holds after loading it."""
    return StoredTag(state_of(snapshot, RUN), snapshot.table, snapshot.quarantine)


def content(snapshot: Snapshot) -> tuple[list[Row], list[Row], tuple[int, ...]]:
    """Its rows, its quarantine, and the places of erased rows."""
    snapshot.table.validate(full=True)
    return snapshot.table.to_pylist(), snapshot.quarantine.to_pylist(), snapshot.erased_places


ROWS = st.lists(
    st.builds(row, st.integers(1, 4), status=st.sampled_from(["Delivered", "waiting", "?"]))
    | st.sampled_from([None, {"phoneNumber": "n/a"}, {"phoneNumber": "+33639980002"}, "text"]),
    max_size=12,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(ROWS, st.integers(1, 5), st.sets(st.integers(0, 11)), st.sets(st.integers(1, 4), max_size=2))
def test_replay_gives_what_reading_again_would(
    rows: list[Any], page_rows: int, doubted: set[int], gone: set[int]
) -> None:
    """Rows doubted then and believed now: order, occurrences, quarantine and counts are those of a new reading."""
    people = [Person(f"+3363998000{number}", PRIVACY).erasure(READ_AT) for number in gone]
    erased = ErasedNumbers(people, PRIVACY)
    now = read(rows, page_rows, LATER, erased)
    then = read(rows, page_rows, RUN, erased)
    more = {place: ("my_rule",) for place in doubted if place < then.table.num_rows}
    assume(more)
    assert content(now) == content(replay(stored(then.doubting(more)), LATER))


def test_rows_that_no_code_could_read_then() -> None:
    """A row whose very number could not be read counts among the occurrences once it can, before those after it."""
    then = read([{**row(1), "phoneNumber": "?"}, row(2), row(1)], 2)
    now = [row(1), row(2), row(1)]
    raw = pa.array([json.dumps(now[0])])
    mended = then.quarantine.set_column(then.quarantine.schema.get_field_index("raw"), "raw", raw)
    replayed = replay(StoredTag(state_of(then, RUN), then.table, mended), LATER)
    assert content(read(now, 2, LATER)) == content(replayed)


def test_unknown_page_size() -> None:
    """Rows loaded before page sizes were kept are replayed behind the loaded ones; none is lost or doubled."""
    then = read([row(1), row(2), row(1)], 2).doubting({0: ("my_rule",)})
    state = state_of(then, RUN)
    replayed = replay(StoredTag(type(state)(**{**vars(state), "page_rows": 0}), then.table, then.quarantine), LATER)
    assert [(one["phone_number"], one["occurrence"]) for one in replayed.table.to_pylist()] == [
        ("+33639980002", 1),
        ("+33639980001", 1),
        ("+33639980001", 2),
    ]


@pytest.mark.parametrize(
    ("form", "told"),
    [("masked", "its quarantine holds masked numbers"), ("hashed", "its quarantine holds hashed numbers")],
)
def test_protected_numbers_are_left(form: Any, told: str) -> None:
    """Rows whose numbers were masked or hashed are left in quarantine, with the reason; nothing is made up."""
    privacy = PhonePrivacy(form, Secret("0123456789abcdef"))
    then = read([row(1), row(2)], 2, privacy=privacy).doubting({0: ("my_rule",)})
    replayed = replay(stored(then), LATER)
    assert (replayed.verdict, replayed.quarantine.num_rows) == ("skipped", 1)
    assert replayed.reason.startswith(told)


def test_nothing_to_believe() -> None:
    """Where no row can be believed yet, the tag is left as it is."""
    replayed = replay(stored(read([row(1), row(2, status="?")], 2)), LATER)
    assert (replayed.verdict, replayed.reason) == ("skipped", "no row in quarantine can be believed yet")
    assert replayed.quarantine.num_rows == 1


def test_inconsistent_tags_are_left() -> None:
    """A tag that a dead run left between quarantine and rows is not replayed: it must be read again."""
    then = stored(read([row(1), row(2)], 2).doubting({0: ("my_rule",)}))
    broken = StoredTag(type(then.state)(**{**vars(then.state), "consistent": False}), then.rows, then.quarantine)
    assert replay(broken, LATER).reason == "a run died while it loaded this tag: run it again"


def test_rows_that_are_loaded_already_have_no_raw_json() -> None:
    """A rule that doubts a row loaded before is told so, since the row could not be kept raw."""
    then = read([row(1), row(2)], 2).doubting({0: ("my_rule",)})
    replayed = replay(stored(then), LATER)
    assert replayed.doubting({0: ("my_rule",)}).quarantine.num_rows == 1
    with pytest.raises(RawRowMissing, match=r"^1 rows that are loaded already are doubted now; "):
        replayed.doubting({1: ("another",)})


def test_a_tag_that_somebody_changed() -> None:
    """Stored rows that do not add up to what was received are not touched."""
    then = stored(read([row(1), row(2), row(3)], 2).doubting({0: ("my_rule",)}))
    lacking = StoredTag(then.state, then.rows.slice(1), then.quarantine)
    for touch in (lambda: replay(lacking, LATER), lambda: without(lacking, Person("+33639980001", PRIVACY))):
        with pytest.raises(
            CountMismatch, match=r"^tag t: 1 rows loaded, 1 in quarantine and 0 erased do not add up to 3"
        ):
            touch()


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(ROWS, st.integers(1, 5), st.integers(1, 4))
def test_a_tag_without_a_person_is_what_reading_without_them_gives(
    rows: list[Any], page_rows: int, number: int
) -> None:
    """Removing a person from a loaded tag leaves exactly what a run leaves that knows of the erasure."""
    person = Person(f"+3363998000{number}", PRIVACY)
    then = read(rows, page_rows)
    kept = without(stored(then), person)
    expected = read(rows, page_rows, RUN, ErasedNumbers([person.erasure(READ_AT)], PRIVACY))
    assert content(expected) == content(kept or then)
    (kept or then).check_books()
    assert len(places_of(stored(kept or then))[0]) == expected.table.num_rows
