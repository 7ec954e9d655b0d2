"""SMS Partner as a source of dlt, for any destination that dlt can merge into: whole tags are replaced.

    pipeline = dlt.pipeline("smspartner", destination="duckdb", dataset_name="sms")
    pipeline.run(smspartner_source(["promo-nov", "relance"]))
    check(pipeline)  # raises if a tag is not complete, rows are in quarantine, or counts do not add up

One extraction fills four tables, by the rules of `smspartner run`. What is loaded is the state: a tag counts as loaded
where the destination's rows are those that its row in `loaded_tags` names. dlt's `delete-insert` merge deletes the rows
of every tag that is staged, then inserts what is staged. A tag without rows is staged as one row that dlt deletes by
(`hard_delete`) and does not insert.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pyarrow as pa
from smspartner.api_key import KEY_VARIABLE
from smspartner.connection import Connection, connection_from_environment
from smspartner.errors import CountMismatch, NotComplete, QuarantinedRows, SettingsError
from smspartner.extract import extract
from smspartner.snapshot import Snapshot, new_run_id
from smspartner.tags import check_tags
from smspartner.transform import transform
from smspartner_schemas.arrow import arrow_schema
from smspartner_schemas.contract import ACCEPTED, LOADED_TAGS, QUARANTINE, STATUSES, TAG_RUNS, PhoneForm, Table

from smspartner_pipelines.load.destination import LoadedTag, state_of
from smspartner_pipelines.outcome import RunOutcome, Target
from smspartner_pipelines.run import in_batches
from smspartner_pipelines.selection import refuse_shrunk, select_tags
from smspartner_pipelines.settings import Refresh, RunSettings, Validate, parse_duration, phone_privacy
from smspartner_pipelines.validation import Validator

try:
    import dlt
    from dlt.common.storages.exceptions import CurrentLoadPackageStateNotAvailable
    from dlt.destinations.exceptions import DatabaseUndefinedRelation
except ModuleNotFoundError:
    raise SettingsError("the library dlt is missing", remedy="pip install 'smspartner-connector[dlt]'") from None

__all__ = ["check", "smspartner_source"]

_REPLACED = (STATUSES, QUARANTINE, LOADED_TAGS)
_MERGE = {"disposition": "merge", "strategy": "delete-insert"}
_EMPTIED = "tag_emptied"
_TYPES = {"string": "text", "int32": "bigint", "int64": "bigint", "float64": "double", "strings": "json"}
_RESULTS = """SELECT tag, verdict, reason, run_id, rows_loaded, rows_quarantined FROM {tag_runs}
WHERE _dlt_load_id IN ({loads})"""
_LOADED = f"""SELECT {", ".join(f"l.{name}" for name in LOADED_TAGS.column_names)} FROM {{loaded_tags}} l
LEFT JOIN (SELECT tag, count(*) n, min(run_id) a, max(run_id) z FROM {{statuses}} GROUP BY tag) s ON s.tag = l.tag
LEFT JOIN (SELECT tag, count(*) n, min(run_id) a, max(run_id) z FROM {{quarantine}} GROUP BY tag) q ON q.tag = l.tag
WHERE coalesce(s.n, 0) = l.rows_loaded AND coalesce(q.n, 0) = l.rows_quarantined
AND coalesce(s.a, l.run_id) = l.run_id AND coalesce(s.z, l.run_id) = l.run_id
AND coalesce(q.a, l.run_id) = l.run_id AND coalesce(q.z, l.run_id) = l.run_id"""  # noqa: S608  # our own names

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
    def batches() -> Iterator[dict[str, Any]]:  # dlt runs it once, however many others it feeds
        yield from _read(settings)

    return [_resource(batches, table) for table in (*_REPLACED, TAG_RUNS)]


def _resource(batches: Any, table: Table) -> Any:
    @dlt.transformer(data_from=batches, name=table.name, **_hints(table))
    def rows(batch: dict[str, Any]) -> Any:
        return batch[table.name]

    return rows


def _connection() -> Connection:
    """Connect with the key of the environment, else with the one in dlt's secrets."""
    try:
        return connection_from_environment()
    except SettingsError:
        if (key := dlt.secrets.get("sources.smspartner.api_key")) is None:
            raise
    return connection_from_environment({**os.environ, KEY_VARIABLE: str(key)})


def _read(settings: RunSettings) -> Iterator[dict[str, Any]]:
    """Read and judge the tags that need it as `smspartner run` does (run.py), and give what each table gets of them."""
    outcome = RunOutcome(new_run_id(), settings)
    validator = Validator(settings.privacy.form, settings.expectations, settings.validate)
    outcome.destinations = [Target(cast("Any", SimpleNamespace(uri="dlt")), _loaded_before())]
    selection = select_tags(settings, outcome.destinations)
    outcome.note_skipped(selection.skipped)
    yield _batch([], list(outcome.tag_runs.values()))
    asked = (selection.to_ask, settings.connection, threading.Event())
    populations = extract(*asked, is_unchanged=selection.is_unchanged)
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


