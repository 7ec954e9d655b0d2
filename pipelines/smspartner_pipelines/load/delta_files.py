"""The data files of a Delta table: named, written durably, read in the order in which they were written."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
from smspartner_schemas.arrow import arrow_schema

from smspartner.errors import DestinationError
from smspartner_pipelines.load.atomic import guarded, sync_directory
from smspartner_pipelines.load.delta_schema import table_in_files
from smspartner_pipelines.load.destination import WrittenFile
from smspartner_pipelines.load.parquet_format import write_parquet

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from smspartner_schemas.contract import Table

_ASCII = re.compile(r"[\x00-\x7f]")
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~@+,")


@dataclass(frozen=True)
class DataFile:
    """A data file: its path in the table's folder, its tag (where files have one) and its rows, if they are known."""

    path: str
    tag: str | None
    rows: int | None


def folder_of(tag: str) -> str:
    """Return the folder of a tag, as Hive and Spark name it: what is not ASCII stands as it is, the rest escaped."""
    return "tag=" + _ASCII.sub(lambda found: found[0] if found[0] in _PLAIN else quote(found[0], safe=""), tag)


def new_file(run_id: str, tag: str | None, rows: int) -> DataFile:
    """Name a new file; no two are ever named alike."""
    name = f"{run_id}-{secrets.token_hex(8)}.parquet"
    return DataFile(name if tag is None else f"{folder_of(tag)}/{name}", tag, rows)


def write_file(folder: Path, table: Table, file: DataFile, rows: pa.Table) -> WrittenFile:
    """Write a file of `table`, durably but for the name of its tag's folder; no reader sees it before it is committed.

    Raises:
        DestinationError: it can't be written.
    """
    path, in_files = folder / file.path, table_in_files(table)
    buffer = pa.BufferOutputStream()
    write_parquet(buffer, rows.select(list(in_files.column_names)), in_files, {})
    content = buffer.getvalue()
    guarded(f"writing {path}", lambda: _write_durably(path, content))
    return WrittenFile(str(path), content.size, hashlib.sha256(content).hexdigest())


def _write_durably(path: Path, content: pa.Buffer) -> None:
    path.parent.mkdir(exist_ok=True)
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    sync_directory(path.parent)


def read_file(folder: Path, table: Table, file: DataFile, columns: Sequence[str] | None = None) -> pa.Table:
    """Read the rows of a file in the schema of the contract: all columns, or some.

    Raises:
        DestinationError: it can't be read.
    """
    path, schema = folder / file.path, arrow_schema(table)
    if columns is not None:
        schema = pa.schema([schema.field(name) for name in columns])
    try:
        found = guarded(f"reading {path}", lambda: _rows_in(path, columns))
        for field in schema:  # the log tells the tag; a column may be younger than the file
            if field.name not in found.column_names:
                found = found.append_column(field, _same(file.tag if field.name == "tag" else None, field, found))
        return found.select(schema.names).cast(schema)
    except (pa.ArrowException, KeyError, ValueError):
        pass
    raise DestinationError(f"{path} is damaged, or no file of this product; restore it, or run its tag again")


def _rows_in(path: Path, columns: Sequence[str] | None) -> pa.Table:
    with pq.ParquetFile(path) as file:  # rather than what reads folders, which takes longer to open a file
        return file.read(columns=columns)


def _same(value: str | None, field: pa.Field, rows: pa.Table) -> pa.Array:
    if value is None:
        return pa.nulls(rows.num_rows, field.type)
    return pa.repeat(pa.scalar(value, pa.string()), rows.num_rows).dictionary_encode()
