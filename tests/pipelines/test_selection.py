"""Which tags a run asks for, and which it may load: decided from what is loaded."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from smspartner.page import Page, read_page
from smspartner.privacy import PhonePrivacy
from smspartner.redaction import Secret
from smspartner.snapshot import Snapshot
from smspartner.transform import first_page_digest
from smspartner_pipelines.outcome import RunOutcome
from smspartner_pipelines.selection import FirstPage, is_settled, refuse_shrunk, select_tags

READ_AT = datetime(2026, 11, 23, 18, tzinfo=UTC)
NOW = datetime.now(UTC)
HOURS = timedelta(hours=1)
MICROSECOND = timedelta(microseconds=1)
HASHED = PhonePrivacy("hashed", Secret("0123456789abcdef"))
CHECKED = FirstPage(4, "digest")


@pytest.mark.parametrize(
    ("facts", "settled"),
    [
        ({"newest_status_at": READ_AT - 48 * HOURS}, False),  # exactly the longest delay: a report may still come
        ({"newest_status_at": READ_AT - 48 * HOURS - MICROSECOND}, True),
        ({"newest_status_at": READ_AT - 48 * HOURS + MICROSECOND}, False),
        ({"newest_status_at": READ_AT + HOURS}, False),  # the clock went backwards
        ({"newest_status_at": None}, False),
        ({"waiting": 1}, False),
        ({"rows_quarantined": 1}, False),
        ({"extracted_at": READ_AT + 3 * HOURS}, False),  # read in the future: a clock was wrong
        ({}, True),
    ],
)
def test_settled(loaded: Any, facts: dict[str, Any], settled: bool) -> None:  # noqa: FBT001
    """A tag is settled when nothing waits or is in quarantine, and it was read over 48 h after its newest status."""
    assert settled is is_settled(loaded(**facts), READ_AT + 2 * HOURS)


READ = None
FRESH = "fresh: read at {:%Y-%m-%dT%H:%M:%SZ}"
SETTLED = "settled: nothing waits, and it was read more than 48 h after its newest status"
OPEN = {"waiting": 3}


@pytest.mark.parametrize(
    ("held", "options", "chosen"),
    [
        ({}, {}, CHECKED),
        (OPEN, {}, READ),
        ({"rows_quarantined": 1}, {}, READ),
        ({"first_page": ""}, {}, READ),  # nothing to compare with: loaded by an older version, or a person was erased
        ({}, {"refresh": "all", "fresh_for": 1_000_000 * HOURS}, READ),
        (
            {},
            {"refresh": "unsettled"},
            "settled: nothing waits, and it was read more than 48 h after its newest status",
        ),
        (OPEN, {"refresh": "unsettled"}, READ),
        # kept in another form, or under another key, than asked for
        ({"phone_numbers": "plain"}, {"privacy": PhonePrivacy("masked")}, READ),
        ({"phone_numbers": "masked"}, {"privacy": PhonePrivacy("masked")}, CHECKED),
        ({"phone_numbers": "masked"}, {}, READ),
        ({"phone_numbers": HASHED.label}, {"privacy": HASHED}, CHECKED),
        ({"phone_numbers": "hashed:00000000"}, {"privacy": HASHED}, READ),  # under a key that was retired
        # fresh: read less than so long ago, and not in the future
        (OPEN | {"extracted_at": NOW}, {}, READ),
        (OPEN | {"extracted_at": NOW - HOURS / 12}, {"fresh_for": HOURS}, FRESH),
        (OPEN | {"extracted_at": NOW - 2 * HOURS}, {"fresh_for": HOURS}, READ),
        (OPEN | {"extracted_at": NOW + HOURS}, {"fresh_for": 10 * HOURS}, READ),
        # or since then, however long ago that is: a job that is tried again resumes
        (OPEN | {"extracted_at": READ_AT - MICROSECOND}, {"fresh_since": READ_AT}, READ),
        (OPEN | {"extracted_at": READ_AT}, {"fresh_since": READ_AT}, FRESH),
        (OPEN | {"extracted_at": READ_AT + MICROSECOND}, {"fresh_since": READ_AT}, FRESH),
    ],
)
def test_what_is_asked_for(settings: Any, loaded: Any, target: Any, held: Any, options: Any, chosen: Any) -> None:
    """Settled tags are asked for their first page, fresh ones for nothing, all others are read, as the options say."""
    before = loaded(**held)
    selection = select_tags(settings(tags=("t", "new"), **options), [target(before, loaded("another"))])
    if isinstance(chosen, str):
        assert selection.skipped == {"t": (chosen.format(before.extracted_at), before)}
    else:
        assert selection.settled == ({"t": chosen} if chosen else {})
    assert selection.to_ask == (("new",) if isinstance(chosen, str) else ("t", "new"))


def test_unchanged(settings: Any, loaded: Any, target: Any) -> None:
    """A settled tag is unchanged where its first page declares the same total and holds the same rows."""
    rows = [{"phoneNumber": "+33639980001", "status": "Delivered"}]

    def page(total: int, **facts: Any) -> Page:
        body = {"success": True, "code": 200, "currentPage": 1, "total": total}
        return read_page(json.dumps(body | {"StatutResponse_List": [rows[0] | facts]}).encode())

    held = loaded("done", rows_received=7, first_page=first_page_digest(page(7), PhonePrivacy()))
    chosen = select_tags(settings(tags=("done", "new")), [target(held)])
    same = [chosen.is_unchanged(*given) for given in (("done", page(7)), ("done", page(8)), ("new", page(7)))]
    assert [*same, chosen.is_unchanged("done", page(7, stopSMS=True))] == [True, False, False, False]


def test_each_destination_gets_what_it_needs(settings: Any, loaded: Any, target: Any) -> None:
    """A tag is read once if any destination needs it; exports take every tag, one that has failed takes none."""
    tags = ("a", "b", "c")
    first, export, failed = target(loaded("a"), loaded("b")), target(keeps_tags=False), target(failure="down")
    for other, asked, settled in (
        (target(loaded("a"), loaded("c")), tags, {"a": CHECKED}),  # b and c: what one lacks is read
        (target(loaded("a", first_page="another")), tags, {}),  # a: they hold different first pages
        (export, tags, {}),
        (failed, tags, {"a": CHECKED, "b": CHECKED}),
    ):
        chosen = select_tags(settings(tags=tags, to=("x", "y")), [first, other])
        assert (chosen.to_ask, chosen.settled) == (asked, settled)
    assert (export.wants, failed.wants) == (set(tags), set())


@pytest.fixture
def checked(settings: Any, target: Any) -> Callable[..., Snapshot]:
    """Check one snapshot against what each destination holds of its tag."""

    def check(snapshot: Snapshot, *held: Any, **options: Any) -> Snapshot:
        outcome = RunOutcome("run", settings(**options))
        outcome.destinations = [target(*filter(None, [one])) for one in held]
        (after,) = refuse_shrunk([snapshot], outcome)
        return after

    return check


HELD = {"rows_received": 400, "rows_loaded": 400}
ERASED = {"rows_received": 5, "rows_erased": 1}


@pytest.mark.parametrize(
    ("held", "rows", "bad", "erased", "verdict"),
    [
        ({}, 4, 0, 0, "complete"),
        ({}, 5, 0, 0, "complete"),
        ({}, 3, 0, 0, "shrunk"),
        ({}, 0, 0, 0, "shrunk"),  # a total of 0 proves itself, but not that the rows are gone for good
        ({}, 3, 1, 0, "complete"),  # rows in quarantine count as held
        ({"rows_received": 5, "rows_quarantined": 1}, 4, 0, 0, "shrunk"),
        ({}, 2, 2, 0, "complete"),  # at most two rows give way
        ({}, 1, 3, 0, "shrunk"),
        ({}, 0, 4, 0, "shrunk"),  # all of them
        ({"rows_received": 1, "rows_loaded": 1}, 0, 1, 0, "shrunk"),
        (HELD, 396, 4, 0, "complete"),  # 1 %
        (HELD, 395, 5, 0, "shrunk"),
        (HELD, 400, 100, 0, "complete"),  # new rows that are not valid take nothing from what is loaded
        (ERASED, 4, 0, 0, "complete"),  # erased at the vendor, too
        (ERASED, 3, 1, 0, "complete"),
        (ERASED, 3, 0, 0, "shrunk"),
        ({}, 3, 0, 1, "complete"),  # erased here since the tag was loaded
        ({}, 2, 0, 1, "shrunk"),
        ({"rows_received": 0, "rows_loaded": 0}, 0, 0, 0, "complete"),
    ],
)
def test_what_is_shrunk(
    snapshot: Any, checked: Any, loaded: Any, held: dict[str, int], rows: int, bad: int, erased: int, verdict: str
) -> None:
    """Fewer rows than are held, or more than 1 % and two of the loaded rows in quarantine, or all: `shrunk`.

    `--allow-shrink` loads what there is, `--keep-shrunk` counts such a tag as skipped.
    """
    given = replace(snapshot("t", rows, bad), rows_erased=erased)
    for options, expected in (
        ({}, verdict),
        ({"allow_shrink": True}, "complete"),
        ({"keep_shrunk": True}, {"shrunk": "skipped"}.get(verdict, verdict)),
    ):
        after = checked(given, loaded(**held), **options)
        assert after.verdict == expected
        if expected == "complete":
            assert (after.table.num_rows, after.quarantine.num_rows) == (rows, bad)


def test_the_reason_has_both_counts(snapshot: Any, checked: Any, loaded: Any) -> None:
    """A refused tag says what is loaded, what the API has, why that may be, and how to accept it."""
    after = checked(snapshot("t", 3), loaded())
    assert after.reason == (
        "4 rows are loaded or in quarantine, the API has 3 now (messages sent as a test, and cancelled ones, leave the "
        "vendor's lists); what is loaded stays, --allow-shrink loads what there is now"
    )
    assert (after.table.num_rows, after.rows_received, after.rows_erased) == (0, 3, 0)


def test_tags_without_rows(snapshot: Any, checked: Any, loaded: Any) -> None:
    """A loaded tag that is unknown now is `shrunk`, or allowed, complete with no rows; other verdicts stay."""
    gone = snapshot("t", verdict="unknown", reason="code 4")
    assert checked(gone, loaded()).verdict == "shrunk"
    allowed = checked(gone, loaded(), allow_shrink=True)
    assert (allowed.verdict, allowed.rows_declared, allowed.table.num_rows) == ("complete", 0, 0)
    allowed.check_counts()
    for held in ([], [None], [loaded("u")], [loaded(rows_received=0, rows_loaded=0)]):
        assert checked(gone, *held).verdict == "unknown"
    for verdict in ("incomplete", "unstable", "failed", "skipped"):  # what is not proved complete keeps its own
        assert checked(snapshot("t", verdict=verdict, reason="why"), loaded()).verdict == verdict


def test_the_largest_of_several_destinations_counts(snapshot: Any, checked: Any, loaded: Any) -> None:
    """With several destinations the one that holds most decides."""
    held = [loaded(rows_received=2, rows_loaded=2), None, loaded(rows_received=9, rows_loaded=9)]
    assert [checked(snapshot("t", rows), *held).verdict for rows in (5, 9)] == ["shrunk", "complete"]
