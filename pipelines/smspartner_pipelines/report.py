"""The run report: JSON for programs, kept beside what was loaded. It holds no secret and no phone number."""

from __future__ import annotations

import importlib.metadata
import platform
from collections import Counter
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec
from smspartner.redaction import REDACT
from smspartner_schemas.contract import EXIT_MEANINGS

if TYPE_CHECKING:
    from smspartner_pipelines.outcome import RunOutcome, Target

_PACKAGES = ("smspartner-connector", "great-expectations", "pandas", "pyarrow", "requests", "tenacity")


def report_json(outcome: RunOutcome) -> bytes:
    """Give the run report as JSON, indented, UTF-8."""
    text = REDACT.json(report(outcome), ensure_ascii=False, default=_as_text)
    # Python's own encoder takes a second for thousands of tags where it indents.
    return msgspec.json.format(text.encode("utf-8", "backslashreplace"), indent=2) + b"\n"


def report(outcome: RunOutcome) -> dict[str, Any]:
    """Give the run report as plain values; times are aware, UTC.

    `totals` counts what this run read and loaded; its `rows_quarantined` also what skipped tags keep in quarantine.
    """
    rows = [outcome.tag_runs[tag] for tag in outcome.settings.tags if tag in outcome.tag_runs]
    return {
        "run_id": outcome.run_id,
        "exit_code": int(outcome.exit_code),
        "meaning": EXIT_MEANINGS[outcome.exit_code],
        "failure": outcome.failure,
        "started_at": outcome.started_at,
        "finished_at": outcome.finished_at,
        "seconds": round(outcome.seconds, 3),
        "settings": outcome.settings.public(),
        "versions": versions(),
        "totals": {
            "tags": len(rows),
            "verdicts": dict(Counter(row["verdict"] for row in rows)),
            **loaded_now(outcome),
            **{column: outcome.total(column) for column in ("rows_quarantined", "requests", "retries")},
        },
        "tags": rows,
        "not_reached": outcome.not_reached,
        "drift": outcome.drift,
        "notes": outcome.notes,
        "validation": outcome.validation,
        "destinations": list(map(_destination, outcome.destinations)),
    }


def loaded_now(outcome: RunOutcome) -> dict[str, int]:
    """Count the rows that this run received, loaded and left out; a skipped tag's row repeats older counts."""
    complete = [row for row in outcome.tag_runs.values() if row["verdict"] == "complete"]
    return {name: sum(row[name] for row in complete) for name in ("rows_received", "rows_loaded", "rows_erased")}


def _destination(destination: Target) -> dict[str, Any]:
    return {
        "uri": destination.uri,
        "tags_loaded": destination.tags_loaded,
        "failure": destination.failure,
        "files": [{"path": file.path, "bytes": file.size, "sha256": file.sha256} for file in destination.files],
    }


@cache
def versions() -> dict[str, str | None]:
    """Give the versions of Python and of the packages that matter to what a run makes."""
    return {"python": platform.python_version()} | {name: version_of(name) for name in _PACKAGES}


def version_of(package: str) -> str | None:
    """Give the version of a package; None where it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _as_text(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%S.%fZ}"
    raise TypeError(f"{type(value).__name__} does not belong in a report")
