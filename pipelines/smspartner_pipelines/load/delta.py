"""A warehouse in Delta Lake: a directory with a Delta table for each table of the contract."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
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
from smspartner_pipelines.load.warehouse import Warehouse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from smspartner_schemas.contract import Table

    from smspartner_pipelines.load.warehouse import Change


class Lake(Warehouse):
    """See `Warehouse`. Each change is a commit, in their order: quarantine, then statuses, then loaded_tags.

    Where a process dies between them, their runs or counts differ: the tag does not fit, and is read again.
    """

    batch_rows = 1_000_000
    """A commit writes every file anew that holds one of its tags: few commits are better."""

    _lock: HeldLock

    def __init__(self, path: str, where: str) -> None:
        super().__init__(where)
        self._path = Path(path)
        self._lock_file = self._path / ".lock"
        self._tables = {table.name: LakeTable(table, self._path, self.damages) for table in WAREHOUSE_TABLES}

    def check(self) -> None:
        """See `Destination.check`."""
        self._refuse_what_is_not_ours()
        above = (self._path.absolute(), *self._path.absolute().parents)
        folders = [next(folder for folder in above if folder.exists())]
        if self._lock_file.exists():
            with exclusive(self._lock_file, self.uri):
                pass
        for table in self._tables.values():
            if table.exists():
                table.check()
                folders += table.folders
        for folder in folders:
            try_writing(folder / "check")

    @contextmanager
    def open(self, *, for_loading: bool) -> Iterator[None]:
        """See `Destination.open`."""
        self.damages.clear()
        if for_loading:
            self._refuse_what_is_not_ours()
            make_directory(self._path)
            with exclusive(self._lock_file, self.uri) as self._lock:
                for table in self._tables.values():
                    table.prepare()
                yield
            return
        if not all(table.exists() for table in self._tables.values()):
            raise NothingLoaded(f"nothing was ever loaded into {self.uri}")
        for table in self._tables.values():
            table.check()
        yield

    def misfits(self) -> list[str]:
        """See `Warehouse.misfits`."""
        rows = self.select(LOADED_TAGS, ("tag", "run_id", "rows_loaded", "rows_quarantined")).to_pylist()
        unlike: set[str] = set()
        for table, column in ((STATUSES, "rows_loaded"), (QUARANTINE, "rows_quarantined")):
            counts = self._tables[table.name].count(("tag", "run_id"))
            counts.subtract({(row["tag"], row["run_id"]): row[column] for row in rows})
            unlike |= {key[0] for key, more in counts.items() if more}
        return sorted(unlike)

    def count(self, table: Table) -> dict[str, int]:
        """See `Warehouse.count`."""
        return {tag: rows for (tag,), rows in sorted(self._tables[table.name].count(("tag",)).items())}

    def select(self, table: Table, columns: Sequence[str], tags: Sequence[str] | None = None) -> pa.Table:
        """See `Warehouse.select`."""
        wanted = None if tags is None else (pc.field("tag") >= tags[0]) & (pc.field("tag") <= tags[-1])
        return pa.concat_tables(self._tables[table.name].parts(columns, wanted))

    def change(self, changes: Sequence[Change]) -> None:
        """See `Warehouse.change`."""
        for change in changes:
            self._lock.check()
            self._tables[change.table.name].replace(change)

    def purge(self) -> None:
        """See `Destination.purge`: readers of old versions of these two fail from then on."""
        self._lock.check()
        for table in (STATUSES, QUARANTINE):
            self._tables[table.name].purge()

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
