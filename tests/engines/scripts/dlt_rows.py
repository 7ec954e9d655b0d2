"""Reads tags through dlt: `dlt_rows.py TAGS_FILE OUT.parquet` writes the rows of `statuses`, as DuckDB holds them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")

import dlt
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from smspartner_pipelines.dlt_source import check, smspartner_source
from smspartner_schemas.arrow import arrow_schema
from smspartner_schemas.contract import STATUSES


def main() -> None:
    """Load into DuckDB, and write what it holds."""
    tags, out = Path(sys.argv[1]), Path(sys.argv[2])
    file = out.with_suffix(".duckdb")
    pipeline = dlt.pipeline(
        "smspartner_rows",
        pipelines_dir=str(out.with_suffix(".pipelines")),
        destination=dlt.destinations.duckdb(str(file)),
        dataset_name="sms",
    )
    pipeline.run(smspartner_source(tags.read_text(encoding="utf-8").split()))
    check(pipeline)
    columns = ", ".join(STATUSES.column_names)
    with duckdb.connect(file) as connection:
        rows: pa.Table = connection.sql(f"SELECT {columns} FROM sms.statuses").to_arrow_table()
    schema = arrow_schema(STATUSES)
    pq.write_table(
        pa.table([rows[name].cast(_plain(schema.field(name).type)) for name in schema.names], schema.names), out
    )


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


if __name__ == "__main__":
    main()
