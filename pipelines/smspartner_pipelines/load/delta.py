"""Delta Lake as tables of a warehouse: tags are replaced by `write_deltalake`, one commit a table."""

from __future__ import annotations

import os
import re
from collections import Counter
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import (
    ColumnProperties,
    CommitProperties,
    DeltaTable,
    Field,
    Schema,
    WriterProperties,
    write_deltalake,
)
from deltalake.exceptions import CommitFailedError, DeltaError, SchemaMismatchError
from smspartner.errors import DestinationError, SettingsError, raise_alone
from smspartner_schemas.arrow import arrow_schema
from smspartner_schemas.contract import CONTRACT_VERSION, LOADED_TAGS, QUARANTINE, STATUSES
from smspartner_schemas.sql import WAREHOUSE_TABLES

from smspartner_pipelines.load.destination import Damage, NothingLoaded
from smspartner_pipelines.load.files import (
    make_directory,
    os_errors,
    refuse_planted_link,
    sync_directories,
    try_writing,
)
from smspartner_pipelines.load.layout import NOT_FOREIGN, refuse_inside_dataset
from smspartner_pipelines.load.lock import HeldLock, exclusive

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from smspartner_schemas.contract import Table

    from smspartner_pipelines.load.warehouse import Change

_VERSION = "smspartner.contract_version"
_UNCOUNTED = frozenset({"phone_number", "raw", "reasons", "report", "reason"})
"""Columns without statistics: personal data would stand in log and footers, long texts would only fill them."""

_FILE_SIZE = 8 << 20
"""Bytes of a data file: of a larger one, more is written again for one tag."""

_WRITER = WriterProperties(
    compression="ZSTD",
    compression_level=1,
    max_row_group_size=1 << 17,
    column_properties={name: ColumnProperties(statistics_enabled="NONE") for name in _UNCOUNTED},
)
_OS_ERROR = re.compile(r"\(os error (\d+)\)")
"""How Rust ends what it says of an error of the operating system: a code, whatever the language."""


