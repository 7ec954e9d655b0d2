"""The Arrow schemas of the tables, derived from the contract."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from smspartner_schemas.contract import Column, ColumnType, Table

_TYPES: dict[ColumnType, pa.DataType] = {
    "string": pa.string(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "strings": pa.list_(pa.string()),
}


def arrow_type(column: Column) -> pa.DataType:
    """Return the Arrow type of `column`.

    Timestamps are microseconds in UTC (seconds would come back from Parquet as milliseconds); categorical columns
    are `dictionary<values=string, indices=int32>`.
    """
    if column.categorical:
        return pa.dictionary(pa.int32(), _TYPES[column.type])
    return _TYPES[column.type]


@cache
def arrow_schema(table: Table) -> pa.Schema:
    """Return the Arrow schema of `table`: its columns in order, typed, nullable as stated.

    Each field's metadata holds its `meaning`; Arrow's `equals` leaves metadata out unless asked for it.
    """
    return pa.schema(
        [
            pa.field(column.name, arrow_type(column), nullable=column.nullable, metadata={"meaning": column.meaning})
            for column in table.columns
        ]
    )


@cache
def plain_schema(table: Table) -> pa.Schema:
    """Return the schema of `table` without dictionaries, as databases and lakes hold it."""
    schema = arrow_schema(table)
    kinds = [field.type.value_type if pa.types.is_dictionary(field.type) else field.type for field in schema]
    return pa.schema([field.with_type(kind) for field, kind in zip(schema, kinds, strict=True)])


@cache
def empty_table(table: Table) -> pa.Table:
    """Return a table of zero rows with the schema of `table`."""
    return arrow_schema(table).empty_table()
