"""What a run came to: the run report for programs, kept beside what was loaded, and the summary for people.

Neither holds a secret or a phone number.
"""

from __future__ import annotations

import importlib.metadata
import platform
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec
from smspartner.redaction import REDACT
from smspartner_schemas.contract import ACCEPTED, EXIT_MEANINGS, REPORT_VERSION, ExitCode

from smspartner_pipelines.load.uris import EXPORTS, recognise
from smspartner_pipelines.output import counted, delivered_share, say, text_table

if TYPE_CHECKING:
    from smspartner_pipelines.outcome import RunOutcome, Target

_PACKAGES = ("smspartner-connector", "great-expectations", "pandas", "pyarrow", "requests", "tenacity")

_MOST_LISTED = 40
"""Complete tags, line by line; the run report holds all."""

_MOST_NAMED = 20
"""Tags that need a person, each with its reason."""

_MOST_DRIFT = 10
_NAMES = ("tag", "rows", "delivered", "waiting", "quarantined")


def report_json(outcome: RunOutcome) -> bytes:
    """Give the run report as JSON, indented, UTF-8."""
    text = REDACT.json(report(outcome), ensure_ascii=False, default=_as_text)
    # Python's own encoder takes a second for thousands of tags where it indents.
    return msgspec.json.format(text.encode("utf-8", "backslashreplace"), indent=2) + b"\n"


