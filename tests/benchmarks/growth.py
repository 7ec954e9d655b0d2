"""Measures how each destination grows: many small tags loaded, then looked at.

    python tests/benchmarks/growth.py [--tags 20000] [--rows 20] [--only dataset] [--against BIN/smspartner] [--write]

prints a table of seconds and peak memory: `run` into each destination from a server on loopback, then `tags`,
`validate`, and reading all rows back by pandas. Each is measured once. Every load's rows are counted.
"""

from __future__ import annotations

import sys
import tempfile

from measuring import COMMAND, Run, Workload, as_table, load, parser, publish, timed

KINDS = {"csv": "{0}/all.csv", "duckdb": "duckdb:{0}/all.duckdb", "delta": "delta:{0}/lake", "dataset": "{0}/data"}
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
        to = KINDS[kind].format(directory)
        cells = [_cell(load(workload, to, command))]
        looks = [[command, "tags", to], [command, "validate", to, "-o", f"{directory}/validation"]]
        for step in [*looks, [sys.executable, "-c", READ_BACK[kind].format(directory)]]:
            if kind == "csv" and step in looks:  # an export, which keeps no tags
                cells.append("")
                continue
            run = timed(step)
            if run.exit_code != 0:
                raise SystemExit(f"{kind}: {step[1]} ended with exit code {run.exit_code}")
            cells.append(_cell(run))
        return cells


def _cell(run: Run) -> str:
    return f"{run.seconds:.1f} s, {run.megabytes:.0f} MB"


def main() -> None:
    """Measure, print, and write if asked to."""
    arguments = parser(__doc__)
    arguments.add_argument("--tags", type=int, default=20_000)
    arguments.add_argument("--rows", type=int, default=20)
    given = arguments.parse_args()
    workload = Workload("growth", given.tags, given.rows)
    rows = [[f"{given.tags:,} tags of {given.rows} rows", "`run`", "`tags`", "`validate`", "read back"]]
    for kind in [kind for kind in KINDS if given.only in kind]:
        for command in [COMMAND, *given.against]:
            rows.append([kind if command == COMMAND else f"{kind} (before)", *measure(kind, workload, command)])
            sys.stderr.write(f"{rows[-1]}\n")
    publish("growth", as_table(rows), write=given.write)


if __name__ == "__main__":
    main()
