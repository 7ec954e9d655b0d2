"""Measures what reads back all that is loaded: the campaign report, and the validation.

    python tests/benchmarks/reading_back.py [--tags 5000] [--rows 2000] [--to DEST] [--write]

makes a dataset through the product's own loader (--rows each; delivery within two days of a start in the last two
months, a tenth of the tags still waiting, one in fifty with rows in quarantine), then runs each command on it as a
process of its own, three times, and prints medians; --write puts them into the README. `--to` takes any destination;
one that is there is not made again.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
from measuring import write_table
from smspartner.grouping import gathered
from smspartner_pipelines.load import open_destination
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
        "phone_number": pa.array([f"+336{n:08}" for n in random.permutation(10 * rows)[:rows]]),
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


def measure(arguments: list[str], folder: str) -> Sequence[float]:
    """Run a command of the product in a process of its own: seconds, seconds of CPU, MB of memory at its peak."""
    command = Path(sys.executable).with_name("smspartner")
    began = time.perf_counter()
    child = os.posix_spawn("/usr/bin/env", ["env", "-C", folder, str(command), *arguments], dict(os.environ))
    _, status, usage = os.wait4(child, 0)
    seconds = time.perf_counter() - began
    if status:
        raise SystemExit(f"{arguments[0]} ended with {os.waitstatus_to_exitcode(status)}")
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def page_size(folder: Path) -> float:
    """Give the MB of the page that a command has made last."""
    pages = [path for path in folder.rglob("*.html") if path.name != "index.html"]
    return max(pages, key=lambda path: path.stat().st_mtime).stat().st_size / 1e6


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tags", type=int, default=5_000)
    parser.add_argument("--rows", type=int, default=2_000)
    parser.add_argument("--to")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    rows = [f"| {arguments.tags:,} tags x {arguments.rows:,} | seconds | of CPU | peak memory, MB | page, MB |"]
    rows.append("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        uri = arguments.to or f"{folder}/data"
        if not open_destination(uri).exists():
            load(uri, arguments.tags, arguments.rows)
        for command in ("report", "validate"):
            measured = [measure([command, uri], folder) for _ in range(REPEAT)]
            seconds, cpu, memory = (statistics.median(values) for values in zip(*measured, strict=True))
            size = page_size(Path(folder))
            rows.append(f"| `smspartner {command}` | {seconds:.1f} | {cpu:.1f} | {memory:.0f} | {size:.2f} |")
    sys.stdout.write("\n".join([*rows, ""]))
    if arguments.write:
        write_table("reading_back", "\n".join(rows))


if __name__ == "__main__":
    main()
