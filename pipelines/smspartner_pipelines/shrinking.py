"""A population hardly gets smaller by itself: one that did does not replace what is loaded, unless that is allowed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from smspartner.snapshot import Snapshot

    from smspartner_pipelines.load.destination import LoadedTag
    from smspartner_pipelines.selection import Selection
    from smspartner_pipelines.settings import RunSettings

_MOST_ROWS_TAKEN, _MOST_SHARE_TAKEN = 2, 0.01
"""Of the loaded rows: more than both must not give way to rows in quarantine."""

_LAWFUL = "messages sent as a test, and cancelled ones, leave the vendor's lists"


def refuse_shrunk(snapshots: Iterable[Snapshot], selection: Selection, settings: RunSettings) -> list[Snapshot]:
    """Refuse, as `shrunk`, what holds fewer rows than are loaded, or far fewer valid ones.

    Rows of erased people do not count: they may be erased here, at the vendor, or both, before the tag was loaded or
    only since. A tag that became unknown counts as one of 0 rows; with `allow_shrink` it is given as a complete tag of
    0 rows, so that what is loaded is replaced. With `keep_shrunk` such a tag is `skipped`.
    """
    return [_checked(snapshot, selection.loaded_before(snapshot.tag), settings) for snapshot in snapshots]


def _checked(snapshot: Snapshot, before: LoadedTag | None, settings: RunSettings) -> Snapshot:
    if before is None or snapshot.verdict not in {"complete", "unknown"}:
        return snapshot
    reason = _shrunk(snapshot, before)
    if reason is None:
        return snapshot
    if settings.allow_shrink:
        if snapshot.verdict == "complete":
            return snapshot
        gone = f"{snapshot.reason}; the {before.rows_loaded} rows loaded are replaced by none, as allowed"
        return replace(snapshot, verdict="complete", reason=gone, rows_declared=0)
    if settings.keep_shrunk:
        return snapshot.refused("skipped", f"{reason}; what is loaded stays (--keep-shrunk)")
    return snapshot.refused("shrunk", f"{reason}; what is loaded stays, --allow-shrink loads what there is now")


def _shrunk(snapshot: Snapshot, before: LoadedTag) -> str | None:
    """Say in words what got smaller; None if nothing did."""
    held = before.rows_loaded + before.rows_quarantined
    valid, invalid = snapshot.table.num_rows, snapshot.quarantine.num_rows
    if valid + invalid < held and valid + invalid + snapshot.rows_erased < held + before.rows_erased:
        now = "knows nothing under the tag any more" if snapshot.verdict == "unknown" else f"has {valid + invalid} now"
        return f"{held} rows are loaded or in quarantine, the API {now} ({_LAWFUL})"
    taken = before.rows_loaded - valid - max(0, snapshot.rows_erased - before.rows_erased)
    many = taken > max(_MOST_ROWS_TAKEN, _MOST_SHARE_TAKEN * before.rows_loaded)
    if many or (taken > 0 and not valid):
        return f"{before.rows_loaded} rows are loaded, of {valid + invalid} rows now only {valid} are valid"
    return None
