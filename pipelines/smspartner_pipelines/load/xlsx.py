"""An Excel workbook of one run: a sheet of campaigns, a sheet of statuses.

XlsxWriter makes a workbook of headings. The rows are put into its sheets as XML that Arrow's kernels write, a hundred
thousand of them in a second instead of ten, and go straight into the staged file: memory stays flat, and no temporary
file holds a phone number.
"""

from __future__ import annotations

import io
import re
import zipfile
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import xlsxwriter
from smspartner.errors import DestinationError
from smspartner.vendor import LOCAL_TIME_ZONE
from smspartner_schemas.contract import STATUS_WORDS, STATUSES

from smspartner_pipelines.load.destination import state_of
from smspartner_pipelines.load.export import Export

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from smspartner.snapshot import Snapshot

    from smspartner_pipelines.load.destination import LoadedTag, WrittenFile

MOST_ROWS = 1_048_575
"""Rows of a sheet below its heading: Excel opens no more."""

_TEXT, _TIME, _SHARE, _OTHER = "@", "yyyy-mm-dd hh:mm:ss", "0.0%", "General"
_FLAG = '"TRUE";"TRUE";"FALSE"'  # which LibreOffice needs, or it shows some as 0 or 1
_SHEETS = {
    "campaigns": (
        *(("tag", _TEXT), ("messages", _OTHER), *((word, _OTHER) for word in STATUS_WORDS), ("opt_outs", _OTHER)),
        *(("delivered_of_final", _SHARE), ("opt_outs_of_delivered", _SHARE), ("quarantined", _OTHER)),
        *(("newest_status", _TIME), ("read", _TIME)),
    ),
    "statuses": tuple(
        (column.name, {"string": _TEXT, "timestamp": _TIME, "bool": _FLAG}.get(column.type, _OTHER))
        for column in STATUSES.columns
    ),
}
"""Columns and their formats. Times are real dates in French time, since Excel knows no zones."""

_WIDTHS = {_TEXT: 22, _TIME: 20, _SHARE: 12, _FLAG: 12, _OTHER: 12}
_BUTTON = 4
"""Room that the button of a filter takes beside a heading."""

_A4 = 9
_PART = "xl/worksheets/sheet{}.xml"
_DAY = 86_400_000_000
_EXCEL_EPOCH = 25_569
"""Days from Excel's day 0 to 1970."""

_ROWS_AT_ONCE = 16_384


class _Sheets:
    """Writes rows into the sheet of statuses, and at the end the sheet of campaigns, into `sink`."""

    def __init__(self, sink: Any) -> None:
        self.states: list[LoadedTag] = []
        self._rows = 0
        self._file = zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
        self._parts = _headings(0, 0)
        self._sheet = self._file.open(_PART.format(2), "w", force_zip64=True)
        self._sheet.write(_split(self._parts[_PART.format(2)])[0])

    def write(self, rows: pa.Table) -> None:
        """Write rows of `statuses`."""
        self._rows += len(rows)
        self._sheet.writelines(_rows_xml(rows, self._parts[_PART.format(2)]))

    def close(self) -> None:
        """Write what is still to come."""
        if self._file.fp is None:
            return
        parts = _headings(len(self.states), self._rows)  # filters cover all rows
        self._sheet.write(_split(parts.pop(_PART.format(2)))[1])
        self._sheet.close()
        campaigns = parts[_PART.format(1)]
        head, tail = _split(campaigns)
        parts[_PART.format(1)] = b"".join([head, *_rows_xml(_campaigns(self.states), campaigns), tail])
        for name, content in parts.items():
            self._file.writestr(name, content)
        self._file.close()


class Workbook(Export):
    """See `Export`; a run whose tags declare more rows than a sheet can hold keeps the old file."""

    formats = {".xlsx": _Sheets}  # noqa: RUF012

    def __init__(self, path: str, uri: str) -> None:
        super().__init__(path, uri)
        self._declared = 0

    def replace(self, snapshots: Sequence[Snapshot]) -> Iterator[list[WrittenFile]]:
        """See `Destination.replace`."""
        for snapshot in snapshots:
            self._declared += snapshot.rows_declared or 0
            if self._declared > MOST_ROWS:
                self._is_whole = False
                raise DestinationError(
                    f"{self.uri}: the tags hold more than the {MOST_ROWS:,} rows that a sheet can hold",
                    remedy="load fewer tags into it, or name a .csv or .parquet file",
                )
            self._writer.states.append(state_of(snapshot))
            yield from super().replace([snapshot])


