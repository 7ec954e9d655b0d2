"""Measures the main job beside what others would do it with; each contestant in a process of its own, taking turns.

    python tests/benchmarks/peers/install.py
    python tests/benchmarks/beside_peers.py [--workloads W1,W3] [--only limit_requests] [--repeat 3] [--write]

prints a table of medians. The rows that everybody wrote are counted and
compared with what the server sent. Whoever takes more than a minute is measured once, in W1 and W3 only.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from measuring import HERE, Run, Workload, as_table, medians, parser, publish, run_command, serving, timed
from peers.install import ENVIRONMENTS, REQUIREMENTS, python_of, versions

WORKLOADS = {  # in the order of measuring: who is slow shows first
    "W1": Workload("W1: 1,000,000 rows, 200 tags x 5,000", 200, 5_000),
    "W3": Workload("W3: 40,000 rows, 2,000 tags x 20, 20 ms a response", 2_000, 20, 0.02),
    "W0": Workload("W0: 100,000 rows, 20 tags x 5,000", 20, 5_000),
    "W2": Workload("W2: as W1, 50 ms a response", 200, 5_000, 0.05),
    "W4": Workload("W4: 5,000,000 rows, 200 tags x 25,000", 200, 25_000),
}
CONTESTANTS = {
    "ours": "**`smspartner run`**",
    "ours_contract": "**the same, `--validate contract`**",
    "limit": "`limit`: urllib3 in threads, Arrow, nothing checked",
    "limit_requests": "`limit_requests`: the same over requests",
    "dlt_tuned": "`dlt_tuned`: dlt, Arrow tables, in threads",
    "dlt_rest": "`dlt_rest`: dlt's declarative REST source",
    "singer": "`singer`: SDK tap and target",
    "pandas_script": "`pandas_script`: requests, pandas, Great Expectations",
}
OPTIONS = {"ours": (), "ours_contract": ("--validate", "contract")}
YARDSTICK = "limit_requests"
SLOW = 60.0
FOR_SLOW = frozenset({"W1", "W3"})

Measured = dict[tuple[str, str], list[Run]]
"""The runs of a contestant in a workload, by their names; none where one went wrong."""


@cache
def checksum(*arguments: str) -> dict[str, int]:
    """Count and hash rows in a process of its own, so that this one stays small: a child's peak includes it."""
    command = [sys.executable, str(HERE / "checksum.py"), *arguments]
    result: dict[str, int] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return result


def measure(name: str, workload: Workload) -> Run | None:
    """Let one contestant do one workload; None, and a word on standard error, if not every row came out right."""
    with tempfile.TemporaryDirectory() as directory, serving(workload) as base_url:
        tags, data = workload.write_tags(directory), Path(directory, "data")
        if name in OPTIONS:
            command = run_command(tags, data, *OPTIONS[name])
        else:
            data.mkdir()
            command = [str(python_of(name)), str(HERE / "peers" / f"{name}.py"), base_url, str(tags), str(data)]
        ENVIRONMENTS.mkdir(parents=True, exist_ok=True)
        log = ENVIRONMENTS / f"{name}.log"
        run = timed(command, base_url, log)
        found = checksum.__wrapped__(str(data)) if run.exit_code == 0 else {"rows": 0, "checksum": 0}
    sys.stderr.write(f"{name}, {workload.name}: {run.seconds:.2f} s, {found['rows']:,} rows; see {log}\n")
    return run if found == checksum(str(workload.tags), str(workload.rows)) else None


def measure_all(names: list[str], workloads: dict[str, Workload], repeat: int) -> Measured:
    """Measure everybody in turn; whoever fails at a workload is not asked again."""
    measured: Measured = {}
    slow: set[str] = set()
    for _ in range(repeat):
        for short, workload in workloads.items():
            for name in names:
                runs = measured.get((name, short))
                if runs == [] or (name in slow and (runs or short not in FOR_SLOW)):
                    continue
                run = measure(name, workload)
                measured[name, short] = [*(runs or []), run] if run else []
                if run is None or run.seconds > SLOW:
                    slow.add(name)
    return measured


def cell(measured: Measured, name: str, short: str) -> str:
    """Say how a contestant did at a workload, and how many times the yardstick's seconds that is."""
    runs = measured.get((name, short))
    if not runs:
        return "" if runs is None else "failed"
    seconds, megabytes = medians(runs)
    yardstick = measured.get((YARDSTICK, short))
    ratio = f" (x {seconds / medians(yardstick)[0]:.1f})" if yardstick else ""
    return f"{seconds:.1f} s{ratio}, {megabytes:.0f} MB"


def growth(measured: Measured, name: str) -> str:
    """Say what ten times the rows cost: W1 against W0."""
    small, large = measured.get((name, "W0")), measured.get((name, "W1"))
    if not small or not large:
        return ""
    seconds, megabytes = (after / before for before, after in zip(medians(small), medians(large), strict=True))
    return f"time x {seconds:.1f}, memory x {megabytes:.1f}"


def main() -> None:
    """Measure, print, and write if asked to."""
    arguments = parser(__doc__)
    arguments.add_argument("--workloads", default=",".join(WORKLOADS), help="which, by their short names")
    given = arguments.parse_args()
    names = [one for one in CONTESTANTS if given.only in one and (one in OPTIONS or python_of(one).exists())]
    chosen = {short: WORKLOADS[short] for short in WORKLOADS if short in given.workloads.split(",")}
    measured = measure_all(names, chosen, given.repeat)
    rows = [["", *sorted(chosen), "ten times the rows: W0 to W1"]]
    for name in names:
        cells = [cell(measured, name, short) for short in sorted(chosen)]
        rows.append([CONTESTANTS[name], *cells, growth(measured, name)])
    text = "\n".join([as_table(rows), "", *(f"- {chosen[short].name}" for short in sorted(chosen))])
    if peers := [name for name in names if name in REQUIREMENTS]:
        text += "\n\nVersions: " + "; ".join(f"`{name}` {versions(name)}" for name in peers) + "."
    publish("beside_peers", text, write=given.write)
    sys.exit(1 if [] in measured.values() else 0)


if __name__ == "__main__":
    main()
