"""Measures the campaign report on many rows: time, memory, and the size of the page.

    python tests/benchmarks/campaign_report.py [--tags 5000] [--rows 2000] [--to DEST]

makes a dataset through the product's own loader (--rows each; delivery within two days of a start in the last two
months, a tenth of the tags still waiting, one in fifty with rows in quarantine), then runs `smspartner report` on it as
a process of its own, three times, and prints the median. `--to` takes any destination; one that is there is not made
again.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
from smspartner.grouping import gathered
from smspartner.load import open_destination
from smspartner.snapshot import Snapshot
from smspartner_schemas.arrow import arrow_schema
from smspartner_schemas.contract import QUARANTINE, STATUS_WORDS, STATUSES, TAG_RUNS, WAITING

READ_AT = datetime(2026, 11, 24, 18, 0, tzinfo=UTC)
RUN_ID = "20261124T180000Z-ab12cd34"
COUNTRIES = ("FR", "BE", "CH", "GP", "RE", "LU", "DE", "ES")
REPEAT = 3


def snapshot_of(number: int, rows: int) -> Snapshot:
    """Make a tag whose rows are as those of a campaign."""
    random = np.random.default_rng(number)
    waiting = 0.05 if number % 10 == 0 else 0.0
    status = random.choice(len(STATUS_WORDS), rows, p=[0.93 - waiting, 0.05, waiting, 0.02])
    start = READ_AT - timedelta(days=float(random.uniform(3, 60)))
    seconds = int(start.timestamp()) + np.minimum(random.exponential(10_000, rows), 2 * 86_400).astype("int64")
    columns = {
        "tag": _same(f"campaign-{number}", rows),
        "phone_number": pa.array([f"+336{n:08}" for n in random.integers(0, 10**8, rows)]),
        "occurrence": pa.repeat(pa.scalar(1, pa.int32()), rows),
        "country": _words(random.choice(len(COUNTRIES), rows, p=[0.86] + [0.02] * 7), COUNTRIES),
        "status": _words(status, STATUS_WORDS),
        "stop_sms": pa.array(random.random(rows) < 0.01),
        "status_at": pa.array(seconds * 10**6, mask=status == STATUS_WORDS.index(WAITING)).cast(
            pa.timestamp("us", "UTC")
        ),
        "extracted_at": pa.repeat(pa.scalar(READ_AT, pa.timestamp("us", "UTC")), rows),
        "run_id": _same(RUN_ID, rows),
    }
    doubted = 5 if number % 50 == 0 else 0
    quarantine = pa.table(
        {
            "tag": [f"campaign-{number}"] * doubted,
            "page": [1] * doubted,
            "position": list(range(1, doubted + 1)),
            "reasons": [["status_unknown"]] * doubted,
            "raw": ["{}"] * doubted,
            "extracted_at": [READ_AT] * doubted,
            "run_id": [RUN_ID] * doubted,
        },
        schema=arrow_schema(QUARANTINE),
    )
    table = pa.table(columns).cast(arrow_schema(STATUSES))
    counts = {"rows_declared": rows + doubted, "rows_received": rows + doubted}
    return Snapshot(f"campaign-{number}", "complete", "", table, quarantine, READ_AT, **counts)


def _words(indices: np.ndarray, words: tuple[str, ...]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(indices, pa.int32()), list(words))


def _same(word: str, rows: int) -> pa.Array:
    return _words(np.zeros(rows), (word,))


def tag_runs_of(tags: int, rows: int) -> Iterator[tuple[str, pa.Table]]:
    """Make the history of twenty runs."""
    for run in range(20):
        run_id = f"{RUN_ID}-{run:02}"
        one = {column.name: 0 for column in TAG_RUNS.columns} | {"run_id": run_id, "verdict": "complete", "reason": ""}
        one |= {"extracted_at": READ_AT - timedelta(hours=20 - run), "delivered": rows // 2, "rows_loaded": rows}
        listed = [one | {"tag": f"campaign-{number}"} for number in range(tags)]
        yield run_id, pa.Table.from_pylist(listed, schema=arrow_schema(TAG_RUNS))


def load(uri: str, tags: int, rows: int) -> None:
    """Fill a destination."""
    with open_destination(uri) as destination:
        for some in gathered((snapshot_of(n, rows) for n in range(tags)), lambda one: one.rows_received, 250_000):
            for _ in destination.replace_tags(some, RUN_ID):
                pass
        for run_id, tag_runs in tag_runs_of(tags, rows):
            destination.finish(tag_runs, run_id)


def measure(uri: str, page: Path) -> tuple[float, float, float]:
    """Write the report in a process of its own: seconds, seconds of CPU, MB of memory at its peak."""
    command = Path(sys.executable).with_name("smspartner")
    began = time.perf_counter()
    child = os.posix_spawn(command, [str(command), "report", uri, "-o", str(page)], dict(os.environ))
    _, status, usage = os.wait4(child, 0)
    seconds = time.perf_counter() - began
    if status:
        raise SystemExit(f"the report ended with {os.waitstatus_to_exitcode(status)}")
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tags", type=int, default=5_000)
    parser.add_argument("--rows", type=int, default=2_000)
    parser.add_argument("--to")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        uri = arguments.to or f"{folder}/data"
        if not open_destination(uri).exists():
            load(uri, arguments.tags, arguments.rows)
        page = Path(folder) / "report.html"
        measured = [measure(uri, page) for _ in range(REPEAT)]
        seconds, cpu, memory = (statistics.median(values) for values in zip(*measured, strict=True))
        size = page.stat().st_size / 1e6
    sys.stdout.write(f"{seconds:.1f} s ({cpu:.1f} s of CPU), {memory:.0f} MB at the peak, a page of {size:.2f} MB\n")


if __name__ == "__main__":
    main()
