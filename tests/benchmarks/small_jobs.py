"""Measures what is not the main job: starting, one small tag, settled tags, keeping a pace, and the server by itself.

python tests/benchmarks/small_jobs.py
"""

from __future__ import annotations

import json
import selectors
import socket
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from measuring import COMMAND, Run, Workload, run_command, serving, timed

ONE_TAG = Workload("one tag of 20 rows", 1, 20)
SETTLED = Workload("settled tags", 10_000, 20)
PACED = Workload("500 requests", 500, 20)
BIG_PAGES = Workload("pages of 1,000 rows", 200, 5_000)
PACE = 50
CONTRACT = ("--validate", "contract")
RAW_REQUESTS = 5_000
RAW_CONNECTIONS = 16


def load(workload: Workload, base_url: str, directory: Path, *options: str) -> Run:
    """Run `smspartner run` once.

    Raises:
        SystemExit: it did not end well.
    """
    run = timed(run_command(workload.write_tags(directory), directory / "data", *options), base_url)
    if run.exit_code != 0:
        raise SystemExit(f"{workload.name}: exit code {run.exit_code}")
    return run


def one_tag(*options: str) -> Callable[[], float]:
    """Measure one small tag, from the start of the process to its end."""

    def measure() -> float:
        with tempfile.TemporaryDirectory() as directory, serving(ONE_TAG) as server:
            return load(ONE_TAG, server.base_url, Path(directory), *options).seconds

    return measure


def settled(workload: Workload, repeat: int) -> str:
    """Load tags whose last delivery is long ago, then measure runs that find nothing to do."""
    with tempfile.TemporaryDirectory() as directory, serving(workload) as server:
        load(workload, server.base_url, Path(directory), *CONTRACT)
        runs = [load(workload, server.base_url, Path(directory)) for _ in range(repeat)]
    if any(json.loads(run.output)["totals"]["requests"] for run in runs):
        raise SystemExit("a settled tag was asked for")
    return f"{statistics.median(run.seconds for run in runs):.2f} s, {runs[0].megabytes:.0f} MB"


def pace(allowed: int, *options: str) -> str:
    """Say how many requests a second the server granted, in percent of what is allowed."""
    with tempfile.TemporaryDirectory() as directory, serving(PACED, allowed) as server:
        load(PACED, server.base_url, Path(directory), *CONTRACT, *options)
    granted = (server.seen["requests"] - server.seen["refused"] - 1) / server.seen["seconds"]
    refused = f"; {server.seen['refused']} refused" if allowed else ""
    return f"{granted:.1f} a second: {granted / PACE:.0%} of what is allowed{refused}"


def server_alone() -> str:
    """Ask the server over bare sockets; it must never be what is measured."""
    with serving(BIG_PAGES) as server:
        port = int(server.base_url.split(":")[2].split("/")[0])
        exhaust(port)
    each = server.cpu_seconds / server.seen["requests"]
    return f"{server.seen['requests'] / server.seen['seconds']:,.0f} requests a second, {each * 1e6:.0f} µs of CPU each"


def exhaust(port: int) -> None:
    """Ask for as many pages as are wanted, each connection as soon as it has been answered."""
    waiting, buffer = selectors.DefaultSelector(), bytearray(1 << 20)
    ends: dict[object, bytes] = defaultdict(bytes)
    for number in range(RAW_CONNECTIONS):
        opened = socket.create_connection(("127.0.0.1", port))
        waiting.register(opened, selectors.EVENT_READ)
        opened.sendall(b"GET /?tag=tag-%d HTTP/1.1\r\n\r\n" % number)
    asked = RAW_CONNECTIONS
    while waiting.get_map():
        for key, _ in waiting.select():
            connection = key.fileobj
            assert isinstance(connection, socket.socket)
            received = connection.recv_into(buffer)
            ends[connection] = (ends[connection] + buffer[max(0, received - 2) : received])[-2:]
            if ends[connection] != b"]}":  # where every answer ends, and no row does
                continue
            if asked < RAW_REQUESTS:
                connection.sendall(b"GET /?tag=tag-%d&page=%d HTTP/1.1\r\n\r\n" % (asked % 200, 1 + asked % 5))
                asked += 1
            else:
                waiting.unregister(connection)
                connection.close()


def small_jobs(repeat: int, most_tags: int) -> str:
    """Give everything as a Markdown table."""
    timings = {
        "`smspartner --help`": lambda: timed([str(COMMAND), "--help"]).seconds,
        "one tag of 20 rows": one_tag(),
        "one tag of 20 rows, `--validate contract`": one_tag(*CONTRACT),
    }
    lines = {job: f"{statistics.median(time() for _ in range(max(repeat, 3))):.2f} s" for job, time in timings.items()}
    many = Workload("settled", min(SETTLED.tags, most_tags), SETTLED.rows)
    lines[f"{many.tags:,} tags that are settled: nothing to do"] = settled(many, repeat)
    lines[f"{PACED.name}, `--rate {PACE}/s`"] = pace(0, "--rate", f"{PACE}/s")
    lines[f"{PACED.name}, no `--rate`; the server answers 429 beyond {PACE}/s"] = pace(PACE, "--retries", "20")
    lines["the server by itself, pages of 1,000 rows over bare sockets"] = server_alone()
    return "\n".join(["| also | |", "|---|---|", *(f"| {job} | {value} |" for job, value in lines.items())])


if __name__ == "__main__":
    sys.stdout.write(small_jobs(3, SETTLED.tags) + "\n")
