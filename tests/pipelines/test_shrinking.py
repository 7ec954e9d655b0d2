"""A population that got smaller, or invalid, does not replace what is loaded."""

from __future__ import annotations

from typing import Any

import pytest
from smspartner_pipelines.outcome import RunOutcome, Target
from smspartner_pipelines.selection import refuse_shrunk


class Keeping:
    """A destination that keeps tags."""

    uri, batch_rows, keeps_tags = "somewhere", 0, True


def checked(snapshot: Any, settings: Any, *held: Any, **options: Any) -> Any:
    """One snapshot, checked against what each destination holds of its tag."""
    keeping: Any = Keeping()
    outcome = RunOutcome("run", settings(**options))
    outcome.destinations = [Target(keeping, {one.tag: one} if one else {}) for one in held]
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
    """Fewer rows than are held, or more than 1 % and two of the loaded rows in quarantine, or all: `shrunk`."""
    after = checked(snapshot("t", rows, bad), settings, loaded(**held))
    assert verdict == after.verdict
    assert (rows, bad) == (after.table.num_rows, after.quarantine.num_rows) or verdict == "shrunk"
    allowed = checked(snapshot("t", rows, bad), settings, loaded(**held), allow_shrink=True)
    assert ("complete", rows, bad) == (allowed.verdict, allowed.table.num_rows, allowed.quarantine.num_rows)


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


def test_keep_shrunk(snapshot: Any, settings: Any, loaded: Any) -> None:
    """With `--keep-shrunk` such a tag counts as skipped: a vendor that clears old lists must not fail every night."""
    after = checked(snapshot("t", 3), settings, loaded(), keep_shrunk=True)
    assert (after.verdict, after.table.num_rows) == ("skipped", 0)


@pytest.mark.parametrize("verdict", ["incomplete", "unstable", "failed", "skipped"])
def test_other_verdicts(snapshot: Any, settings: Any, loaded: Any, verdict: str) -> None:
    """What is not proved complete keeps its own verdict."""
    assert verdict == checked(snapshot("t", verdict=verdict, reason="why"), settings, loaded()).verdict


def test_the_largest_of_several_destinations_counts(snapshot: Any, settings: Any, loaded: Any) -> None:
    """With several destinations the one that holds most decides."""
    held = [loaded(rows_received=2, rows_loaded=2), None, loaded(rows_received=9, rows_loaded=9)]
    assert checked(snapshot("t", 5), settings, *held).verdict == "shrunk"
    assert checked(snapshot("t", 9), settings, *held).verdict == "complete"
