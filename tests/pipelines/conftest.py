"""Snapshots, loaded tags, destinations and settings, each with facts of one's choice."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from smspartner.connection import Connection
from smspartner.page import read_page
from smspartner.privacy import PhonePrivacy
from smspartner.reading import Population
from smspartner.redaction import Secret
from smspartner.snapshot import Snapshot
from smspartner.transform import transform
from smspartner_pipelines.load.destination import LoadedTag
from smspartner_pipelines.outcome import Target
from smspartner_pipelines.settings import RunSettings

RUN_ID = "20261123T180000Z-ab12cd34"
READ_AT = datetime(2026, 11, 23, 18, tzinfo=UTC)
WORDS = ("Delivered", "Not delivered", "Waiting", "ko")


@pytest.fixture
def snapshot() -> Callable[..., Snapshot]:
    """A snapshot of some rows (statuses in turn), some of them not valid; or one with another verdict and no rows."""

    def make(tag: str = "t", rows: int = 1, bad: int = 0, verdict: str = "complete", reason: str = "") -> Snapshot:
        sent: list[dict[str, Any]] = [
            {"phoneNumber": f"+336{n:08}", "status": WORDS[n % 4], "stopSMS": n == 0, "date": "1517989111"}
            for n in range(rows)
        ]
        sent += [{"phoneNumber": f"+336999{n:05}", "status": "?"} for n in range(bad)]
        body = {"success": True, "code": 200, "currentPage": 1, "total": len(sent), "StatutResponse_List": sent}
        pages = (read_page(json.dumps(body).encode()),) if verdict == "complete" else ()
        received = len(sent) if pages else 0
        population = Population(
            *(tag, verdict, reason, pages, READ_AT, READ_AT, received if pages else None, received, len(pages)),
            *(2, 1, 0.25),
        )
        (made,) = transform([population], RUN_ID, PhonePrivacy())
        assert made is not None
        return made

    return make


@pytest.fixture
def loaded() -> Callable[..., LoadedTag]:
    """What a destination holds of a tag: four rows, nothing waiting, settled."""

    def make(tag: str = "t", **facts: Any) -> LoadedTag:
        settled: dict[str, Any] = {
            **dict.fromkeys(("rows_received", "rows_loaded", "delivered"), 4),
            **dict.fromkeys(("rows_quarantined", "rows_erased", "not_delivered", "waiting", "ko", "stop_sms"), 0),
            "newest_status_at": READ_AT - timedelta(hours=49),
            "extracted_at": READ_AT,
            "run_id": RUN_ID,
            "phone_numbers": "plain",
            "first_page": "digest",
        }
        return LoadedTag(tag, **{**settled, **facts})

    return make


@pytest.fixture
def target() -> Callable[..., Target]:
    """A destination that holds some tags, and what became of it."""

    def make(*held: LoadedTag, uri: str = "somewhere", keeps_tags: bool = True, **facts: Any) -> Target:
        named: Any = SimpleNamespace(uri=uri, keeps_tags=keeps_tags)
        return Target(named, {one.tag: one for one in held}, **facts)

    return make


@pytest.fixture
def settings() -> Callable[..., RunSettings]:
    """Settings of a run of tag `t` into `out`."""

    def make(**options: Any) -> RunSettings:
        connection = Connection(api_key=Secret("key-of-the-pipeline-tests"))
        return RunSettings(**{"tags": ("t",), "connection": connection, "to": ("out",), **options})

    return make
