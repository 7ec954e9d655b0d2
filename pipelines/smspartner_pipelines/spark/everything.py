"""Snapshots as rows of the table `everything`, and snapshots made of such rows again.

A tag has a row for each loaded row, one for each in quarantine, and one with its verdict, whatever it is.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from smspartner import errors
from smspartner.drift import bounded
from smspartner.snapshot import Snapshot
from smspartner.typed_rows import RawRow, Stamp, TypedRows
from smspartner_schemas.arrow import arrow_schema, empty_table
from smspartner_schemas.contract import QUARANTINE, STATUSES, TAG_RUNS, Table

from smspartner_pipelines.outcomes import tag_run
from smspartner_pipelines.spark.options import ReadOptions
from smspartner_pipelines.spark.schema import everything_schema, plain_schema, row_type

_FACTS = ("rows_declared", "rows_received", "pages", "requests", "retries", "seconds")
"""What a row of `tag_runs` says of a snapshot under the same name."""


def everything(snapshots: Sequence[Snapshot], place: int, options: ReadOptions) -> pa.Table:
    """Give the rows of snapshots, the first of which is at `place` among the tags asked for."""
    keep_raw = options.staging is not None and options.staging.raw
    parts = []
    for number, snapshot in enumerate(snapshots, place):
        if snapshot.typed is not None:
            raw = [_raw_at(snapshot.typed, row) for row in snapshot.typed.places.tolist()] if keep_raw else None
            parts.append(_part(number, STATUSES, snapshot.table, snapshot.typed.places, raw=raw))
            parts.append(_part(number, QUARANTINE, snapshot.quarantine, sorted(snapshot.typed.reasons)))
        parts.append(_part(number, TAG_RUNS, tag_runs_of([snapshot], options.run_id), [None], facts=[_facts(snapshot)]))
    return pa.concat_tables(part for part in parts if part.num_rows)


def tag_runs_of(snapshots: Sequence[Snapshot], run_id: str) -> pa.Table:
    """Give the rows of `tag_runs`, without dictionaries, for tags that were read."""
    return pa.Table.from_pylist([tag_run(one, run_id) for one in snapshots], schema=plain_schema(TAG_RUNS))


def failure(ended: errors.SmsPartnerError) -> pa.Table:
    """Give the row that says why a task ended before its end."""
    facts = json.dumps({"failure": type(ended).__name__, "message": str(ended)})
    return _filled({"facts": pa.array([facts])}, 1)


def failure_of(facts: Sequence[dict[str, Any]]) -> errors.SmsPartnerError | None:
    """Give the exception that ended a task, if one did: what refuses all tags goes before what is a bug."""
    failures = [one for one in facts if "failure" in one]
    for kind in (errors.SettingsError, errors.CountMismatch):
        for one in failures:
            if one["failure"] == kind.__name__ or (kind is errors.SettingsError and one["failure"] == "TagError"):
                return kind(one["message"])
    for one in failures:
        if one["failure"] == "AccessRefused":
            return errors.AccessRefused(one["message"], code=None)
    return errors.DestinationError(failures[0]["message"]) if failures else None


def snapshots_of(
    rows: pa.Table, tag_runs: Sequence[dict[str, Any]], facts: Sequence[dict[str, Any]]
) -> Iterator[Snapshot]:
    """Make snapshots again of the rows of neighbouring tags, whose verdicts and facts are `tag_runs` and `facts`.

    Raises:
        CountMismatch: rows of a tag are missing or there twice.
    """
    rows = rows.sort_by([("place", "ascending"), ("row", "ascending")])
    places = rows["place"].to_numpy()
    for run, fact in zip(tag_runs, facts, strict=True):
        begin, end = np.searchsorted(places, [fact["place"], fact["place"] + 1])
        yield _snapshot(rows.slice(begin, end - begin), run, fact)


def _part(
    place: int,
    table: Table,
    rows: pa.Table,
    order: Any,
    *,
    raw: list[str] | None = None,
    facts: list[str] | None = None,
) -> pa.Table:
    """Give the rows of one table and tag as rows of `everything`."""
    plain = rows.cast(plain_schema(table)).to_struct_array().combine_chunks()
    columns = {
        "place": pa.array(np.full(rows.num_rows, place, dtype=np.int64)),
        "row": pa.array(order, pa.int64()),
        table.name: plain.cast(row_type(table)),
        "raw": None if raw is None else pa.array(raw, pa.string()),
        "facts": None if facts is None else pa.array(facts, pa.string()),
    }
    return _filled(columns, rows.num_rows)


def _filled(columns: dict[str, pa.Array | None], rows: int) -> pa.Table:
    schema = everything_schema()
    arrays = [columns.get(field.name) for field in schema]
    return pa.Table.from_arrays(
        [pa.nulls(rows, field.type) if array is None else array for field, array in zip(schema, arrays, strict=True)],
        schema=schema,
    )


def _raw_at(typed: TypedRows, row: int) -> str:
    found = typed.raw.at(row)
    return "" if found is None else found.raw


def _facts(snapshot: Snapshot) -> str:
    facts = {
        "phone_numbers": snapshot.phone_numbers,
        "page_rows": snapshot.page_rows,
        "erased_places": snapshot.erased_places,
        "drift": dict(snapshot.typed.drift if snapshot.typed else snapshot.drift),
        "extracted_at": snapshot.extracted_at.isoformat(),
    }
    return json.dumps(facts, ensure_ascii=False)


class _StagedRaw:
    """The raw rows of a tag, by their places: those in quarantine, and the loaded ones where they were kept."""

    def __init__(self, quarantine: pa.Table, doubted: list[int], rows: pa.Table, page_rows: int) -> None:
        columns = (quarantine[name].to_pylist() for name in ("page", "position", "raw"))
        self._doubted = dict(zip(doubted, map(RawRow, *columns), strict=True))
        self._rows = rows
        self._page_rows = page_rows

    def at(self, place: int) -> RawRow | None:
        """Give the row at a place; None where its JSON was not kept."""
        if place in self._doubted:
            return self._doubted[place]
        found = pc.index(self._rows["row"], place).as_py()
        raw = self._rows["raw"][found].as_py() if found >= 0 else None
        page, position = divmod(place, self._page_rows)
        return None if raw is None else RawRow(page + 1, position + 1, raw)


def _snapshot(rows: pa.Table, run: dict[str, Any], facts: dict[str, Any]) -> Snapshot:
    stamp = Stamp(run["tag"], run["run_id"], datetime.fromisoformat(facts["extracted_at"]))
    snapshot = Snapshot(
        *(run["tag"], run["verdict"], run["reason"], empty_table(STATUSES), empty_table(QUARANTINE)),
        extracted_at=stamp.extracted_at,
        **{name: run[name] for name in _FACTS},
        phone_numbers=facts["phone_numbers"],
        page_rows=facts["page_rows"],
        drift=bounded(Counter(facts["drift"])),
    )
    if not snapshot.complete:
        return snapshot
    loaded, doubted = (rows.filter(pc.is_valid(rows[table.name])) for table in (STATUSES, QUARANTINE))
    quarantine = _table_of(QUARANTINE, doubted)
    places = doubted["row"].to_pylist()
    typed = TypedRows(
        stamp=stamp,
        raw=_StagedRaw(quarantine, places, loaded, facts["page_rows"]),
        table=_table_of(STATUSES, loaded),
        places=loaded["row"].to_numpy(),
        reasons=dict(zip(places, map(tuple, quarantine["reasons"].to_pylist()), strict=True)),
        drift=Counter(facts["drift"]),
        erased=tuple(facts["erased_places"]),
    )
    return snapshot.holding(typed)


def _table_of(table: Table, rows: pa.Table) -> pa.Table:
    """Give the rows of a table of the contract that stand in `everything`, in the contract's types."""
    whole = pa.concat_arrays(rows[table.name].chunks) if rows.num_rows else pa.nulls(0, row_type(table))
    schema = arrow_schema(table)
    columns = [
        column.dictionary_encode() if pa.types.is_dictionary(field.type) else column
        for field, column in zip(schema, whole.flatten(), strict=True)
    ]
    return pa.Table.from_arrays(columns, names=schema.names).cast(schema)