def _batch(complete: list[Snapshot], tag_runs: list[dict[str, Any]]) -> dict[str, Any]:
    quarantine = _staged(QUARANTINE, {one.tag: one.quarantine for one in complete})
    return {
        "statuses": _staged(STATUSES, {one.tag: one.table for one in complete}),
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
    rows = _select(pipeline, _RESULTS, loads=", ".join(f"'{load}'" for load in loads)) if loads else []
    if not rows:
        raise SettingsError("the pipeline has loaded no result of a tag", remedy="call check after pipeline.run")
    held = _loaded_tags(pipeline)
    for tag, verdict, _, run_id, *counts in rows:
        one = held.get(tag)
        there = one and ([one.rows_loaded, one.rows_quarantined], one.run_id if verdict == "complete" else run_id)
        if verdict in {"complete", "skipped"} and there != (counts, run_id):
            what = f"tag {tag}: the destination does not hold the {counts[0]} rows, and {counts[1]} in quarantine"
            raise CountMismatch(f"{what}, that were loaded", remedy="run the pipeline again, which reads the tag again")
    if not_complete := {tag: (verdict, reason) for tag, verdict, reason, *_ in rows if verdict not in ACCEPTED}:
        raise NotComplete(not_complete)
    quarantined = {row[0]: int(row[5]) for row in rows if row[5]}
    if sum(quarantined.values()) > allow_quarantined:
        raise QuarantinedRows(quarantined)


def _hints(table: Table) -> dict[str, Any]:
    """Give what dlt knows of a table. Primary keys are no hint: dlt would delete by an OR of both keys, in minutes."""
    columns: dict[str, dict[str, Any]] = {
        one.name: {"data_type": _TYPES.get(one.type, one.type), "nullable": one.nullable, "description": one.meaning}
        for one in table.columns
    }
    if table is TAG_RUNS:
        return {"write_disposition": "append", "columns": columns}
    columns["tag"]["merge_key"] = True
    if table is not LOADED_TAGS:
        columns[_EMPTIED] = {"data_type": "bool", "hard_delete": True, "description": "always null"}
    return {"write_disposition": _MERGE, "columns": columns}


def _staged(table: Table, rows: dict[str, pa.Table]) -> pa.Table | None:
    """Give the rows of whole tags, and a marker for each tag that has none; None for no tags."""
    schema = arrow_schema(table).append(pa.field(_EMPTIED, pa.bool_()))
    blank = {"string": "", "bool": False, "timestamp": datetime.now(UTC), "strings": []}
    nothing = {one.name: None if one.nullable else blank.get(one.type, 0) for one in table.columns}
    markers = [{**nothing, "tag": tag, _EMPTIED: True} for tag, held in rows.items() if not held.num_rows]
    held = [one.append_column(_EMPTIED, pa.nulls(one.num_rows, pa.bool_())) for one in rows.values()]
    return pa.concat_tables([*held, pa.Table.from_pylist(markers, schema)]) if rows else None


def _loaded_before() -> dict[str, LoadedTag]:
    """Give what this pipeline has loaded, unless dlt's `refresh` will drop it; refuse one that can't replace tags."""
    try:
        state = dlt.current.load_package_state()["state"]
    except CurrentLoadPackageStateNotAvailable:
        return {}  # the source is read without a pipeline
    pipeline, resources = dlt.current.pipeline(), dlt.current.source().resources
    able = pipeline.destination and pipeline.destination.capabilities().supported_merge_strategies
    if _MERGE["strategy"] not in (able or ()):
        what = "the pipeline has no destination that can replace rows by tag"
        raise SettingsError(what, remedy="use a database or a warehouse, or `smspartner run` for files and lakes")
    if any(resources[table.name].write_disposition != _MERGE for table in _REPLACED):
        raise SettingsError("another write disposition would double or lose rows", remedy="leave write_disposition out")
    return {} if state.get("dropped_tables") or state.get("truncated_tables") else _loaded_tags(pipeline)


def _loaded_tags(pipeline: Any) -> dict[str, LoadedTag]:
    """Give the tags of which the destination holds exactly the rows that `loaded_tags` names; others are read again."""
    return {row[0]: LoadedTag(*map(_utc, row)) for row in _select(pipeline, _LOADED)}  # columns are its fields


def _utc(value: Any) -> Any:
    """Make a time aware, in UTC; drivers give some as naive ones, which are in UTC."""
    return value.replace(tzinfo=value.tzinfo or UTC).astimezone(UTC) if isinstance(value, datetime) else value


def _select(pipeline: Any, statement: str, **values: str) -> list[tuple[Any, ...]]:
    """Run a statement, whose names of tables stand in braces; where a table is not there yet, it gives no rows."""
    with pipeline.sql_client() as client:
        tables = {one.name: client.make_qualified_table_name(one.name) for one in (*_REPLACED, TAG_RUNS)}
        try:
            return [tuple(row) for row in client.execute_sql(statement.format(**tables, **values)) or ()]
        except DatabaseUndefinedRelation:
            return []
