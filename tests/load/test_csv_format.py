"""CSV that every reader reads back, and that spreadsheets do not misread."""

import csv
import io

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pytest
from smspartner_pipelines.load.csv_format import csv_header, csv_lines
from smspartner_schemas.arrow import arrow_schema
from smspartner_schemas.contract import STATUSES

NASTY = [
    'say"hi"',
    "a,b",
    "a;b",
    '"',
    '""',
    "NA",
    "null",
    "NULL",
    "true",
    "007",
    "été",
    "\U0001f600",
    "-",
    "#",
    "\\N",
    "'",
]
TIME = "timestamp[us, tz=UTC]"


def write(table, dialect="rfc4180"):
    """A whole CSV."""
    return b"".join([csv_header(table.column_names, dialect), *csv_lines(table, dialect)])


@pytest.fixture
def table(make_snapshot):
    """Rows with every tag that could confuse a reader."""
    return pa.concat_tables([make_snapshot(tag, 6).table for tag in NASTY])


def test_bytes(make_snapshot):
    """Header, CRLF, times with `Z` to the microsecond, booleans in lower case, empty for null; quotes where needed."""
    text = write(make_snapshot('a,"b"', 3).table).decode()
    read_at, run_id = "2026-11-23T18:00:00.123456Z", "20261123T180000Z-ab12cd34"
    assert text.splitlines(keepends=True) == [
        "tag,phone_number,occurrence,country,status,stop_sms,status_at,extracted_at,run_id\r\n",
        f'"a,""b""",+33600000000,1,FR,delivered,true,2026-11-23T18:00:00.123400Z,{read_at},{run_id}\r\n',
        f'"a,""b""",+33600000001,2,,not_delivered,false,2026-11-23T17:59:00.123400Z,{read_at},{run_id}\r\n',
        f'"a,""b""",+33600000002,1,NA,waiting,false,,{read_at},{run_id}\r\n',
    ]


def test_whole_seconds_and_old_times():
    """Times have one form, whole seconds included, before 1970 as well."""
    times = pa.table({"at": pa.array([0, -1, 1_795_456_800_000_000], type=pa.timestamp("us", tz="UTC"))})
    assert write(times) == (
        b"at\r\n1970-01-01T00:00:00.000000Z\r\n1969-12-31T23:59:59.999999Z\r\n2026-11-23T18:00:00.000000Z\r\n"
    )


def test_pandas(table):
    """Told the types and that only an empty cell is null, pandas reads it back."""
    words = {field.name: "str" for field in table.schema if pa.types.is_dictionary(field.type)}
    frame = pd.read_csv(
        io.BytesIO(write(table)),
        dtype=words | {"phone_number": "str", "occurrence": "int32", "stop_sms": "bool"},
        parse_dates=["status_at", "extracted_at"],
        keep_default_na=False,
        na_values=[""],
    )
    expected = table.to_pandas().astype(words)
    pd.testing.assert_frame_equal(frame, expected, check_dtype=False)
    assert str(frame["status_at"].dtype) == "datetime64[us, UTC]"


def test_pyarrow(table):
    """PyArrow reads it back, told the types."""
    plain = {
        field.name: pa.string() if pa.types.is_dictionary(field.type) else field.type
        for field in arrow_schema(STATUSES)
    }
    options = pa.csv.ConvertOptions(
        column_types=plain, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False
    )
    read = pa.csv.read_csv(io.BytesIO(write(table)), convert_options=options)
    assert read.cast(arrow_schema(STATUSES)).to_pylist() == table.to_pylist()


def test_duckdb(tmp_path, table):
    """DuckDB reads it back, told the types."""
    path = tmp_path / "rows.csv"
    path.write_bytes(write(table))
    kinds = {"int32": "INTEGER", "bool": "BOOLEAN", TIME: "TIMESTAMPTZ"}
    types = {field.name: kinds.get(str(field.type), "VARCHAR") for field in table.schema}
    read = duckdb.read_csv(str(path), dtype=types).to_arrow_table()
    assert read.cast(arrow_schema(STATUSES)).to_pylist() == table.to_pylist()


def test_python(table):
    """Python's `csv` finds the same cells."""
    cells = list(csv.reader(io.StringIO(write(table).decode(), newline=""), strict=True))
    assert cells[0] == list(STATUSES.column_names)
    for row, expected in zip(cells[1:], table.to_pylist(), strict=True):
        assert row == [as_cell(value) for value in expected.values()]


