"""Whether a pipeline's last load did what was asked: every tag in its place, and all counts equal."""

from __future__ import annotations

from typing import Any

from smspartner.errors import CountMismatch, NotComplete, QuarantinedRows, SettingsError
from smspartner_schemas.contract import ACCEPTED, QUARANTINE, STATUSES

from smspartner_pipelines.dlt_loaded import Row, rows_held, select
from smspartner_pipelines.dlt_tables import markers_staged

_OF_LOADS = (
    "SELECT {tag}, {verdict}, {reason}, {rows_loaded}, {rows_quarantined}, {run_id} FROM {tag_runs} "
    "WHERE {_dlt_load_id} IN ({loads})"
)


def check(pipeline: Any, *, allow_quarantined: int = 0) -> None:
    """Raise unless the pipeline's last load is all that was asked for; call it after `pipeline.run`.

    It asks the destination, not memory: a task of its own may call it, with a pipeline of the same name.

    Raises:
        NotComplete: a tag is not complete (`unknown` and `skipped` are accepted); its `verdicts` say which and why.
        QuarantinedRows: more than `allow_quarantined` rows are in quarantine; its `rows` counts them by tag.
        CountMismatch: the destination does not hold the rows that were read, or dlt counted others.
        SettingsError: the pipeline has not loaded anything yet.
    """
    trace = pipeline.last_trace
    loads = trace.last_load_info.loads_ids if trace and trace.last_load_info else []
    if not loads:
        raise SettingsError("the pipeline has loaded nothing: call check after pipeline.run")
    listed = ", ".join(f"'{load}'" for load in loads)
    rows = {row[0]: row for row in select(pipeline, _OF_LOADS, loads=listed)}
    complete = [row for row in rows.values() if row[1] == "complete"]
    _check_held(pipeline, complete)
    if (normalized := trace.last_normalize_info) and normalized.loads_ids == loads:
        _check_counted(normalized.row_counts, complete)
    lacking = {tag: (verdict, reason) for tag, verdict, reason, *_ in rows.values() if verdict not in ACCEPTED}
    if lacking:
        raise NotComplete(lacking)
    quarantined = {row[0]: int(row[4]) for row in complete if row[4]}
    if sum(quarantined.values()) > allow_quarantined:
        raise QuarantinedRows(quarantined)


def _check_held(pipeline: Any, complete: list[Row]) -> None:
    """Compare the destination's rows of each tag with what was read of it."""
    held = rows_held(pipeline)
    for tag, _, _, *read, run_id in complete:
        expected = tuple({run_id: int(count)} if count else {} for count in read)
        found = tuple(one.get(tag, {}) for one in held)
        if found != expected:
            told = " and ".join(f"{sum(one.values())} rows" for one in found)
            raise CountMismatch(
                f"tag {tag}: {STATUSES.name} and {QUARANTINE.name} hold {told}, where {read[0]} and {read[1]} were "
                "read; run the pipeline again, which reads this tag again"
            )


def _check_counted(counted: dict[str, int], complete: list[Row]) -> None:
    """Compare what dlt counted on the way with what was read, markers of empty tags included."""
    for table, place in ((STATUSES.name, 3), (QUARANTINE.name, 4)):
        by_tag = {row[0]: int(row[place]) for row in complete}
        expected = sum(by_tag.values()) + markers_staged(by_tag)
        if counted.get(table, 0) != expected:
            raise CountMismatch(f"dlt counted {counted.get(table, 0)} rows of {table}, where {expected} were read")
