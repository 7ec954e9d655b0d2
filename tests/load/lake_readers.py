"""Reads `statuses` of a lake with other programs than ours, and prints each one's rows as JSON; run by their Python.

DuckDB reads the Delta log by its own extension, which is a package here, so that nothing is fetched. Spark's Delta
library is no Python package: it is given the live files.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import duckdb
import duckdb_extension_delta
import pyspark.sql
from deltalake import DeltaTable, QueryBuilder


def by_duckdb(table: str) -> object:
    """Rows by DuckDB's extension."""
    (extension,) = Path(duckdb_extension_delta.__path__[0]).rglob("delta.duckdb_extension")
    connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    connection.load_extension(str(extension))
    return connection.execute("FROM delta_scan(?)", [table]).to_arrow_table()


def by_datafusion(table: str) -> object:
    """Rows by the engine within deltalake."""
    return QueryBuilder().register("statuses", DeltaTable(table)).execute("SELECT * FROM statuses").read_all()


def by_spark(table: str) -> object:
    """Rows by Spark, from the live files."""
    builder = pyspark.sql.SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
    session = builder.config("spark.sql.session.timeZone", "UTC").getOrCreate()
    files = [f"file://{path}" for path in DeltaTable(table).file_uris()]
    return session.read.parquet(*files).toArrow()


def main() -> None:
    """Print the rows that each reader named on the command line finds."""
    import pyarrow as pa

    readers = {"duckdb": by_duckdb, "datafusion": by_datafusion, "spark": by_spark}
    names = DeltaTable(sys.argv[1]).schema().to_arrow().names
    found = {name: pa.table(readers[name](sys.argv[1])).select(names).to_pylist() for name in sys.argv[2:]}
    print(json.dumps(found, default=lambda time: time.isoformat()))  # noqa: T201  # it is what the test reads


if __name__ == "__main__":
    main()
