"""The real command: as a process of its own, or within this one where only its words and files matter."""

from __future__ import annotations

import importlib.resources
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pyarrow.dataset
import pytest
from jsonschema import Draft202012Validator, FormatChecker
from smspartner_pipelines.cli import run_command
from smspartner_pipelines.output import RedactingStream
from smspartner_pipelines.sandbox import Campaign, Sandbox

COMMAND = str(Path(sys.executable).with_name("smspartner"))
SETTINGS = {
    "SMSPARTNER_API_KEY": "sandbox-key",
    "SMSPARTNER_BACKOFF": "0",
    "SMSPARTNER_RETRIES": "2",
    "SMSPARTNER_VALIDATE": "contract",
}
"""What the tests' environment says, unless they say otherwise: retries at once, Great Expectations where it matters."""

Completed = subprocess.CompletedProcess[str]
Row = dict[str, Any]


def environment(sandbox: Sandbox | None, changes: dict[str, str | None]) -> dict[str, str]:
    """Give the settings of one command; None takes a setting away."""
    url = {"SMSPARTNER_BASE_URL": sandbox.url} if sandbox else {}
    return {name: value for name, value in {**SETTINGS, **url, **changes}.items() if value is not None}


def closed(schema: Any) -> Any:
    """Give a JSON Schema by which a field that it does not name is an error."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    names_all = schema.get("type") == "object" and "properties" in schema
    return {name: closed(one) for name, one in schema.items()} | ({"additionalProperties": False} if names_all else {})


FORMATS = FormatChecker(formats=())
FORMATS.checks("date-time", ValueError)(lambda text: text is None or datetime.fromisoformat(text).tzinfo is not None)
SCHEMA = json.loads(importlib.resources.files("smspartner_schemas").joinpath("run_report.schema.json").read_bytes())
REPORTS = Draft202012Validator(closed(SCHEMA), format_checker=FORMATS)
"""The schema of the run report as the package ships it, and without leave for a field that it does not name."""


def problems(report: Any) -> list[str]:
    """Say where a run report differs from its schema."""
    return [f"{problem.json_path}: {problem.message}" for problem in REPORTS.iter_errors(report)]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Every command runs in an empty directory, without a terminal's settings; every run report there is valid."""
    monkeypatch.chdir(tmp_path)
    for name in ("FORCE_COLOR", "COLUMNS", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    yield tmp_path
    for path in tmp_path.rglob("runs/*.json"):
        assert problems(json.loads(path.read_bytes())) == []


@pytest.fixture
def smspartner(here: Path) -> Callable[..., Completed]:
    """Run the command as a process: `smspartner(sandbox, *arguments, NAME=value, …)`; further options as Popen's."""

    def run(
        sandbox: Sandbox | None, *arguments: str, options: dict[str, Any] | None = None, **changes: Any
    ) -> Completed:
        return subprocess.run(
            [COMMAND, *arguments],
            check=False,
            env={**os.environ, **environment(sandbox, changes)},
            **{
                "capture_output": True,
                "text": True,
                "encoding": "utf-8",
                "timeout": 60,
                "cwd": here,
                **(options or {}),
            },
        )

    return run


@pytest.fixture
def start(here: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start the command as a process and go on; what still runs when the test ends is killed."""
    with ExitStack() as running:

        def popen(sandbox: Sandbox | None, *arguments: str, **changes: str | None) -> subprocess.Popen[str]:
            process = subprocess.Popen(
                [COMMAND, *arguments],
                env={**os.environ, **environment(sandbox, changes)},
                cwd=here,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
            )
            running.enter_context(process)
            running.callback(process.kill)
            return process

        yield popen


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Callable[..., Completed]:
    """Run the command within this process: `command(sandbox, *arguments, NAME=value, …)`."""

    def run(sandbox: Sandbox | None, *arguments: str, **changes: str | None) -> Completed:
        with monkeypatch.context() as patch:
            for name, value in environment(sandbox, changes).items():
                patch.setenv(name, value)
            for name in ("stdout", "stderr"):
                patch.setattr(sys, name, RedactingStream(getattr(sys, name)))
            capfdbinary.readouterr()
            code = int(run_command(list(arguments)))
        out, err = (text.decode("utf-8") for text in capfdbinary.readouterr())
        return Completed(list(arguments), code, out, err)

    return run


@pytest.fixture
def report(command: Callable[..., Completed]) -> Callable[..., tuple[int, Row]]:
    """Run `smspartner run … --json` within this process; give its exit code and its report, which is valid."""

    def run(sandbox: Sandbox, *arguments: str, **changes: str | None) -> tuple[int, Row]:
        ended = command(sandbox, "run", *arguments, "--json", **changes)
        found = json.loads(ended.stdout)
        assert problems(found) == []
        return ended.returncode, found

    return run


@pytest.fixture
def report_problems() -> Callable[[Any], list[str]]:
    """Say where a run report differs from its schema; a field that it does not name is a problem."""
    return problems


@pytest.fixture
def rows(here: Path) -> Callable[..., list[Row]]:
    """Read a table of a dataset, in the order of its primary key: `rows("data")`, `rows("data", "quarantine")`."""
    keys = {
        "statuses": ("tag", "phone_number", "occurrence"),
        "quarantine": ("tag", "page", "position"),
        "tag_runs": ("run_id", "tag"),
    }

    def read(dataset: str, table: str = "statuses", without: tuple[str, ...] = ()) -> list[Row]:
        folder = here / dataset / table
        found = pyarrow.dataset.dataset(folder).to_table().to_pylist() if any(folder.glob("*.parquet")) else []
        found.sort(key=lambda row: tuple(row[name] for name in keys[table]))
        return [{name: value for name, value in row.items() if name not in without} for row in found]

    return read


@pytest.fixture
def files(here: Path) -> Callable[[str], dict[str, bytes]]:
    """Read all files below a folder, by their paths within it."""
    return lambda folder: {
        str(path.relative_to(here / folder)): path.read_bytes()
        for path in sorted((here / folder).rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


def row(number: int, **facts: Any) -> Row:
    """Make a row as the API sends it: a delivered message to the n-th fictional number."""
    return {
        "phoneNumber": f"+336399800{number:02}",
        "status": "Delivered",
        "stopSMS": False,
        "date": "1517989111",
    } | facts


@pytest.fixture
def api_row() -> Callable[..., Row]:
    """Make a row of the API: `api_row(1, status="Waiting")`."""
    return row


@pytest.fixture
def campaign() -> Callable[..., Campaign]:
    """Make a settled campaign of so many rows: `campaign("promo", 3)`."""
    return lambda tag, count=3: Campaign.of_rows(tag, [row(number) for number in range(1, count + 1)])


class ScriptedServer(ThreadingHTTPServer):
    """An API whose every answer is a function of tag and page, which may change from one moment to the next.

    `answer` gives HTTP status and body; `served` keeps what was asked for and answered, in order.
    """

    daemon_threads = True
    block_on_close = False
    answer: Callable[[str, int], tuple[int, bytes]]
    served: list[tuple[str, int, int, bytes]]

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self.server_port}/v1"

    def play(self, answer: Callable[[str, int], tuple[int, bytes]]) -> None:
        """Answer like this from now on, and forget what was served."""
        self.answer, self.served = answer, []


class _Scripted(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: ScriptedServer

    def do_GET(self) -> None:
        """Answer one request; the first page is asked for without a number."""
        query = parse_qs(urlsplit(self.path).query)
        tag, page = query["tag"][0], int(query.get("page", ["1"])[0])
        status, body = self.server.answer(tag, page)
        self.server.served.append((tag, page, status, body))
        self.wfile.write(b"HTTP/1.1 %d Scripted\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # http.server names it so
        """Log nothing."""


@pytest.fixture(scope="module")
def scripted() -> Iterator[ScriptedServer]:
    """Start one scripted server for all examples of a module."""
    with ScriptedServer(("127.0.0.1", 0), _Scripted) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()
