"""How this product writes Parquet: one place for compression, encodings, statistics and row groups."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from smspartner_schemas.arrow import arrow_schema

if TYPE_CHECKING:
    from smspartner_schemas.contract import Table

ROW_GROUP_ROWS = 128 * 1024

_MAGIC_AND_LENGTH = 8
_SMALL = 4 * 1024 * 1024
"""Bytes of rows in memory."""

PERSONAL = ("phone_number", "raw")
"""Columns without statistics: their least and greatest value would stand in the footer, which holds no phone number."""


_ONE_BLOCK = 8 * 1024
"""Bytes of rows in memory, whose file takes a block of the disk or two, packed or not."""


def open_writer(sink: Any, table: Table, *, pack: bool = True) -> Any:
    """Return a `pyarrow.parquet.ParquetWriter` for rows of `table` into `sink`.

    zstd level 1 takes half of snappy's space at the same speed. Categorical columns are dictionary-encoded; the others
    gain nothing by it. The meanings of columns stay out: they would double the time to read thousands of footers.
    """
    return pq.ParquetWriter(
        sink,
        _plain_schema(table),
        compression="zstd" if pack else "none",
        compression_level=1 if pack else None,
        use_dictionary=[column.name for column in table.columns if column.categorical],
        write_statistics=[column.name for column in table.columns if column.name not in PERSONAL],
    )


@cache
def _plain_schema(table: Table) -> pa.Schema:
    return pa.schema([field.remove_metadata() for field in arrow_schema(table)])


def write_parquet(sink: Any, rows: pa.Table, table: Table, footer: dict[str, str]) -> None:
    """Write `rows` of `table` as one whole Parquet file into `sink`, with `footer` as its key-value metadata.

    A small file is made in memory first: it comes in thirty pieces, and for each of them Python would have to wait for
    its turn among the threads that fetch. Setting up zstd takes half the time of a few rows, which stay unpacked.
    """
    if rows.nbytes > _SMALL:
        _write(sink, rows, table, footer)
        return
    memory = pa.BufferOutputStream()
    _write(memory, rows, table, footer)
    sink.write(memory.getvalue())


def _write(sink: Any, rows: pa.Table, table: Table, footer: dict[str, str]) -> None:
    writer = open_writer(sink, table, pack=rows.nbytes > _ONE_BLOCK)
    try:
        writer.write_table(rows.unify_dictionaries(), row_group_size=ROW_GROUP_ROWS)
        writer.add_key_value_metadata(footer)
    finally:
        _close(writer)


def footer_size(end: bytes) -> int:
    """Return how many bytes the footer takes, by the last bytes of a file: all that follows the rows."""
    return int.from_bytes(end[-_MAGIC_AND_LENGTH:-4], "little") + _MAGIC_AND_LENGTH


class ParquetRows:
    """Rows of many tags as one Parquet file, gathered into row groups, since a tag may be a handful of rows."""

    def __init__(self, sink: Any, table: Table) -> None:
        self._writer = open_writer(sink, table)
        self._gathered: list[pa.Table] = []
        self._rows = 0

    def write(self, rows: pa.Table) -> None:
        """Take `rows`; they are written when they fill row groups."""
        self._gathered.append(rows)
        self._rows += rows.num_rows
        if self._rows >= ROW_GROUP_ROWS:
            self._write_gathered(self._rows - self._rows % ROW_GROUP_ROWS)

    def close(self) -> None:
        """Write what is gathered, and the footer."""
        try:
            if self._rows:
                self._write_gathered(self._rows)
        finally:
            _close(self._writer)

    def _write_gathered(self, count: int) -> None:
        # Each tag brings its own dictionaries; what changes dictionary within a row group is written without one.
        rows = pa.concat_tables(self._gathered).unify_dictionaries()
        self._writer.write_table(rows.slice(0, count), row_group_size=ROW_GROUP_ROWS)
        self._gathered = [rows.slice(count)]
        self._rows -= count


def _close(writer: Any) -> None:
    try:
        writer.close()
    finally:
        writer.is_open = False  # its finalizer would try once more, and complain on stderr
