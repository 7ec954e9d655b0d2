"""The Arrow schemas."""

import pyarrow as pa
import pytest
from smspartner_schemas.arrow import arrow_schema, empty_table
from smspartner_schemas.contract import QUARANTINE, STATE_TABLES, STATUSES, TABLES, TAG_RUNS, Table

WORDS = pa.dictionary(pa.int32(), pa.string())
UTC_MICROSECONDS = pa.timestamp("us", tz="UTC")


def test_statuses():
    """`statuses` has the columns, types and nullability that the README states."""
    expected = pa.schema(
        [
            pa.field("tag", WORDS, nullable=False),
            pa.field("phone_number", pa.string(), nullable=False),
            pa.field("occurrence", pa.int32(), nullable=False),
            pa.field("country", WORDS),
            pa.field("status", WORDS, nullable=False),
            pa.field("stop_sms", pa.bool_(), nullable=False),
            pa.field("status_at", UTC_MICROSECONDS),
            pa.field("extracted_at", UTC_MICROSECONDS, nullable=False),
            pa.field("run_id", WORDS, nullable=False),
        ]
    )
    assert expected == arrow_schema(STATUSES)


def test_other_types():
    """Counts are 64-bit, durations floats, reasons a list of strings."""
    assert arrow_schema(TAG_RUNS).field("rows_declared").type == pa.int64()
    assert arrow_schema(TAG_RUNS).field("seconds").type == pa.float64()
    assert arrow_schema(QUARANTINE).field("reasons").type == pa.list_(pa.string())


@pytest.mark.parametrize("table", [*TABLES, *STATE_TABLES], ids=lambda table: table.name)
def test_empty_table(table: Table):
    """An empty table has all columns with their types, and no rows."""
    empty = empty_table(table)
    assert (empty.schema, empty.num_rows) == (arrow_schema(table), 0)


def test_meaning_travels_with_the_field():
    """Whoever opens a file finds each column's meaning in the field's metadata."""
    assert arrow_schema(STATUSES).field("tag").metadata == {b"meaning": STATUSES["tag"].meaning.encode()}


def test_metadata_keeps_no_table_apart():
    """Tables whose fields lost their metadata on the way still go together with those of the contract."""
    bare = empty_table(STATUSES).cast(pa.schema([field.remove_metadata() for field in arrow_schema(STATUSES)]))
    assert pa.concat_tables([empty_table(STATUSES), bare]).schema == arrow_schema(STATUSES)
