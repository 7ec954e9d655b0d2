"""Delta Lake as tables of a warehouse: a directory with a Delta table for each table of the contract."""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from smspartner.errors import SettingsError
from smspartner_schemas.contract import LOADED_TAGS, QUARANTINE, STATUSES
from smspartner_schemas.sql import WAREHOUSE_TABLES

from smspartner_pipelines.load.delta_table import LakeTable
from smspartner_pipelines.load.destination import NothingLoaded
from smspartner_pipelines.load.files import make_directory, os_errors, refuse_planted_link, try_writing
from smspartner_pipelines.load.folder import NOT_FOREIGN, HeldLock, exclusive, refuse_inside_dataset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from smspartner_schemas.contract import Table

    from smspartner_pipelines.load.destination import Damage
    from smspartner_pipelines.load.warehouse import Change

_LOCK = ".lock"


class DeltaTables:
    """See `Tables`. Each change is a commit, in their order: quarantine, then statuses, then loaded_tags.

    Where a process dies between them, their runs or counts differ: the tag does not fit, and is read again.
    """

    batch_rows = 1_000_000
    """A commit writes every file anew that holds one of its tags: few commits are better."""

    def __init__(self, path: str, where: str) -> None:
        self.where = where
        self._path = Path(path)
        self._tables = {table.name: LakeTable(table, self._path) for table in WAREHOUSE_TABLES}
        self._held = ExitStack()
        self._lock: HeldLock | None = None
        self._batch = 0

    def check(self) -> None:
        """See `Destination.check`."""
        self._refuse_what_is_not_ours()
        existing = next(folder for folder in (self._path.absolute(), *self._path.absolute().parents) if folder.exists())
        try_writing(existing / "check")
        if (self._path / _LOCK).exists():
            with exclusive(self._path / _LOCK, self.where):
                pass
        for table in self._tables.values():
            if table.exists():
                table.check(writable=True)

    def open(self, *, for_loading: bool) -> None:
        """See `Destination.open`."""
        for table in self._tables.values():
            table.damages.clear()
        if not for_loading:
            if not all(table.exists() for table in self._tables.values()):
                raise NothingLoaded(f"nothing was ever loaded into {self.where}")
            for table in self._tables.values():
                table.check(writable=False)
            return
        self._refuse_what_is_not_ours()
        make_directory(self._path)
        self._lock = self._held.enter_context(exclusive(self._path / _LOCK, self.where))
        for table in self._tables.values():
            if table.exists():
                table.clear()
            else:
                table.create()

    def close(self) -> None:
        """See `Tables.close`."""
        self._lock = None
        self._held.close()

    def misfits(self) -> list[str]:
        """See `Tables.misfits`."""
        columns = ("tag", "run_id", "rows_loaded", "rows_quarantined")
        rows = self.select(LOADED_TAGS, columns).to_pylist()
        expected: dict[tuple[str, ...], tuple[int, int]] = {
            (row["tag"], row["run_id"]): (row["rows_loaded"], row["rows_quarantined"]) for row in rows
        }
        loaded, quarantined = (self._tables[table.name].count(("tag", "run_id")) for table in (STATUSES, QUARANTINE))
        found = {key: (loaded[key], quarantined[key]) for key in loaded.keys() | quarantined.keys()}
        keys = expected.keys() | found.keys()
        return sorted({key[0] for key in keys if expected.get(key) != found.get(key, (0, 0))})

    def count(self, table: Table) -> dict[str, int]:
        """See `Tables.count`."""
        return {tag: rows for (tag,), rows in sorted(self._tables[table.name].count(("tag",)).items())}

    def select(self, table: Table, columns: Sequence[str], tags: Sequence[str] | None = None) -> pa.Table:
        """See `Tables.select`."""
        wanted = None if tags is None else (pc.field("tag") >= tags[0]) & (pc.field("tag") <= tags[-1])
        return pa.concat_tables(self._tables[table.name].parts(columns, wanted))

    def damages(self) -> list[Damage]:
        """See `Tables.damages`: files that can't be read."""
        return [damage for table in self._tables.values() for damage in table.damages.values()]

    def replace(self, changes: Sequence[Change]) -> None:
        """See `Tables.replace`."""
        named = [change.rows["run_id"] for change in changes if "run_id" in change.rows.column_names]
        runs = sorted({run_id for column in named for run_id in column.unique().to_pylist()})
        self._batch += 1
        for change in changes:
            self._check_lock()
            facts = {"smspartner.run": ",".join(runs), "smspartner.batch": str(self._batch)}
            self._tables[change.table.name].replace(change, facts)

    def purge(self) -> None:
        """See `Destination.purge`: readers of old versions of these two fail from then on."""
        self._check_lock()
        for table in (STATUSES, QUARANTINE):
            self._tables[table.name].purge()

    def _check_lock(self) -> None:
        if self._lock:
            self._lock.check()

    def _refuse_what_is_not_ours(self) -> None:
        if "%" in str(self._path.absolute()):
            raise SettingsError(f"{self._path} holds a %, which Delta Lake can't write to", remedy="name another one")
        refuse_planted_link(self._path)
        refuse_inside_dataset(self._path, is_lake=True)
        with os_errors(f"reading {self._path}", starting=True), suppress(FileNotFoundError):
            names = set(os.listdir(self._path))  # noqa: PTH208 - of a file, it says that it is one
            statuses = self._tables[STATUSES.name]
            is_dataset = any(statuses.folder.glob("*.parquet")) and not statuses.exists()
            if is_dataset or (STATUSES.name not in names and names - NOT_FOREIGN):
                raise SettingsError(
                    f"{self._path} holds other files and is no lake of this product",
                    remedy="name a new or an empty directory",
                )
