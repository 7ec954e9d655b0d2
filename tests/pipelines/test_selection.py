"""Which tags a run asks for, and which it may load: decided from what is loaded."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from smspartner.page import Page, read_page
from smspartner.privacy import PhonePrivacy
from smspartner.redaction import Secret
from smspartner.transform import first_page_digest
from smspartner_pipelines.outcome import RunOutcome, Target
from smspartner_pipelines.selection import FirstPage, is_settled, refuse_shrunk, select_tags

READ_AT = datetime(2026, 11, 23, 18, tzinfo=UTC)
HOURS = timedelta(hours=1)
MICROSECOND = timedelta(microseconds=1)
HASHED = PhonePrivacy("hashed", Secret("0123456789abcdef"))
CHECKED = FirstPage(4, "digest")


class Keeping:
    """A destination that keeps tags, or an export that does not."""

    uri, batch_rows = "somewhere", 0

    def __init__(self, *, keeps_tags: bool = True) -> None:
        self.keeps_tags = keeps_tags


def target(*held: Any, keeps_tags: bool = True, failure: str | None = None) -> Target:
    """A destination that holds these tags."""
    kept: Any = Keeping(keeps_tags=keeps_tags)
    return Target(kept, {one.tag: one for one in held}, failure=failure)


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


def test_settled_tags_are_asked_for_their_first_page(settings: Any, loaded: Any) -> None:
    """Every tag is asked for; of a settled one, total and digest of its first page decide whether it is read."""
    tags = ("new", "done", "waiting", "quarantined", "old-version")
    held = [
        loaded("done"),
        loaded("waiting", waiting=1),
        loaded("quarantined", rows_quarantined=1),
        loaded("old-version", first_page=""),
        loaded("another"),
    ]
    chosen = select_tags(settings(tags=tags), [target(*held)])
    assert (tags, {"done": CHECKED}, {}) == (chosen.to_ask, chosen.settled, chosen.skipped)


def test_unchanged(settings: Any, loaded: Any) -> None:
    """A settled tag is unchanged where its first page declares the same total and holds the same rows."""
    rows = [{"phoneNumber": "+33639980001", "status": "Delivered"}]

    def page(total: int, **facts: Any) -> Page:
        body = {"success": True, "code": 200, "currentPage": 1, "total": total}
        return read_page(json.dumps(body | {"StatutResponse_List": [rows[0] | facts]}).encode())

    held = loaded("done", rows_received=7, first_page=first_page_digest(page(7), PhonePrivacy()))
    chosen = select_tags(settings(tags=("done", "new")), [target(held)])
    same = [chosen.is_unchanged(*given) for given in (("done", page(7)), ("done", page(8)), ("new", page(7)))]
    assert [*same, chosen.is_unchanged("done", page(7, stopSMS=True))] == [True, False, False, False]


def test_refresh(settings: Any, loaded: Any) -> None:
    """`--refresh all` reads everything, settled or fresh; `--refresh unsettled` asks nothing of settled tags."""
    everything = select_tags(settings(refresh="all", fresh_for=1000 * 24 * HOURS), [target(loaded())])
    assert (everything.to_ask, everything.settled, everything.skipped) == (("t",), {}, {})
    old_way = select_tags(settings(refresh="unsettled"), [target(loaded())])
    assert (old_way.to_ask, old_way.settled, list(old_way.skipped)) == ((), {}, ["t"])


@pytest.mark.parametrize(
    ("held", "form", "kept"),
    [
        ("plain", "plain", True),
        ("plain", "masked", False),
        ("masked", "masked", True),
        ("masked", "plain", False),
        (HASHED.label, "hashed", True),
        ("hashed:00000000", "hashed", False),  # under a key that was retired
    ],
)
def test_the_form_of_phone_numbers(settings: Any, loaded: Any, held: str, form: Any, kept: bool) -> None:  # noqa: FBT001
    """A settled tag whose numbers are kept in another form, or under another key, than asked for is read again."""
    privacy = PhonePrivacy(form, HASHED.key)
    chosen = select_tags(settings(privacy=privacy), [target(loaded(phone_numbers=held))])
    assert ({"t": CHECKED} if kept else {}) == chosen.settled


@pytest.mark.parametrize(
    ("age", "fresh_for", "skipped"),
    [
        (timedelta(0), timedelta(0), False),  # by default nothing is fresh
        (timedelta(minutes=5), timedelta(hours=1), True),
        (timedelta(hours=2), timedelta(hours=1), False),
        (-timedelta(hours=1), timedelta(hours=10), False),  # read in the future: the clock went backwards
    ],
)
def test_fresh_for(settings: Any, loaded: Any, age: timedelta, fresh_for: timedelta, skipped: bool) -> None:  # noqa: FBT001
    """A tag read less than `--fresh-for` ago is skipped with what is loaded of it; one read in the future is not."""
    read_at = datetime.now(UTC) - age
    held = loaded(waiting=3, newest_status_at=read_at, extracted_at=read_at)
    chosen = select_tags(settings(fresh_for=fresh_for), [target(held)])
    reason = f"fresh: read at {read_at:%Y-%m-%dT%H:%M:%SZ}"
    assert ({"t": (reason, held)} if skipped else {}) == chosen.skipped
    assert (() if skipped else ("t",)) == chosen.to_ask


@pytest.mark.parametrize(
    ("read_at", "skipped"), [(READ_AT - MICROSECOND, False), (READ_AT, True), (READ_AT + MICROSECOND, True)]
)
def test_fresh_since(settings: Any, loaded: Any, read_at: datetime, skipped: bool) -> None:  # noqa: FBT001
    """A tag read since `--fresh-since` is skipped, however long ago that is: a job that is tried again resumes."""
    held = loaded(waiting=3, newest_status_at=read_at, extracted_at=read_at)
    chosen = select_tags(settings(fresh_since=READ_AT), [target(held)])
    assert (() if skipped else ("t",)) == chosen.to_ask


def test_each_destination_gets_what_it_needs(settings: Any, loaded: Any) -> None:
    """A tag is read once if any destination needs it; exports take every tag, one that has failed takes none."""
    tags = ("a", "b", "c")
    first, second = target(loaded("a"), loaded("b")), target(loaded("a"), loaded("c"))
    chosen = select_tags(settings(tags=tags, to=("x", "y")), [first, second])
    assert (tags, {"a": CHECKED}) == (chosen.to_ask, chosen.settled)  # b and c: what one lacks is read
    export = target(keeps_tags=False)
    with_export = select_tags(settings(tags=tags, to=("x", "y.csv")), [first, export])
    assert (tags, {}, set(tags)) == (with_export.to_ask, with_export.settled, export.wants)
    failed = target(failure="down")
    without = select_tags(settings(tags=tags, to=("x", "y")), [first, failed])
    assert ({"a": CHECKED, "b": CHECKED}, set()) == (without.settled, failed.wants)


def test_destinations_that_differ(settings: Any, loaded: Any) -> None:
    """A settled tag whose first page was loaded differently into two destinations is read."""
    held = [target(loaded()), target(loaded(first_page="another"))]
    assert select_tags(settings(to=("x", "y")), held).settled == {}


def checked(snapshot: Any, settings: Any, *held: Any, **options: Any) -> Any:
    """One snapshot, checked against what each destination holds of its tag."""
    outcome = RunOutcome("run", settings(**options))
    outcome.destinations = [target(*filter(None, [one])) for one in held]
    (after,) = refuse_shrunk([snapshot], outcome)
    return after


HELD = {"rows_received": 400, "rows_loaded": 400}


@pytest.mark.parametrize(
    ("held", "rows", "bad", "verdict"),
    [
        ({}, 4, 0, "complete"),
        ({}, 5, 0, "complete"),
        ({}, 3, 0, "shrunk"),
        ({}, 0, 0, "shrunk"),  # a total of 0 proves itself, but not that the rows are gone for good
        ({}, 3, 1, "complete"),  # rows in quarantine count as held
        ({"rows_received": 5, "rows_quarantined": 1}, 4, 0, "shrunk"),
        ({}, 2, 2, "complete"),  # at most two rows give way
        ({}, 1, 3, "shrunk"),
        ({}, 0, 4, "shrunk"),  # all of them
        ({"rows_received": 1, "rows_loaded": 1}, 0, 1, "shrunk"),
        (HELD, 396, 4, "complete"),  # 1 %
        (HELD, 395, 5, "shrunk"),
        (HELD, 400, 100, "complete"),  # new rows that are not valid take nothing from what is loaded
        ({"rows_received": 5, "rows_loaded": 4, "rows_erased": 1}, 4, 0, "complete"),  # erased at the vendor, too
        ({"rows_received": 5, "rows_loaded": 4, "rows_erased": 1}, 3, 0, "shrunk"),
        ({"rows_received": 0, "rows_loaded": 0}, 0, 0, "complete"),
    ],
)
def test_what_is_shrunk(
    snapshot: Any, settings: Any, loaded: Any, held: dict[str, int], rows: int, bad: int, verdict: str
) -> None:
    """Fewer rows than are held, or more than 1 % and two of the loaded rows in quarantine, or all: `shrunk`.

    `--allow-shrink` loads what there is, `--keep-shrunk` counts such a tag as skipped.
    """
    after = checked(snapshot("t", rows, bad), settings, loaded(**held))
    assert verdict == after.verdict
    assert (rows, bad) == (after.table.num_rows, after.quarantine.num_rows) or verdict == "shrunk"
    allowed = checked(snapshot("t", rows, bad), settings, loaded(**held), allow_shrink=True)
    assert ("complete", rows, bad) == (allowed.verdict, allowed.table.num_rows, allowed.quarantine.num_rows)
    kept = checked(snapshot("t", rows, bad), settings, loaded(**held), keep_shrunk=True)
    assert {"shrunk": "skipped"}.get(verdict, verdict) == kept.verdict


def test_the_reason_has_both_counts(snapshot: Any, settings: Any, loaded: Any) -> None:
    """A refused tag says what is loaded, what the API has, why that may be, and how to accept it."""
    after = checked(snapshot("t", 3), settings, loaded())
    assert after.reason == (
        "4 rows are loaded or in quarantine, the API has 3 now (messages sent as a test, and cancelled ones, leave the "
        "vendor's lists); what is loaded stays, --allow-shrink loads what there is now"
    )
    assert (after.table.num_rows, after.rows_received, after.rows_erased) == (0, 3, 0)


def test_unknown(snapshot: Any, settings: Any, loaded: Any) -> None:
    """A tag that became unknown is `shrunk`; allowed, it is a complete tag of no rows; never loaded, it is unknown."""
    gone = snapshot("t", verdict="unknown", reason="code 4")
    assert checked(gone, settings, loaded()).verdict == "shrunk"
    allowed = checked(gone, settings, loaded(), allow_shrink=True)
    assert (allowed.verdict, allowed.rows_declared, allowed.table.num_rows) == ("complete", 0, 0)
    allowed.check_counts()
    for held in ([], [None], [loaded("u")], [loaded(rows_received=0, rows_loaded=0)]):
        assert checked(gone, settings, *held).verdict == "unknown"


@pytest.mark.parametrize("verdict", ["incomplete", "unstable", "failed", "skipped"])
def test_other_verdicts(snapshot: Any, settings: Any, loaded: Any, verdict: str) -> None:
    """What is not proved complete keeps its own verdict."""
    assert verdict == checked(snapshot("t", verdict=verdict, reason="why"), settings, loaded()).verdict


def test_the_largest_of_several_destinations_counts(snapshot: Any, settings: Any, loaded: Any) -> None:
    """With several destinations the one that holds most decides."""
    held = [loaded(rows_received=2, rows_loaded=2), None, loaded(rows_received=9, rows_loaded=9)]
    assert checked(snapshot("t", 5), settings, *held).verdict == "shrunk"
    assert checked(snapshot("t", 9), settings, *held).verdict == "complete"
