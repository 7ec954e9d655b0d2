"""Loads into warehouses that are struck at a chosen step; a process that forks for each, so that one may die.

Each line of standard input is a request: what to do (`old`, `new`, `erase`), where, and at which step which blow falls.
The answer is the exit code; 0 where there are fewer steps than that.
"""

from __future__ import annotations

import json
import os
import runpy
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from smspartner.erasure import Person
from smspartner.errors import DestinationError
from smspartner_pipelines.load import open_destination
from smspartner_pipelines.load.duckdb import DuckdbDatabase
from smspartner_pipelines.load.postgresql import PostgresqlDatabase
from smspartner_pipelines.load.warehouse import Warehouse
from smspartner.phone_numbers import PhonePrivacy
from smspartner.redaction import Secret

OLD, NEW = "20261123T180000Z-ab12cd34", "20261124T180000Z-ab12cd34"
REFUSED = 7
build_snapshot = runpy.run_path(str(Path(__file__).parents[1] / "load" / "conftest.py"))["build_snapshot"]


class Struck:
    """A database whose sessions are struck once, before a statement or around a commit."""

    def __init__(self, database: Any, at: int, blow: Callable[[Any], object]) -> None:
        self._database = database
        self._left = at
        self._blow = blow

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    def open(self, *, locked: bool) -> StruckSession:
        """Open a session that counts its steps."""
        return StruckSession(self._database.open(locked=locked), self._step)

    def _step(self, session: Any) -> None:
        self._left -= 1
        if self._left == 0:
            self._blow(session)


class StruckSession:
    """A session that tells of each step before it is made."""

    def __init__(self, session: Any, step: Callable[[Any], None]) -> None:
        self._session = session
        self._step = step

    def __getattr__(self, name: str) -> Any:
        if name in {"run", "query", "insert"}:
            self._step(self._session)
        return getattr(self._session, name)

    @contextmanager
    def transaction(self, *, keep: bool = True) -> Iterator[None]:
        """Tell of the moments right before the commit, and right after it."""
        with self._session.transaction(keep=keep):
            yield
            self._step(self._session)
        self._step(self._session)


def kill(_session: Any) -> None:
    """Die, as for want of memory."""
    os.kill(os.getpid(), signal.SIGKILL)


ROWS = {OLD: {"a": (5, 2), "b": (3, 0), "c": (1, 0)}, NEW: {"a": (7, 1), "b": (0, 0), "c": (4, 1)}}
"""Rows and quarantined rows of the tags of the earlier run, and of the later."""


def snapshots(run_id: str) -> list[Any]:
    """Make the tags of a run."""
    made = [
        build_snapshot(tag, rows, quarantined=doubted, run_id=run_id) for tag, (rows, doubted) in ROWS[run_id].items()
    ]
    return [with_places(snapshot) for snapshot in made]


def act(what: str, destination: Any) -> None:
    """Load, or erase whoever has the first number of every tag."""
    with destination:
        if what == "erase":
            person = Person("+33600000000", PhonePrivacy("plain", Secret("a phone key of 26 letters!")))
            destination.erase(person, datetime(2026, 11, 25, tzinfo=UTC))
            return
        run_id = OLD if what == "old" else NEW
        list(destination.replace_tags(snapshots(run_id), run_id))


def with_places(snapshot: Any) -> Any:
    """Say that quarantined rows stand first, on a page that holds all rows."""
    numbers = [f'{{"phoneNumber": "+3369999900{row}"}}' for row in range(snapshot.quarantine.num_rows)]
    at = snapshot.quarantine.schema.get_field_index("raw")
    quarantine = snapshot.quarantine.set_column(
        at, snapshot.quarantine.schema.field(at), pa.array(numbers, pa.string())
    )
    return replace(snapshot, page_rows=snapshot.rows_received, quarantine=quarantine)


def destination_of(uri: str, at: int, blow: Callable[[Any], object]) -> Warehouse:
    """Open a warehouse that is struck."""
    kind = DuckdbDatabase if uri.startswith("duckdb:") else PostgresqlDatabase
    return Warehouse(Struck(kind(uri.removeprefix("duckdb:"), "there"), at, blow))


def answer(request: dict[str, Any]) -> int:
    """Do what is asked for in a process of its own; give its exit code."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 1
    try:
        struck = "at" in request
        act(
            request["what"],
            destination_of(request["uri"], request["at"], kill) if struck else open_destination(request["uri"]),
        )
        code = 0
    except DestinationError as error:
        print(error, file=sys.stderr)  # noqa: T201
        code = REFUSED
    finally:
        os._exit(code)


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)  # noqa: T201