def _headings(*rows: int) -> dict[str, bytes]:
    """Give the parts of a workbook whose sheets hold headings, formats and filters over so many rows, and no row."""
    made = io.BytesIO()
    with xlsxwriter.Workbook(made, {"in_memory": True}) as workbook:
        formats = {name: workbook.add_format({"num_format": name}) for name in _WIDTHS}
        bold = workbook.add_format({"bold": True})
        for (name, columns), count in zip(_SHEETS.items(), rows, strict=True):
            sheet = workbook.add_worksheet(name)
            for number, (column, kind) in enumerate(columns):
                heading = f"{column} ({LOCAL_TIME_ZONE})" if kind == _TIME else column
                sheet.set_column(number, number, max(_WIDTHS[kind], len(heading) + _BUTTON), formats[kind])
                sheet.write_string(0, number, heading, bold)
            sheet.freeze_panes(1, 0)
            sheet.set_landscape()
            sheet.set_paper(_A4)
            sheet.fit_to_pages(1, 0)  # all columns on each page
            sheet.repeat_rows(0)
            sheet.autofilter(0, 0, count, len(columns) - 1)
    with zipfile.ZipFile(made) as parts:
        return {name: parts.read(name) for name in parts.namelist()}


def _split(sheet: bytes) -> tuple[bytes, bytes]:
    """Give what stands before and behind the rows of a sheet."""
    head, end, tail = sheet.partition(b"</sheetData>")
    return re.sub(rb"<dimension [^>]*/>", b"", head), end + tail


def _campaigns(states: Sequence[LoadedTag]) -> pa.Table:
    rows = [
        {
            "tag": one.tag,
            "messages": one.rows_loaded,
            **{word: getattr(one, word) for word in STATUS_WORDS},
            "opt_outs": one.stop_sms,
            "delivered_of_final": one.delivered / final if (final := one.rows_loaded - one.waiting) else None,
            "opt_outs_of_delivered": one.stop_sms / one.delivered if one.delivered else None,
            "quarantined": one.rows_quarantined,
            "newest_status": one.newest_status_at,
            "read": one.extracted_at,
        }
        for one in states
    ]
    kinds = {_TEXT: pa.string(), _TIME: pa.timestamp("us", "UTC"), _SHARE: pa.float64(), _OTHER: pa.int64()}
    return pa.Table.from_pylist(rows, pa.schema([(name, kinds[kind]) for name, kind in _SHEETS["campaigns"]]))


def _rows_xml(rows: pa.Table, sheet: bytes) -> Iterator[bytes]:
    """Write rows as XML, piece by piece; a cell has the style of its column."""
    columns = re.findall(rb'<col min="(\d+)" max="(\d+)" [^>]*style="(\d+)"', sheet)
    styles = [style.decode() for first, last, style in columns for _ in range(int(first), int(last) + 1)]
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        for batch in rows.slice(start, _ROWS_AT_ONCE).combine_chunks().to_batches():
            cells = [_cells(column, style) for column, style in zip(batch.columns, styles, strict=True)]
            lines = pc.binary_join_element_wise("<row>", *cells, "</row>", "")
            yield lines.buffers()[2][: pc.sum(pc.binary_length(lines)).as_py()]


def _cells(values: pa.Array, style: str) -> pa.Array:
    """Write values as cells; one that is null is empty."""
    kind, attributes, end = values.type, f's="{style}"', "</v></c>"
    if pa.types.is_dictionary(kind):
        return _cells(values.dictionary, style).take(values.indices).fill_null("<c/>")
    if pa.types.is_string(kind):
        attributes, values, end = f'{attributes} t="inlineStr"', _escaped(values), "</t></is></c>"
    elif pa.types.is_boolean(kind):
        attributes, values = f'{attributes} t="b"', values.cast(pa.int8())
    elif pa.types.is_timestamp(kind):
        local = pc.local_timestamp(values.cast(pa.timestamp("us", LOCAL_TIME_ZONE))).cast(pa.int64())
        values = pc.add(pc.divide(local.cast(pa.float64()), _DAY), _EXCEL_EPOCH)
    begin = f'<c {attributes}><is><t xml:space="preserve">' if end != "</v></c>" else f"<c {attributes}><v>"
    return pc.binary_join_element_wise(begin, values.cast(pa.string()), end, "").fill_null("<c/>")


def _escaped(texts: pa.Array) -> pa.Array:
    for pattern, instead in ((r"_(x[0-9A-Fa-f]{4}_)", r"_x005F_\1"), ("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        texts = pc.replace_substring_regex(texts, pattern, instead)
    return pc.replace_substring_regex(texts, r"[\x00-\x08\x0b\x0c\x0e-\x1f]", "")
