"""What the tables of a lake look like: schemas with comments, settings, and whether what is found there is ours."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import pyarrow as pa
from deltalake import Field, Schema
from smspartner_schemas.arrow import arrow_schema
from smspartner_schemas.contract import CONTRACT_VERSION, QUARANTINE, STATUSES

from smspartner.errors import DestinationError
from smspartner_pipelines.load.parquet_format import PERSONAL

if TYPE_CHECKING:
    from deltalake import DeltaTable
    from smspartner_schemas.contract import Table

_READER, _WRITER = 1, 2
"""The oldest protocol that has NOT NULL columns: everything that reads or writes Delta Lake knows it."""

_VERSION = "smspartner.contract_version"
_PARTITIONED = (STATUSES, QUARANTINE)


def partition_columns(table: Table) -> list[str]:
    """Give the columns by which `table` is partitioned: rows that are replaced by tag have folders by tag."""
    return ["tag"] if table in _PARTITIONED else []


@cache
def table_in_files(table: Table) -> Table:
    """Give `table` as its data files hold it: without the columns that the log tells of each file."""
    apart = partition_columns(table)
    return replace(table, columns=tuple(column for column in table.columns if column.name not in apart))


@cache
def lake_schema(table: Table) -> Schema:
    """Give the Delta schema of `table`, with the meanings as comments of columns."""
    plain = Schema.from_arrow(pa.schema([_plain(field) for field in arrow_schema(table)]))
    return Schema(
        [
            Field(field.name, field.type, nullable=field.nullable, metadata={"comment": table[field.name].meaning})
            for field in plain.fields
        ]
    )


def _plain(field: pa.Field) -> pa.Field:
    is_coded = pa.types.is_dictionary(field.type)
    return pa.field(field.name, field.type.value_type if is_coded else field.type, nullable=field.nullable)


def settings(table: Table) -> dict[str, str | None]:
    """Give the properties of `table`.

    Whoever else writes it, or rewrites its files, keeps no least and greatest phone number in the log either.
    """
    shown = [column.name for column in table_in_files(table).columns if column.name not in PERSONAL]
    return {
        _VERSION: str(CONTRACT_VERSION),
        "delta.checkpointInterval": "10",
        "delta.dataSkippingStatsColumns": ",".join(shown),
        "delta.deletedFileRetentionDuration": "interval 7 days",
        "delta.logRetentionDuration": "interval 30 days",
    }


def refuse_foreign(found: DeltaTable, table: Table, where: object) -> None:
    """Make sure that a Delta table is one of ours, of a kind that this version can write.

    Raises:
        DestinationError: it is not.
    """
    metadata, protocol = found.metadata(), found.protocol()
    if protocol.min_reader_version > _READER or protocol.min_writer_version > _WRITER:
        raise DestinationError(
            f"{where} asks for the Delta protocol {protocol.min_reader_version}/{protocol.min_writer_version} (reader/"
            f"writer), this version writes {_READER}/{_WRITER}: drop the table features that were added, or load "
            "into a new directory"
        )
    version = metadata.configuration.get(_VERSION, "")
    if version.isdecimal() and int(version) > CONTRACT_VERSION:
        raise DestinationError(f"{where} was made by a newer version of this product; upgrade it")
    if metadata.configuration.get("delta.appendOnly", "false").lower() == "true":
        raise DestinationError(f"{where} has delta.appendOnly set, but tags are replaced: set it to false")
    wrong = _wrong_columns(found, table)
    if not version.isdecimal() or metadata.partition_columns != partition_columns(table) or wrong:
        told = f" (columns: {', '.join(wrong)})" if wrong else ""
        raise DestinationError(f"{where} is another table than this product's{told}; load into a new directory")


def _wrong_columns(found: DeltaTable, table: Table) -> list[str]:
    """Name what is missing, of another type, or can't be filled by us; columns that may be null may be missing."""
    there = {field.name: field for field in found.schema().fields}
    ours = {field.name: field for field in lake_schema(table).fields}
    wrong = [name for name, field in ours.items() if name not in there and not field.nullable]
    wrong += [name for name in ours.keys() & there.keys() if there[name].type != ours[name].type]
    return sorted([*wrong, *(name for name in there.keys() - ours.keys() if not there[name].nullable)])


def missing_columns(found: DeltaTable, table: Table) -> list[Field]:
    """Give the columns that an older version did not have yet."""
    there = {field.name for field in found.schema().fields}
    return [field for field in lake_schema(table).fields if field.name not in there]
