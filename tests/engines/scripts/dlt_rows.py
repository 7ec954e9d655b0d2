"""Reads tags through dlt: `dlt_rows.py TAGS_FILE OUT.parquet` writes the rows of `statuses`, as DuckDB holds them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")

import dlt
import duckdb
from smspartner_pipelines.engines.dlt import check, smspartner_source
from smspartner_schemas.contract import STATUSES

tags, out = map(Path, sys.argv[1:])
file = out.with_suffix(".duckdb")
pipeline = dlt.pipeline(
    "smspartner_rows",
    pipelines_dir=str(out.with_suffix(".pipelines")),
    destination=dlt.destinations.duckdb(str(file)),
    dataset_name="sms",
)
pipeline.run(smspartner_source(tags.read_text(encoding="utf-8").split()))
check(pipeline)
with duckdb.connect(file) as connection:
    rows = connection.sql(f"SELECT {', '.join(STATUSES.column_names)} FROM sms.statuses")
    rows.write_parquet(str(out))
