"""Snapshots of any size, and second processes that use them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from smspartner.snapshot import Snapshot
from smspartner_schemas.arrow import arrow_schema
from smspartner_schemas.contract import QUARANTINE, STATUS_WORDS, STATUSES, TAG_RUNS

RUN_ID = "20261123T180000Z-ab12cd34"
READ_AT = datetime(2026, 11, 23, 18, 0, 0, 123456, tzinfo=UTC)


def build_snapshot(tag: str = "promo-nov", rows: int = 4, *, quarantined: int = 0, run_id: str = RUN_ID) -> Snapshot:
    """Return a complete snapshot whose rows differ from each other in every column that may."""
    numbers = range(rows)
    table = pa.table(
        {
            "tag": [tag] * rows,
            "phone_number": [f"+336{n:08}" for n in numbers],
            "occurrence": [1 + n % 2 for n in numbers],
            "country": [("FR", None, "NA")[n % 3] for n in numbers],
            "status": [STATUS_WORDS[n % 4] for n in numbers],
            "stop_sms": [n % 3 == 0 for n in numbers],
            "status_at": [None if n % 4 == 2 else READ_AT - timedelta(minutes=n, microseconds=56) for n in numbers],
            "extracted_at": [READ_AT] * rows,
            "run_id": [run_id] * rows,
        },
        schema=arrow_schema(STATUSES),
    )
    quarantine = pa.table(
        {
            "tag": [tag] * quarantined,
            "page": [1] * quarantined,
            "position": list(range(1, quarantined + 1)),
            "reasons": [["status is unknown", 'a "second", reason']] * quarantined,
            "raw": [f'{{"phoneNumber": "+33699999{n:03}", "status": "?"}}' for n in range(quarantined)],
            "extracted_at": [READ_AT] * quarantined,
            "run_id": [run_id] * quarantined,
        },
        schema=arrow_schema(QUARANTINE),
    )
    received = rows + quarantined
    return Snapshot(
        tag=tag,
        verdict="complete",
        reason="",
        run_id=run_id,
        table=table,
        quarantine=quarantine,
        extracted_at=READ_AT,
        asked_at=READ_AT,
        rows_declared=received,
        rows_received=received,
        rows_erased=0,
        pages=1,
        requests=1,
        retries=0,
        seconds=0.5,
        drift=(),
        phone_numbers="plain",
        first_page=f"digest of {tag}",
    )


def build_tag_runs(*tags: str, run_id: str = RUN_ID) -> pa.Table:
    """Return rows of `tag_runs` for tags that could not be read."""
    rows = [
        {column.name: 0 for column in TAG_RUNS.columns}
        | {
            "run_id": run_id,
            "tag": tag,
            "verdict": "failed",
            "reason": "no answer",
            "extracted_at": None,
            "asked_at": None,
        }
        for tag in tags
    ]
    return pa.Table.from_pylist(rows, schema=arrow_schema(TAG_RUNS))


@pytest.fixture
def make_snapshot() -> Callable[..., Snapshot]:
    """Build a snapshot."""
    return build_snapshot


@pytest.fixture
def make_tag_runs() -> Callable[..., pa.Table]:
    """Build rows of `tag_runs`."""
    return build_tag_runs


SOMEBODY = 54_321


@contextmanager
def an_ordinary_user(folder: Path) -> Iterator[None]:
    """Act as a user whom file modes bind, and who may pass through `folder` and all above it."""
    if os.geteuid() != 0:
        yield
        return
    for parent in (folder, *folder.parents[:-2]):
        parent.chmod(parent.stat().st_mode | 0o011)
    groups = os.getgroups()
    os.setgroups([])
    os.setresgid(SOMEBODY, SOMEBODY, 0)
    os.setresuid(SOMEBODY, SOMEBODY, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)
        os.setresgid(0, 0, 0)
        os.setgroups(groups)


Child = subprocess.Popen[str]


@pytest.fixture
def start() -> Iterator[Callable[..., Child]]:
    """Start a Python process that knows this module and gets its arguments; it is dead when the test ends."""
    children: list[Child] = []

    def start_one(program: str, *arguments: str) -> Child:
        prelude = f"import os, resource, sys\nsys.path.insert(0, {str(Path(__file__).parent)!r})\nimport conftest\n"
        command = [sys.executable, "-c", prelude + program, *arguments]
        pipe = subprocess.PIPE
        child = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        children.append(child)
        return child

    yield start_one
    for child in children:
        with child:
            child.kill()
