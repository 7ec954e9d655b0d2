"""Measures loading into each destination, beside the fastest plain way to write the same rows in the same run.

    python tests/benchmarks/destinations.py [--rows 1000000] [--of 5000] [--repeat 3] [--only dataset] [--write]

prints a table of medians; --write puts it into README.md. The rows are ready snapshots, so that no API is measured.
Each load is a process of its own, the product's and the plain one by turns. Memory is what the peak exceeds that of a
process which only holds the same rows. After each load its rows are counted and their hashes summed: nobody wins by
losing some. PostgreSQL and the object store are started for each load; a destination that this version does not have,
or whose server is missing, is told as absent.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
README = HERE.parents[1] / "README.md"
SERVERS = HERE.parent / "servers"
BUCKET = "benchmark"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "benchmark",
    "AWS_SECRET_ACCESS_KEY": "benchmark-secret",
    "AWS_DEFAULT_REGION": "us-east-1",
}
MARK = r"(<!-- benchmark: destinations -->\n).*?(<!-- /benchmark -->)"


@dataclass(frozen=True)
class Kind:
    """A kind of destination: its URI in a folder or at a server, and what the plain way beside it is."""

    name: str
    uri: str
    plain: str
    server: str | None = None


KINDS = (
    Kind("dataset", "{folder}/data", "`pyarrow.parquet.write_table`, a file a tag, fsync"),
    Kind("csv", "{folder}/all.csv", "`pyarrow.csv.CSVWriter`, fsync"),
    Kind("duckdb", "duckdb:{folder}/all.duckdb", "`INSERT … SELECT` from Arrow, one transaction"),
    Kind("postgresql", "{server}", "`adbc_ingest` (binary `COPY`), the same key", "postgresql.py"),
    Kind("delta", "delta:{folder}/data", "`write_deltalake`, partitioned by tag"),
    Kind("s3", f"s3://{BUCKET}/data", "PUT of a Parquet file a tag, 8 at a time", "object_store.py"),
)


@dataclass(frozen=True)
class Workload:
    """So many tags of so many rows each."""

    tags: int
    rows: int

    @property
    def name(self) -> str:
        """What the table says."""
        return f"{self.tags:,} tags x {self.rows:,}"


@dataclass
class Measured:
    """The runs of one line of the table: seconds and MB, of the product and of the plain way."""

    product: list[tuple[float, float]] = field(default_factory=list)
    plain: list[tuple[float, float]] = field(default_factory=list)


Lines = dict[tuple[Kind, Workload, int], Measured]


class Absent(Exception):
    """This version has no such destination, or its server is not here."""


@contextmanager
def place(kind: Kind) -> Iterator[tuple[str, dict[str, str]]]:
    """Give an empty place to load into, as its URI, and the environment that it needs; stop its server afterwards.

    Raises:
        Absent: there is no such server.
    """
    with ExitStack() as held:
        folder = held.enter_context(tempfile.TemporaryDirectory(prefix="smspartner-benchmark-"))
        told, environment = "", dict(os.environ)
        if kind.server:
            if not (SERVERS / kind.server).exists():
                raise Absent(f"tests/servers/{kind.server} is not here")
            server = held.enter_context(
                subprocess.Popen(
                    [sys.executable, SERVERS / kind.server], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
                )
            )
            held.callback(server.communicate)
            told = server.stdout.readline().strip() if server.stdout else ""
            if not told:
                raise Absent(f"tests/servers/{kind.server} did not start")
        if kind.name == "s3":
            environment |= CREDENTIALS | {"AWS_ENDPOINT_URL": told}
            make_bucket = f"import s3fs; s3fs.S3FileSystem().mkdir({BUCKET!r})"
            subprocess.run([sys.executable, "-c", make_bucket], env=environment, check=True)
        yield kind.uri.format(folder=folder, server=told), environment


def child(environment: dict[str, str], **job: Any) -> dict[str, Any]:
    """Do one job in a process of its own.

    Raises:
        Absent: this version has no such destination.
        SystemExit: it failed.
    """
    ended = subprocess.run(
        [sys.executable, HERE / "loading_once.py", json.dumps(job)],
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )
    if "SettingsError" in ended.stderr and "does not load into" in ended.stderr:
        raise Absent("this version does not load there")
    if ended.returncode:
        raise SystemExit(f"{job} failed:\n{ended.stderr}")
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


class Benchmark:
    """All measurements of one call."""

    def __init__(self) -> None:
        self.lines: Lines = {}
        self.judged: dict[tuple[Kind, int], list[float]] = {}
        self.absent: dict[Kind, str] = {}
        self._known: dict[Any, Any] = {}

    def measure(self, kind: Kind, workload: Workload, act: str) -> None:
        """Load all tags, then load them again by a second run; count what is there after each."""
        size = {"kind": kind.name, "tags": workload.tags, "rows": workload.rows}
        with place(kind) as (uri, environment):
            for run in (1, 2):
                took = child(environment, act=act, uri=uri, run=run, **size)
                found = child(environment, act="check", uri=uri, run=run, **size)["checksum"]
                if found != self._of_rows("expected", workload, run)["checksum"]:
                    raise SystemExit(f"{kind.name}, {workload.name}, {act}: not the rows that were loaded")
                line = self.lines.setdefault((kind, workload, run), Measured())
                memory = took["megabytes"] - self._of_rows("base", workload, run)["megabytes"]
                getattr(line, act).append((took["seconds"], memory))
                said = f"{kind.name}, {workload.name}, run {run}, {act}: {took['seconds']:.2f} s, {memory:.0f} MB"
                print(said, file=sys.stderr, flush=True)  # noqa: T201  # the whole takes half an hour
            if act == "product" and kind.name != "csv" and workload.tags >= workload.rows:
                self.judged.setdefault((kind, workload.tags), []).append(
                    child(environment, act="judge", uri=uri, run=3, **size)["seconds"]
                )

    def _of_rows(self, act: str, workload: Workload, run: int) -> Any:
        """Ask once for what is the same for all kinds."""
        key = (act, workload, run)
        if key not in self._known:
            job = {"kind": "dataset", "uri": "", "tags": workload.tags, "rows": workload.rows, "run": run}
            self._known[key] = child(dict(os.environ), act=act, **job)
        return self._known[key]

    def table(self) -> str:
        """Give the medians as Markdown."""
        rows = [
            "| destination | rows | seconds | plain way | ratio | memory, MB | plain way | difference |",
            "|---|---|---|---|---|---|---|---|",
        ]
        for (kind, workload, run), line in self.lines.items():
            if line.product and line.plain:
                rows.append(f"| {kind.name} | {workload.name}{', replaced' * (run > 1)} | {_medians(line)} |")
        told = [f"| {kind.name} | {why} | | | | | | |" for kind, why in self.absent.items()]
        judged = [
            f"| {kind.name} | {tags:,} loaded tags judged | {statistics.median(seconds):.2f} | | | | | |"
            for (kind, tags), seconds in self.judged.items()
        ]
        measured = dict.fromkeys(kind for kind, _, _ in self.lines)
        ways = ", ".join(f"{kind.name}: {kind.plain}" for kind in measured)
        return "\n".join([*rows, *judged, *told, "", f"Plain ways: {ways}."])


def _medians(line: Measured) -> str:
    (seconds, memory), (plain_seconds, plain_memory) = (
        tuple(map(statistics.median, zip(*runs, strict=True))) for runs in (line.product, line.plain)
    )
    return (
        f"{seconds:.2f} | {plain_seconds:.2f} | {seconds / plain_seconds:.2f} | "
        f"{memory:.0f} | {plain_memory:.0f} | {memory - plain_memory:+.0f}"
    )


def run(kinds: list[Kind], workloads: list[Workload], repeat: int) -> Benchmark:
    """Measure everything, product and plain way by turns, and by turns who is first."""
    benchmark = Benchmark()
    for number in range(repeat):
        for workload in workloads:
            for kind in kinds:
                acts = ("product", "plain") if number % 2 else ("plain", "product")
                try:
                    for act in acts if kind not in benchmark.absent else ():
                        benchmark.measure(kind, workload, act)
                except Absent as exc:
                    benchmark.absent[kind] = str(exc)
    return benchmark


def main() -> None:
    """Measure, print, and write if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--only", action="append", choices=[kind.name for kind in KINDS])
    parser.add_argument("--of", action="append", type=int, help="rows of a tag; 5,000 and 50 if not given")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    kinds = [kind for kind in KINDS if not arguments.only or kind.name in arguments.only]
    workloads = [Workload(arguments.rows // rows, rows) for rows in arguments.of or (5_000, 50)]
    measured = run(kinds, workloads, arguments.repeat).table()
    sys.stdout.write(measured + "\n")
    if arguments.write:
        text = README.read_text(encoding="utf-8")
        README.write_text(re.sub(MARK, rf"\g<1>{measured}\n\g<2>", text, flags=re.DOTALL), encoding="utf-8")


if __name__ == "__main__":
    main()
