"""A population that got smaller is not believed to replace what is loaded."""

from __future__ import annotations

from typing import Any

import pytest
from smspartner_pipelines.shrinking import guard_against_shrinking


def guarded(snapshot: Any, *held: Any, allow: bool = False) -> tuple[object, ...]:
    """The verdict, reason and rows of one snapshot after the guard."""
    (after,) = guard_against_shrinking([snapshot], held, allow=allow)
    return after.verdict, after.reason, after.table.num_rows, after.rows_declared


@pytest.mark.parametrize("allow", [False, True])
@pytest.mark.parametrize("rows", [4, 5])
def test_as_many_or_more(snapshot: Any, loaded: Any, rows: int, allow: bool) -> None:  # noqa: FBT001
    """A population that is as large as what is loaded, or larger, is given as it is."""
    assert ("complete", "", rows, rows) == guarded(snapshot("t", rows), {"t": loaded()}, allow=allow)


def test_rows_in_quarantine_count(snapshot: Any, loaded: Any) -> None:
    """What counts is how many rows were received, loaded or not, before and now."""
    assert guarded(snapshot("t", 3, bad=1), {"t": loaded()})[0] == "complete"
    held = {"t": loaded(rows_received=5, rows_loaded=4, rows_quarantined=1)}
    assert guarded(snapshot("t", 4), held)[0] == "shrunk"


def test_fewer(snapshot: Any, loaded: Any) -> None:
    """A smaller population is refused with both counts and the way to accept it; that accepts it."""
    reason = "4 rows are loaded, the API now has 3 rows; --allow-shrink accepts that"
    assert ("shrunk", reason, 0, 3) == guarded(snapshot("t", 3), {"t": loaded()})
    assert guarded(snapshot("t", 3), {"t": loaded()}, allow=True) == ("complete", "", 3, 3)


def test_no_rows_at_all(snapshot: Any, loaded: Any) -> None:
    """A tag that had rows and is now answered with a total of 0 is refused, though that answer proves itself."""
    reason = "4 rows are loaded, the API now has 0 rows; --allow-shrink accepts that"
    assert ("shrunk", reason, 0, 0) == guarded(snapshot("t", 0), {"t": loaded()})


def test_unknown(snapshot: Any, loaded: Any) -> None:
    """A tag that became unknown is refused as shrunk; allowed, it becomes a complete tag of no rows."""
    gone = snapshot("t", verdict="unknown", reason="code 4")
    reason = "4 rows are loaded, the API now has nothing; --allow-shrink accepts that"
    assert ("shrunk", reason, 0, None) == guarded(gone, {"t": loaded()})
    allowed = ("complete", "code 4; the 4 rows loaded give way, as allowed", 0, 0)
    assert allowed == guarded(gone, {"t": loaded()}, allow=True)
    (after,) = guard_against_shrinking([gone], [{"t": loaded()}], allow=True)
    after.check_books()


@pytest.mark.parametrize("allow", [False, True])
def test_unknown_and_never_loaded(snapshot: Any, loaded: Any, allow: bool) -> None:  # noqa: FBT001
    """A tag that nobody ever knew stays unknown."""
    gone = snapshot("t", verdict="unknown", reason="code 4")
    for held in ([], [None], [{}], [{"u": loaded("u")}], [{"t": loaded(rows_received=0, rows_loaded=0)}]):
        assert guarded(gone, *held, allow=allow) == ("unknown", "code 4", 0, None)


@pytest.mark.parametrize("verdict", ["incomplete", "unstable", "failed"])
def test_other_verdicts(snapshot: Any, loaded: Any, verdict: str) -> None:
    """What is no proved population keeps its own verdict."""
    assert (verdict, "why", 0, None) == guarded(snapshot("t", verdict=verdict, reason="why"), {"t": loaded()})


def test_the_largest_of_several_destinations_counts(snapshot: Any, loaded: Any) -> None:
    """With several destinations the one that holds most decides; exports hold nothing."""
    held = [{"t": loaded(rows_received=2)}, None, {"t": loaded(rows_received=9)}]
    assert guarded(snapshot("t", 5), *held)[0] == "shrunk"
    assert guarded(snapshot("t", 9), *held)[0] == "complete"
