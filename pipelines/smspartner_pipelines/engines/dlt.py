"""SMS Partner as a source of dlt, for any destination that dlt can merge into: whole tags are replaced.

    pipeline = dlt.pipeline("smspartner", destination="duckdb", dataset_name="sms")
    pipeline.run(smspartner_source(["promo-nov", "relance"]))
    check(pipeline)  # raises if a tag is not complete, rows are in quarantine, or counts do not add up

One extraction fills four tables, by the rules of `smspartner run`. What is loaded is the state: a tag counts as loaded
where the destination's rows are those that its row in `loaded_tags` names.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing
from types import SimpleNamespace
from typing import Any, TypeAlias, cast

from smspartner.api_key import KEY_VARIABLE
from smspartner.connection import Connection, connection_from_environment
from smspartner.errors import CountMismatch, NotComplete, QuarantinedRows, SettingsError
from smspartner.extract import extract
from smspartner.snapshot import Snapshot, new_run_id
from smspartner.tags import check_tags
from smspartner.transform import transform
from smspartner_schemas.contract import ACCEPTED, QUARANTINE, STATUSES, TAG_RUNS, PhoneForm, Table

from smspartner_pipelines.load.destination import state_of
from smspartner_pipelines.loading import in_batches
from smspartner_pipelines.outcome import RunOutcome, Target
from smspartner_pipelines.selection import refuse_shrunk, select_tags
from smspartner_pipelines.settings import Refresh, RunSettings, Validate, parse_duration, phone_privacy
from smspartner_pipelines.validation import Validator

try:
    import dlt

    from smspartner_pipelines.engines.dlt_tables import REPLACED, hints, loaded_before, loaded_tags, select, staged
except ModuleNotFoundError:
    raise SettingsError("the library dlt is missing", remedy="pip install 'smspartner-connector[dlt]'") from None

__all__ = ["check", "smspartner_source"]

_SECRET = "sources.smspartner.api_key"  # noqa: S105  # where dlt keeps it
_RESULTS = """SELECT tag, verdict, reason, run_id, rows_loaded, rows_quarantined FROM {tag_runs}
WHERE _dlt_load_id IN ({loads})"""

_Batch: TypeAlias = dict[str, Any]
"""What some tags that have come to their ends add to each table, by its name."""

_log = logging.getLogger(__name__)


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
    keep_shrunk: bool = False,
    phone_numbers: PhoneForm = "plain",
) -> Any:
    """Read tags, each complete or reported, for a pipeline of dlt.

    Resources `statuses`, `quarantine` and `loaded_tags` replace whole tags, `tag_runs` appends the result of each tag.
    A tag that is not complete replaces nothing, and is named by a warning; `check` raises.
    Without a `connection` (`smspartner.Connection`) the key is read as `smspartner run` does, else from dlt's secrets
    (`sources.smspartner.api_key`); never from an argument. The other arguments are those of `smspartner run`; they may
    also stand in dlt's configuration.

    Raises:
        SettingsError: no key, or something asked for can't be done; nothing was requested.
    """
    settings = RunSettings(
        tags=tuple(check_tags(tags)),
        connection=connection or _connection(),
        to=("parquet:dlt",),  # the pipeline's own destination, which only dlt writes
        refresh=refresh,
        fresh_for=parse_duration(fresh_for),
        validate=validate,
        expectations=expectations,
        allow_shrink=allow_shrink,
        keep_shrunk=keep_shrunk,
        privacy=phone_privacy(phone_numbers),
    )

    @dlt.resource(name="batches", selected=False)
    def batches() -> Iterator[_Batch]:  # dlt runs it once, however many others it feeds
        yield from _read(settings)

    return [_resource(batches, table) for table in (*REPLACED, TAG_RUNS)]


def _resource(batches: Any, table: Table) -> Any:
    @dlt.transformer(data_from=batches, name=table.name, **hints(table))
    def rows(batch: _Batch) -> Any:
        return batch[table.name]

    return rows


def _connection() -> Connection:
    """Connect with the key of the environment, else with the one in dlt's secrets."""
    try:
        return connection_from_environment()
    except SettingsError:
        key = dlt.secrets.get(_SECRET)
        if key is None:
            raise
    return connection_from_environment({**os.environ, KEY_VARIABLE: str(key)})


