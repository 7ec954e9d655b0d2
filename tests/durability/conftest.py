"""Runs that die: forked from a process that is ready to begin, told where to die, and looked at as a reader would."""

from __future__ import annotations

import gzip
import io
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from faults import Campaign, HostileServer
from smspartner_pipelines.load import open_destination
from smspartner_pipelines.load.destination import loaded_tags

Row = dict[str, Any]
Point = TypeVar("Point")
Found = TypeVar("Found")

COMMAND = str(Path(sys.executable).with_name("smspartner"))
LANES = 2
SETTINGS = {
    "SMSPARTNER_API_KEY": "sandbox-key",
    "SMSPARTNER_BACKOFF": "0",
    "SMSPARTNER_RETRIES": "0",
    "SMSPARTNER_CONCURRENCY": "2",
    "SMSPARTNER_VALIDATE": "contract",
    "SMSPARTNER_ALLOW_QUARANTINED": "9",
    "SMSPARTNER_QUIET": "1",
    "SMSPARTNER_PHONE_KEY": "a phone key of 26 letters!",
}
VARYING = ["run_id", "extracted_at"]
"""What differs from one loading of the same population to the next."""


@pytest.fixture(autouse=True, scope="session")
def signals_are_not_ignored() -> None:
    """Let the signals of these tests reach the processes they start, also where the tests run in the background."""
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code (negative: the signal that killed it), its words, and what was counted."""

    code: int
    stdout: str
    stderr: str
    events: dict[str, int]


class Forks:
    """Processes that have imported everything and fork for each command; see forks.py."""

    def __init__(self, running: ExitStack) -> None:
        self._lanes: queue.Queue[subprocess.Popen[str]] = queue.Queue()
        command, pipe = [sys.executable, str(Path(__file__).with_name("forks.py"))], subprocess.PIPE
        for _ in range(LANES):
            process = running.enter_context(subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True))
            running.callback(process.kill)
            self._lanes.put(process)

    def run(
        self,
        folder: Path,
        sandbox: HostileServer,
        *arguments: str,
        meanwhile: Callable[[int], None] | None = None,
        **fate: Any,
    ) -> Ended:
        """Run a command in `folder` to its end, and do something `meanwhile`, given its process id."""
        environment = {**SETTINGS, "SMSPARTNER_BASE_URL": sandbox.url}
        request = {"arguments": arguments, "environment": environment, "folder": str(folder), **fate}
        lane = self._lanes.get(timeout=60)
        try:
            lane.stdin.write(json.dumps(request) + "\n")
            lane.stdin.flush()
            process = json.loads(lane.stdout.readline())["pid"]
            if meanwhile:
                meanwhile(process)
            answer = json.loads(lane.stdout.readline())
        finally:
            self._lanes.put(lane)
        stdout, stderr = (folder.with_name(f"{folder.name}.{name}").read_text() for name in ("stdout", "stderr"))
        return Ended(answer["code"], stdout, stderr, answer["events"])

    def each(self, work: Callable[[Point], Found], points: Iterable[Point]) -> list[Found]:
        """Do the work for every point, as many at once as there are lanes."""
        with ThreadPoolExecutor(LANES) as threads:
            return list(threads.map(work, points))


@pytest.fixture(scope="session")
def forks() -> Iterator[Forks]:
    """Start the processes that fork."""
    with ExitStack() as running:
        yield Forks(running)


# What the API holds, before and after.


def row(number: int, **facts: Any) -> Row:
    """Make a row as the API sends it, of a number that looks random, so that it takes space in a compressed file."""
    digits = (number * 2654435761) % 10_000_000
    return {"phoneNumber": f"+3361{digits:07}", "status": "Delivered", "stopSMS": False, "date": "1517989111"} | facts


WAITING = {"status": "Waiting", "date": ""}
INVALID = {"status": "?"}
TAGS = ("gains", "loses", "same", "empty")
EARLIER = {
    "gains": [row(1), row(2, **WAITING)],
    "loses": [row(3), row(4, **INVALID)],
    "same": [row(5), row(6, **WAITING)],
    "empty": [],
}
LARGE = [row(number) for number in range(100, 2600)]
"""Rows that take more than the buffer of a file, in every format."""

LATER = {
    "gains": [row(1), row(2), row(7, **INVALID), row(8)],
    "loses": [row(3), row(4), row(9)],
    "same": [row(5), row(6, **WAITING)],
    "empty": [],
}


@contextmanager
def serving(population: dict[str, list[Row]], clock: Callable[[], float] = time.time) -> Iterator[HostileServer]:
    """Serve a population; the sandbox asks its clock once a request."""
    campaigns = [Campaign.of_rows(tag, rows) for tag, rows in population.items()]
    with HostileServer(campaigns, clock=clock) as sandbox:
        yield sandbox


# What a reader finds.


def read_table(path: Path) -> pa.Table | None:
    """Read a file, or all files of a folder, as a reader of data does; None if there is nothing."""
    if not path.exists() or (path.is_dir() and not any(path.glob("*.parquet"))):
        return None
    if ".csv" in path.name:
        data = path.read_bytes()
        data = gzip.decompress(data) if path.name.endswith(".gz") else data
        return pa.csv.read_csv(io.BytesIO(data))
    return pq.read_table(path)


def by_tag(table: pa.Table | None) -> dict[str, list[Row]]:
    """Give the rows of each tag but for what varies; those of one tag come from one run."""
    versions: dict[str, tuple[Any, ...]] = {}
    found: dict[str, list[Row]] = {}
    for one in table.to_pylist() if table else []:
        version = tuple(one.pop(name) for name in VARYING)
        assert versions.setdefault(one["tag"], version) == version, "rows of several runs under one tag"
        found.setdefault(one["tag"], []).append(one)
    return found


def contents(folder: Path) -> dict[str, dict[str, list[Row]]]:
    """Read everything that a user may read below a folder: datasets table by table, and exports."""
    found = {}
    for place in sorted(folder.iterdir()):
        if place.is_dir():
            for table in ("statuses", "quarantine"):
                found[f"{place.name}/{table}"] = by_tag(read_table(place / table))
        elif not place.name.startswith("."):
            found[place.name] = by_tag(read_table(place))
    return found


@dataclass(frozen=True)
class Story:
    """One folder before and after a run, and the run between the two."""

    before: Path
    after: Path
    sandbox: HostileServer
    arguments: tuple[str, ...]
    events: dict[str, int]
    earlier: dict[str, dict[str, list[Row]]]
    later: dict[str, dict[str, list[Row]]]

    def copy(self, name: str) -> Path:
        """Make a copy of the folder as it was before."""
        folder = self.before.with_name(name)
        shutil.copytree(self.before, folder)
        return folder

    def names_in(self, folder: Path) -> list[str]:
        """Give the names of all files below a folder, those of runs without the run."""
        runs = ("tag_runs", "runs")
        paths = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
        return sorted({str(path.parent / "RUN" if path.parent.name in runs else path) for path in paths})

    def check_what_a_reader_finds(self, folder: Path) -> None:
        """Every tag is wholly as it was or as it will be, exports too, and what is loaded can be told."""
        for place, found in contents(folder).items():
            earlier, later = self.earlier.get(place, {}), self.later[place]
            if "/" in place:
                mixed = [tag for tag in TAGS if found.get(tag) not in (earlier.get(tag), later.get(tag))]
                assert (mixed, set(found) - set(TAGS)) == ([], set()), place
            else:
                assert found in (earlier, later), place
        for place in folder.iterdir():
            if place.is_dir():
                self._check_states(place)

    def _check_states(self, dataset: Path) -> None:
        """A tag that counts as loaded has rows and quarantine of one population; another one is named."""
        statuses, quarantine = (by_tag(read_table(dataset / table)) for table in ("statuses", "quarantine"))
        states, damages = loaded_tags(open_destination(str(dataset)))
        for tag, state in states.items():
            counted = (len(statuses.get(tag, ())), len(quarantine.get(tag, ())))
            assert counted == (state.rows_loaded, state.rows_quarantined), tag
        assert {damage.tag for damage in damages} == set(statuses) - set(states)

    def check_healed(self, folder: Path, ended: Ended) -> None:
        """After the next run, all is as if nothing had happened, and nothing lies about."""
        assert (ended.code, ended.stderr) == (0, "")
        assert self.later == contents(folder)
        assert self.names_in(self.after) == self.names_in(folder)
        for dataset in (place for place in folder.iterdir() if place.is_dir()):
            history = pq.read_table(dataset / "tag_runs").to_pylist()
            assert len({(one["run_id"], one["tag"]) for one in history}) == len(history)


ONE = row(1)["phoneNumber"]
ONE_OF_MANY = {
    "gains": [row(1), row(2), row(1, **INVALID), row(3, **INVALID), row(1)],
    "loses": [row(4), row(1)],
    "same": [row(5), row(1, **INVALID)],
    "empty": [],
}
"""One person among others: valid and invalid, in tags whose quarantine changes, ends, or never was."""


@pytest.fixture
def tell(tmp_path: Path, forks: Forks) -> Iterator[Callable[..., Story]]:
    """Tell a story: `tell("data", "all.csv")` loads there, `tell(…, earlier=True)` replaces what was loaded before.

    `erased=True` tells how one person is erased, which changes what is loaded without the API.
    """
    with ExitStack() as running:

        def make(
            *places: str, earlier: bool = False, large: bool = False, erased: bool = False, clock: Any = time.time
        ) -> Story:
            more = LARGE if large else []
            before, after = tmp_path / "before", tmp_path / "after"
            before.mkdir()
            to = [word for place in places for word in ("--to", place)]
            run, arguments = ("run", *TAGS, *to), ("forget", ONE, *to) if erased else ("run", *TAGS, *to)
            if earlier or erased:
                rows = ONE_OF_MANY if erased else {**EARLIER, "same": EARLIER["same"] + more}
                with serving(rows) as sandbox:
                    assert forks.run(before, sandbox, *run).code == 0
            sandbox = running.enter_context(serving({**LATER, "same": LATER["same"] + more}, clock))
            shutil.copytree(before, after)
            ended = forks.run(after, sandbox, *arguments, count=True)
            assert (ended.code, ended.stderr) == (0, "")
            return Story(before, after, sandbox, arguments, ended.events, contents(before), contents(after))

        yield make


# Real processes.


@pytest.fixture(scope="session")
def strace() -> str:
    """Name strace; skip where it is missing or may not trace."""
    command = shutil.which("strace")
    if not command or subprocess.run([command, "-o", os.devnull, "true"], check=False, capture_output=True).returncode:
        pytest.skip("needs strace, and the right to trace processes")
    return command


@pytest.fixture
def process() -> Callable[..., Ended]:
    """Run the command as a process of its own: `process(folder, sandbox, *arguments, under=[…], NAME=value, …)`."""

    def run(
        folder: Path,
        sandbox: HostileServer,
        *arguments: str,
        under: Iterable[str] = (),
        meanwhile: Callable[[subprocess.Popen[str]], None] | None = None,
        **changes: str,
    ) -> Ended:
        command, pipe = [*under, COMMAND, *arguments], subprocess.PIPE
        environment = {**os.environ, **SETTINGS, "SMSPARTNER_BASE_URL": sandbox.url, **changes}
        with subprocess.Popen(command, cwd=folder, env=environment, stdout=pipe, stderr=pipe, text=True) as running:
            try:
                if meanwhile:
                    meanwhile(running)
                stdout, stderr = running.communicate(timeout=120)
            finally:
                running.kill()
        return Ended(running.returncode, stdout, stderr, {})

    return run
