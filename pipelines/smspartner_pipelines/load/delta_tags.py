"""The tags of a lake: the files that a tag's new rows need, and whether a tag is as its state says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smspartner_schemas.contract import QUARANTINE, STATUSES

from smspartner_pipelines.load.delta_files import DataFile, new_file
from smspartner_pipelines.load.destination import LoadedTag
from smspartner.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    FilesByTag = Mapping[str, Sequence[DataFile]]

Change = tuple[Snapshot, LoadedTag]
"""A tag's new rows, and what there is to know of them."""


def planned(snapshot: Snapshot, state: LoadedTag) -> dict[str, tuple[DataFile, pa.Table]]:
    """Name a tag's new files, one for each table in which it has rows."""
    rows = {STATUSES.name: snapshot.table, QUARANTINE.name: snapshot.quarantine}
    return {
        name: (new_file(state.run_id, state.tag, table.num_rows), table)
        for name, table in rows.items()
        if table.num_rows
    }


def is_held(state: LoadedTag, loaded: FilesByTag, doubted: FilesByTag) -> bool:
    """Tell whether a tag's rows and quarantine are one file each, of its run, with as many rows as its state says."""
    for files, rows in ((loaded, state.rows_loaded), (doubted, state.rows_quarantined)):
        found = files.get(state.tag, [])
        if [file.rows for file in found] != ([rows] if rows else []):
            return False
        if not all(file.path.rpartition("/")[2].startswith(f"{state.run_id}-") for file in found):
            return False
    return True
