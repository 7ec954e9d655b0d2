"""Measures the main job as users run it: time and peak memory of `smspartner run`, each in a process of its own.

    python tests/benchmarks/main_job.py [--repeat 3] [--write]

prints a table of medians; --write puts it into README.md. Every run's rows are counted: nobody wins by losing some.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

from measuring import COMMAND, Run, Workload, run_command, serving, timed, write_table

WORKLOADS = (
    Workload("1,000,000 rows: 200 tags x 5,000", 200, 5_000),
    Workload("the same, `--validate contract`", 200, 5_000, options=("--validate", "contract")),
    Workload("5,000,000 rows: 200 tags x 25,000", 200, 25_000),
    Workload("5,000,000 rows: 1,000 tags x 5,000", 1_000, 5_000),
    Workload("1,000,000 rows, 50 ms a response", 200, 5_000, 0.05),
    Workload("40,000 rows: 2,000 tags x 20, 20 ms", 2_000, 20, 0.02),
)


def measure(workload: Workload) -> Run:
    """Run it once.

    Raises:
        SystemExit: the run did not load every row.
    """
    with tempfile.TemporaryDirectory() as directory, serving(workload) as server:
        tags = workload.write_tags(Path(directory))
        run = timed(run_command(tags, Path(directory, "data"), *workload.options), server.base_url)
    if run.exit_code != 0 or json.loads(run.output)["totals"]["rows_loaded"] != workload.all_rows:
        raise SystemExit(f"{workload.name}: not every row was loaded")
    return run


def table(repeat: int) -> str:
    """Measure everything, workloads interleaved, and give the medians as a Markdown table."""
    measured: dict[str, list[Run]] = {workload.name: [] for workload in WORKLOADS}
    for _ in range(repeat):
        for workload in WORKLOADS:
            measured[workload.name].append(measure(workload))
    lines = ["| workload | seconds | peak memory, MB |", "|---|---|---|"]
    for name, runs in measured.items():
        seconds = statistics.median(run.seconds for run in runs)
        lines.append(f"| {name} | {seconds:.1f} | {statistics.median(run.megabytes for run in runs):.0f} |")
    starts = statistics.median(timed([str(COMMAND), "--help"]).seconds for _ in range(7))
    return "\n".join([*lines, f"| `smspartner --help` | {starts:.2f} | |"])


def main() -> None:
    """Measure, print, and write if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    measured = table(arguments.repeat)
    sys.stdout.write(measured + "\n")
    if arguments.write:
        write_table("main_job", measured)


if __name__ == "__main__":
    main()
