"""Which tags need not be read again, judged from what is loaded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from smspartner.phone_numbers import PhonePrivacy
from smspartner.redaction import Secret
from smspartner_pipelines.incremental import Selection, is_settled, select_tags

READ_AT = datetime(2026, 11, 23, 18, tzinfo=UTC)
HOURS = timedelta(hours=1)
MICROSECOND = timedelta(microseconds=1)
HASHED = PhonePrivacy("hashed", Secret("0123456789abcdef"))
SETTLED = "settled: nothing waiting, and read more than 48 h after its last delivery"


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
        ({"consistent": False}, False),
        ({}, True),
    ],
)
def test_settled(loaded: Any, facts: dict[str, Any], settled: bool) -> None:  # noqa: FBT001
    """A tag is settled when nothing waits, nothing is doubted, and it was read over 48 h after its newest status."""
    assert settled is is_settled(loaded(**facts))


def test_settled_tags_are_skipped(settings: Any, loaded: Any) -> None:
    """Settled tags are skipped with the reason; what waits, is doubted, half loaded or not loaded is read, in order."""
    tags = ("new", "done", "waiting", "doubted", "broken")
    held = {
        "done": loaded("done"),
        "waiting": loaded("waiting", waiting=1),
        "doubted": loaded("doubted", rows_quarantined=1),
        "broken": loaded("broken", consistent=False),
        "another": loaded("another"),
    }
    to_read = ("new", "waiting", "doubted", "broken")
    assert Selection((frozenset(to_read),), to_read, {"done": SETTLED}) == select_tags(settings(tags=tags), [held])


def test_refresh_all(settings: Any, loaded: Any) -> None:
    """`--refresh all` reads everything, settled or fresh."""
    chosen = select_tags(settings(refresh="all", fresh_for=1000 * 24 * HOURS), [{"t": loaded()}])
    assert Selection((frozenset({"t"}),), ("t",), {}) == chosen


@pytest.mark.parametrize(
    ("held", "form", "skipped"),
    [
        ("plain", "plain", True),
        ("plain", "masked", False),
        ("masked", "masked", True),
        ("masked", "plain", False),
        (HASHED.label, "hashed", True),
        ("hashed:00000000", "hashed", False),  # under a key that was retired
    ],
)
def test_the_form_of_phone_numbers(settings: Any, loaded: Any, held: str, form: Any, skipped: bool) -> None:  # noqa: FBT001
    """A settled tag whose numbers are kept in another form, or under another key, than asked for is read again."""
    privacy = PhonePrivacy(form, HASHED.key)
    chosen = select_tags(settings(privacy=privacy), [{"t": loaded(phone_numbers=held)}])
    assert (() if skipped else ("t",)) == chosen.to_read


@pytest.mark.parametrize(
    ("age", "fresh_for", "skipped"),
    [
        (timedelta(0), timedelta(0), False),  # the default keeps nothing for fresh
        (timedelta(minutes=5), timedelta(hours=1), True),
        (timedelta(hours=2), timedelta(hours=1), False),
        (-timedelta(hours=1), timedelta(hours=10), False),  # read in the future: the clock went backwards
    ],
)
def test_fresh(settings: Any, loaded: Any, age: timedelta, fresh_for: timedelta, skipped: bool) -> None:  # noqa: FBT001
    """A tag read less than `--fresh-for` ago is skipped; one that seems to be read in the future is read again."""
    read_at = datetime.now(UTC) - age
    held = {"t": loaded(waiting=3, newest_status_at=read_at, extracted_at=read_at)}
    chosen = select_tags(settings(fresh_for=fresh_for), [held])
    assert ({"t": f"fresh: read at {read_at:%Y-%m-%dT%H:%M:%SZ}"} if skipped else {}) == chosen.skipped
    assert (() if skipped else ("t",)) == chosen.to_read


def test_each_destination_gets_what_it_lacks(settings: Any, loaded: Any) -> None:
    """A tag is read once if any destination lacks it, and goes only to those; exports take every tag."""
    tags = ("a", "b", "c")
    first = {"a": loaded("a"), "b": loaded("b")}
    second = {"a": loaded("a"), "c": loaded("c")}
    assert Selection((frozenset("c"), frozenset("b")), ("b", "c"), {"a": SETTLED}) == select_tags(
        settings(tags=tags, to=("x", "y")), [first, second]
    )
    with_export = select_tags(settings(tags=tags, to=("x", "y.csv")), [first, None])
    assert Selection((frozenset("c"), frozenset(tags)), tags, {}) == with_export


@pytest.mark.parametrize(
    ("read_at", "skipped"), [(READ_AT - MICROSECOND, False), (READ_AT, True), (READ_AT + MICROSECOND, True)]
)
def test_fresh_since(settings: Any, loaded: Any, read_at: datetime, skipped: bool) -> None:  # noqa: FBT001
    """A tag read since `--fresh-since` is skipped, however long ago that is: a job that is tried again resumes."""
    held = {"t": loaded(waiting=3, newest_status_at=read_at, extracted_at=read_at)}
    chosen = select_tags(settings(fresh_since=READ_AT), [held])
    assert (() if skipped else ("t",)) == chosen.to_read
