"""The real command: as a process of its own, or within this one where only its words and files matter."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow.dataset
import pytest
from smspartner_pipelines.cli import run_command
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


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every command runs in an empty directory, without a terminal's settings."""
    monkeypatch.chdir(tmp_path)
    for name in ("FORCE_COLOR", "COLUMNS", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


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
def command(
    monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> Iterator[Callable[..., Completed]]:
    """Run the command within this process: `command(sandbox, *arguments, NAME=value, …)`."""

    def run(sandbox: Sandbox | None, *arguments: str, **changes: str | None) -> Completed:
        with monkeypatch.context() as patch:
            for name, value in environment(sandbox, changes).items():
                patch.setenv(name, value)
            capsysbinary.readouterr()
            code = int(run_command(list(arguments)))
        out, err = (text.decode("utf-8") for text in capsysbinary.readouterr())
        return Completed(list(arguments), code, out, err)

    handlers, level = logging.root.handlers[:], logging.root.level
    yield run
    logging.captureWarnings(capture=False)
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


@pytest.fixture
def report(command: Callable[..., Completed]) -> Callable[..., tuple[int, Row]]:
    """Run `smspartner run … --json` within this process; give its exit code and its report."""

    def run(sandbox: Sandbox, *arguments: str, **changes: str | None) -> tuple[int, Row]:
        ended = command(sandbox, "run", *arguments, "--json", **changes)
        return ended.returncode, json.loads(ended.stdout)

    return run


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
