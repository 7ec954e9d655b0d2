"""The fastest plain way into each kind of destination, and how all rows are read back from it.

A way gets the same tables as the product, a table a tag, and does nothing but write them: no lock, no state, no
history, no check; a second run replaces what the first one wrote.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.csv
import pyarrow.dataset
import pyarrow.parquet as pq
from smspartner_schemas.arrow import arrow_schema
from smspartner_schemas.contract import STATUSES
from smspartner_schemas.sql import create_table

Batches = Sequence[Sequence[pa.Table]]

PLAIN_SCHEMA = pa.schema(
    [
        pa.field(field.name, field.type.value_type if pa.types.is_dictionary(field.type) else field.type)
        for field in arrow_schema(STATUSES)
    ]
)
"""Without dictionaries, which databases do not take."""


def _reader(batches: Batches) -> pa.RecordBatchReader:
    def record_batches() -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield from pa.concat_tables(batch).cast(PLAIN_SCHEMA).combine_chunks().to_batches()

    return pa.RecordBatchReader.from_batches(PLAIN_SCHEMA, record_batches())


def _name(rows: pa.Table) -> str:
    return hashlib.sha256(rows["tag"][0].as_py().encode()).hexdigest()[:16] + ".parquet"


def dataset(uri: str, batches: Batches) -> None:
    """Write a Parquet file a tag, each synced."""
    folder = Path(uri, "statuses")
    folder.mkdir(parents=True, exist_ok=True)
    for batch in batches:
        for rows in batch:
            with (folder / _name(rows)).open("wb") as file:
                pq.write_table(rows, file)
                file.flush()
                os.fsync(file.fileno())


def csv(uri: str, batches: Batches) -> None:
    """Write a CSV with PyArrow, synced."""
    with Path(uri).open("wb") as file:
        with pa.csv.CSVWriter(file, PLAIN_SCHEMA) as writer:
            for batch in _reader(batches):
                writer.write(batch)
        file.flush()
        os.fsync(file.fileno())


def duckdb(uri: str, batches: Batches) -> None:
    """Insert from Arrow in one transaction."""
    import duckdb as library

    with closing(library.connect(uri.removeprefix("duckdb:"))) as database:
        # As the product's, whose transactions keep the key: an index would make the file six times as large.
        database.execute(create_table(STATUSES, "duckdb", primary_key=False))
        database.execute("BEGIN")
        database.execute("DELETE FROM statuses")
        reader = _reader(batches)  # noqa: F841  # the query finds it by its name
        database.execute("INSERT INTO statuses SELECT * FROM reader")
        database.execute("COMMIT")


def postgresql(uri: str, batches: Batches) -> None:
    """Copy in one transaction by ADBC, which speaks COPY's binary form, into a table with the same key."""
    from adbc_driver_postgresql import dbapi

    with dbapi.connect(uri) as database, database.cursor() as cursor:
        for statement in filter(str.strip, create_table(STATUSES, "postgresql").split(";\n")):
            cursor.execute(statement)
        cursor.execute("DELETE FROM statuses")
        cursor.adbc_ingest("statuses", _reader(batches), mode="append")
        database.commit()


def delta(uri: str, batches: Batches) -> None:
    """Overwrite a table that is partitioned by tag."""
    import deltalake

    deltalake.write_deltalake(uri.removeprefix("delta:"), _reader(batches), partition_by="tag", mode="overwrite")


def object_store(uri: str, batches: Batches) -> None:
    """Put the bytes of a Parquet file a tag, eight at a time."""
    from concurrent.futures import ThreadPoolExecutor

    import s3fs

    store = s3fs.S3FileSystem()
    folder = uri.removeprefix("s3://")

    def put(rows: pa.Table) -> None:
        sink = pa.BufferOutputStream()
        pq.write_table(rows, sink)
        store.pipe_file(f"{folder}/statuses/{_name(rows)}", sink.getvalue().to_pybytes())

    with ThreadPoolExecutor(8) as threads:
        for batch in batches:
            list(threads.map(put, batch))


def _rows_of_csv(uri: str) -> pa.Table:
    options = pa.csv.ConvertOptions(column_types=PLAIN_SCHEMA, strings_can_be_null=True, null_values=[""])
    return pa.csv.read_csv(uri, convert_options=options)


def _rows_of_duckdb(uri: str) -> pa.Table:
    import duckdb as library

    with closing(library.connect(uri.removeprefix("duckdb:"), read_only=True)) as database:
        return database.execute("SELECT * FROM statuses").to_arrow_table()


def _rows_of_postgresql(uri: str) -> pa.Table:
    from adbc_driver_postgresql import dbapi

    with dbapi.connect(uri) as database, database.cursor() as cursor:
        cursor.execute("SELECT * FROM statuses")
        return cursor.fetch_arrow_table()


def _rows_of_delta(uri: str) -> pa.Table:
    import deltalake

    path = uri.removeprefix("delta:")
    for table in (Path(path), Path(path, "statuses")):
        if (table / "_delta_log").is_dir():
            return pa.table(
                deltalake.QueryBuilder().register("t", deltalake.DeltaTable(table)).execute("SELECT * FROM t")
            )
    raise SystemExit(f"{path} is no Delta table")


def _rows_of_object_store(uri: str) -> pa.Table:
    import s3fs

    place = urlsplit(uri)
    return pa.dataset.dataset(f"{place.netloc}{place.path}/statuses", filesystem=s3fs.S3FileSystem()).to_table()


WAYS: dict[str, tuple[Callable[[str, Batches], None], Callable[[str], Any]]] = {
    "dataset": (dataset, lambda uri: pa.dataset.dataset(f"{uri}/statuses").to_table()),
    "csv": (csv, _rows_of_csv),
    "duckdb": (duckdb, _rows_of_duckdb),
    "postgresql": (postgresql, _rows_of_postgresql),
    "delta": (delta, _rows_of_delta),
    "s3": (object_store, _rows_of_object_store),
}
"""For each kind of destination the plain way into it, and how its rows are read."""
