"""What was read of one tag, and the books that must balance."""

from __future__ import annotations

import json
import re
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from smspartner.errors import CountMismatch
from smspartner.page import read_page
from smspartner.phone_numbers import PhonePrivacy
from smspartner.snapshot import Snapshot, new_run_id, take_snapshot
from smspartner.walker import Population

READ_AT = datetime(2026, 11, 23, 18, tzinfo=UTC)
RUN = "20261123T180000Z-ab12cd34"
ROWS = [{"phoneNumber": "+33612345678", "status": "Delivered"}, {"phoneNumber": "n/a", "status": "Waiting"}]


def population(verdict: str = "complete", rows: list[Any] = ROWS, **facts: Any) -> Population:
    """A population of one page."""
    body = {"success": True, "code": 200, "currentPage": 1, "total": len(rows), "StatutResponse_List": rows, "limit": 9}
    whole = Population(
        *(
            "t",
            verdict,
            "in words",
            (read_page(json.dumps(body).encode()),),
            READ_AT,
            len(rows),
            len(rows),
            1,
            2,
            1,
            0.5,
        )
    )
    return replace(whole, **facts)


def snapshot(**facts: Any) -> Snapshot:
    """The snapshot of that population."""
    return take_snapshot(population(**facts), RUN, PhonePrivacy())


def counts(taken: Snapshot) -> tuple[object, ...]:
    """Its verdict and counts."""
    return (
        *(taken.tag, taken.verdict, taken.reason, taken.table.num_rows, taken.quarantine.num_rows, taken.extracted_at),
        *(
            taken.rows_declared,
            taken.rows_received,
            taken.pages,
            taken.requests,
            taken.retries,
            taken.seconds,
            taken.drift,
        ),
    )


def test_complete() -> None:
    """A complete population becomes rows and quarantine, with all facts of its reading and its drift."""
    drift = (("delivered row without date", 1), ("envelope field limit", 1), ("row without stopSMS", 2))
    assert ("t", "complete", "in words", 1, 1, READ_AT, 2, 2, 1, 2, 1, 0.5, drift) == counts(snapshot())
    assert snapshot().complete


def test_repr() -> None:
    """What a notebook shows of a snapshot is a line of facts, without a row of it; so it is of one without rows."""
    assert repr(snapshot()) == (
        "Snapshot(tag='t', verdict='complete', rows=1, quarantined=1, extracted_at='2026-11-23T18:00:00Z', "
        "reason='in words')"
    )
    assert repr(snapshot(verdict="failed", pages=(), rows_declared=None)).startswith(
        "Snapshot(tag='t', verdict='failed', rows=0, quarantined=0, "
    )


@pytest.mark.parametrize("verdict", ["unknown", "incomplete", "unstable", "failed"])
def test_not_complete(verdict: str) -> None:
    """A population that is not complete has facts but no rows."""
    taken = snapshot(verdict=verdict, pages=(), rows_declared=None)
    assert ("t", verdict, "in words", 0, 0, READ_AT, None, 2, 1, 2, 1, 0.5, ()) == counts(taken)
    assert not taken.complete


@pytest.mark.parametrize("facts", [{"rows_received": 3}, {"rows_declared": 3}, {"rows_declared": None}])
def test_books_that_do_not_balance(facts: dict[str, Any]) -> None:
    """Rows believed and doubted that differ from those received or declared are a bug that is never accepted."""
    with pytest.raises(CountMismatch, match=r"^tag t: 1 rows believed and 1 in quarantine do not add up to "):
        snapshot(**facts)


def test_doubting() -> None:
    """Rows doubted later move to quarantine; the books still balance, and the first snapshot stays as it was."""
    taken = snapshot()
    judged = taken.doubting({0: ("my_rule",)})
    judged.check_books()
    assert judged.quarantine["reasons"].to_pylist() == [["my_rule"], ["phone_number_unreadable"]]
    assert tuple((one.table.num_rows, one.quarantine.num_rows) for one in (judged, taken)) == ((0, 2), (1, 1))
    assert taken.doubting({}) is taken


def test_refused() -> None:
    """A snapshot that is refused keeps its facts and loses its rows."""
    refused = snapshot().refused("shrunk", "fewer")
    assert counts(refused)[:8] == ("t", "shrunk", "fewer", 0, 0, READ_AT, 2, 2)
    assert refused.doubting({0: ("x",)}) is refused


def test_run_ids() -> None:
    """Run ids are readable, sort by time, and differ."""
    ids = []
    for _ in range(20):
        ids.append(new_run_id())
        time.sleep(1 / 256)
    assert len(set(ids)) == len(ids)
    assert ids == sorted(ids)
    assert all(re.fullmatch(r"2[0-9]{3}[01][0-9][0-3][0-9]T[0-9]{6}Z-[0-9a-f]{8}", one) for one in ids)
