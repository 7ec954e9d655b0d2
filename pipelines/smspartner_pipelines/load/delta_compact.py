"""Housekeeping of a lake: small files merged, files of old versions removed, logs quick to read."""

from __future__ import annotations

from datetime import timedelta
from math import ceil
from typing import TYPE_CHECKING

from smspartner_schemas.contract import TAG_RUNS

from smspartner_pipelines.load.delta_files import new_file

if TYPE_CHECKING:
    from smspartner_pipelines.load.delta_moves import LakeTables


def compact_lake(tables: LakeTables, retain: timedelta) -> list[str]:
    """Merge, remove what no version of the last `retain` (whole hours, rounded up) holds, write checkpoints.

    `statuses` and `quarantine` need no merging: a tag has one file. Nor does `loaded_tags`, which is one.

    Raises:
        DestinationError: something can't be read or written; nothing is lost then.
    """
    said = [_merge_history(tables)]
    hours = ceil(retain / timedelta(hours=1))
    for table in tables:
        table.refresh()
        removed = table.vacuum(hours)
        table.clean_log()
        said.append(f"{table.table.name}: {len(removed):,} files removed of versions older than {hours:,} h")
    return said


def _merge_history(tables: LakeTables) -> str:
    """Merge the files of `tag_runs`, of which every run adds one, in the order of their runs."""
    table = tables[TAG_RUNS.name]
    table.refresh()
    files = sorted(table.live(), key=lambda file: file.path)
    if len(files) > 1:
        rows = table.read(files)
        newest = files[-1].path.rpartition("-")[0]
        tables.put(TAG_RUNS.name, new_file(newest, None, rows.num_rows), rows, merged=True)
    return f"{TAG_RUNS.name}: {len(files):,} files are {min(len(files), 1)} now"
