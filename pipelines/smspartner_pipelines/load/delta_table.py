"""One Delta table of a lake: its live files, and the commits that exchange some for others.

Data files are written here rather than by the library: one file per tag, in the order of the API, without statistics
that would show a phone number, and on the disk before a commit names them.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.exceptions import CommitFailedError, TableNotFoundError
from deltalake.transaction import AddAction, RemoveAction
from smspartner_schemas.arrow import empty_table

from smspartner.errors import DestinationError
from smspartner_pipelines.load.atomic import guarded, make_directory, sync_directory
from smspartner_pipelines.load.delta_errors import lake_guarded
from smspartner_pipelines.load.delta_files import DataFile, read_file, write_file
from smspartner_pipelines.load.delta_log import LogFolder
from smspartner_pipelines.load.delta_schema import (
    lake_schema,
    missing_columns,
    partition_columns,
    refuse_foreign,
    settings,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from smspartner_schemas.contract import Table

    from smspartner_pipelines.load.destination import WrittenFile

_APP = "smspartner"
"""Under this name a commit tells its number, which comes into being with it or not at all."""

_COMMIT_TRIES = 20


class LakeTable:
    """The table of a lake that is in `folder`; read as it was when it was last refreshed."""

    def __init__(self, folder: Path, table: Table) -> None:
        self.folder = folder
        self.table = table
        self.log = LogFolder(folder / "_delta_log")
        self._found: DeltaTable | None = None
        self._live: list[DataFile] = []
        self._by_tag: dict[str, list[DataFile]] = {}
        self._listed: int | None = None

    def refresh(self) -> bool:
        """Read what was committed since; return whether there is a table at all.

        Raises:
            DestinationError: it can't be read, or is not ours.
        """
        lake_guarded(f"reading {self.folder}", self._refresh)
        if self._found is not None:
            refuse_foreign(self._found, self.table, self.folder)
        return self._found is not None

    def _refresh(self) -> None:
        if self._found is not None:
            self._found.update_incremental()
        elif self.log.path.is_dir():
            try:
                self._found = DeltaTable(str(self.folder.absolute()))
            except TableNotFoundError:  # a run died before the first commit
                if any(self.log.path.glob("*.json")):
                    raise

    def prepare(self) -> None:
        """Make it, or add the columns that an older version did not have.

        Raises:
            DestinationError: it can't be made, or is not ours.
        """
        if not self.refresh():
            make_directory(self.log.path)
            lake_guarded(f"creating {self.folder}", self._create)
        missing = missing_columns(self._delta, self.table)
        if missing:
            lake_guarded(f"adding columns to {self.folder}", lambda: self._delta.alter.add_columns(missing))
            self.refresh()
        self.log.sync()

    def _create(self) -> None:
        self._found = DeltaTable.create(
            str(self.folder.absolute()),
            lake_schema(self.table),
            partition_by=partition_columns(self.table),
            name=self.table.name,
            description=self.table.meaning,
            configuration=settings(self.table),
            raise_if_key_not_exists=False,
        )

    @property
    def _delta(self) -> DeltaTable:
        if self._found is None:
            raise DestinationError(f"{self.folder} is no Delta table; it was removed, so load into a new directory")
        return self._found

    @property
    def number(self) -> int:
        """The number that the last commit of ours told; 0 if none did."""
        return (self._found and self._found.transaction_version(_APP)) or 0

    def live(self) -> list[DataFile]:
        """List the files that make up the table."""
        if self._found is not None and self._listed != self._found.version():
            self._live = lake_guarded(f"reading {self.folder}", self._list)
            self._by_tag = {}
            for file in self._live:
                self._by_tag.setdefault(file.tag or "", []).append(file)
            self._listed = self._found.version()
        return self._live

    def by_tag(self) -> dict[str, list[DataFile]]:
        """Give the live files of each tag."""
        self.live()
        return self._by_tag

    def _list(self) -> list[DataFile]:
        actions = pa.table(self._delta.get_add_actions(flatten=True))
        nothing = [None] * actions.num_rows
        names = ("path", "partition.tag", "num_records")
        path, tag, rows = (actions[name].to_pylist() if name in actions.column_names else nothing for name in names)
        return [DataFile(unquote(one), *others) for one, *others in zip(path, tag, rows, strict=True)]

    def read(self, files: Iterable[DataFile], columns: Sequence[str] | None = None) -> pa.Table:
        """Read rows in the order in which they were written, in the schema of the contract; all columns, or some.

        Raises:
            DestinationError: a file can't be read.
        """
        parts = [read_file(self.folder, self.table, file, columns) for file in files]
        return pa.concat_tables(parts) if parts else empty_table(self.table)

    def write(self, file: DataFile, rows: pa.Table) -> WrittenFile:
        """Write a file; no reader sees it before it is committed.

        Raises:
            DestinationError: it can't be written.
        """
        return write_file(self.folder, self.table, file, rows)

    def remove(self, file: DataFile) -> None:
        """Remove a planned file that was never committed; that it is not there is no error.

        Raises:
            DestinationError: it can't be removed.
        """
        if file.path not in {one.path for one in self.live()}:
            path = self.folder / file.path
            guarded(f"removing {path}", lambda: path.unlink(missing_ok=True))

    def exchange(
        self,
        new: Sequence[DataFile],
        tags: Collection[str] | None,
        number: int | None = None,
        *,
        data_change: bool = True,
    ) -> None:
        """Commit `new` files in the place of all others of `tags` (None: of all others), in one step for readers.

        Whoever else commits at the same time is taken into account by trying again. Done twice, it changes nothing.

        Raises:
            DestinationError: it can't be committed.
        """
        for _ in range(_COMMIT_TRIES):
            self.refresh()
            if number is not None and self.number == number:
                return
            actions = self._actions(new, tags, data_change=data_change)
            if (not actions and number is None) or lake_guarded(
                f"committing to {self.folder}",
                lambda: self._is_committed(actions, number),  # noqa: B023
            ):
                self.log.sync()
                return
        raise DestinationError(f"another program keeps writing {self.folder}; run again once it has ended")

    def _actions(
        self, new: Sequence[DataFile], tags: Collection[str] | None, *, data_change: bool
    ) -> list[AddAction | RemoveAction]:
        live = {file.path: file for file in self.live()}
        kept = {file.path for file in new}
        now = int(time.time() * 1000)
        adds = [self._add(file, now, data_change=data_change) for file in new if file.path not in live]
        old = [file for file in live.values() if file.path not in kept and (tags is None or file.tag in tags)]
        return [*adds, *(RemoveAction(file.path, data_change, now, None, _partition(file)) for file in old)]

    def _add(self, file: DataFile, now: int, *, data_change: bool) -> AddAction:
        size = guarded(f"reading {self.folder / file.path}", (self.folder / file.path).stat).st_size
        stats = json.dumps({"numRecords": file.rows})
        return AddAction(file.path, size, _partition(file), now, data_change, stats)

    def _is_committed(self, actions: list[AddAction | RemoveAction], number: int | None) -> bool:
        marks = [] if number is None else [Transaction(_APP, number)]
        try:
            self._delta.create_write_transaction(
                actions,
                "append",
                lake_schema(self.table),
                partition_columns(self.table),
                commit_properties=CommitProperties(app_transactions=marks),
            )
        except CommitFailedError as error:
            if "(os error" in str(error):  # it is no other program that is in the way
                raise
            return False
        self._delta.update_incremental()
        return True

    def sync_folder(self) -> None:
        """Make the names of new tags' folders durable.

        Raises:
            DestinationError: the disk refused.
        """
        guarded(f"syncing {self.folder}", lambda: sync_directory(self.folder))

    def remove_old_files(self) -> None:
        """Remove, durably, every file that is not part of the table as it is now, whoever may still read it.

        Raises:
            DestinationError: one can't be removed.
        """
        self.refresh()
        live = {str(self.folder / file.path) for file in self.live()}

        def act() -> None:
            for folder, subfolders, names in os.walk(self.folder):
                subfolders[:] = [name for name in subfolders if name != self.log.path.name]
                old = [path for path in (Path(folder, name) for name in names) if str(path) not in live]
                for path in old:
                    path.unlink()
                if old:
                    sync_directory(Path(folder))

        guarded(f"removing old files of {self.folder}", act)

    def vacuum(self, hours: int) -> list[str]:
        """Remove the files that no version of the last `hours` holds, and give their names.

        Raises:
            DestinationError: they can't be removed.
        """
        return lake_guarded(
            f"removing old files of {self.folder}",
            lambda: self._delta.vacuum(hours, dry_run=False, enforce_retention_duration=False, full=True),
        )

    def clean_log(self) -> None:
        """Write a checkpoint, so that the log is read quickly, and remove what is older than the log is kept.

        Raises:
            DestinationError: the disk refused.
        """

        def act() -> None:
            self._delta.create_checkpoint()
            self._delta.cleanup_metadata()

        lake_guarded(f"writing a checkpoint of {self.folder}", act)
        self.log.remove_stale()
        self.log.sync()


def _partition(file: DataFile) -> dict[str, str | None]:
    return {} if file.tag is None else {"tag": file.tag}
