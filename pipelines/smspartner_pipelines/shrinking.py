"""A population never gets smaller by itself: one that did is not believed to replace what is loaded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from smspartner_pipelines.load.destination import LoadedTag
from smspartner.snapshot import Snapshot


def guard_against_shrinking(
    snapshots: Iterable[Snapshot], loaded: Sequence[Mapping[str, LoadedTag] | None], *, allow: bool
) -> Iterator[Snapshot]:
    """Give the snapshots; one with fewer rows than any destination has is refused as `shrunk`.

    A tag that became unknown counts as one of 0 rows. With `allow`, it is given as a complete tag of 0 rows, so that
    what is loaded is replaced.
    """
    for snapshot in snapshots:
        before = max((tags[snapshot.tag].rows_received for tags in loaded if tags and snapshot.tag in tags), default=0)
        if not before or snapshot.verdict not in {"complete", "unknown"} or snapshot.rows_received >= before:
            yield snapshot
        elif not allow:
            found = "nothing" if snapshot.verdict == "unknown" else f"{snapshot.rows_received} rows"
            yield snapshot.refused(
                "shrunk", f"{before} rows are loaded, the API now has {found}; --allow-shrink accepts that"
            )
        elif snapshot.verdict == "unknown":
            reason = f"{snapshot.reason}; the {before} rows loaded give way, as allowed"
            yield replace(snapshot, verdict="complete", reason=reason, rows_declared=0)
        else:
            yield snapshot
