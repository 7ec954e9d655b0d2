"""Loads ready snapshots once, in a process of its own, and tells what it took; started by destinations.py.

`python loading_once.py '{"act": "product", "kind": "dataset", "uri": "…", "tags": 200, "rows": 5000, "run": 1}'` prints
JSON. What is timed begins when rows and libraries are there, and ends when everything is loaded for good. `act`:

    product   loads through the destination, batch by batch, as a run does, history and report included
    plain     loads by the plain way
    base      only holds the snapshots: what the memory of the others is compared with
    check     counts the rows that are there and sums their hashes, in whatever order they come
    expected  the same of the rows that are loaded
    judge     reads the state of all tags and decides which must be read again, as the next run does: none
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import plain_ways
import pyarrow as pa
import pyarrow.compute as pc
from smspartner import Connection, Secret
from smspartner_pipelines.load import open_destination
from smspartner.snapshot import Snapshot
from smspartner_pipelines.incremental import select_tags
from smspartner_pipelines.outcomes import RunOutcome
from smspartner_pipelines.settings import RunSettings
from smspartner_schemas.arrow import arrow_schema, empty_table
from smspartner_schemas.contract import QUARANTINE, STATUS_WORDS, STATUSES, WAITING

BATCH_ROWS = 250_000
READ_AT = datetime(2026, 11, 23, 18, tzinfo=UTC)
FIRST_DATE = 1_700_000_000
DELIVERED_OF_TEN = 7
FINAL = [place for place, word in enumerate(STATUS_WORDS) if word != WAITING]


def run_id(number: int) -> str:
    """Name the n-th run."""
    return f"20261123T18000{number}Z-0000000{number}"


def _repeated(value: str, rows: int) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array([value]))


def snapshot(number: int, rows: int, run: int) -> Snapshot:
    """Make the snapshot of one tag: numbers and times that look random, most of them delivered."""
    scattered = [(number * rows + place) * 2654435761 % 100_000_000 for place in range(rows)]
    table = pa.table(
        [
            _repeated(f"tag-{number}", rows),
            pa.array([f"+336{digits:08}" for digits in scattered]),
            pa.array([1] * rows, pa.int32()),
            _repeated("FR", rows),
            pa.DictionaryArray.from_arrays(
                pa.array([0 if one % 10 < DELIVERED_OF_TEN else FINAL[one % 3] for one in scattered], pa.int32()),
                pa.array(STATUS_WORDS),
            ),
            pa.array([one % 50 == 0 for one in scattered]),
            pa.array([(FIRST_DATE + one % 100_000) * 1_000_000 for one in scattered], pa.timestamp("us", tz="UTC")),
            pa.array([READ_AT] * rows, pa.timestamp("us", tz="UTC")),
            _repeated(run_id(run), rows),
        ],
        schema=arrow_schema(STATUSES),
    )
    doubted = empty_table(QUARANTINE)
    return Snapshot(f"tag-{number}", "complete", "", table, doubted, READ_AT, rows, rows, page_rows=1000)


def batches(tags: int, rows: int, run: int) -> list[list[Snapshot]]:
    """Make all snapshots, in batches as a run gathers them."""
    made: list[list[Snapshot]] = []
    for number in range(tags):
        if not made or sum(one.table.num_rows for one in made[-1][:1]) * len(made[-1]) >= BATCH_ROWS:
            made.append([])
        made[-1].append(snapshot(number, rows, run))
    return made


def product(job: dict[str, Any], given: list[list[Snapshot]]) -> Callable[[], None]:
    """Load through the destination."""
    destination = open_destination(job["uri"])
    outcome = RunOutcome(run_id(job["run"]), tuple(one.tag for batch in given for one in batch))
    for batch in given:
        for one in batch:
            outcome.note(one)
    history = outcome.tag_runs_table()

    def load() -> None:
        destination.check()
        with destination:
            for batch in given:
                for _ in destination.replace_tags(batch, outcome.run_id):
                    pass
            destination.finish(history, outcome.run_id)
            destination.save_report(b"{}", outcome.run_id)

    return load


def plain(job: dict[str, Any], given: list[list[Snapshot]]) -> Callable[[], None]:
    """Load by the plain way, with its libraries imported before."""
    way, _ = plain_ways.WAYS[job["kind"]]
    tables = [[one.table for one in batch] for batch in given]
    for library in {"duckdb": ["duckdb"], "delta": ["deltalake"], "s3": ["s3fs"]}.get(job["kind"], []):
        __import__(library)
    return lambda: way(job["uri"], tables)


def checksum(tables: Iterable[pa.Table]) -> list[int]:
    """Count rows, and sum a hash of each over all columns: the same in whatever order they come."""
    import pandas as pd

    count, total = 0, 0
    for table in tables:
        plain_rows = table.select(plain_ways.PLAIN_SCHEMA.names).cast(plain_ways.PLAIN_SCHEMA)
        columns = {
            name: pc.cast(column, pa.int64()) if pa.types.is_timestamp(column.type) else column
            for name, column in zip(plain_rows.column_names, plain_rows.columns, strict=True)
        }
        hashes = pd.util.hash_pandas_object(pa.table(columns).to_pandas(), index=False)
        count, total = count + len(hashes), total + int(hashes.sum())
    return [count, total % 2**64]


def judge(job: dict[str, Any]) -> dict[str, float]:
    """Read the state of all tags, and select those that must be read again."""
    tags = tuple(f"tag-{number}" for number in range(job["tags"]))
    destination = open_destination(job["uri"])
    settings = RunSettings(tags=tags, connection=Connection(api_key=Secret("benchmark-key")), to=(job["uri"],))
    began = time.perf_counter()
    selection = select_tags(settings, [destination.loaded_tags()])
    seconds = time.perf_counter() - began
    if len(selection.skipped) != len(tags):
        raise SystemExit(f"{job['uri']}: {len(selection.skipped)} of {len(tags)} tags are settled, which all are")
    return {"seconds": seconds}


def measured(act: Callable[[], None]) -> dict[str, float]:
    """Do it; tell seconds and the peak of resident memory in MB."""
    began = time.perf_counter()
    act()
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"seconds": seconds, "megabytes": peak / (1024 * 1024 if sys.platform == "darwin" else 1024)}


def main() -> None:
    """Do one job."""
    job = json.loads(sys.argv[1])
    if job["act"] == "check":
        found: Any = {"checksum": checksum([plain_ways.WAYS[job["kind"]][1](job["uri"])])}
    elif job["act"] == "judge":
        found = judge(job)
    else:
        given = batches(job["tags"], job["rows"], job["run"])
        if job["act"] == "expected":
            found = {"checksum": checksum(pa.concat_tables([one.table for one in batch]) for batch in given)}
        elif job["act"] == "base":
            found = measured(lambda: None)
        else:
            found = measured({"product": product, "plain": plain}[job["act"]](job, given))
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
