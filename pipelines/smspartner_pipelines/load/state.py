"""What is loaded of each tag, as rows of `loaded_tags`: the state of destinations that are databases."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from smspartner_schemas.arrow import arrow_schema
from smspartner_schemas.contract import LOADED_TAGS, WAITING

from smspartner_pipelines.load.destination import LoadedTag

if TYPE_CHECKING:
    from collections.abc import Iterable

    from smspartner.snapshot import Snapshot


def state_of(snapshot: Snapshot, run_id: str) -> LoadedTag:
    """Return what there is to know of a snapshot once `run_id` has loaded it."""
    newest = pc.max(snapshot.table["status_at"]).as_py()
    return LoadedTag(
        tag=snapshot.tag,
        rows_received=snapshot.rows_received,
        rows_loaded=snapshot.table.num_rows,
        rows_quarantined=snapshot.quarantine.num_rows,
        waiting=snapshot.statuses.get(WAITING, 0),
        newest_status_at=None if newest is None else newest.astimezone(UTC),
        extracted_at=snapshot.extracted_at.astimezone(UTC),
        run_id=run_id,
        phone_numbers=snapshot.phone_numbers,
        page_rows=snapshot.page_rows,
        erased_places=snapshot.erased_places,
    )


def states_table(states: Iterable[LoadedTag]) -> pa.Table:
    """Give states as rows of `loaded_tags`; `consistent` is no column, since a transaction keeps it true."""
    listed = list(states)
    schema = arrow_schema(LOADED_TAGS)
    columns = {name: [getattr(state, name) for state in listed] for name in schema.names}
    return pa.table(columns, schema=schema)


def states_of(rows: pa.Table) -> dict[str, LoadedTag]:
    """Read rows of `loaded_tags`, by tag."""
    states = (LoadedTag(**row | {"erased_places": tuple(row["erased_places"])}) for row in rows.to_pylist())
    return {state.tag: state for state in states}
