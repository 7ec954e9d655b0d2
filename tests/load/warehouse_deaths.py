"""Loads into warehouses that die at a chosen step; a process that forks for each, so that one may die.

Each line of standard input is a request: which run (`old`, `new`), where, and before which step it dies. A step is a
statement of a database that is no query, or the sync of a file of a lake, which follows each of its commits. The answer
is the exit code; 0 where there are fewer steps than that.
"""

from __future__ import annotations

import json
import os
import runpy
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.compute  # what a fork would have to import
import pyarrow.parquet  # noqa: F401
from smspartner.errors import DestinationError
from smspartner_pipelines.load import open_destination
from smspartner_pipelines.load.delta import Lake
from smspartner_pipelines.load.duckdb import DuckdbSession
from smspartner_pipelines.load.postgresql import PostgresqlSession
from smspartner_pipelines.load.sql_warehouse import SqlWarehouse
from smspartner_pipelines.load.warehouse import Warehouse

OLD, NEW = "20261123T180000Z-ab12cd34", "20261124T180000Z-ab12cd34"
ROWS = {OLD: {"a": (5, 2), "b": (3, 0), "c": (1, 0)}, NEW: {"a": (7, 1), "b": (0, 0), "c": (4, 1)}}
"""Rows and quarantined rows of the tags of the earlier run, and of the later."""

build_snapshot = runpy.run_path(str(Path(__file__).with_name("conftest.py")))["build_snapshot"]


class Steps:
    """Strikes a blow before a step."""

    def __init__(self, at: int, blow: Callable[[Any], object]) -> None:
        self._left, self._blow = at, blow

    def step(self, session: Any = None) -> None:
        """Count down."""
        self._left -= 1
        if self._left == 0:
            self._blow(session)


def struck(kind: Any, steps: Steps) -> Any:
    """Give a kind of session that steps before each statement, and once the commit is made."""

    class Struck(kind):  # type: ignore[misc]
        """The kind, counting."""

        def run(self, statement: str, *values: object) -> Any:
            """Run a statement."""
            if not statement.startswith("SELECT"):
                steps.step(self)
            found = super().run(statement, *values)
            if statement == "COMMIT":
                steps.step(self)
            return found

        def insert(self, table: str, rows: Any) -> None:
            """Insert rows."""
            steps.step(self)
            super().insert(table, rows)

    return Struck


def destination_of(uri: str, at: int, blow: Callable[[Any], object]) -> Warehouse:
    """Open a warehouse that is struck at a step."""
    steps = Steps(at, blow)
    if uri.startswith("delta:"):
        sync = os.fsync

        def counted(descriptor: int) -> None:
            steps.step()
            sync(descriptor)

        os.fsync = counted
        return Lake(uri.removeprefix("delta:"), "there")
    kind = DuckdbSession if uri.startswith("duckdb:") else PostgresqlSession
    return SqlWarehouse(struck(kind, steps)(uri.removeprefix("duckdb:"), "there"))


def act(run: str, destination: Any) -> None:
    """Load the tags of a run."""
    run_id = OLD if run == "old" else NEW
    made = [build_snapshot(tag, rows, quarantined=bad, run_id=run_id) for tag, (rows, bad) in ROWS[run_id].items()]
    with destination.open(for_loading=True):
        list(destination.replace(made))


def kill(_session: Any) -> None:
    """Die, as for want of memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def answer(request: dict[str, Any]) -> int:
    """Do what is asked for in a process of its own; give its exit code."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 1
    try:
        uri = request["uri"]
        act(request["run"], destination_of(uri, request["at"], kill) if "at" in request else open_destination(uri))
        code = 0
    except DestinationError as error:
        print(error, file=sys.stderr)  # noqa: T201
    finally:
        os._exit(code)


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)  # noqa: T201
