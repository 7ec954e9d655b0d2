"""How long a warehouse takes for a million rows, against the plain way into an equal table.

    python tests/benchmarks/warehouse_load.py duckdb:FILE
    python tests/benchmarks/warehouse_load.py postgresql://…      (a schema `smspartner_benchmark` is made and dropped)

Each measurement is a process of its own: first load, full replacement, and reading the state of 20,000 tags.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
from smspartner.load import open_destination
from smspartner.snapshot import Snapshot
from smspartner_schemas.arrow import arrow_schema, empty_table
from smspartner_schemas.contract import QUARANTINE, STATUS_WORDS, STATUSES
from smspartner_schemas.ddl import table_statements

RUN_ID = "20261123T180000Z-ab12cd34"
READ_AT = datetime(2026, 11, 23, 18, tzinfo=UTC)
ROWS = 1_000_000
SCHEMA = "smspartner_benchmark"


def batches(tags: int) -> Iterator[list[Snapshot]]:
    """Give all rows in batches as a run does."""
    per_tag = ROWS // tags
    batch: list[Snapshot] = []
    for number in range(tags):
        batch.append(snapshot(f"tag-{number:06}", per_tag, number))
        if len(batch) * per_tag >= 250_000:
            yield batch
            batch = []
    if batch:
        yield batch


def snapshot(tag: str, rows: int, seed: int) -> Snapshot:
    """Make a tag with numbers in no order, as the API gives them."""
    random = np.random.default_rng(seed)
    same = lambda value: pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int32)), [value])  # noqa: E731
    numbers = [f"+336{number:08}" for number in random.permutation(100_000_000 // 997)[:rows].tolist()]
    table = pa.table(
        [
            *(same(tag), pa.array(numbers), pa.array(np.ones(rows, np.int32)), same("FR")),
            pa.DictionaryArray.from_arrays(pa.array(random.integers(0, 4, rows).astype(np.int32)), list(STATUS_WORDS)),
            pa.array(random.random(rows) < 0.02),
            pa.array(1_700_000_000_000_000 + random.integers(0, 86_400, rows) * 1_000_000, pa.timestamp("us", "UTC")),
            *(pa.array([READ_AT] * rows, pa.timestamp("us", "UTC")), same(RUN_ID)),
        ],
        schema=arrow_schema(STATUSES),
    )
    quarantine = empty_table(QUARANTINE)
    return Snapshot(tag, "complete", "", table, quarantine, READ_AT, rows_declared=rows, rows_received=rows)


def load(uri: str, made: Sequence[list[Snapshot]]) -> None:
    """Load as a run does."""
    destination = open_destination(uri)
    destination.check()
    with destination:
        for batch in made:
            list(destination.replace_tags(batch, RUN_ID))


def plain(uri: str, made: Sequence[list[Snapshot]]) -> None:
    """Load in the plain way: one statement, into a table like ours."""
    rows = pa.concat_tables(one.table for batch in made for one in batch)
    if uri.startswith("duckdb:"):
        import duckdb

        with duckdb.connect(f"{uri[7:]}.plain") as connection:
            connection.register("rows_to_load", rows)
            connection.execute("BEGIN")
            if "replacement" in sys.argv[2]:
                connection.execute("DELETE FROM plain WHERE true; INSERT INTO plain FROM rows_to_load")
            else:
                connection.execute("CREATE TABLE plain AS FROM rows_to_load")
            connection.execute("COMMIT")
        return
    from adbc_driver_postgresql import dbapi

    keyed = "without key" not in sys.argv[2]
    with dbapi.connect(uri) as connection, connection.cursor() as cursor:
        if "replacement" in sys.argv[2]:
            cursor.execute("DELETE FROM plain WHERE tag <> ''")
        for statement in table_statements(STATUSES, "postgresql", primary_key=keyed):
            if keyed or "CREATE INDEX" not in statement:
                cursor.execute(statement.replace('"statuses"', '"plain"').replace('"statuses_', '"plain_'))
        cursor.adbc_ingest("plain", rows.unify_dictionaries(), mode="append")
        connection.commit()


def measure(uri: str, what: str) -> None:
    """Do one thing, and print its seconds and the peak of memory beyond the rows themselves."""
    made = list(batches(50_000 if "tiny" in what else 200)) if "state" not in what else []
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    if "plain" in what:
        plain(uri, made)
    elif "state" in what:
        print(len(open_destination(uri).loaded_tags()), end=" ", file=sys.stderr)  # noqa: T201
    else:
        load(uri, made)
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"what": what, "seconds": round(seconds, 2), "peak_mb": (peak - before) // 1024}))  # noqa: T201


def main() -> None:
    """Measure everything."""
    uri = sys.argv[1]
    if len(sys.argv) > 2:
        measure(uri, sys.argv[2])
        return
    if uri.startswith("duckdb:"):
        for path in Path(uri[7:]).parent.glob(f"{Path(uri[7:]).name}*"):
            path.unlink()
        everything = ["plain", "plain replacement"]
    else:
        everything = ["plain, without key", "plain", "plain replacement"]
        uri += ("&" if "?" in uri else "?") + f"options=-csearch_path%3D{SCHEMA}"
    for what in [*everything, "first load", "replacement", "first load, tiny tags", "replacement, tiny tags", "state"]:
        if "replacement" not in what and what != "state":
            _empty(uri)
        subprocess.run([sys.executable, __file__, uri, what], check=True)
    _empty(uri)


def _empty(uri: str) -> None:
    if uri.startswith("duckdb:"):
        Path(uri[7:]).unlink(missing_ok=True)
        return
    from adbc_driver_postgresql import dbapi

    with dbapi.connect(uri, autocommit=True) as connection, connection.cursor() as cursor:
        for statement in (f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE", f"CREATE SCHEMA {SCHEMA}", "CHECKPOINT"):
            cursor.execute(statement)


if __name__ == "__main__":
    main()