class DeltaTables:
    """A directory with a Delta table for each table of the contract. See `Tables`.

    They are not partitioned, and rows are sorted by tag. Commits follow the order of changes: quarantine, then
    statuses, then loaded_tags. Where a process dies between them, their runs or counts differ, and the tag is read
    again.
    """

    batch_rows = 1_000_000

    def __init__(self, path: str, where: str) -> None:
        self.where = where
        self._path = Path(path)
        self._held = ExitStack()
        self._lock: HeldLock | None = None
        self._batch = 0
        self._damages: dict[Path, Damage] = {}

    def check(self) -> None:
        """See `Destination.check`."""
        self._refuse_what_is_not_ours()
        existing = next(folder for folder in (self._path.absolute(), *self._path.absolute().parents) if folder.exists())
        try_writing(existing / "check")
        for table in filter(self._exists, WAREHOUSE_TABLES):
            self._checked(table)
            for folder in (self._path / table.name, self._path / table.name / "_delta_log"):
                if not os.access(folder, os.W_OK | os.X_OK):
                    raise SettingsError(f"{folder} can't be written", remedy="allow this user to write there")

    def open(self, *, for_loading: bool) -> None:
        """See `Destination.open`."""
        self._damages.clear()
        if not for_loading:
            if not all(map(self._exists, WAREHOUSE_TABLES)):
                raise NothingLoaded(f"nothing was ever loaded into {self.where}")
            for table in WAREHOUSE_TABLES:
                self._checked(table)
            return
        self._refuse_what_is_not_ours()
        make_directory(self._path)
        self._lock = self._held.enter_context(exclusive(self._path / ".lock", self.where))
        for table in WAREHOUSE_TABLES:
            if self._exists(table):
                self._clear(table)
            else:
                self._create(table)

    def close(self) -> None:
        """See `Tables.close`."""
        self._lock = None
        self._held.close()

    def misfits(self) -> list[str]:
        """See `Tables.misfits`."""
        columns = ("tag", "run_id", "rows_loaded", "rows_quarantined")
        rows = self.select(LOADED_TAGS, columns).to_pylist()
        expected = {(row["tag"], row["run_id"]): (row["rows_loaded"], row["rows_quarantined"]) for row in rows}
        loaded, quarantined = (self._counted(table, ("tag", "run_id")) for table in (STATUSES, QUARANTINE))
        found = {key: (loaded[key], quarantined[key]) for key in loaded.keys() | quarantined.keys()}
        keys = expected.keys() | found.keys()
        return sorted({key[0] for key in keys if expected.get(key) != found.get(key, (0, 0))})

    def count(self, table: Table) -> dict[str, int]:
        """See `Tables.count`."""
        return {tag: count for (tag,), count in sorted(self._counted(table, ("tag",)).items())}

    def select(self, table: Table, columns: Sequence[str], tags: Sequence[str] | None = None) -> pa.Table:
        """See `Tables.select`."""
        wanted = None if tags is None else (pc.field("tag") >= tags[0]) & (pc.field("tag") <= tags[-1])
        schema = _plain_schema(table)
        empty = schema.empty_table().select(list(columns))
        return pa.concat_tables([empty, *(part.cast(empty.schema) for part in self._parts(table, columns, wanted))])

    def damages(self) -> list[Damage]:
        """See `Tables.damages`: files that can't be read."""
        return list(self._damages.values())

    def replace(self, changes: Sequence[Change]) -> None:
        """See `Tables.replace`: each change is a commit."""
        named = [change.rows["run_id"] for change in changes if "run_id" in change.rows.column_names]
        runs = sorted({run_id for column in named for run_id in column.unique().to_pylist()})
        self._batch += 1
        properties = CommitProperties(
            custom_metadata={"smspartner.run": ",".join(runs), "smspartner.batch": str(self._batch)}
        )
        for change in changes:
            held = {value for (value,) in self._counted(change.table, (change.key,))}
            if change.rows.num_rows or held & set(change.values):
                self._commit(change, held, properties)

    def purge(self) -> None:
        """See `Destination.purge`: files that only old versions hold are removed, whatever their age."""
        for table in (STATUSES, QUARANTINE):
            with self._committing(table):
                _table(self._path, table).vacuum(
                    retention_hours=0, enforce_retention_duration=False, dry_run=False, full=True
                )

    def _commit(self, change: Change, held: set[str], properties: CommitProperties) -> None:
        mode, predicate = "append", None
        if held <= set(change.values):
            mode = "overwrite" if held else "append"
        elif held & set(change.values):
            mode = "overwrite"
            texts = ", ".join("'" + value.replace("'", "''") + "'" for value in change.values)
            predicate = f"{change.key} IN ({texts})"
        with self._committing(change.table):
            write_deltalake(
                _table(self._path, change.table),
                change.rows,
                mode=mode,  # type: ignore[arg-type]
                predicate=predicate,
                target_file_size=_FILE_SIZE,
                writer_properties=_WRITER,
                commit_properties=properties,
            )

    @contextmanager
    def _committing(self, table: Table) -> Iterator[None]:
        """Make durable what a commit writes: the library syncs nothing."""
        if self._lock:
            self._lock.check()
        folders = [self._path / table.name, self._path / table.name / "_delta_log"]
        before = {path for folder in folders for path in _files(folder)}
        with _lake_errors(f"writing {self.where}, table {table.name}"):
            yield
        with os_errors(f"writing {self.where}, table {table.name}"):
            for path in (path for folder in folders for path in _files(folder)):
                if path not in before or path.name == "_last_checkpoint":
                    with path.open("r+b") as file:
                        os.fsync(file.fileno())
        sync_directories(folders)

    def _create(self, table: Table) -> None:
        (self._path / table.name).mkdir(exist_ok=True)
        sync_directories([self._path])
        counted = [column.name for column in table.columns if column.name not in _UNCOUNTED]
        (self._path / table.name / "_delta_log").mkdir(exist_ok=True)
        with self._committing(table):
            DeltaTable.create(
                self._path / table.name,
                _schema(table),
                description=table.meaning,
                configuration={_VERSION: str(CONTRACT_VERSION), "delta.dataSkippingStatsColumns": ",".join(counted)},
                raise_if_key_not_exists=False,
            )

    def _clear(self, table: Table) -> None:
        """Leave out files that are gone or can't be read, whose tags are read again, and remove old versions."""
        found = self._checked(table)
        for path in _data_files(found):
            if path.exists() and not _is_parquet(path):
                with os_errors(f"moving {path} away"):
                    path.rename(f"{path}.damaged")
        with self._committing(table):
            if found.repair(dry_run=True)["files_removed"]:
                found.repair()
            if found.vacuum(dry_run=True):
                found.vacuum(dry_run=False)

    def _counted(self, table: Table, columns: Sequence[str]) -> Counter[tuple[str, ...]]:
        counts: Counter[tuple[str, ...]] = Counter()
        for part in self._parts(table, columns):
            grouped = part.group_by(list(columns)).aggregate([([], "count_all")]).to_pydict()
            keys = zip(*(grouped[name] for name in columns), strict=True)
            counts.update(dict(zip(keys, grouped["count_all"], strict=True)))
        return counts

    def _parts(self, table: Table, columns: Sequence[str], wanted: pc.Expression | None = None) -> Iterator[pa.Table]:
        """Read the newest version file by file: one that can't be read hides no other."""
        with _lake_errors(f"reading {self.where}, table {table.name}"):
            paths = _data_files(_table(self._path, table))
        for path in paths:
            try:
                yield pq.read_table(path, columns=list(columns), filters=wanted, partitioning=None)
            except (OSError, pa.ArrowException):
                self._damages[path] = Damage(str(path), "can't be read, or was replaced just now")

    def _exists(self, table: Table) -> bool:
        return any((self._path / table.name / "_delta_log").glob("*.json"))

    def _checked(self, table: Table) -> DeltaTable:
        """Open a table, which must be of this product, and one that this version can write.

        Raises:
            SettingsError: it is not.
        """
        where = f"{self.where}, table {table.name}"
        with _lake_errors(f"reading {where}"):
            found = _table(self._path, table)
            metadata, fields = found.metadata(), {field.name: field for field in found.schema().fields}
        version = metadata.configuration.get(_VERSION, "")
        if version.isdecimal() and int(version) > CONTRACT_VERSION:
            raise SettingsError(f"{where} was made by a newer version of this product", remedy="upgrade it")
        ours = {field.name: field for field in _schema(table).fields}
        wrong = sorted(name for name in ours if name not in fields or fields[name].type != ours[name].type)
        wrong += sorted(name for name in fields.keys() - ours.keys() if not fields[name].nullable)
        if wrong or metadata.partition_columns or not version:
            named = f" (columns: {', '.join(wrong)})" if wrong else ""
            raise SettingsError(f"{where} is not of this product{named}", remedy="load into a new directory")
        return found

    def _refuse_what_is_not_ours(self) -> None:
        if "%" in str(self._path.absolute()):
            raise SettingsError(
                f"Delta Lake can't be written to {self._path}, which holds a %", remedy="name another directory"
            )
        refuse_planted_link(self._path)
        refuse_inside_dataset(self._path, is_lake=True)
        with os_errors(f"reading {self._path}", starting=True), suppress(FileNotFoundError):
            names = set(os.listdir(self._path))  # noqa: PTH208 - it says, too, that it is a file
            statuses = self._path / STATUSES.name
            is_dataset = statuses.is_dir() and not self._exists(STATUSES) and any(statuses.glob("*.parquet"))
            if is_dataset or (STATUSES.name not in names and names - NOT_FOREIGN):
                raise SettingsError(
                    f"{self._path} holds other files and is no lake of this product",
                    remedy="name a new or an empty directory",
                )


