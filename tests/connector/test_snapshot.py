"""What was read of one tag, and the counts that must add up."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from smspartner.errors import CountMismatch
from smspartner.page import Page
from smspartner.privacy import ErasedNumbers, Person, PhonePrivacy
from smspartner.raw_json import read_list
from smspartner.reading import Population
from smspartner.redaction import Secret
from smspartner.snapshot import Snapshot, bounded_drift, new_run_id
from smspartner.transform import first_page_digest, transform
from smspartner_schemas.arrow import empty_table
from smspartner_schemas.contract import QUARANTINE, ROW_COUNTS, STATUSES

ASKED_AT, READ_AT = datetime(2026, 11, 23, 17, tzinfo=UTC), datetime(2026, 11, 23, 18, tzinfo=UTC)
RUN = "20261123T180000Z-ab12cd34"
NUMBER, OTHER = "+33612345678", "+33698765432"
KEY = PhonePrivacy("plain", Secret("0123456789abcdef"))
ERASED = ErasedNumbers([Person(OTHER, KEY).erasure(READ_AT)], KEY)


def rows(*numbers: str) -> list[dict[str, Any]]:
    """A documented row of each number."""
    row = {"status": "Delivered", "stopSMS": False, "date": "1517989111"}
    return [{"phoneNumber": number, **row} for number in numbers]


def pages(*contents: list[dict[str, Any]]) -> tuple[Page, ...]:
    """Pages of one population."""
    lists = enumerate(contents, start=1)
    return tuple(Page(number, len(rows), *read_list(json.dumps(rows).encode())) for number, rows in lists)


def snapshot(*contents: list[dict[str, Any]], **facts: Any) -> Snapshot:
    """The snapshot of the population of these pages, without the rows of an erased number."""
    total = sum(map(len, contents))
    population = Population(
        *("t", "complete", "in words", pages(*contents), READ_AT, ASKED_AT, total, total),
        *(len(contents), 9, 1, 0.5),
    )
    (taken,) = transform([replace(population, **facts)], RUN, KEY, ERASED)
    assert taken is not None
    return taken


def loaded(taken: Snapshot) -> list[tuple[str, int]]:
    """Number and occurrence of each loaded row."""
    return [(row["phone_number"], row["occurrence"]) for row in taken.table.to_pylist()]


def quarantined(taken: Snapshot) -> list[tuple[int, int, list[str]]]:
    """Page, position and reasons of each row in quarantine."""
    return [(row["page"], row["position"], row["reasons"]) for row in taken.quarantine.to_pylist()]


def facts_of(taken: Snapshot) -> dict[str, Any]:
    """All facts but the rows."""
    names = {field.name for field in fields(taken)} - {"table", "quarantine", "origin"}
    return {name: getattr(taken, name) for name in names}


READING: dict[str, Any] = {"extracted_at": READ_AT, "asked_at": ASKED_AT, "requests": 9, "retries": 1, "seconds": 0.5}


def test_complete() -> None:
    """A complete population becomes rows and quarantine, with all facts of its reading, its counts and its drift."""
    sent = [*rows(NUMBER, OTHER), {**rows("n/a")[0], "operator": "SFR"}, {"phoneNumber": NUMBER, "status": "Waiting"}]
    taken = snapshot(sent)
    drift = (("row field operator", 1), ("row without stopSMS", 1))
    counts = {"rows_declared": 4, "rows_received": 4, "rows_erased": 1, "pages": 1}
    expected = Snapshot("t", "complete", "in words", RUN, **READING, **counts, drift=drift)
    assert facts_of(taken) == facts_of(expected)
    assert (taken.complete, loaded(taken)) == (True, [(NUMBER, 1), (NUMBER, 2)])
    assert taken.row_counts == dict(zip(ROW_COUNTS, (4, 2, 1, 1, 1, 0, 1, 0, 0), strict=True))
    assert quarantined(taken) == [(1, 3, ["phone_number_unreadable"])]


def test_repr() -> None:
    """What a notebook shows of a snapshot is a line of facts without a row of it, also where nothing was read."""
    read, none = "'2026-11-23T18:00:00Z', reason='in words'", "None, reason=''"
    found = [repr(snapshot(rows(NUMBER, "n/a"))), repr(Snapshot("t", "failed", "", RUN))]
    assert found == [
        f"Snapshot(tag='t', verdict='complete', rows=1, quarantined=1, extracted_at={read})",
        f"Snapshot(tag='t', verdict='failed', rows=0, quarantined=0, extracted_at={none})",
    ]


def test_not_complete() -> None:
    """A population that is not complete has its facts, verdict kept, but no rows."""
    taken = snapshot(verdict="unstable", pages=(), rows_declared=None, rows_received=7)
    assert facts_of(taken) == facts_of(Snapshot("t", "unstable", "in words", RUN, **READING, rows_received=7))
    assert (taken.complete, taken.table, taken.quarantine) == (False, empty_table(STATUSES), empty_table(QUARANTINE))


@pytest.mark.parametrize("facts", [{"rows_received": 4}, {"rows_declared": 4}, {"rows_declared": None}])
def test_counts_that_do_not_add_up(facts: dict[str, Any]) -> None:
    """Rows loaded, quarantined and erased that differ from those received or declared are a bug, never accepted."""
    problem = (
        r"^tag t: 1 rows loaded, 1 in quarantine and 1 erased do not add up to . received and .*; report this bug$"
    )
    with pytest.raises(CountMismatch, match=problem):
        snapshot(rows(NUMBER, OTHER, "n/a"), **facts)


def test_quarantining_later() -> None:
    """Rows quarantined later are named by page and position, and others are counted anew, so that the key is unique."""
    taken = snapshot(rows(OTHER, NUMBER, NUMBER), rows(NUMBER, "n/a"), [{**rows(NUMBER)[0], "stopSMS": True}])
    judged = taken.quarantined_rows({3: ("my_rule", "another"), 1: ("my_rule",)})
    assert loaded(taken) == [(NUMBER, 1), (NUMBER, 2), (NUMBER, 3), (NUMBER, 4)]
    assert loaded(judged) == [(NUMBER, 1), (NUMBER, 2)]
    assert quarantined(judged) == [
        (1, 3, ["my_rule"]),
        (2, 2, ["phone_number_unreadable"]),
        (3, 1, ["my_rule", "another"]),
    ]
    assert json.loads(judged.quarantine["raw"].to_pylist()[2])["stopSMS"] is True
    assert judged.quarantine.schema == taken.quarantine.schema
    again = judged.quarantined_rows({1: ("third",)})
    assert (loaded(again), quarantined(again)[1]) == ([(NUMBER, 1)], (2, 1, ["third"]))
    with pytest.raises(CountMismatch):
        replace(taken, rows_declared=7).quarantined_rows({0: ("my_rule",)})
    assert taken.quarantined_rows({}) is taken


def test_first_page() -> None:
    """The digest of page 1 changes with what is loaded of it, and is empty once one of its rows is not valid."""
    first, second = rows(NUMBER, OTHER), rows(NUMBER)
    whole = snapshot(first, second)
    assert whole.first_page == first_page_digest(pages(first)[0], KEY, ERASED) == snapshot(first).first_page
    assert re.fullmatch("[0-9a-f]{64}", whole.first_page)
    assert snapshot(rows("06 12 34 56 78"), second).first_page == whole.first_page  # as loaded: without the erased
    changed = [
        [*first, *rows("+33600000001")],
        rows("+33612345679"),
        [{**first[0], "status": "Waiting"}],
        [{**first[0], "stopSMS": True}],
        [{**first[0], "date": "1517989112"}],
        [{**first[0], "date": None}],
        [*rows("+33600000001"), *first],  # in another order than the first
    ]
    digests = {snapshot(content, second).first_page for content in changed}
    assert len(digests - {whole.first_page, ""}) == len(changed)
    assert first_page_digest(pages(first)[0], PhonePrivacy("masked"), ERASED) not in {whole.first_page, *digests}
    assert snapshot([*first, {}], second).first_page == first_page_digest(pages([*first, {}])[0], KEY) == ""
    assert snapshot(first, [{}]).first_page == whole.first_page
    assert whole.quarantined_rows({1: ("my_rule",)}).first_page == whole.first_page
    for moved in ({0: ("my_rule",)}, {0: ("my_rule",), 1: ("my_rule",)}):
        assert whole.quarantined_rows(moved).first_page == ""


def test_refused() -> None:
    """A snapshot that is refused keeps its facts, and has no rows, loaded, quarantined or erased."""
    taken = snapshot(rows(NUMBER, OTHER, "n/a"))
    refused = taken.refused("shrunk", "fewer")
    expected = {**facts_of(taken), "verdict": "shrunk", "reason": "fewer", "rows_erased": 0, "first_page": ""}
    assert (facts_of(refused), refused.table.num_rows, refused.quarantine.num_rows) == (expected, 0, 0)
    assert refused.quarantined_rows({0: ("x",)}) is refused


def test_run_ids() -> None:
    """Run ids are readable, sort by time, and differ."""
    ids = []
    for _ in range(20):
        ids.append(new_run_id())
        time.sleep(1 / 256)
    assert ids == sorted(set(ids))
    assert all(re.fullmatch(r"2[0-9]{3}[01][0-9][0-3][0-9]T[0-9]{6}Z-[0-9a-f]{8}", one) for one in ids)


def test_free_text_as_status_words_stays_bounded_drift() -> None:
    """Of very many kinds of drift the most frequent are kept by name, the others are counted together."""
    seen = Counter({f"status word '{number}'": 100 - number for number in range(50)})
    kept = bounded_drift(seen)
    assert kept[:2] == (("status word '0'", 100), ("status word '1'", 99))
    assert kept[-1] == ("other drift", sum(100 - number for number in range(20, 50)))
    assert (21, seen.total()) == (len(kept), sum(count for _, count in kept))
    assert bounded_drift(Counter()) == ()