def report(outcome: RunOutcome) -> dict[str, Any]:
    """Give the run report as plain values; times are aware, UTC. `run_report.schema.json` describes each field."""
    rows = [outcome.tag_runs[tag] for tag in outcome.settings.tags if tag in outcome.tag_runs]
    return {
        "report_version": REPORT_VERSION,
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


def print_summary(outcome: RunOutcome, *, quiet: bool = False) -> None:
    """Print what happened to each tag, and the run as a whole; `quiet` leaves out all but what needs a person."""
    if not quiet:
        for line in _loaded_lines(outcome):
            say(line)
        for line in (*_drift_lines(outcome), *outcome.notes):
            say(f"note: {line}", style="yellow")
        say(_total_line(outcome))
    elif outcome.exit_code is ExitCode.OK:
        return
    for line in (*_reasons(_with_verdict(outcome, "unknown")), *_quarantine_lines(outcome)):
        say(line, style="yellow")
    for line in _failure_lines(outcome):
        say(line, style="red")


def _loaded_lines(outcome: RunOutcome) -> Iterator[str]:
    complete = _with_verdict(outcome, "complete")
    if complete:
        cells = [
            (
                row["tag"],
                f"{row['rows_loaded']:,}",
                delivered_share(row["delivered"], row["not_delivered"], row["ko"]),
                f"{row['waiting']:,}",
                f"{row['rows_quarantined']:,}",
            )
            for row in complete[:_MOST_LISTED]
        ]
        yield from text_table(_NAMES, cells, _NAMES[1:])
    if len(complete) > _MOST_LISTED:
        yield f"and {len(complete) - _MOST_LISTED:,} more complete tags"
    if skipped := _with_verdict(outcome, "skipped"):
        kept = ", or the API has less of it now (--keep-shrunk)" if outcome.settings.keep_shrunk else ""
        yield f"skipped, since what is loaded is unchanged or fresh{kept}: {counted(len(skipped), 'tag')}"


def _with_verdict(outcome: RunOutcome, *verdicts: str) -> list[dict[str, Any]]:
    rows = (outcome.tag_runs.get(tag) for tag in outcome.settings.tags)
    return [row for row in rows if row and row["verdict"] in verdicts]


def _drift_lines(outcome: RunOutcome) -> list[str]:
    """Name each kind of drift once, however many tags it is in: it is the API that changed, not a tag."""
    tags_by_kind: dict[str, list[str]] = {}
    for tag, drift in outcome.drift.items():
        for kind in drift:
            tags_by_kind.setdefault(kind, []).append(tag)
    commonest = sorted(tags_by_kind.items(), key=lambda item: -len(item[1]))
    lines = [f"not in the API's documentation: {kind} ({_named(tags, 3)})" for kind, tags in commonest[:_MOST_DRIFT]]
    more = len(commonest) - len(lines)
    return [*lines, f"{more} further kinds of drift are in the run report"] if more else lines


def _named(tags: Sequence[str], most: int = _MOST_NAMED) -> str:
    more = f" and {len(tags) - most:,} more" if len(tags) > most else ""
    return ", ".join(tags[:most]) + more


def _total_line(outcome: RunOutcome) -> str:
    loaded, erased = (loaded_now(outcome)[name] for name in ("rows_loaded", "rows_erased"))
    into = ", ".join(filter(None, map(_place, outcome.destinations))) or "no destination"
    left_out = f", {erased:,} of erased people left out" if erased else ""
    return f"run {outcome.run_id}: {counted(loaded, 'row')} loaded into {into}{left_out}, {outcome.seconds:.1f} s"


def _place(destination: Target) -> str | None:
    """Name a destination that holds rows of the run, or some of them."""
    if destination.failure is None:
        name = "standard output" if destination.uri == "-" else destination.uri
        return None if destination.dropped else name
    loaded = counted(destination.tags_loaded, "tag")
    return f"{destination.uri} ({loaded}, then it failed)" if destination.tags_loaded else None


def _reasons(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    for row in rows[:_MOST_NAMED]:
        yield f"{row['tag']}: {row['verdict']}: {row['reason']}"
    if len(rows) > _MOST_NAMED:
        yield f"and {len(rows) - _MOST_NAMED:,} more: " + _named([row["tag"] for row in rows[_MOST_NAMED:]])


def _quarantine_lines(outcome: RunOutcome) -> Iterator[str]:
    tags = [tag for tag, row in outcome.tag_runs.items() if row["rows_quarantined"]]
    if tags:
        places = [one.uri for one in outcome.destinations if not one.failure and not _is_export(one.uri)]
        help_ = f"; `smspartner quarantine {shlex.quote(places[0])}` counts them by reason" if places else ""
        yield f"in quarantine: {counted(outcome.total('rows_quarantined'), 'row')} of {_named(tags)}{help_}"


def _is_export(uri: str) -> bool:
    return recognise(uri)[0] in {"-", *EXPORTS}


def _failure_lines(outcome: RunOutcome) -> Iterator[str]:
    """Say what failed, by name, and last the command that helps."""
    for destination in outcome.destinations:
        if destination.failure:
            help_ = f" (`smspartner check --to {shlex.quote(destination.uri)}` says more)"
            named = "" if destination.failure.startswith(destination.uri) else f"{destination.uri}: "
            yield f"error: {named}{destination.failure}{help_ if destination.uri != '-' else ''}"
        elif destination.dropped:
            yield f"{destination.uri} was not written, since the run ended early"
    yield from _reasons([row for row in outcome.tag_runs.values() if row["verdict"] not in ACCEPTED])
    missed = outcome.not_reached
    if missed:
        yield f"not read, {len(missed):,} of {len(outcome.settings.tags):,} tags: {_named(missed)}"
    again = [row["tag"] for row in _with_verdict(outcome, "incomplete", "unstable", "failed")] + missed
    if again and outcome.exit_code is not ExitCode.REFUSED:
        yield f"run again: {_again(outcome, again)}"
    if outcome.exit_code is not ExitCode.OK:
        see = "; `smspartner check` says more" if outcome.exit_code is ExitCode.REFUSED else ""
        yield f"exit code {int(outcome.exit_code)}: {outcome.failure or EXIT_MEANINGS[outcome.exit_code]}{see}"


def _again(outcome: RunOutcome, tags: Sequence[str]) -> str:
    """Give the command that reads what is missing; an export is written anew, with all its tags."""
    if any(map(_is_export, outcome.settings.to)):
        return "the same command, since an export holds the tags of one run"
    if len(tags) <= _MOST_NAMED:
        return f"smspartner run {shlex.join(tags)} … (with the options of this run)"
    instead = " instead of --refresh all" if outcome.settings.refresh == "all" else ""  # which reads every tag
    return f"the same command with --fresh-since {outcome.started_at:%Y-%m-%dT%H:%M:%SZ}{instead}"
