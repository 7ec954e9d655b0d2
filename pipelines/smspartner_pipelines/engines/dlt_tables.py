"""The tables of a pipeline of dlt: what dlt knows of them, rows that replace whole tags, and what is loaded.

dlt's `delete-insert` merge deletes the rows of every tag that is staged, then inserts what is staged. A tag without
rows is staged as one row that dlt deletes by (`hard_delete`) and does not insert.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import dlt
import pyarrow as pa
from dlt.common.storages.exceptions import CurrentLoadPackageStateNotAvailable
from dlt.destinations.exceptions import DatabaseUndefinedRelation
from smspartner.errors import SettingsError
from smspartner_schemas.arrow import arrow_schema
from smspartner_schemas.contract import EARLIEST_DATE, LOADED_TAGS, QUARANTINE, STATUSES, TAG_RUNS, Table

from smspartner_pipelines.load.destination import LoadedTag

REPLACED = (STATUSES, QUARANTINE, LOADED_TAGS)

_MERGE = {"disposition": "merge", "strategy": "delete-insert"}
_EMPTIED = "tag_emptied"
_LOADED = f"""SELECT {", ".join(f"l.{name}" for name in LOADED_TAGS.column_names)} FROM {{loaded_tags}} l
LEFT JOIN (SELECT tag, count(*) n, min(run_id) a, max(run_id) z FROM {{statuses}} GROUP BY tag) s ON s.tag = l.tag
LEFT JOIN (SELECT tag, count(*) n, min(run_id) a, max(run_id) z FROM {{quarantine}} GROUP BY tag) q ON q.tag = l.tag
WHERE coalesce(s.n, 0) = l.rows_loaded AND coalesce(q.n, 0) = l.rows_quarantined
AND coalesce(s.a, l.run_id) = l.run_id AND coalesce(s.z, l.run_id) = l.run_id
AND coalesce(q.a, l.run_id) = l.run_id AND coalesce(q.z, l.run_id) = l.run_id"""  # noqa: S608  # our own names
_TYPES = {"string": "text", "int32": "bigint", "int64": "bigint", "float64": "double", "strings": "json"}


def hints(table: Table) -> dict[str, Any]:
    """Give what dlt knows of a table. Primary keys are no hint: dlt would delete by an OR of both keys, in minutes."""
    columns: dict[str, dict[str, Any]] = {
        one.name: {"data_type": _TYPES.get(one.type, one.type), "nullable": one.nullable, "description": one.meaning}
        for one in table.columns
    }
    if table is TAG_RUNS:
        return {"write_disposition": "append", "columns": columns}
    columns["tag"]["merge_key"] = True
    if table is not LOADED_TAGS:
        columns[_EMPTIED] = {"data_type": "bool", "hard_delete": True, "description": "always null"}
    return {"write_disposition": _MERGE, "columns": columns}


def staged(table: Table, rows: dict[str, pa.Table]) -> pa.Table | None:
    """Give the rows of whole tags, and a marker for each tag that has none; None for no tags."""
    schema = arrow_schema(table).append(pa.field(_EMPTIED, pa.bool_()))
    blank = {"string": "", "bool": False, "timestamp": EARLIEST_DATE, "strings": []}
    nothing = {one.name: None if one.nullable else blank.get(one.type, 0) for one in table.columns}
    markers = [{**nothing, "tag": tag, _EMPTIED: True} for tag, held in rows.items() if not held.num_rows]
    held = [one.append_column(_EMPTIED, pa.nulls(one.num_rows, pa.bool_())) for one in rows.values()]
    return pa.concat_tables([*held, pa.Table.from_pylist(markers, schema)]) if rows else None


def loaded_before() -> dict[str, LoadedTag]:
    """Give what the pipeline that extracts now has loaded; nothing where dlt's `refresh` is about to drop it.

    Raises:
        SettingsError: the pipeline can't replace tags.
    """
    try:
        state = dlt.current.load_package_state()["state"]
    except CurrentLoadPackageStateNotAvailable:
        return {}  # the source is read without a pipeline
    pipeline, resources = dlt.current.pipeline(), dlt.current.source().resources
    if pipeline.destination is None:
        raise SettingsError(
            "the pipeline has no destination", remedy="name it: what is loaded there decides what is read"
        )
    if _MERGE["strategy"] not in (pipeline.destination.capabilities().supported_merge_strategies or ()):
        what = f"dlt's destination {pipeline.destination.destination_type} can't replace rows by tag"
        raise SettingsError(what, remedy="use a database or a warehouse, or `smspartner run` for files and lakes")
    if any(resources[table.name].write_disposition != _MERGE for table in REPLACED):
        raise SettingsError("another write disposition would double or lose rows", remedy="leave write_disposition out")
    return {} if state.get("dropped_tables") or state.get("truncated_tables") else loaded_tags(pipeline)


def loaded_tags(pipeline: Any) -> dict[str, LoadedTag]:
    """Give the tags of which the destination holds exactly the rows that `loaded_tags` names; others are read again."""
    tags = [LoadedTag(*map(_utc, row)) for row in select(pipeline, _LOADED)]  # their columns are its fields
    return {one.tag: one for one in tags}


def _utc(value: Any) -> Any:
    """Make a time aware, in UTC; drivers give some as naive ones, which are in UTC."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return value


def select(pipeline: Any, statement: str, **values: str) -> list[tuple[Any, ...]]:
    """Run a statement, whose names of tables stand in braces; where a table is not there yet, it gives no rows."""
    with pipeline.sql_client() as client:
        tables = {one.name: client.make_qualified_table_name(one.name) for one in (*REPLACED, TAG_RUNS)}
        try:
            return [tuple(row) for row in client.execute_sql(statement.format(**tables, **values)) or ()]
        except DatabaseUndefinedRelation:
            return []
