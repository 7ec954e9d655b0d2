"""The Arrow schemas of the tables, derived from the contract, and what a table lacks of them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import pyarrow as pa

from smspartner_schemas.contract import STATUSES

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


def schema_problems(table: pa.Table, contract: Table = STATUSES) -> list[str]:
    """Return what is wrong with the columns of `table`, one sentence each: missing, unknown, misplaced, mistyped.

    Nullability flags are no problem: `smspartner_schemas.rules.NotNull` judges the values.
    """
    schema = arrow_schema(contract)
    problems = [f"column {name} is missing" for name in schema.names if name not in table.column_names]
    problems += [f"column {name} is not in the contract" for name in table.column_names if name not in schema.names]
    if not problems and table.column_names != schema.names:
        problems.append(f"columns are in the order {', '.join(table.column_names)}")
    problems += [
        f"column {field.name} is {table.schema.field(field.name).type}, not {field.type}"
        for field in schema
        if field.name in table.column_names and table.schema.field(field.name).type != field.type
    ]
    return problems
