"""SMS Partner as a source of dlt: for whichever destination that dlt can merge into.

    pipeline = dlt.pipeline("smspartner", destination="duckdb", dataset_name="sms")
    pipeline.run(smspartner_source(["promo-nov", "relance"]))
    check(pipeline)  # raises if a tag is not complete, rows are in quarantine, or counts do not add up

One extraction fills three tables: `statuses` and `quarantine`, where whole tags are replaced, and `tag_runs`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pyarrow as pa
from smspartner.api_key import KEY_VARIABLE
from smspartner.connection import Connection, connection_from_environment
from smspartner.errors import SettingsError
from smspartner.extract import READY_ROWS
from smspartner.phone_numbers import PhonePrivacy
from smspartner.snapshot import Snapshot, new_run_id, take_snapshots
from smspartner.tags import check_no_secret, check_tags
from smspartner_schemas.contract import ACCEPTED, QUARANTINE, STATUSES, TAG_RUNS, PhoneForm

from smspartner_pipelines.acceptance import make_acceptance
from smspartner_pipelines.batches import gather
from smspartner_pipelines.environment import phone_privacy
from smspartner_pipelines.incremental import select_tags
from smspartner_pipelines.outcomes import TagRun, skipped_tag_run, tag_run
from smspartner_pipelines.progress import Silent
from smspartner_pipelines.run import read_snapshots
from smspartner_pipelines.settings import Refresh, Validate, check_judging, parse_duration
from smspartner_pipelines.shrinking import guard_against_shrinking

try:
    import dlt
except ModuleNotFoundError:
    raise ModuleNotFoundError("that source needs dlt: pip install 'smspartner-connector[dlt]'", name="dlt") from None

from smspartner_pipelines.dlt_check import check
from smspartner_pipelines.dlt_loaded import loaded_before
from smspartner_pipelines.dlt_tables import appended, replaced_by_tag, rows_to_merge

__all__ = ["check", "smspartner_source"]

SECRET = "sources.smspartner.api_key"  # noqa: S105  # where dlt keeps it

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Settings:
    """What one extraction does; as `RunSettings`, for what they share."""

    tags: tuple[str, ...]
    connection: Connection
    refresh: Refresh
    fresh_for: timedelta
    validate: Validate
    expectations: str | None
    allow_shrink: bool
    fresh_since: datetime | None = None
    privacy: PhonePrivacy = field(default_factory=PhonePrivacy)


@dataclass(frozen=True)
class _Batch:
    """Some tags that have come to their ends: the snapshots of those that were read, and the rows of `tag_runs`."""

    run_id: str
    snapshots: list[Snapshot]
    tag_runs: list[TagRun]

    @property
    def complete(self) -> list[Snapshot]:
        """The snapshots that replace what is loaded, their books balanced."""
        complete = [snapshot for snapshot in self.snapshots if snapshot.complete]
        for snapshot in complete:
            snapshot.check_books()
        return complete


@dlt.source(name="smspartner", section="smspartner", max_table_nesting=0)
def smspartner_source(
    tags: Iterable[str],
    connection: Any = None,
    *,
    refresh: Refresh = "auto",
    fresh_for: str = "0",
    validate: Validate = "gx",
    expectations: str | None = None,
    allow_shrink: bool = False,
    phone_numbers: PhoneForm = "plain",
) -> Any:
    """Read tags, each complete or reported, for a pipeline of dlt.

    Resources `statuses` and `quarantine` replace tags as a whole, `tag_runs` appends what became of each tag; all are
    fed by one extraction. A tag that is not complete replaces nothing, and is told of by a warning; `check` raises.
    Without a `connection` (`smspartner.Connection`) the key is read from `SMSPARTNER_API_KEY`, the file that
    `SMSPARTNER_API_KEY_FILE` names, or dlt's secrets (`sources.smspartner.api_key`); never from an argument.
    The other arguments are those of `smspartner run`; they may also stand in dlt's configuration.

    Raises:
        SettingsError: no key, or something asked for can't be done; nothing was requested.
    """
    settings = _Settings(
        tags=tuple(check_tags(tags)),
        connection=connection or _connection(),
        refresh=refresh,
        fresh_for=parse_duration(fresh_for),
        validate=validate,
        expectations=expectations,
        allow_shrink=allow_shrink,
        privacy=phone_privacy(phone_numbers),
    )
    check_no_secret(settings.tags)
    check_judging(settings)
    return _resources(settings)


def _connection() -> Connection:
    """Connect with the key of the environment, else with the one in dlt's secrets."""
    try:
        return connection_from_environment()
    except SettingsError:
        key = dlt.secrets.get(SECRET)
        if key is None:
            raise
    return connection_from_environment({**os.environ, KEY_VARIABLE: str(key)})


def _resources(settings: _Settings) -> list[Any]:
    """Make the resources; dlt runs the one that extracts once, however many others it feeds."""

    @dlt.resource(name="batches", selected=False)
    def batches() -> Iterator[_Batch]:
        yield from _read(settings)

    @dlt.transformer(data_from=batches, name=STATUSES.name, **replaced_by_tag(STATUSES))
    def statuses(batch: _Batch) -> pa.Table | None:
        if not batch.complete:
            return None  # an empty table would be a file, a job and a merge of nothing
        return rows_to_merge(STATUSES, {one.tag: one.table for one in batch.complete}, batch.run_id)

    @dlt.transformer(data_from=batches, name=QUARANTINE.name, **replaced_by_tag(QUARANTINE))
    def quarantine(batch: _Batch) -> list[dict[str, Any]]:
        rows = rows_to_merge(QUARANTINE, {one.tag: one.quarantine for one in batch.complete}, batch.run_id)
        as_objects: list[dict[str, Any]] = rows.to_pylist()  # no CSV holds Arrow's lists, and PostgreSQL is sent CSV
        return as_objects

    @dlt.transformer(data_from=batches, name=TAG_RUNS.name, **appended(TAG_RUNS))
    def tag_runs(batch: _Batch) -> list[TagRun]:
        return batch.tag_runs

    return [statuses, quarantine, tag_runs]


def _read(settings: _Settings) -> Iterator[_Batch]:
    """Read the tags that need it, judge them, and give them as `smspartner run` would load them."""
    acceptance, run_id = make_acceptance(settings), new_run_id()
    loaded = [loaded_before()]
    selection = select_tags(settings, loaded)
    yield _Batch(run_id, [], [skipped_tag_run(tag, reason, run_id) for tag, reason in selection.skipped.items()])
    take = partial(take_snapshots, run_id=run_id, privacy=settings.privacy)
    snapshots = read_snapshots(settings.connection, selection.to_read, take, acceptance.expect_rows, Silent())
    guarded = (guard_against_shrinking(some, loaded, allow=settings.allow_shrink) for some in snapshots)
    with closing(snapshots):
        for batch in gather(guarded, acceptance.batch_rows or READY_ROWS):
            judged = list(acceptance.judge(batch))
            _tell(judged)
            yield _Batch(run_id, judged, [tag_run(snapshot, run_id) for snapshot in judged])


def _tell(snapshots: Iterable[Snapshot]) -> None:
    """Warn of what is not loaded: dlt itself calls such a run a success."""
    for snapshot in snapshots:
        if snapshot.verdict not in ACCEPTED:
            _log.warning("tag %s is not loaded: %s (%s)", snapshot.tag, snapshot.verdict, snapshot.reason)
        elif snapshot.quarantine.num_rows:
            _log.warning("tag %s: %d rows are in quarantine", snapshot.tag, snapshot.quarantine.num_rows)
