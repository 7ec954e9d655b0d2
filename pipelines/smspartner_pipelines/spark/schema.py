"""The schemas of the source's tables, derived from the contract: as Spark knows them, and as tasks fill them.

Spark has no dictionaries: what is categorical in the contract is a plain string here.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import pyarrow as pa
from smspartner_schemas.arrow import arrow_schema
from smspartner_schemas.contract import QUARANTINE, STATUSES, TABLES, TAG_RUNS, Table

if TYPE_CHECKING:
    from pyspark.sql.types import StructType

EVERYTHING = "everything"
"""The table that holds all others, so that one extraction gives them all."""

TABLE_NAMES = (*(table.name for table in TABLES), EVERYTHING)


def _plain(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind):
        return kind.value_type
    if pa.types.is_list(kind):
        return pa.list_(pa.field("element", kind.value_type))  # as Spark names it
    return kind


@cache
def plain_schema(table: Table) -> pa.Schema:
    """Return the Arrow schema of a table of the contract without dictionaries."""
    return pa.schema([pa.field(one.name, _plain(one.type), nullable=one.nullable) for one in arrow_schema(table)])


def row_type(table: Table) -> pa.StructType:
    """Return the type of a row of a table within another one, where it may be missing."""
    return pa.struct([pa.field(one.name, one.type) for one in plain_schema(table)])


@cache
def everything_schema() -> pa.Schema:
    """Return the schema of `everything`: one of the three rows a line, and what puts tags together again.

    `place` is the tag's place among those asked for, `row` the row's in its population, both from 0; `raw` is the row's
    JSON where a run may still doubt it; `facts` is JSON that a run needs besides `tag_runs`.
    """
    return pa.schema(
        [
            pa.field("place", pa.int64()),
            pa.field("row", pa.int64()),
            *(pa.field(table.name, row_type(table)) for table in (STATUSES, QUARANTINE, TAG_RUNS)),
            pa.field("raw", pa.string()),
            pa.field("facts", pa.string()),
        ]
    )


def schema_of(name: str) -> pa.Schema:
    """Return the Arrow schema of one of `TABLE_NAMES`."""
    found = {table.name: table for table in TABLES}
    return plain_schema(found[name]) if name in found else everything_schema()


def spark_schema(name: str) -> StructType:
    """Return the Spark schema of one of `TABLE_NAMES`."""
    from pyspark.sql.pandas.types import from_arrow_schema

    return from_arrow_schema(schema_of(name))
