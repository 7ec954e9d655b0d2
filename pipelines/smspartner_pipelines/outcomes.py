"""What became of each tag and of the run: the books that must balance, and the exit code."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from smspartner.errors import AccessRefused, CountMismatch, DestinationError, ValidationBroken
from smspartner_pipelines.load.destination import WrittenFile
from smspartner.snapshot import Snapshot
from smspartner_schemas.arrow import arrow_schema
from smspartner_schemas.contract import ACCEPTED, STATUS_WORDS, TAG_RUNS

from smspartner_pipelines.exit_codes import ExitCode

TagRun = dict[str, Any]
"""One row of `tag_runs`: a value for each of its columns."""


@dataclass
class DestinationOutcome:
    """What became of one destination; `failure` says in words why nothing more was loaded there.

    `dropped` is true of an export that was not finished, of which nothing is kept: its `tags_loaded` are 0.
    """

    uri: str
    files: list[WrittenFile] = field(default_factory=list)
    tags_loaded: int = 0
    failure: str | None = None
    dropped: bool = False


@dataclass
class RunOutcome:
    """What became of a run; filled while it goes on.

    `erased` counts, by tag, the rows left out since their numbers were erased.
    `ended_by` is None for a run that came to its end, else the exit code of what ended it, with `failure` in words.
    """

    run_id: str
    asked: tuple[str, ...]
    allow_quarantined: int = 0
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    finished_at: datetime | None = None
    tag_runs: dict[str, TagRun] = field(default_factory=dict)
    drift: dict[str, dict[str, int]] = field(default_factory=dict)
    erased: dict[str, int] = field(default_factory=dict)
    destinations: list[DestinationOutcome] = field(default_factory=list)
    validation: dict[str, Any] = field(default_factory=dict)
    ended_by: ExitCode | None = None
    failure: str | None = None
    seconds: float = 0.0
    _began: float = field(default_factory=time.monotonic)

    def note(self, snapshot: Snapshot) -> None:
        """Record what became of a tag that was read."""
        self._record(tag_run(snapshot, self.run_id))
        if snapshot.drift:
            self.drift[snapshot.tag] = dict(snapshot.drift)
        if snapshot.erased_places:
            self.erased[snapshot.tag] = len(snapshot.erased_places)

    def note_skipped(self, reasons: Mapping[str, str]) -> None:
        """Record the tags that are not read, since what is loaded can't have changed, each with the reason."""
        for tag, reason in reasons.items():
            self._record(skipped_tag_run(tag, reason, self.run_id))

    @contextmanager
    def ending_early(self) -> Iterator[None]:
        """Record what ends a run before its end; what was loaded until then stays."""
        try:
            yield
        except KeyboardInterrupt:
            self._end(ExitCode.INTERRUPTED, "interrupted; tags that were loaded stay loaded")
        except AccessRefused as refusal:
            self._end(ExitCode.REFUSED, str(refusal))
        except (DestinationError, ValidationBroken, CountMismatch) as failure:
            self._end(ExitCode.NOT_DONE, str(failure))

    def _end(self, ended_by: ExitCode, failure: str) -> None:
        self.ended_by, self.failure = ended_by, failure

    def _record(self, row: TagRun) -> None:
        if row["tag"] in self.tag_runs:
            raise CountMismatch(f"tag {row['tag']} came to two ends in one run; please report this bug")
        self.tag_runs[row["tag"]] = row

    @property
    def not_reached(self) -> list[str]:
        """Tags that a run which ended early says nothing about."""
        return [tag for tag in self.asked if tag not in self.tag_runs]

    def close(self) -> None:
        """Close the books: a run that came to its end has exactly one outcome for every tag asked for."""
        self.finished_at = max(self.started_at, datetime.now(UTC))  # a clock may go back meanwhile
        self.seconds = time.monotonic() - self._began
        if self.ended_by is None and self.not_reached:
            self._end(ExitCode.NOT_DONE, f"{len(self.not_reached)} tags came to no end; please report this bug")

    def total(self, column: str) -> int:
        """Sum a column of `tag_runs` over the run."""
        return sum(row[column] for row in self.tag_runs.values())

    @property
    def exit_code(self) -> ExitCode:
        """The exit code, as the most serious of what happened."""
        if self.ended_by is not None:
            return self.ended_by
        if any(destination.failure for destination in self.destinations):
            return ExitCode.NOT_DONE
        if any(row["verdict"] not in ACCEPTED for row in self.tag_runs.values()):
            return ExitCode.TAGS_NOT_COMPLETE
        if self.total("rows_quarantined") > self.allow_quarantined:
            return ExitCode.ROWS_IN_QUARANTINE
        return ExitCode.OK

    def tag_runs_table(self) -> pa.Table:
        """Give the outcomes as rows of `tag_runs`, in the order the tags were asked for."""
        rows = [self.tag_runs[tag] for tag in self.asked if tag in self.tag_runs]
        schema = arrow_schema(TAG_RUNS)
        columns = {field.name: [row[field.name] for row in rows] for field in schema}
        return pa.table(
            {name: pa.array(values, _plain(schema.field(name).type)) for name, values in columns.items()}
        ).cast(schema)


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def skipped_tag_run(tag: str, reason: str, run_id: str) -> TagRun:
    """Give the row of `tag_runs` for a tag that was not read."""
    nothing = {column.name: None if column.nullable else 0 for column in TAG_RUNS.columns}
    return {**nothing, "run_id": run_id, "tag": tag, "verdict": "skipped", "reason": reason}


def tag_run(snapshot: Snapshot, run_id: str) -> TagRun:
    """Give the row of `tag_runs` for a tag that was read."""
    table = snapshot.table
    return {
        "run_id": run_id,
        "tag": snapshot.tag,
        "verdict": snapshot.verdict,
        "reason": snapshot.reason,
        "rows_declared": snapshot.rows_declared,
        "rows_received": snapshot.rows_received,
        "rows_loaded": table.num_rows,
        "rows_quarantined": snapshot.quarantine.num_rows,
        **{word: snapshot.statuses.get(word, 0) for word in STATUS_WORDS},
        "stop_sms": pc.sum(table.column("stop_sms")).as_py() or 0,
        "pages": snapshot.pages,
        "requests": snapshot.requests,
        "retries": snapshot.retries,
        "extracted_at": snapshot.extracted_at,
        "seconds": round(snapshot.seconds, 6),
    }
