"""Measures the main job as users run it: time and peak memory of `smspartner run`, each in a process of its own.

    python tests/benchmarks/main_job.py [--repeat 3] [--against OTHER/bin/smspartner] [--only TEXT] [--write]

prints a table of medians, workloads and versions by turns. Every run's rows are counted: nobody wins by losing some.
"""

from __future__ import annotations

import statistics
import tempfile

from measuring import COMMAND, Run, Workload, as_table, load, medians, parser, publish, timed

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
    """Load a workload into a new dataset."""
    with tempfile.TemporaryDirectory() as directory:
        return load(workload, f"{directory}/data", command)


def table(commands: list[str], repeat: int, only: str) -> str:
    """Measure everything, and give the medians as a Markdown table."""
    chosen = [workload for workload in WORKLOADS if only in workload.name]
    measured: dict[tuple[str, str], list[Run]] = {}
    for _ in range(repeat):
        for workload in chosen:
            for command in commands:
                measured.setdefault((workload.name, command), []).append(measure(workload, command))
    others = commands[1:]
    rows = [["workload", "seconds", "peak memory, MB", *(["before: seconds", "MB", "ratio"] * len(others))]]
    for workload in chosen:
        seconds, megabytes = medians(measured[workload.name, commands[0]])
        rows.append([workload.name, f"{seconds:.2f}", f"{megabytes:.0f}"])
        for other in others:
            before, before_megabytes = medians(measured[workload.name, other])
            rows[-1] += [f"{before:.2f}", f"{before_megabytes:.0f}", f"{seconds / before:.2f}"]
    starts = [f"{statistics.median(timed([one, '--help']).seconds for _ in range(7)):.2f}" for one in commands]
    return as_table(
        [*rows, ["`smspartner --help`", starts[0], "", *(cell for one in starts[1:] for cell in (one, "", ""))]]
    )


if __name__ == "__main__":
    arguments = parser(__doc__).parse_args()
    publish("main_job", table([COMMAND, *arguments.against], arguments.repeat, arguments.only), write=arguments.write)
