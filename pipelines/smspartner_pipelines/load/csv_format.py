"""A table as CSV, column-wise: no row is ever touched by Python.

Both dialects are UTF-8 with a header and CRLF line ends, as RFC 4180 has them (pandas, DuckDB, PyArrow, Python's `csv`
and spreadsheets read them alike). A cell is quoted only where it must be. Null is an empty cell; no string of the
contract is empty. Times are UTC in one fixed form, `2026-11-23T18:00:00.000000Z`; booleans are `true` and `false`.

`excel` adds what spreadsheets need: a byte order mark, `;` between cells, quotes around `,` and tabs (LibreOffice's
import separates at all three unless told otherwise), and an apostrophe before every text that a spreadsheet would take
for something else: a formula, a number (`+33612345678`, `007`), a date (`mars-26`), a boolean. The apostrophe is the
one mark that no spreadsheet evaluates: `="+336…"` is itself a formula, which LibreOffice shows as typed, and a leading
tab is stripped by some. It stays visible; taking away one leading apostrophe restores the text.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from smspartner_pipelines.load.misread import kept_as_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from smspartner_pipelines.load.destination import CsvDialect

_CHUNK_ROWS = 64 * 1024
_LINE_END = "\r\n"
_SPACE_IN_TIME = 10  # "2026-11-23 18:00:00.000000"


@dataclass(frozen=True)
class Dialect:
    """How cells are put together; what a reader may take for `separators` stands in quotes."""

    delimiter: str
    separators: str
    byte_order_mark: bool
    for_spreadsheets: bool


DIALECTS: Mapping[CsvDialect, Dialect] = {
    "rfc4180": Dialect(",", ",", byte_order_mark=False, for_spreadsheets=False),
    "excel": Dialect(";", ";,\t", byte_order_mark=True, for_spreadsheets=True),
}


def csv_header(names: Sequence[str], dialect: CsvDialect = "rfc4180") -> bytes:
    """Return the beginning of a CSV: the byte order mark, if there is one, and the header line."""
    how = DIALECTS[dialect]
    line = how.delimiter.join(names) + _LINE_END
    return line.encode("utf-8-sig" if how.byte_order_mark else "utf-8")


def csv_lines(rows: pa.Table, dialect: CsvDialect = "rfc4180") -> Iterator[memoryview]:
    """Yield the lines of `rows`, without a header, in pieces of bounded size."""
    for batch in rows.to_batches(max_chunksize=_CHUNK_ROWS):
        if batch.num_rows:
            yield _lines(batch, DIALECTS[dialect])


class CsvRows:
    """Rows of many tags as one CSV into `sink`, with its header even if no row comes.

    They are gathered into pieces of many rows, since a tag may be a handful and each call of Arrow costs the same.
    Compressed, the same rows give the same bytes: gzip's header holds no time and no name.
    """

    def __init__(
        self, sink: Any, names: Sequence[str], dialect: CsvDialect = "rfc4180", *, compressed: bool = False
    ) -> None:
        # Level 6 is gzip's own default; Python's, 9, takes several times as long for a few percent.
        self._gzip = gzip.GzipFile("", "wb", 6, sink, mtime=0) if compressed else None
        self._sink = self._gzip or sink
        self._dialect = dialect
        self._gathered: list[pa.Table] = []
        self._rows = 0
        self._sink.write(csv_header(names, dialect))

    def write(self, rows: pa.Table) -> None:
        """Take `rows`; they are written when there are enough of them."""
        self._gathered.append(rows)
        self._rows += rows.num_rows
        if self._rows >= _CHUNK_ROWS:
            self.flush()

    def flush(self) -> None:
        """Write what is gathered."""
        if self._rows:
            rows = pa.concat_tables(self._gathered).unify_dictionaries().combine_chunks()
            self._gathered, self._rows = [], 0
            for lines in csv_lines(rows, self._dialect):
                self._sink.write(lines)

    def close(self) -> None:
        """Write what is still to come."""
        self.flush()
        if self._gzip:
            self._gzip.close()


def _lines(batch: pa.RecordBatch, how: Dialect) -> memoryview:
    cells = [_cells(column, how) for column in batch.columns]
    lines = pc.binary_join_element_wise(*cells, how.delimiter, null_handling="replace", null_replacement="")
    lines = pc.binary_join_element_wise(lines, "", _LINE_END)  # joins nothing to each line: ends it
    size = pc.sum(pc.binary_length(lines)).as_py()
    return memoryview(lines.buffers()[2])[:size]


def _cells(values: pa.Array, how: Dialect) -> pa.Array:
    kind = values.type
    if pa.types.is_dictionary(kind):
        return _cells(values.dictionary, how).take(values.indices)
    if pa.types.is_string(kind):
        return _quoted(kept_as_text(values) if how.for_spreadsheets else values, how.separators)
    if pa.types.is_list(kind):
        return _cells(pc.binary_join(values, "; "), how)
    if pa.types.is_timestamp(kind):
        # Formatting zoned times is ten times slower; these are all UTC.
        text = values.cast(pa.timestamp("us")).cast(pa.string())
        return pc.binary_join_element_wise(
            pc.binary_replace_slice(text, _SPACE_IN_TIME, _SPACE_IN_TIME + 1, "T"), "", "Z"
        )
    return values.cast(pa.string())


def _quoted(values: pa.Array, separators: str) -> pa.Array:
    needed = pc.match_substring_regex(values, f'["\r\n{separators}]')
    if not pc.any(needed).as_py():
        return values
    escaped = pc.replace_substring(values, '"', '""')
    return pc.if_else(needed, pc.binary_join_element_wise('"', escaped, '"', ""), values)
