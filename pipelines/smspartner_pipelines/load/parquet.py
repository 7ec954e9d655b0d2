"""How this product writes and reads Parquet: compression, encodings, statistics, and the facts in a footer."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from smspartner_schemas.arrow import arrow_schema

if TYPE_CHECKING:
    from collections.abc import Sequence

    from smspartner_schemas.contract import Table

ROW_GROUP_ROWS = 128 * 1024

TAIL = 16 * 1024
"""Bytes from the end of a file: more than the footer of one row group takes."""

UNREADABLE = (pa.ArrowException, OSError, LookupError, TypeError, ValueError, AttributeError)
"""What reading a file raises that is damaged, or of another product."""

_KEY = "smspartner"
"""The footer's key; its value is JSON."""

_FACTS = b'{"contract_version": '
"""How that JSON begins. No name or statistic of a footer looks like it: tags hold no white space."""

_PERSONAL = ("phone_number", "raw")
"""Columns without statistics: their least and greatest value would stand in the footer, which holds no phone number."""

_ONE_BLOCK = 8 * 1024
"""Bytes of rows in memory, whose file takes a block of the disk or two, packed or not."""

_MAGIC_AND_LENGTH = 8


def parquet_bytes(rows: pa.Table, table: Table, facts: dict[str, Any] | None = None) -> bytes:
    """Make a whole Parquet file of `rows` of `table`; `facts` (`contract_version` first) stand in its footer as JSON.

    It is made in memory: it comes in thirty pieces, for each of which Python would wait for its turn among the threads
    that fetch. Setting up zstd takes half the time of a few rows, which stay unpacked.
    """
    memory = pa.BufferOutputStream()
    writer = _open_writer(memory, table, pack=rows.nbytes > _ONE_BLOCK)
    writer.write_table(rows.unify_dictionaries(), row_group_size=ROW_GROUP_ROWS)
    if facts is not None:
        writer.add_key_value_metadata({_KEY: json.dumps(facts)})
    writer.close()
    return bytes(memory.getvalue().to_pybytes())


def read_facts(end: bytes) -> dict[str, Any]:
    """Return the facts in the footer at the end of a file; `end` holds at least the footer.

    They are found by how they begin, which takes microseconds; PyArrow, which takes 70 for a whole footer, is asked
    where they are not.

    Raises:
        One of `UNREADABLE`: it is no whole Parquet file, or has no facts.
    """
    size = footer_size(end)
    at = end.rfind(_FACTS, len(end) - size) if end[-4:] == b"PAR1" and size <= len(end) else -1
    if at >= 0:
        facts, _ = json.JSONDecoder().raw_decode(end[at:].decode("latin-1"))
    else:
        facts = json.loads(pq.read_metadata(pa.BufferReader(end)).metadata[_KEY.encode()])
    return dict(facts)


def footer_size(end: bytes) -> int:
    """Return how many bytes the footer takes, by the last bytes of a file: all that follows the rows."""
    return int.from_bytes(end[-_MAGIC_AND_LENGTH:-4], "little") + _MAGIC_AND_LENGTH


def read_rows(content: bytes, table: Table, columns: Sequence[str]) -> pa.Table | None:
    """Read columns of a whole Parquet file of `table`, in the types of the contract; None where it is none.

    A byte that changed since is found by the checksum of its page; in a file without checksums, at least text stays
    text.
    """
    try:
        with pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True) as file:
            if not file.schema_arrow.equals(_plain_schema(table)):
                return None
            rows = file.read(columns=list(columns), use_threads=False)
        rows.validate(full=True)
        return rows.select(columns).cast(pa.schema([arrow_schema(table).field(name) for name in columns]))
    except UNREADABLE:
        return None


class ParquetRows:
    """Rows of many tags as one Parquet file into `sink`, gathered into row groups: a tag may be a handful of rows."""

    def __init__(self, sink: Any, table: Table) -> None:
        self._writer = _open_writer(sink, table)
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
            self._writer.close()
        finally:
            self._writer.is_open = False  # its finalizer would try once more, and complain on stderr

    def _write_gathered(self, count: int) -> None:
        # Each tag brings its own dictionaries; what changes dictionary within a row group is written without one.
        rows = pa.concat_tables(self._gathered).unify_dictionaries()
        self._writer.write_table(rows.slice(0, count), row_group_size=ROW_GROUP_ROWS)
        self._gathered = [rows.slice(count)]
        self._rows -= count


def _open_writer(sink: Any, table: Table, *, pack: bool = True) -> Any:
    """Return a `pyarrow.parquet.ParquetWriter` for rows of `table`.

    zstd level 1 takes half of snappy's space at the same speed. Categorical columns are dictionary-encoded; the others
    gain nothing by it.
    """
    return pq.ParquetWriter(
        sink,
        _plain_schema(table),
        compression="zstd" if pack else "none",
        compression_level=1 if pack else None,
        use_dictionary=[column.name for column in table.columns if column.categorical],
        write_statistics=[column.name for column in table.columns if column.name not in _PERSONAL],
        write_page_checksum=True,
    )


@cache
def _plain_schema(table: Table) -> pa.Schema:
    """Leave out the meanings of columns: they would double the time to read thousands of footers."""
    return pa.schema([field.remove_metadata() for field in arrow_schema(table)])