@contextmanager
def _lake_errors(doing: str) -> Iterator[None]:
    """Classify what the library raises by class, and by the code of the operating system: its words may hold rows."""
    try:
        yield
    except CommitFailedError:
        raise_alone(
            DestinationError(f"{doing} failed: another program changed it", remedy="run again once that has ended")
        )
    except SchemaMismatchError:
        raise_alone(DestinationError(f"{doing} failed: its columns were changed", remedy="load into a new directory"))
    except (DeltaError, OSError, ValueError) as error:
        raise_alone(_failure(error, doing))


def _failure(error: Exception, doing: str) -> DestinationError:
    codes = _OS_ERROR.findall(str(error))
    number = error.errno if isinstance(error, OSError) and error.errno else int(codes[-1]) if codes else 0
    try:
        with os_errors(doing):
            if number:
                raise OSError(number, os.strerror(number))
    except DestinationError as failure:
        return failure
    return DestinationError(
        f"{doing} failed ({type(error).__name__})",
        remedy="restore what is missing or damaged there, or load into a new directory",
    )


def _table(path: Path, table: Table) -> DeltaTable:
    return DeltaTable(path / table.name)


@cache
def _plain_schema(table: Table) -> pa.Schema:
    """Give the Arrow schema without dictionaries, as the files hold it."""
    fields = [
        field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field
        for field in arrow_schema(table)
    ]
    return pa.schema(fields)


@cache
def _schema(table: Table) -> Schema:
    """Give the Delta schema, with the meanings as comments of columns."""
    return Schema(
        [
            Field(field.name, field.type, nullable=field.nullable, metadata={"comment": table[field.name].meaning})
            for field in Schema.from_arrow(_plain_schema(table).remove_metadata()).fields
        ]
    )


def _data_files(found: DeltaTable) -> list[Path]:
    """List the files of the version that was opened."""
    return [Path(unquote(uri)) for uri in found.file_uris()]


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_file()]


def _is_parquet(path: Path) -> bool:
    try:
        pq.read_metadata(path)
    except pa.ArrowException:
        return False
    except OSError:  # it may be one: this user can't look
        return True
    return True
