"""Measures the main job as users run it: time and peak memory of `smspartner run`, each in a process of its own.

    python tests/benchmarks/main_job.py [--repeat 3] [--write]

prints a table of medians; --write puts it into README.md. Every run's rows are counted: nobody wins by losing some.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
README = HERE.parents[1] / "README.md"
COMMAND = Path(sys.executable).with_name("smspartner")


@dataclass(frozen=True)
class Workload:
    """So many tags of so many rows, at so many seconds a response; `options` go to `smspartner run`."""

    name: str
    tags: int
    rows: int
    latency: float = 0.0
    options: tuple[str, ...] = ()


WORKLOADS = (
    Workload("1,000,000 rows: 200 tags x 5,000", 200, 5_000),
    Workload("the same, `--validate contract`", 200, 5_000, options=("--validate", "contract")),
    Workload("5,000,000 rows: 200 tags x 25,000", 200, 25_000),
    Workload("5,000,000 rows: 1,000 tags x 5,000", 1_000, 5_000),
    Workload("1,000,000 rows, 50 ms a response", 200, 5_000, 0.05),
    Workload("40,000 rows: 2,000 tags x 20, 20 ms", 2_000, 20, 0.02),
)


@contextmanager
def serving(workload: Workload) -> Iterator[str]:
    """Start the server in a process of its own, and give its base URL."""
    arguments = [sys.executable, HERE / "loopback_server.py", str(workload.rows), str(workload.latency)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield f"http://127.0.0.1:{server.stdout.readline().strip()}/v1"
        server.communicate()


def measure(workload: Workload, base_url: str) -> tuple[float, float]:
    """Run it once; returns seconds, and the peak of resident memory in MB.

    Raises:
        SystemExit: the run did not load every row.
    """
    with tempfile.TemporaryDirectory() as directory:
        tags = Path(directory, "tags.txt")
        tags.write_text("\n".join(f"tag-{number}" for number in range(workload.tags)))
        arguments = [
            COMMAND,
            "run",
            "--tags-file",
            tags,
            "--to",
            Path(directory, "data"),
            "--concurrency",
            "32",
            "--json",
        ]
        environment = {**os.environ, "SMSPARTNER_API_KEY": "benchmark-key", "SMSPARTNER_BASE_URL": base_url}
        began = time.perf_counter()
        with subprocess.Popen(
            [*arguments, *workload.options], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process:
            assert process.stdout is not None
            report = json.loads(process.stdout.read())
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - began
    if process.returncode != 0 or report["totals"]["rows_loaded"] != workload.tags * workload.rows:
        raise SystemExit(f"{workload.name}: not every row was loaded")
    return seconds, _megabytes(usage)


def _megabytes(usage: resource.struct_rusage) -> float:
    return usage.ru_maxrss / (1024 * 1024 if sys.platform == "darwin" else 1024)


def time_to_help() -> float:
    """Measure `smspartner --help`, in seconds."""
    began = time.perf_counter()
    subprocess.run([COMMAND, "--help"], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def table(repeat: int) -> str:
    """Measure everything, workloads interleaved, and give the medians as a Markdown table."""
    measured: dict[str, list[tuple[float, float]]] = {workload.name: [] for workload in WORKLOADS}
    for _ in range(repeat):
        for workload in WORKLOADS:
            with serving(workload) as base_url:
                measured[workload.name].append(measure(workload, base_url))
    lines = ["| workload | seconds | peak memory, MB |", "|---|---|---|"]
    for name, runs in measured.items():
        seconds, memory = (statistics.median(values) for values in zip(*runs, strict=True))
        lines.append(f"| {name} | {seconds:.1f} | {memory:.0f} |")
    lines.append(f"| `smspartner --help` | {statistics.median(time_to_help() for _ in range(7)):.2f} | |")
    return "\n".join(lines)


def main() -> None:
    """Measure, print, and write if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    measured = table(arguments.repeat)
    sys.stdout.write(measured + "\n")
    if arguments.write:
        mark = r"(<!-- benchmark: main_job -->\n).*?(<!-- /benchmark -->)"
        text = README.read_text(encoding="utf-8")
        README.write_text(re.sub(mark, rf"\g<1>{measured}\n\g<2>", text, flags=re.DOTALL), encoding="utf-8")


if __name__ == "__main__":
    main()
