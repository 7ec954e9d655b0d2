"""Rows counted by some of their columns, without taking any of them out of where they are held."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from smspartner_schemas.arrow import arrow_schema
from smspartner_schemas.sql import quoted

from smspartner.errors import DestinationError
from smspartner.grouping import gathered

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from smspartner_schemas.contract import Table

QUARTER_HOUR = "quarter_hour"
"""May stand for `status_at` in a grouping: quarters of an hour since 1970, in UTC (int64). Every time zone of today
begins its hours and days with one of them."""

ROWS = "rows"
"""The column of the counts (int64)."""

_SECONDS = 15 * 60
_MADE_OF = {QUARTER_HOUR: "status_at"}
_IN_SQL = {
    QUARTER_HOUR: f"CAST(floor(extract(epoch FROM status_at) / {_SECONDS}) AS bigint)",
    "reasons": "unnest(reasons)",
}
_AT_ONCE = 500_000
"""Rows that are counted together: a pass over few of them costs as much as one over thousands."""

READ_AT_ONCE = 8
"""Files read side by side: a network file system, or an object store, answers slowly."""


def columns_needed(table: Table, groupings: Sequence[Sequence[str]]) -> list[str]:
    """List the columns of `table` that must be read, in the order of the contract."""
    named = {_MADE_OF.get(name, name) for names in groupings for name in names}
    return [name for name in table.column_names if name in named]


def count_parts(parts: Iterable[pa.Table], table: Table, groupings: Sequence[Sequence[str]]) -> list[pa.Table]:
    """Count rows that come in parts; one table for each grouping: its columns as plain values, and `rows`.

    A row counts once for each of its `reasons`, in a grouping by these.
    """
    counted: list[list[pa.Table]] = [[_empty(table, names)] for names in groupings]
    for some in gathered(parts, lambda part: part.num_rows, _AT_ONCE):
        rows = pa.concat_tables(some).unify_dictionaries().combine_chunks()
        for names, made in zip(groupings, counted, strict=True):
            each = _prepared(rows, names)
            made.append(_counted(each.append_column(ROWS, pa.repeat(1, each.num_rows))))
    return [_counted(_plain(pa.concat_tables(map(_plain, made)))) for made in counted]


def count_statement(table: Table, names: Sequence[str]) -> str:
    """Give the SQL that counts the rows of `table` by one grouping."""
    each = ", ".join(f"{_IN_SQL.get(name, quoted(name))} AS {quoted(name)}" for name in names)
    columns = ", ".join(map(quoted, names))
    return (
        f"SELECT {columns}, count(*) AS {quoted(ROWS)} "  # noqa: S608  # names of the contract
        f"FROM (SELECT {each} FROM {quoted(table.name)}) AS each_row GROUP BY {columns}"
    )


def read_columns(path: str, source: object, columns: Sequence[str]) -> pa.Table:
    """Read some columns of a Parquet file, which messages name as `path`; the others are not touched.

    Raises:
        DestinationError: it can't be read.
    """
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(source) as file:
            return file.read(columns=list(columns))
    except (pa.ArrowException, OSError, KeyError, ValueError):
        pass
    raise DestinationError(f"{path} can't be read, or was replaced just now; try again, or run its tag again")


def _prepared(rows: pa.Table, names: Sequence[str]) -> pa.Table:
    """Give the columns of a grouping: with a row for each reason, and quarters of an hour for times."""
    if "reasons" in names:
        reasons = rows["reasons"].combine_chunks()
        rows = rows.drop_columns("reasons").take(pc.list_parent_indices(reasons))
        rows = rows.append_column("reasons", pc.list_flatten(reasons))
    if QUARTER_HOUR in names:
        seconds = pc.divide(rows["status_at"].cast(pa.int64()), 1_000_000)
        rows = rows.append_column(QUARTER_HOUR, pc.divide(seconds, _SECONDS))
    return rows.select(list(names))


def _counted(rows: pa.Table) -> pa.Table:
    names = [name for name in rows.column_names if name != ROWS]
    return rows.group_by(names).aggregate([(ROWS, "sum")]).rename_columns([*names, ROWS])


def _plain(rows: pa.Table) -> pa.Table:
    """Give categorical columns as the values they stand for."""
    fields = [
        field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field for field in rows.schema
    ]
    return rows.cast(pa.schema([pa.field(field.name, field.type) for field in fields]))


def _empty(table: Table, names: Sequence[str]) -> pa.Table:
    types = {field.name: field.type for field in arrow_schema(table)} | {QUARTER_HOUR: pa.int64(), ROWS: pa.int64()}
    types |= {"reasons": pa.string()}
    return _plain(pa.schema([(name, types[name]) for name in (*names, ROWS)]).empty_table())
