"""Measures how each destination grows: many small tags loaded, then looked at.

    python tests/benchmarks/growth.py [--tags 20000] [--rows 20] [--only dataset] [--against BIN/smspartner] [--write]

prints a table of seconds and peak memory: `run` into each destination from a server on loopback, then `tags`,
`validate`, and reading all rows back by pandas; --against measures another version beside it; --write puts the table
into docs/benchmarks.md. Every load's rows are counted.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from measuring import COMMAND, Run, Workload, run_command, serving, timed, write_table

KINDS = {"csv": "all.csv", "duckdb": "duckdb:{0}/all.duckdb", "delta": "delta:{0}/lake", "dataset": "data"}
READ_BACK = {
    "csv": "import pandas; pandas.read_csv('{0}/all.csv', dtype='str')",
    "duckdb": "import duckdb; duckdb.connect('{0}/all.duckdb', read_only=True).sql('from statuses').df()",
    "delta": "import deltalake; deltalake.DeltaTable('{0}/lake/statuses').to_pandas()",
    "dataset": "import pandas; pandas.read_parquet('{0}/data/statuses')",
}


def measure(kind: str, workload: Workload, command: str) -> list[str]:
    """Load one destination and look at it; gives a cell for each step.

    Raises:
        SystemExit: a step failed, or not every row was loaded.
    """
    with tempfile.TemporaryDirectory() as directory:
        name = KINDS[kind].format(directory)
        to = name if ":" in name else f"{directory}/{name}"
        with serving(workload) as server:
            load = timed(
                run_command(workload.write_tags(Path(directory)), to, *workload.options, command=command),
                server.base_url,
            )
        if load.exit_code != 0 or json.loads(load.output)["totals"]["rows_loaded"] != workload.all_rows:
            raise SystemExit(f"{kind}: not every row was loaded")
        steps = [[command, "tags", to], [command, "validate", to, "-o", f"{directory}/validation"]]
        steps.append([sys.executable, "-c", READ_BACK[kind].format(directory)])
        looked = ["" if kind == "csv" and step[0] == command else _cell(_checked(kind, timed(step))) for step in steps]
        return [_cell(load), *looked]


def _checked(kind: str, run: Run) -> Run:
    if run.exit_code != 0:
        raise SystemExit(f"{kind}: a step ended with exit code {run.exit_code}")
    return run


def _cell(run: Run) -> str:
    return f"{run.seconds:.1f} s, {run.megabytes:.0f} MB"


def main() -> None:
    """Measure, print, and write if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tags", type=int, default=20_000)
    parser.add_argument("--rows", type=int, default=20)
    parser.add_argument("--only", choices=KINDS)
    parser.add_argument("--against", action="append", default=[])
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    workload = Workload("growth", arguments.tags, arguments.rows, page_rows=1_000)
    lines = [
        f"| {arguments.tags:,} tags of {arguments.rows} rows | `run` | `tags` | `validate` | read back |",
        "|---|---|---|---|---|",
    ]
    for kind in [arguments.only] if arguments.only else KINDS:
        for command in [str(COMMAND), *arguments.against]:
            before = "" if command == str(COMMAND) else " (before)"
            lines.append(f"| {kind}{before} | {' | '.join(measure(kind, workload, command))} |")
            sys.stderr.write(lines[-1] + "\n")
    measured = "\n".join(lines)
    sys.stdout.write(measured + "\n")
    if arguments.write:
        write_table("growth", measured)


if __name__ == "__main__":
    main()
