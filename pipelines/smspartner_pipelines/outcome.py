"""The result of each tag and of the run: counts that must add up, and the exit code."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from smspartner.errors import AccessRefused, CountMismatch, DestinationError, Interrupted, ValidationBroken
from smspartner.paging_seen import PagingSeen
from smspartner_schemas.contract import ACCEPTED, EXIT_MEANINGS, ROW_COUNTS, TAG_RUNS, ExitCode

if TYPE_CHECKING:
    import pyarrow as pa
    from smspartner.privacy import Erasure
    from smspartner.snapshot import Snapshot

    from smspartner_pipelines.load.destination import Destination, LoadedTag, WrittenFile
    from smspartner_pipelines.settings import RunSettings

_UNPROVED = (
    "paging is not proved yet: pages behind an end were asked for, and no tag had a second page with other rows; "
    "run it for a tag of several hundred messages, or see `smspartner check --probe TAG`"
)

TagRun = dict[str, Any]
"""One row of `tag_runs`: a value for each of its columns."""


@dataclass
class Target:
    """A destination of a run: what it held when the run began, the tags it wants, and what became of it.

    `failure` says in words why nothing more was loaded there. `dropped` is true of an export that was not finished, of
    which nothing is kept: its `tags_loaded` are 0.
    """

    destination: Destination
    loaded: Mapping[str, LoadedTag] = field(default_factory=dict)
    erasures: Sequence[Erasure] = ()
    wants: set[str] = field(default_factory=set)
    files: list[WrittenFile] = field(default_factory=list)
    tags_loaded: int = 0
    failure: str | None = None
    dropped: bool = False

    @property
    def uri(self) -> str:
        """As the user named it, with any secret masked."""
        return self.destination.uri

    @property
    def usable(self) -> bool:
        """Whether it has not failed."""
        return self.failure is None

    @contextmanager
    def notes_failure(self) -> Iterator[None]:
        """Note the failure of the destination within the block, and go on behind it."""
        try:
            yield
        except DestinationError as exc:
            self.failure = str(exc)


@dataclass
class RunOutcome:
    """The result of a run; filled while it goes on.

    `notes` are sentences for a person about the run as a whole. `ended_by` is None for a run that came to its end, else
    the exit code of what ended it, with `failure` in words. Times are aware, UTC.
    """

    run_id: str
    settings: RunSettings
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    finished_at: datetime | None = None
    tag_runs: dict[str, TagRun] = field(default_factory=dict)
    drift: dict[str, dict[str, int]] = field(default_factory=dict)
    destinations: Sequence[Target] = ()
    validation: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    paging: PagingSeen = field(default_factory=PagingSeen)
    ended_by: ExitCode | None = None
    failure: str | None = None
    seconds: float = 0.0
    _began: float = field(default_factory=time.monotonic)

    def _repr_html_(self) -> str:
        """Show itself in a notebook: a line for each tag, then how the run ended."""
        import pandas as pd

        names = ["tag", "verdict", "rows_loaded", "delivered", "waiting", "rows_quarantined", "reason"]
        rows = [self.tag_runs[tag] for tag in self.settings.tags if tag in self.tag_runs]
        table = pd.DataFrame(rows, columns=names).to_html(index=False, border=0)
        return f"{table}<p>exit code {int(self.exit_code)}: {EXIT_MEANINGS[self.exit_code]}</p>"

    def loaded_before(self, tag: str) -> LoadedTag | None:
        """Give what was loaded of a tag: where several destinations hold it, the one with most rows."""
        held = [target.loaded[tag] for target in self.destinations if tag in target.loaded]
        return max(held, key=lambda one: (one.rows_loaded + one.rows_quarantined, one.extracted_at), default=None)

    def note(self, snapshot: Snapshot) -> None:
        """Record the result of a tag that was asked for."""
        row, loaded = tag_run(snapshot), self.loaded_before(snapshot.tag)
        if snapshot.verdict == "skipped" and loaded is not None:
            row |= _counts_of(loaded)
        self._record(row)
        if snapshot.drift:
            self.drift[snapshot.tag] = dict(snapshot.drift)

    def note_skipped(self, skipped: Mapping[str, tuple[str, LoadedTag]]) -> None:
        """Record the tags that are not asked for, each with the reason and with what is loaded of it."""
        nothing = {column.name: None if column.nullable else 0 for column in TAG_RUNS.columns}
        for tag, (reason, loaded) in skipped.items():
            named = {"run_id": self.run_id, "tag": tag, "verdict": "skipped", "reason": reason}
            self._record({**nothing, **named, **_counts_of(loaded)})

    @contextmanager
    def keeps_what_ends_it(self) -> Iterator[None]:
        """Record what ends a run before its end; what was loaded until then stays."""
        try:
            yield
        except Interrupted:
            self._end(ExitCode.INTERRUPTED, "interrupted; tags that were loaded stay loaded")
        except AccessRefused as exc:
            self._end(ExitCode.REFUSED, str(exc))
        except (DestinationError, ValidationBroken, CountMismatch) as exc:
            self._end(ExitCode.NOT_DONE, str(exc))

    def _end(self, ended_by: ExitCode, failure: str) -> None:
        self.ended_by, self.failure = ended_by, failure

    def _record(self, row: TagRun) -> None:
        if row["tag"] in self.tag_runs:
            raise CountMismatch(f"tag {row['tag']} has two results in one run", remedy="report this bug")
        self.tag_runs[row["tag"]] = row

    @property
    def not_reached(self) -> list[str]:
        """Tags without a result: a run that ended early did not come to them."""
        return [tag for tag in self.settings.tags if tag not in self.tag_runs]

    def close(self) -> None:
        """Check that a run which came to its end has exactly one result for every tag asked for."""
        if self.paging.unproved:
            self.notes.append(_UNPROVED)
        self.finished_at = max(self.started_at, datetime.now(UTC))  # a clock may go back meanwhile
        self.seconds = time.monotonic() - self._began
        if self.ended_by is None and self.not_reached:
            self._end(ExitCode.NOT_DONE, f"{len(self.not_reached)} tags have no result; please report this bug")

    def total(self, column: str) -> int:
        """Sum a column of `tag_runs` over the run."""
        return sum(row[column] for row in self.tag_runs.values())

    @property
    def exit_code(self) -> ExitCode:
        """The exit code: the most serious of what happened."""
        if self.ended_by in {ExitCode.INTERRUPTED, ExitCode.REFUSED}:
            return self.ended_by
        if self.ended_by is not None or any(destination.failure for destination in self.destinations):
            return ExitCode.NOT_DONE
        if any(row["verdict"] not in ACCEPTED for row in self.tag_runs.values()):
            return ExitCode.TAGS_NOT_COMPLETE
        if self.total("rows_quarantined") > self.settings.allow_quarantined:
            return ExitCode.ROWS_IN_QUARANTINE
        return ExitCode.OK

    def tag_runs_table(self) -> pa.Table:
        """Give the results as rows of `tag_runs`, in the order the tags were asked for."""
        import pyarrow as pa
        from smspartner_schemas.arrow import arrow_schema, plain_schema

        rows = [self.tag_runs[tag] for tag in self.settings.tags if tag in self.tag_runs]
        return pa.Table.from_pylist(rows, plain_schema(TAG_RUNS)).cast(arrow_schema(TAG_RUNS))


def _counts_of(loaded: LoadedTag) -> TagRun:
    """Give the counts of the reading that is loaded, as the row of a skipped tag repeats them."""
    counts = {name: getattr(loaded, name) for name in ROW_COUNTS}
    return {**counts, "rows_declared": loaded.rows_received, "extracted_at": loaded.extracted_at}


def tag_run(snapshot: Snapshot) -> TagRun:
    """Give the row of `tag_runs` for a tag that was asked for."""
    facts = {name: getattr(snapshot, name) for name in TAG_RUNS.column_names if name not in ROW_COUNTS}
    return facts | snapshot.row_counts | {"seconds": round(snapshot.seconds, 6)}
