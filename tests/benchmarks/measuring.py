"""What the benchmarks share: workloads, the server beside them, and commands measured in processes of their own."""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAGE = HERE.parents[1] / "docs" / "benchmarks.md"
COMMAND = str(Path(sys.executable).with_name("smspartner"))
IN_FLIGHT = 32
LONGEST = 1_800.0
"""Seconds after which a run is ended, and counts as failed."""


@dataclass(frozen=True)
class Workload:
    """So many tags of so many rows, at so many seconds a response; `options` go to `smspartner run`."""

    name: str
    tags: int
    rows: int
    latency: float = 0.0
    options: tuple[str, ...] = ()
    page_rows: int = 1_000

    def write_tags(self, directory: str | Path) -> Path:
        """Write the file of tags to ask for."""
        path = Path(directory, "tags.txt")
        path.write_text("".join(f"tag-{number}\n" for number in range(self.tags)))
        return path


@dataclass(frozen=True)
class Run:
    """One command that has ended: its exit code, wall seconds, peak memory in MB, and standard output."""

    exit_code: int
    seconds: float
    megabytes: float
    output: bytes = field(repr=False)


@contextmanager
def serving(workload: Workload) -> Iterator[str]:
    """Start the server in a process of its own; give its base URL."""
    numbers = (str(workload.rows), str(workload.latency), str(workload.page_rows))
    arguments = [sys.executable, str(HERE / "loopback_server.py"), *numbers]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            yield f"http://127.0.0.1:{server.stdout.readline().strip()}/v1"
        finally:
            server.stdin.close()


def timed(command: Sequence[str], base_url: str = "", log: Path | None = None) -> Run:
    """Run a command and measure it; memory is that of the largest process among it and its children.

    A child's peak begins with what its starter occupies when it forks: who calls this must stay small itself.
    """
    environment = {**os.environ, "SMSPARTNER_API_KEY": "benchmark-key", "SMSPARTNER_BASE_URL": base_url}
    errors = log.open("wb") if log else subprocess.DEVNULL
    began = time.perf_counter()
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=errors, start_new_session=True
    ) as process:
        timer = threading.Timer(LONGEST, os.killpg, (process.pid, signal.SIGKILL))
        timer.start()
        assert process.stdout is not None
        try:
            output = process.stdout.read()
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:  # an interrupt, say: nothing goes on in the background
            os.killpg(process.pid, signal.SIGKILL)
            raise
        finally:
            timer.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - began
    return Run(process.returncode, seconds, _megabytes(usage), output)


def _megabytes(usage: resource.struct_rusage) -> float:
    return usage.ru_maxrss / (1024 * 1024 if sys.platform == "darwin" else 1024)


def run_command(tags: Path, to: str | Path, *options: str, command: str = COMMAND) -> list[str]:
    """Give the command that is measured: `smspartner run`."""
    arguments = ["run", "--tags-file", str(tags), "--to", str(to), "--concurrency", str(IN_FLIGHT), "--json"]
    return [command, *arguments, *options]


def load(workload: Workload, to: str | Path, command: str = COMMAND) -> Run:
    """Load a workload once.

    Raises:
        SystemExit: the run did not load every row.
    """
    with tempfile.TemporaryDirectory() as directory, serving(workload) as base_url:
        arguments = run_command(workload.write_tags(directory), to, *workload.options, command=command)
        run = timed(arguments, base_url)
    if run.exit_code != 0 or json.loads(run.output)["totals"]["rows_loaded"] != workload.tags * workload.rows:
        raise SystemExit(f"{workload.name}: not every row was loaded")
    return run


def medians(runs: Sequence[Run]) -> tuple[float, float]:
    """Give the median of seconds, and of megabytes."""
    return statistics.median(run.seconds for run in runs), statistics.median(run.megabytes for run in runs)


def as_table(rows: Sequence[Sequence[str]]) -> str:
    """Give rows as a Markdown table; the first are its headings."""
    return "\n".join(f"| {' | '.join(row)} |" for row in [rows[0], ["---"] * len(rows[0]), *rows[1:]])


def parser(about: str | None) -> argparse.ArgumentParser:
    """Begin a command line, with what all benchmarks can do."""
    arguments = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--repeat", type=int, default=3)
    arguments.add_argument("--against", action="append", default=[], help="measure another version beside it")
    arguments.add_argument("--only", default="", help="what has this in its name")
    arguments.add_argument("--write", action="store_true", help="put what was measured into docs/benchmarks.md")
    return arguments


def publish(name: str, measured: str, *, write: bool) -> None:
    """Print what was measured, or put it between the page's markers of that name, too.

    Raises:
        SystemExit: the page has no such markers.
    """
    sys.stdout.write(measured + "\n")
    if not write:
        return
    mark = rf"(<!-- benchmark: {name} -->\n).*?(<!-- /benchmark -->)"
    text = PAGE.read_text(encoding="utf-8")
    changed, places = re.subn(mark, lambda found: f"{found[1]}{measured}\n{found[2]}", text, flags=re.DOTALL)
    if places != 1:
        raise SystemExit(f"{PAGE.name} has no place for the benchmark {name}")
    PAGE.write_text(changed, encoding="utf-8")
