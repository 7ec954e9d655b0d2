"""A shop's campaigns, loaded without an API: as usual, low, with many opt-outs, old, in quarantine, never loaded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
from smspartner.snapshot import Snapshot
from smspartner_pipelines.load import open_destination
from smspartner_schemas.arrow import arrow_schema
from smspartner_schemas.contract import QUARANTINE, STATUS_WORDS, STATUSES, TAG_RUNS

NOW = datetime.now(UTC).replace(microsecond=0)
HOSTILE = ("</script><b>\"'&", "<!--<script>", "مرحبا", "+33612345678")
MASKED, HASHED = "+33*******42", "0123abcd:" + "5e" * 32


def campaign(
    tag: str,
    delivered: int,
    failed: int = 0,
    *,
    waiting: int = 0,
    ko: int = 0,
    opt_outs: int = 0,
    quarantined: int = 0,
    sent: timedelta = timedelta(days=10),
    apart: timedelta = timedelta(seconds=30),
    read: timedelta = timedelta(minutes=5),
) -> Snapshot:
    """Make a campaign that was sent and read so long ago, with one delivery after the other, so far apart."""
    read_at, sent_at = NOW - read, (NOW - sent).replace(hour=9, minute=0, second=0)
    counts = {"delivered": delivered, "not_delivered": failed, "waiting": waiting, "ko": ko}
    words = [word for word in STATUS_WORDS for _ in range(counts[word])]
    rows = len(words)
    columns = {
        "tag": [tag] * rows,
        "phone_number": [(f"+336{n:08}", MASKED, HASHED)[n % 3] for n in range(rows)],
        "occurrence": list(range(1, rows + 1)),
        "country": [("FR", "FR", "BE", None)[n % 4] for n in range(rows)],
        "status": words,
        "stop_sms": [n < opt_outs for n in range(rows)],
        "status_at": [None if word == "waiting" else sent_at + apart * n for n, word in enumerate(words)],
        "extracted_at": [read_at] * rows,
        "run_id": ["run-3"] * rows,
    }
    invalid = {
        "tag": [tag] * quarantined,
        "page": [1] * quarantined,
        "position": list(range(1, quarantined + 1)),
        "reasons": [["date_unreadable"]] * quarantined,
        "raw": ['{"phoneNumber": "+33699999001"}'] * quarantined,
        "extracted_at": [read_at] * quarantined,
        "run_id": ["run-3"] * quarantined,
    }
    received = rows + quarantined
    read_facts: dict[str, Any] = {"extracted_at": read_at, "rows_declared": received, "rows_received": received}
    table, quarantine = (
        pa.table(columns, schema=arrow_schema(STATUSES)),
        pa.table(invalid, schema=arrow_schema(QUARANTINE)),
    )
    return Snapshot(tag, "complete", "", "run-3", table, quarantine, **read_facts)


def run_of(tag: str, verdict: str, number: int = 3, *, declared: int | None = None, **counts: int) -> dict[str, Any]:
    """Make a row of `tag_runs`: run number 1 was two hours before number 3."""
    at = NOW - timedelta(hours=4 - number)
    facts = {"run_id": f"run-{number}-{tag}", "tag": tag, "verdict": verdict, "reason": "", "rows_declared": declared}
    times = {"asked_at": at, "extracted_at": at if verdict == "complete" else None}
    return {column.name: 0 for column in TAG_RUNS.columns} | facts | times | counts


SHOP = [
    *(campaign(f"usual-{n}", 940 + n, 60 - n, opt_outs=15, sent=timedelta(days=20 + n)) for n in range(5)),
    campaign("bought-list", 600, 360, ko=40, opt_outs=70, sent=timedelta(days=40)),
    campaign("too-often", 944, 56, opt_outs=60, sent=timedelta(days=30)),
    campaign("still-waiting", 280, 20, waiting=100, sent=timedelta(hours=20)),
    campaign("not-read-since", 470, 30, waiting=20, sent=timedelta(days=9), read=timedelta(days=8)),
    campaign("odd-dates", 941, 56, quarantined=3, sent=timedelta(days=35)),
    campaign("soldes-été", 470, 30, sent=timedelta(days=50)),
    campaign("again-and-again", 480, 20, sent=timedelta(days=60), apart=timedelta(hours=2)),
    campaign("tried-again", 470, 30, sent=timedelta(days=15)),
]
RUNS = [
    run_of("never-loaded", "unstable", 1, declared=12_500),
    run_of("never-loaded", "unstable", 3, declared=12_600),
    run_of("mistyped", "unknown"),
    run_of("tried-again", "complete", 1, rows_loaded=500, delivered=470),
    run_of("tried-again", "failed", 3),
    run_of("still-waiting", "complete", 1, rows_loaded=400, delivered=100, waiting=300),
    run_of("still-waiting", "complete", 3, rows_loaded=400, delivered=280, waiting=100),
    run_of("usual-1", "skipped", 3),
]


def load(uri: str, snapshots: list[Snapshot] | None = None, runs: list[dict[str, Any]] | None = None) -> str:
    """Load campaigns, and their rows of `tag_runs` run by run; gives the URI."""
    destination = open_destination(uri)
    with destination.open(for_loading=True):
        list(destination.replace(SHOP if snapshots is None else snapshots))
        for row in RUNS if runs is None else runs:
            table = pa.Table.from_pylist([row], schema=arrow_schema(TAG_RUNS))
            destination.finish(table, row["run_id"], complete=True)
    return uri