def as_cell(value):
    """A value as the documentation says that it is written."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return (
        value
        if isinstance(value, str)
        else value.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        if hasattr(value, "year")
        else str(value)
    )


def test_every_table(make_snapshot, make_tag_runs):
    """Quarantine and history can be written as well: reasons joined, raw JSON in quotes, numbers as they are."""
    raw = '"{""phoneNumber"": ""+33699999000"", ""status"": ""?""}"'
    assert write(make_snapshot("a", 0, quarantined=1).quarantine).decode().splitlines()[1] == (
        f'a,1,1,"status is unknown; a ""second"", reason",{raw},2026-11-23T18:00:00.123456Z,20261123T180000Z-ab12cd34'
    )
    assert write(make_tag_runs("a")).decode().splitlines()[1] == (
        "20261123T180000Z-ab12cd34,a,failed,no answer,0,0,0,0,0,0,0,0,0,0,0,0,,0"
    )


def test_lines_within_cells():
    """Line ends and quotes within a cell survive."""
    texts = ["a\nb", "a\rb", "a\r\nb", 'a"\n"b', " a "]
    cells = list(csv.reader(io.StringIO(write(pa.table({"x": texts})).decode(), newline=""), strict=True))
    assert [row[0] for row in cells[1:]] == texts


def test_chunks(make_snapshot):
    """Many rows come in pieces of bounded size, and none is lost; no rows give no lines."""
    table = make_snapshot(rows=150_000).table
    pieces = list(csv_lines(table))
    assert len(pieces) == 3
    assert b"".join(pieces).count(b"\r\n") == 150_000
    assert list(csv_lines(table.slice(0, 0))) == []


def test_slices(make_snapshot):
    """A part of a table is written as that part."""
    table = make_snapshot(rows=10).table
    assert b"".join(csv_lines(table.slice(3, 4))).splitlines() == b"".join(csv_lines(table)).splitlines()[3:7]


# Spreadsheets.


@pytest.mark.parametrize(
    "text",
    [
        *("=1+1", "+33612345678", "-1", "@SUM(A1)", "\tx", "\rx", " =1", "\uff1d1", "+33*******78"),
        *("007", "1E5", "1-2", "12:30", "2026-11", ".5", "(3)", "50%", "€5", "mars-26", "nov26", "Sept1", "MAI 2026"),
        *(
            "lun.3/4/26",
            "sept.26",
            "März-26",
            "janvier-1,2026",
            "Jan.1.2026",
            "Mo.3.4.26",
            "lun.oct.26",
            "янв-26",
            "月1-1",
        ),
        *(
            "\xa05",
            "\u200b=1",
            "\u22125",
            "\uff15",
            "\u0663",
            "½",
            "янв-26",
            "月1-1",
            "R$5",
            "CHF5",
            "kr.-5",
            "₹5",
            "fr1",
        ),
        *("true", "FALSE", "vrai", "WAHR", "Falso", "#N/A", "#REF!", "#NOM?", "'quoted"),
    ],
)
def test_kept_as_text(text):
    """What a spreadsheet would run, calculate or convert has an apostrophe before it."""
    written = write(pa.table({"x": [text]}), "excel").decode("utf-8-sig")
    assert [row[0] for row in csv.reader(io.StringIO(written, newline=""), delimiter=";")][1:] == [f"'{text}"]


@pytest.mark.parametrize(
    "text", ["promo-nov", "relance", "marsouin", "été", "FR", "delivered", "a=b", "x1", "promo26", "solde-26", "#noel"]
)
def test_plain_words_stay(text):
    """A word that no spreadsheet misreads is written as it is."""
    assert write(pa.table({"x": [text]}), "excel").decode("utf-8-sig") == f"x\r\n{text}\r\n"


def test_excel_bytes(make_snapshot):
    """A byte order mark, semicolons, phone numbers as text; what LibreOffice would also separate at is in quotes."""
    written = write(make_snapshot("a,b;c", 2).table, "excel")
    assert written.startswith(b"\xef\xbb\xbftag;phone_number;")
    assert written.decode("utf-8-sig").splitlines()[1] == (
        '"a,b;c";\'+33600000000;1;FR;delivered;true;2026-11-23T18:00:00.123400Z;2026-11-23T18:00:00.123456Z;'
        "'20261123T180000Z-ab12cd34"
    )
    for tag in ("a,b", "a;b", "a\tb"):
        assert csv_line(tag, "excel") == f'"{tag}"\r\n'
    assert csv_line("a;b\t", "rfc4180") == "a;b\t\r\n"


def csv_line(text, dialect):
    """The line of one cell."""
    return b"".join(csv_lines(pa.table({"x": [text]}), dialect)).decode()


def test_excel_can_be_undone(table):
    """Taking away one leading apostrophe restores every text."""
    written = write(table, "excel").decode("utf-8-sig")
    cells = list(csv.reader(io.StringIO(written, newline=""), delimiter=";", strict=True))
    restored = [[cell.removeprefix("'") for cell in row] for row in cells[1:]]
    assert restored == [[as_cell(value) for value in row.values()] for row in table.to_pylist()]
    assert not [cell for row in cells for cell in row if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
