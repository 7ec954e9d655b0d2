"""CSV by RFC 4180 that every reader reads back."""

import csv
import io

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pytest
from smspartner_pipelines.load.csv import CsvWriter
from smspartner_schemas.arrow import arrow_schema
from smspartner_schemas.contract import STATUSES

NASTY = ['say"hi"', "a,b", "a;b", '"', '""', "NA", "null", "NULL", "true", "007", "été", "\U0001f600", "-", "#", "\\N"]
NASTY += ["'", "=1+1"]


def write(*tables):
    """A whole CSV."""
    sink = io.BytesIO()
    rows = CsvWriter(sink, STATUSES)
    for table in tables:
        rows.write(table)
    rows.close()
    return sink.getvalue()


@pytest.fixture
def table(make_snapshot):
    """Rows with every tag that could confuse a reader."""
    return pa.concat_tables([make_snapshot(tag, 6).table for tag in NASTY])


def test_bytes(make_snapshot):
    """Header, CRLF, times with `Z` to the microsecond, booleans in lower case, empty for null; quotes where needed."""
    read_at, run_id = "2026-11-23T18:00:00.123456Z", "20261123T180000Z-ab12cd34"
    assert write(make_snapshot('a,"b"', 3).table).decode().splitlines(keepends=True) == [
        "tag,phone_number,occurrence,country,status,stop_sms,status_at,extracted_at,run_id\r\n",
        f'"a,""b""",+33600000000,1,FR,delivered,true,2026-11-23T18:00:00.123400Z,{read_at},{run_id}\r\n',
        f'"a,""b""",+33600000001,2,,not_delivered,false,2026-11-23T17:59:00.123400Z,{read_at},{run_id}\r\n',
        f'"a,""b""",+33600000002,1,NA,waiting,false,,{read_at},{run_id}\r\n',
    ]


def test_times(make_snapshot):
    """Times have one form, whole seconds included, before 1970 as well."""
    table = make_snapshot(rows=3).table
    at, times = table.schema.get_field_index("status_at"), pa.array([0, -1, 1_795_456_800_000_000])
    lines = write(table.set_column(at, table.schema.field(at), times.cast(pa.timestamp("us", "UTC")))).splitlines()
    texts = [b"1970-01-01T00:00:00.000000Z", b"1969-12-31T23:59:59.999999Z", b"2026-11-23T18:00:00.000000Z"]
    assert [line.split(b",")[at] for line in lines[1:]] == texts


def test_readers(tmp_path, table):
    """With types given, pandas, PyArrow, DuckDB and Python's `csv` find the same cells."""
    (tmp_path / "rows.csv").write_bytes(write(table))
    words = {field.name: "str" for field in table.schema if pa.types.is_dictionary(field.type)}
    frame = pd.read_csv(
        tmp_path / "rows.csv",
        dtype=words | {"phone_number": "str", "occurrence": "int32", "stop_sms": "bool"},
        parse_dates=["status_at", "extracted_at"],
        keep_default_na=False,
        na_values=[""],
    )
    pd.testing.assert_frame_equal(frame, table.to_pandas().astype(words), check_dtype=False)

    types = {field.name: pa.string() if field.name in words else field.type for field in arrow_schema(STATUSES)}
    read = pa.csv.read_csv(
        tmp_path / "rows.csv",
        parse_options=pa.csv.ParseOptions(newlines_in_values=True),
        convert_options=pa.csv.ConvertOptions(
            column_types=types, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False
        ),
    )
    assert read.cast(arrow_schema(STATUSES)).to_pylist() == table.to_pylist()

    kinds = {"int32": "INTEGER", "bool": "BOOLEAN", "timestamp[us, tz=UTC]": "TIMESTAMPTZ"}
    dtypes = {field.name: kinds.get(str(field.type), "VARCHAR") for field in table.schema}
    read = duckdb.read_csv(str(tmp_path / "rows.csv"), dtype=dtypes).to_arrow_table()
    assert read.cast(arrow_schema(STATUSES)).to_pylist() == table.to_pylist()


def test_line_breaks(make_snapshot):
    """A line break within a cell stands in quotes, as RFC 4180 has it, though no tag may hold one."""
    tags = [*NASTY, "two\r\nlines", "\n", "\r"]
    text = write(*[make_snapshot(tag, 1).table for tag in tags]).decode()
    assert [row[0] for row in csv.reader(io.StringIO(text, newline=""), strict=True)] == ["tag", *tags]
