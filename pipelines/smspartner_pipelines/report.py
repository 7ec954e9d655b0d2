"""The run report: as JSON for programs, as a summary for people. Neither holds a secret or a phone number."""

from __future__ import annotations

import importlib.metadata
import json
import platform
from dataclasses import asdict
from datetime import datetime
from functools import cache
from typing import Any

import msgspec
from rich.console import Console
from smspartner_pipelines.load.destination import LoadedTag
from smspartner.redaction import REDACT

from smspartner_pipelines.exit_codes import MEANINGS, ExitCode
from smspartner_pipelines.incremental import is_settled
from smspartner_pipelines.outcomes import DestinationOutcome, RunOutcome, TagRun
from smspartner_pipelines.settings import PublicSettings
from smspartner_pipelines.tables import Cell, Column, print_table

_PACKAGES = ("smspartner-connector", "great-expectations", "pandas", "pyarrow", "requests", "tenacity")
_TOTALS = ("rows_received", "rows_loaded", "rows_quarantined", "requests", "retries")
_MOST_DRIFT_LINES = 10
_MOST_DRIFT_TAGS = 3
_COUNTS = (Column("waiting", right=True), Column("quarantined", right=True))
_SUMMARY = (
    *(Column("tag"), Column("verdict"), Column("rows", right=True), Column("delivered", right=True)),
    *(*_COUNTS, Column("reason", fold=True)),
)
_LOADED = (
    *(Column("tag"), Column("rows", right=True), *_COUNTS),
    *(Column("settled"), Column("newest status"), Column("extracted"), Column("numbers")),
)
_STYLES = {"complete": "green", "skipped": "dim", "unknown": "yellow"}


def report_json(outcome: RunOutcome, settings: PublicSettings) -> bytes:
    """Give the run report as JSON, indented, UTF-8."""
    text = REDACT.json(report(outcome, settings), ensure_ascii=False, default=_as_text)
    # Python's own encoder takes a second for thousands of tags where it indents.
    return msgspec.json.format(text.encode(), indent=2) + b"\n"


def report(outcome: RunOutcome, settings: PublicSettings) -> dict[str, Any]:
    """Give the run report as plain values; times are aware, UTC."""
    return {
        "run_id": outcome.run_id,
        "exit_code": int(outcome.exit_code),
        "meaning": MEANINGS[outcome.exit_code].replace("`", ""),
        "failure": outcome.failure,
        "started_at": outcome.started_at,
        "finished_at": outcome.finished_at,
        "seconds": round(outcome.seconds, 3),
        "settings": settings.public(),
        "versions": versions(),
        "totals": {"tags": len(outcome.tag_runs), **{column: outcome.total(column) for column in _TOTALS}},
        "tags": [outcome.tag_runs[tag] for tag in outcome.asked if tag in outcome.tag_runs],
        "not_reached": outcome.not_reached,
        "drift": outcome.drift,
        "erased": outcome.erased,
        "validation": outcome.validation,
        "destinations": [
            {
                "uri": destination.uri,
                "tags_loaded": destination.tags_loaded,
                "failure": destination.failure,
                "files": [{"path": file.path, "bytes": file.size, "sha256": file.sha256} for file in destination.files],
            }
            for destination in outcome.destinations
        ],
    }


def versions() -> dict[str, str | None]:
    """Give the versions of Python and of the packages that matter to what a run makes."""
    return {"python": platform.python_version()} | {name: _version(name) for name in _PACKAGES}


@cache
def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _as_text(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%S.%fZ}"
    raise TypeError(f"{type(value).__name__} does not belong in a report")


def print_summary(outcome: RunOutcome, console: Console) -> None:
    """Print what became of each tag, and of the run."""
    rows = [_summary_row(outcome.tag_runs[tag]) for tag in outcome.asked if tag in outcome.tag_runs]
    if rows:
        print_table(console, _SUMMARY, rows)
    for line in _closing_lines(outcome):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _summary_row(row: TagRun) -> tuple[str | Cell, ...]:
    verdict = Cell(row["verdict"], _STYLES.get(row["verdict"], "bold red"))
    if row["verdict"] != "complete":
        return row["tag"], verdict, "", "", "", "", row["reason"]
    loaded, doubted = row["rows_loaded"], row["rows_quarantined"]
    delivered = f"{100 * row['delivered'] / loaded:.1f} %" if loaded else ""
    return (
        row["tag"],
        verdict,
        f"{loaded:,}",
        delivered,
        f"{row['waiting']:,}",
        Cell(f"{doubted:,}", "bold red" if doubted else ""),
        Cell(row["reason"], optional=True),
    )


