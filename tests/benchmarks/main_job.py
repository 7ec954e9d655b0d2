"""Measures the main job as users run it: time and peak memory of `smspartner run`, each in a process of its own.

    python tests/benchmarks/main_job.py [--repeat 3] [--against OTHER/bin/smspartner] [--only TEXT] [--write]

prints a table of medians; --against measures another version beside it, by turns; --write puts the table into
docs/benchmarks.md. Every run's rows are counted: nobody wins by losing some.
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
    Workload("998,000 rows: 200 tags x 4,990", 200, 4_990),
    Workload("the same, `--validate contract`", 200, 4_990, options=("--validate", "contract")),
    Workload("the same, 20 ms a response", 200, 4_990, 0.02),
    Workload("the same, 50 ms a response", 200, 4_990, 0.05),
    Workload("198,000 rows at 20 a page: 200 tags x 990, 20 ms", 200, 990, 0.02, page_rows=20),
    Workload("38,000 rows: 2,000 tags x 19, 20 ms", 2_000, 19, 0.02),
    Workload("4,998,000 rows: 200 tags x 24,990", 200, 24_990),
    Workload("19 rows: one tag", 1, 19),
)


def measure(workload: Workload, command: str) -> Run:
    """Run it once.

    Raises:
        SystemExit: the run did not load every row.
    """
    with tempfile.TemporaryDirectory() as directory, serving(workload) as server:
        tags = workload.write_tags(Path(directory))
        to = Path(directory, "data")
        run = timed(run_command(tags, to, *workload.options, command=command), server.base_url)
    if run.exit_code != 0 or json.loads(run.output)["totals"]["rows_loaded"] != workload.all_rows:
        raise SystemExit(f"{workload.name}: not every row was loaded")
    return run


def table(commands: list[str], repeat: int, only: str) -> str:
    """Measure everything, workloads and commands by turns, and give the medians as a Markdown table."""
    chosen = [workload for workload in WORKLOADS if only in workload.name]
    measured: dict[tuple[str, str], list[Run]] = {}
    for _ in range(repeat):
        for workload in chosen:
            for command in commands:
                measured.setdefault((workload.name, command), []).append(measure(workload, command))
    ours, *others = commands
    headings = ["workload", "seconds", "peak memory, MB", *(["before: seconds", "MB", "ratio"] if others else [])]
    lines = [f"| {' | '.join(headings)} |", "|---" * len(headings) + "|"]
    for workload in chosen:
        cells = [workload.name, *_medians(measured[workload.name, ours])]
        for other in others:
            before = measured[workload.name, other]
            ratio = _seconds(measured[workload.name, ours]) / _seconds(before)
            cells += [*_medians(before), f"{ratio:.2f}"]
        lines.append(f"| {' | '.join(cells)} |")
    starts = [f"{statistics.median(timed([one, '--help']).seconds for _ in range(7)):.2f}" for one in commands]
    return "\n".join([*lines, f"| `smspartner --help` | {' | | '.join(starts)} | |" + " |" * len(others)])


def _seconds(runs: list[Run]) -> float:
    return statistics.median(run.seconds for run in runs)


def _medians(runs: list[Run]) -> list[str]:
    return [f"{_seconds(runs):.2f}", f"{statistics.median(run.megabytes for run in runs):.0f}"]


def main() -> None:
    """Measure, print, and write if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--against", action="append", default=[])
    parser.add_argument("--only", default="")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    measured = table([str(COMMAND), *arguments.against], arguments.repeat, arguments.only)
    sys.stdout.write(measured + "\n")
    if arguments.write:
        write_table("main_job", measured)


if __name__ == "__main__":
    main()
