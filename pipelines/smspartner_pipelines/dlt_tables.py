"""The contract's tables as dlt sees them: hints derived from the contract, and rows that replace whole tags.

dlt's `delete-insert` merge deletes the rows of every `merge_key` that is staged, then inserts what is staged. A tag
that has no rows any more stages nothing, and its old rows would stay: it is staged as one row marked by dlt's
`hard_delete`, which deletes like any other and is not inserted.

The contract's primary keys are no hint: with one beside the merge key, dlt deletes by an OR of both, which took DuckDB
six minutes for 500,000 rows instead of half a second. Whole tags are replaced, which keeps keys unique.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
from smspartner.errors import SettingsError
from smspartner_schemas.arrow import arrow_schema
from smspartner_schemas.contract import EARLIEST_DATE, QUARANTINE, STATUSES, ColumnType, Table

STRATEGY = "delete-insert"
EMPTIED = "tag_emptied"
"""The column that marks a row which only removes its tag's rows; null in every row that is loaded."""

_MARKER = pa.field(EMPTIED, pa.bool_())
_MERGE = {"disposition": "merge", "strategy": STRATEGY}


_TYPES: dict[ColumnType, str] = {
    "string": "text",
    "int32": "bigint",
    "int64": "bigint",
    "float64": "double",
    "bool": "bool",
    "timestamp": "timestamp",
    "strings": "json",  # whatever a destination could make of lists
    "integers": "json",
}


def appended(table: Table) -> dict[str, Any]:
    """Give the hints of a table that rows are added to."""
    return {"write_disposition": "append", "columns": _columns(table)}


def replaced_by_tag(table: Table) -> dict[str, Any]:
    """Give the hints of a table where whole tags are replaced."""
    columns = _columns(table)
    columns["tag"]["merge_key"] = True
    columns[EMPTIED] = {
        "name": EMPTIED,
        "data_type": "bool",
        "nullable": True,
        "hard_delete": True,
        "description": "always null: marks rows that are not loaded",
    }
    return {"write_disposition": _MERGE, "columns": columns}


def _columns(table: Table) -> dict[str, dict[str, Any]]:
    """Give dlt's columns; where rows are Arrow, dlt adds the width of numbers from there."""
    return {
        column.name: {
            "name": column.name,
            "data_type": _TYPES[column.type],
            "nullable": column.nullable,
            "description": column.meaning,
        }
        for column in table.columns
    }


def _merged_schema(table: Table) -> pa.Schema:
    return arrow_schema(table).append(_MARKER)


def rows_to_merge(table: Table, rows: Mapping[str, pa.Table], run_id: str) -> pa.Table:
    """Give the rows of whole tags, by tag, as they are staged: a marker stands for a tag that has none.

    The Arrow schema is that of `table` with `tag_emptied`; a tag's rows are never parted.
    """
    nothing = {column.name: _nothing(column.type, nullable=column.nullable) for column in table.columns}
    emptied = [tag for tag, some in rows.items() if not some.num_rows]
    markers = [{**nothing, "tag": tag, "run_id": run_id, EMPTIED: True} for tag in emptied]
    held = [some.append_column(_MARKER, pa.nulls(some.num_rows, pa.bool_())) for some in rows.values()]
    return pa.concat_tables([*held, pa.Table.from_pylist(markers, _merged_schema(table))])


def _nothing(kind: str, *, nullable: bool) -> Any:
    """Give the value that says least: markers must fit into columns that allow no null."""
    values = {"string": "", "bool": False, "timestamp": EARLIEST_DATE, "strings": [], "integers": []}
    return None if nullable else values.get(kind, 0)


def markers_staged(rows_by_tag: Mapping[str, int]) -> int:
    """Count the markers that stand for tags, of which these many rows are loaded."""
    return sum(not rows for rows in rows_by_tag.values())


def check_merging(pipeline: Any, source: Any) -> None:
    """Refuse what would double rows, or remove those of tags that are not read.

    Raises:
        SettingsError: the destination can't replace rows by tag, or the resources were told to load otherwise.
    """
    supported = pipeline.destination.capabilities().supported_merge_strategies or ()
    if STRATEGY not in supported:
        raise SettingsError(
            f"dlt's destination {pipeline.destination.destination_type} can't replace rows by tag (merge strategy "
            f"{STRATEGY}): use a database or a warehouse, or `smspartner run` for files and lakes"
        )
    for table in (STATUSES, QUARANTINE):
        if source.resources[table.name].write_disposition != _MERGE:
            raise SettingsError(
                f"resource {table.name} has another write disposition: leave `write_disposition` away, since replacing "
                "the table would remove tags that are not read, and appending would double rows"
            )