def _closing_lines(outcome: RunOutcome) -> list[str]:
    lines = _drift_lines(outcome)
    if outcome.erased:
        lines.append(f"note: rows of erased numbers were left out ({_where(outcome.erased)})")
    lines += _failures(outcome)
    lines += [
        f"note: {destination.uri} is not finished, since the run ended early"
        for destination in outcome.destinations
        if destination.dropped and not destination.failure
    ]
    if outcome.not_reached:
        lines.append(f"{len(outcome.not_reached)} of {len(outcome.asked)} tags were not reached")
    loaded, doubted = outcome.total("rows_loaded"), outcome.total("rows_quarantined")
    places = ", ".join(filter(None, map(_as_place, outcome.destinations))) or "no destination"
    lines.append(f"run {outcome.run_id}: {loaded:,} rows loaded into {places}, {doubted:,} in quarantine")
    if outcome.exit_code is not ExitCode.OK:
        lines.append(f"exit code {int(outcome.exit_code)}: {_why(outcome)}")
    return lines


def _as_place(destination: DestinationOutcome) -> str | None:
    """Name a destination that holds rows of the run, be it some of them."""
    if destination.failure is None:
        return None if destination.dropped else destination.uri
    return f"{destination.uri} ({destination.tags_loaded:,} tags, then it failed)" if destination.tags_loaded else None


def _drift_lines(outcome: RunOutcome) -> list[str]:
    """Tell each kind of drift once, however many tags it is in: it is the API that changed, not a tag."""
    tags_by_kind: dict[str, dict[str, int]] = {}
    for tag, drift in outcome.drift.items():
        for kind, count in drift.items():
            tags_by_kind.setdefault(kind, {})[tag] = count
    commonest = sorted(tags_by_kind.items(), key=lambda item: -sum(item[1].values()))
    lines = [f"note: drift, not in the API's documentation: {kind} ({_where(tags)})" for kind, tags in commonest]
    if len(lines) > _MOST_DRIFT_LINES:
        more = len(lines) - _MOST_DRIFT_LINES
        lines[_MOST_DRIFT_LINES:] = [f"note: {more} further kinds of drift are in the run report"]
    return lines


def _where(tags: dict[str, int]) -> str:
    if len(tags) > _MOST_DRIFT_TAGS:
        return f"{sum(tags.values()):,} times in {len(tags):,} tags"
    return ", ".join(f"{tag}: {count:,}" for tag, count in tags.items())


def error_lines(outcome: RunOutcome) -> list[str]:
    """Say why a run did not end with exit code 0, for those who want no summary."""
    if outcome.exit_code is ExitCode.OK:
        return []
    return [*_failures(outcome), f"error: {_why(outcome)}"]


def _failures(outcome: RunOutcome) -> list[str]:
    failed = [destination for destination in outcome.destinations if destination.failure]
    return [f"error: {destination.uri}: {destination.failure}" for destination in failed]


def _why(outcome: RunOutcome) -> str:
    return outcome.failure or MEANINGS[outcome.exit_code].replace("`", "")


def print_loaded_tags(tags: list[LoadedTag], console: Console) -> None:
    """Print what a destination holds of each tag."""
    print_table(console, _LOADED, map(_loaded_row, tags))


def _loaded_row(tag: LoadedTag) -> tuple[str, ...]:
    counts = (f"{count:,}" for count in (tag.rows_loaded, tag.waiting, tag.rows_quarantined))
    times = (_minute(tag.newest_status_at), _minute(tag.extracted_at))
    return (tag.tag, *counts, _settled(tag), *times, tag.phone_numbers)


def _minute(time: datetime | None) -> str:
    return f"{time:%Y-%m-%d %H:%MZ}" if time else ""


def _settled(tag: LoadedTag) -> str:
    if not tag.consistent:
        return "no: run again"
    return "yes" if is_settled(tag) else "no"


def loaded_tags_json(tags: list[LoadedTag]) -> str:
    """Give what a destination holds of each tag as a JSON array."""
    return json.dumps([_loaded_tag(tag) for tag in tags], ensure_ascii=False, indent=2, default=_as_text)


def _loaded_tag(tag: LoadedTag) -> dict[str, Any]:
    facts = {"rows_erased": len(tag.erased_places), "settled": is_settled(tag)}
    only_for_order = {"page_rows", "erased_places"}
    return {name: fact for name, fact in asdict(tag).items() if name not in only_for_order} | facts
