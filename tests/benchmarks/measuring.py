"""What the benchmarks share: workloads, the server beside them, and commands measured in processes of their own."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
PAGE = HERE.parents[1] / "docs" / "benchmarks.md"
COMMAND = Path(sys.executable).with_name("smspartner")
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

    @property
    def all_rows(self) -> int:
        """How many rows all tags have."""
        return self.tags * self.rows

    def write_tags(self, directory: Path) -> Path:
        """Write the file of tags to ask for."""
        path = directory / "tags.txt"
        path.write_text("".join(f"tag-{number}\n" for number in range(self.tags)))
        return path


@dataclass
class Serving:
    """The server under way; once it has ended, what it saw and what it cost."""

    base_url: str
    seen: dict[str, float] = field(default_factory=dict)
    cpu_seconds: float = 0.0


@contextmanager
def serving(workload: Workload) -> Iterator[Serving]:
    """Start the server in a process of its own."""
    numbers = (str(workload.rows), str(workload.latency), str(workload.page_rows))
    arguments = [sys.executable, str(HERE / "loopback_server.py"), *numbers]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        running = Serving(f"http://127.0.0.1:{server.stdout.readline().strip()}/v1")
        try:
            yield running
        finally:
            server.stdin.close()
            running.seen = json.loads(server.stdout.read())
            usage = _wait(server)
            running.cpu_seconds = usage.ru_utime + usage.ru_stime


@dataclass(frozen=True)
class Run:
    """One command that has ended: its exit code, wall seconds, peak memory in MB, and standard output."""

    exit_code: int
    seconds: float
    megabytes: float
    output: bytes = field(repr=False)


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
            usage = _wait(process)
        except BaseException:  # an interrupt, say: nothing goes on in the background
            os.killpg(process.pid, signal.SIGKILL)
            raise
        finally:
            timer.cancel()
        seconds = time.perf_counter() - began
    megabytes = usage.ru_maxrss / (1024 * 1024 if sys.platform == "darwin" else 1024)
    return Run(process.returncode, seconds, megabytes, output)


def _wait(process: subprocess.Popen[bytes] | subprocess.Popen[str]) -> resource.struct_rusage:
    """Wait for a process and its usage; what it waited for itself is counted in."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage


def run_command(tags: Path, to: str | Path, *options: str, command: str | Path = COMMAND) -> list[str]:
    """Give the command that is measured: `smspartner run`."""
    arguments = ["run", "--tags-file", str(tags), "--to", str(to), "--concurrency", str(IN_FLIGHT), "--json"]
    return [str(command), *arguments, *options]


def write_table(name: str, measured: str, page: Path = PAGE) -> None:
    """Put what was measured between the page's markers of that name.

    Raises:
        SystemExit: it has no such markers.
    """
    mark = rf"(<!-- benchmark: {name} -->\n).*?(<!-- /benchmark -->)"
    text = page.read_text(encoding="utf-8")
    changed, places = re.subn(mark, lambda found: f"{found[1]}{measured}\n{found[2]}", text, flags=re.DOTALL)
    if places != 1:
        raise SystemExit(f"{page.name} has no place for the benchmark {name}")
    page.write_text(changed, encoding="utf-8")
