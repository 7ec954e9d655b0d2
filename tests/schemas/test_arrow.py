"""The Arrow schemas."""

import pyarrow as pa
from smspartner_schemas.arrow import arrow_schema, empty_table
from smspartner_schemas.contract import QUARANTINE, STATE_TABLES, STATUSES, TABLES, TAG_RUNS

WORDS = pa.dictionary(pa.int32(), pa.string())
UTC_MICROSECONDS = pa.timestamp("us", tz="UTC")


def test_statuses():
    """`statuses` has the documented columns, types and nullability, and each column's meaning in its metadata."""
    types = [WORDS, pa.string(), pa.int32(), WORDS, WORDS, pa.bool_(), UTC_MICROSECONDS, UTC_MICROSECONDS, WORDS]
    schema = arrow_schema(STATUSES)
    assert dict(zip(schema.names, schema.types, strict=True)) == dict(zip(STATUSES.column_names, types, strict=True))
    assert [field.name for field in schema if field.nullable] == ["country", "status_at"]
    assert schema.field("tag").metadata == {b"meaning": STATUSES["tag"].meaning.encode()}


def test_other_tables():
    """Counts are 64-bit, durations floats, reasons a list of strings; an empty table has its types, and no rows."""
    assert arrow_schema(TAG_RUNS).field("rows_declared").type == pa.int64()
    assert arrow_schema(TAG_RUNS).field("seconds").type == pa.float64()
    assert arrow_schema(QUARANTINE).field("reasons").type == pa.list_(pa.string())
    for table in (*TABLES, *STATE_TABLES):
        assert (empty_table(table).schema, empty_table(table).num_rows) == (arrow_schema(table), 0)


def test_metadata_keeps_no_table_apart():
    """Tables whose fields lost their metadata on the way still go together with those of the contract."""
    bare = empty_table(STATUSES).cast(pa.schema([field.remove_metadata() for field in arrow_schema(STATUSES)]))
    assert pa.concat_tables([empty_table(STATUSES), bare]).schema == arrow_schema(STATUSES)
