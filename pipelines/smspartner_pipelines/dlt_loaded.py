"""What a pipeline's destination holds of each tag: its tables are the state, and nothing is kept in dlt's.

A tag's rows are compared with its last row in `tag_runs`. Where they differ, a load has failed half-way or rows were
removed by hand, and the tag is read again, whatever dlt believes to have loaded.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import dlt
from dlt.common.storages.exceptions import CurrentLoadPackageStateNotAvailable
from dlt.destinations.exceptions import DatabaseUndefinedRelation
from smspartner.errors import SettingsError
from smspartner_pipelines.load.destination import LoadedTag
from smspartner_schemas.contract import PHONE_PATTERNS, QUARANTINE, STATUSES, TAG_RUNS

from smspartner_pipelines.dlt_tables import check_merging

Row = tuple[Any, ...]
Counts = dict[str, dict[str, int]]
"""By tag, how many rows are held of which run."""

_ROWS = (
    "SELECT {tag}, {run_id}, count(*), sum(CASE WHEN {status} = 'waiting' THEN 1 ELSE 0 END), "
    "max({status_at}), max({extracted_at}), min({phone_number}) FROM {statuses} GROUP BY {tag}, {run_id}"
)
_DOUBTED = "SELECT {tag}, {run_id}, count(*), max({extracted_at}) FROM {quarantine} GROUP BY {tag}, {run_id}"
_LAST_RUNS = (
    "SELECT r.{tag}, r.{run_id}, r.{rows_received}, r.{rows_loaded}, r.{rows_quarantined}, r.{extracted_at} "
    "FROM {tag_runs} r JOIN (SELECT {tag}, max({extracted_at}) AS latest FROM {tag_runs} WHERE {verdict} = 'complete' "
    "GROUP BY {tag}) l ON r.{tag} = l.{tag} AND r.{extracted_at} = l.latest WHERE r.{verdict} = 'complete'"
)
_DROPPING = ("dropped_tables", "truncated_tables")


def loaded_before() -> dict[str, LoadedTag]:
    """Return what the destination of the pipeline that extracts now holds, by tag.

    Nothing outside of a pipeline, or where dlt's `refresh` is about to drop it.

    Raises:
        SettingsError: the pipeline has no destination, or none where tags can be replaced.
    """
    try:
        package = dlt.current.load_package_state()
    except CurrentLoadPackageStateNotAvailable:
        return {}
    pipeline = dlt.current.pipeline()
    if pipeline.destination is None:
        raise SettingsError("the pipeline has no destination: name it, since what is loaded there decides what is read")
    check_merging(pipeline, dlt.current.source())
    if any(package["state"].get(name) for name in _DROPPING):
        return {}
    return loaded_tags(pipeline)


def loaded_tags(pipeline: Any) -> dict[str, LoadedTag]:
    """Return what the pipeline's destination holds, by tag."""
    last = {row[0]: row for row in select(pipeline, _LAST_RUNS)}
    rows, doubted = _by_tag(select(pipeline, _ROWS)), _by_tag(select(pipeline, _DOUBTED))
    return {tag: _loaded_tag(tag, rows.get(tag, []), doubted.get(tag, []), last.get(tag)) for tag in {*rows, *doubted}}


def rows_held(pipeline: Any) -> tuple[Counts, Counts]:
    """Count the rows of `statuses` and of `quarantine`, by tag and run."""
    rows, doubted = (_by_tag(select(pipeline, statement)) for statement in (_ROWS, _DOUBTED))
    return {tag: _runs(some) for tag, some in rows.items()}, {tag: _runs(some) for tag, some in doubted.items()}


def _by_tag(rows: list[Row]) -> dict[str, list[Row]]:
    by_tag: dict[str, list[Row]] = {}
    for row in rows:
        by_tag.setdefault(row[0], []).append(row)
    return by_tag


def _runs(rows: list[Row]) -> dict[str, int]:
    return {row[1]: int(row[2]) for row in rows}


def _loaded_tag(tag: str, rows: list[Row], doubted: list[Row], last: Row | None) -> LoadedTag:
    """Put together what is held of a tag; it is consistent if that is what its last run has loaded, and no more."""
    loaded, quarantined = _runs(rows), _runs(doubted)
    times = [_utc(row[5]) for row in rows] + [_utc(row[3]) for row in doubted]
    run_id, received = (last[1], int(last[2])) if last else ("", sum(loaded.values()) + sum(quarantined.values()))
    told = ({run_id: int(last[3])}, {run_id: int(last[4])}) if last else ({}, {})
    return LoadedTag(
        tag=tag,
        rows_received=received,
        rows_loaded=sum(loaded.values()),
        rows_quarantined=sum(quarantined.values()),
        waiting=sum(int(row[3]) for row in rows),
        newest_status_at=max((_utc(row[4]) for row in rows if row[4] is not None), default=None),
        extracted_at=max(times),
        run_id=run_id,
        phone_numbers=_label(rows[0][6]) if rows else "",
        consistent=(loaded, quarantined) == tuple({run: count for run, count in one.items() if count} for one in told),
    )


def _utc(value: Any) -> datetime:
    """Give a time as the destination's driver gives it: aware, naive in UTC, or a text."""
    time = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def _label(number: str) -> str:
    """Name the form of a phone number, as `PhonePrivacy.label` does."""
    form = next((form for form, pattern in PHONE_PATTERNS.items() if re.fullmatch(pattern, number)), "")
    return f"{form}:{number.partition(':')[0]}" if form == "hashed" else str(form)


def select(pipeline: Any, statement: str, **places: str) -> list[Row]:
    """Run a statement, whose names of tables and columns stand in braces; a table that is not there has no rows."""
    with pipeline.sql_client() as client:
        tables = {
            table.name: client.make_qualified_table_name(table.name) for table in (STATUSES, QUARANTINE, TAG_RUNS)
        }
        columns = {
            name: client.escape_column_name(name)
            for table in (STATUSES, QUARANTINE, TAG_RUNS)
            for name in (*table.column_names, "_dlt_load_id")
        }
        try:
            return [tuple(row) for row in client.execute_sql(statement.format(**columns, **tables, **places)) or ()]
        except DatabaseUndefinedRelation:
            return []