def _read(settings: RunSettings) -> Iterator[_Batch]:
    """Read and judge the tags that need it as `smspartner run` does (run.py): loading is dlt's."""
    outcome = RunOutcome(new_run_id(), settings)
    validator = Validator(settings.privacy.form, settings.expectations, settings.validate)
    here = cast("Any", SimpleNamespace(uri="dlt"))
    outcome.destinations = [Target(here, loaded_before())]
    selection = select_tags(settings, outcome.destinations)
    outcome.note_skipped(selection.skipped)
    yield _batch([], list(outcome.tag_runs.values()))
    populations = extract(
        *(selection.to_ask, settings.connection, threading.Event()),
        is_unchanged=selection.is_unchanged,
    )
    with closing(transform(populations, outcome.run_id, settings.privacy)) as snapshots:
        for batch in in_batches(snapshots, validator.batch_rows):
            judged = refuse_shrunk(validator.judge(batch), outcome)
            for snapshot in judged:
                outcome.note(snapshot)
                if snapshot.complete:
                    snapshot.check_counts()
                if snapshot.verdict not in ACCEPTED:
                    _log.warning("tag %s is not loaded: %s (%s)", snapshot.tag, snapshot.verdict, snapshot.reason)
            yield _batch([one for one in judged if one.complete], [outcome.tag_runs[one.tag] for one in judged])


def _batch(complete: list[Snapshot], tag_runs: list[dict[str, Any]]) -> _Batch:
    quarantine = staged(QUARANTINE, {one.tag: one.quarantine for one in complete})
    return {
        "statuses": staged(STATUSES, {one.tag: one.table for one in complete}),
        "quarantine": quarantine and quarantine.to_pylist(),  # no CSV holds Arrow's lists; PostgreSQL is sent CSV
        "loaded_tags": [vars(state_of(one)) for one in complete],
        "tag_runs": tag_runs,
    }


def check(pipeline: Any, *, allow_quarantined: int = 0) -> None:
    """Raise unless the pipeline's last load is all that was asked for; call it after `pipeline.run`.

    It asks the destination, not memory: a task of its own may call it, with a pipeline of the same name.

    Raises:
        NotComplete: a tag is not complete (`unknown` and `skipped` are accepted); its `verdicts` say which and why.
        QuarantinedRows: more than `allow_quarantined` rows are in quarantine, those of skipped tags among them.
        CountMismatch: the destination does not hold the rows that were read.
        SettingsError: the pipeline has not loaded anything yet.
    """
    loads = pipeline.last_trace.last_load_info.loads_ids if pipeline.last_trace else []
    rows = select(pipeline, _RESULTS, loads=", ".join(f"'{load}'" for load in loads)) if loads else []
    if not rows:
        raise SettingsError("the pipeline has loaded no result of a tag", remedy="call check after pipeline.run")
    held = loaded_tags(pipeline)
    for tag, verdict, _, run_id, *counts in rows:
        one = held.get(tag)
        there = one and ([one.rows_loaded, one.rows_quarantined], one.run_id if verdict == "complete" else run_id)
        if verdict in {"complete", "skipped"} and there != (counts, run_id):
            what = f"tag {tag}: the destination does not hold the {counts[0]} rows, and {counts[1]} in quarantine"
            raise CountMismatch(f"{what}, that were loaded", remedy="run the pipeline again, which reads the tag again")
    not_complete = {tag: (verdict, reason) for tag, verdict, reason, *_ in rows if verdict not in ACCEPTED}
    if not_complete:
        raise NotComplete(not_complete)
    quarantined = {row[0]: int(row[5]) for row in rows if row[5]}
    if sum(quarantined.values()) > allow_quarantined:
        raise QuarantinedRows(quarantined)
