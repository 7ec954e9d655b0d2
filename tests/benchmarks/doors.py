"""Measures every door into the same extraction for 1,000,000 rows, each in a process of its own, taking turns.

    python tests/engines/install.py
    python tests/benchmarks/doors.py [--only run,spark] [--repeat 3] [--tags 200] [--write]

prints a table of medians; --write puts it into docs/scale.md. Every door's rows are compared with what the server sent.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from beside_peers import checksum
from measuring import COMMAND, HERE, Run, Workload, serving, timed, write_table

ENGINES = HERE.parent / "engines"
ENVIRONMENTS = HERE.parents[1] / "build" / "engines"
PAGE = HERE.parents[1] / "docs" / "scale.md"
DOORS = {
    "contract": "`smspartner run --validate contract`",
    "run": "`smspartner run`",
    "pandas": "`smspartner.read_statuses`",
    "dlt": "dlt, into DuckDB",
    "spark": "Spark, `local[2]`",
    "airflow": "Airflow, `dag.test()`",
    "dagster": "Dagster, `materialize()`",
}
OWN = ("contract", "run", "pandas")
"""Doors that need no engine."""


def command(door: str, tags: Path, data: Path) -> list[str]:
    """Give the command that reads through a door; all with the concurrency that is usual."""
    if door in {"contract", "run"}:
        options = ("--validate", "contract") if door == "contract" else ()
        return [str(COMMAND), "run", "--tags-file", str(tags), "--to", str(data), "--quiet", *options]
    python = sys.executable if door in OWN else str(ENVIRONMENTS / door / "bin" / "python")
    return [python, str(ENGINES / "scripts" / f"{door}_rows.py"), str(tags), str(data / "statuses.parquet")]


def measure(door: str, workload: Workload) -> Run:
    """Read through one door.

    Raises:
        SystemExit: it failed, or its rows are not those that the server sent.
    """
    with tempfile.TemporaryDirectory() as directory, serving(workload) as server:
        tags, data = workload.write_tags(Path(directory)), Path(directory, "data")
        if door not in {"contract", "run"}:
            data.mkdir()
        log = ENVIRONMENTS / f"{door}.log"
        run = timed(command(door, tags, data), server.base_url, log)
        found = checksum.__wrapped__(str(data)) if run.exit_code == 0 else None
    if found != checksum(str(workload.tags), str(workload.rows)):
        raise SystemExit(f"{door}: exit code {run.exit_code}, {found} written; see {log}")
    sys.stderr.write(f"{door}: {run.seconds:.1f} s, {run.megabytes:.0f} MB\n")
    return run


def table(doors: list[str], workload: Workload, repeat: int) -> str:
    """Measure the doors in turn, and give the medians as a Markdown table."""
    measured: dict[str, list[Run]] = {door: [] for door in doors}
    for _ in range(repeat):
        for door in doors:
            measured[door].append(measure(door, workload))
    lines = ["| door | seconds | largest process, MB |", "|---|---|---|"]
    for door, runs in measured.items():
        seconds = statistics.median(run.seconds for run in runs)
        lines.append(f"| {DOORS[door]} | {seconds:.1f} | {statistics.median(run.megabytes for run in runs):.0f} |")
    return "\n".join([*lines, "", workload.name])


def main() -> None:
    """Measure, print, and write if asked to."""
    installed = [door for door in DOORS if door in OWN or (ENVIRONMENTS / door).exists()]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(installed))
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--tags", type=int, default=200, help="of 5,000 rows each")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    ENVIRONMENTS.mkdir(parents=True, exist_ok=True)
    workload = Workload(f"{arguments.tags * 5_000:,} rows: {arguments.tags} tags x 5,000", arguments.tags, 5_000)
    measured = table([door for door in DOORS if door in arguments.only.split(",")], workload, arguments.repeat)
    sys.stdout.write(measured + "\n")
    if arguments.write:
        write_table("doors", measured, PAGE)


if __name__ == "__main__":
    main()
