"""One Delta table of a lake: made, checked, committed to durably, read file by file."""

from __future__ import annotations

import os
import re
from collections import Counter
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import ColumnProperties, CommitProperties, DeltaTable, Field, Schema, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, SchemaMismatchError
from smspartner.errors import DestinationError, SettingsError, raise_alone
from smspartner_schemas.arrow import plain_schema
from smspartner_schemas.contract import CONTRACT_VERSION

from smspartner_pipelines.load.destination import Damage
from smspartner_pipelines.load.files import os_errors, sync_directories

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow.compute as pc
    from deltalake import Metadata
    from deltalake.table import ProtocolVersions
    from smspartner_schemas.contract import Table

    from smspartner_pipelines.load.warehouse import Change

_VERSION = "smspartner.contract_version"
_WITHOUT_STATISTICS = frozenset({"phone_number", "raw", "reasons", "report", "reason"})
"""Personal data would stand in log and footers, long texts would only fill them."""

_FILE_SIZE = 8 << 20
"""Bytes of a data file: of a larger one, more is written again for one tag."""

_WRITER = WriterProperties(
    compression="ZSTD",
    compression_level=1,
    max_row_group_size=1 << 17,
    column_properties={name: ColumnProperties(statistics_enabled="NONE") for name in _WITHOUT_STATISTICS},
)
_PROTOCOL = 1, 2
"""The newest versions for readers and writers that files can be read by themselves of: no deletions beside them."""

_OS_ERROR = re.compile(r"\(os error (\d+)\)")
"""How Rust ends what it says of an error of the operating system: a code, in any language."""


class LakeTable:
    """A table of the contract in a folder. It is not partitioned; rows come sorted by tag.

    `damages` grows by each file that could not be read.
    """

    def __init__(self, table: Table, lake: Path) -> None:
        self.table = table
        self.folder = lake / table.name
        self.damages: dict[Path, Damage] = {}
        self._folders = (self.folder, self.folder / "_delta_log")

    def exists(self) -> bool:
        """Whether there is such a table."""
        return any(self._folders[1].glob("*.json"))

    def check(self, *, writable: bool) -> None:
        """Make sure that it is of this product and of this version's kind, and can be written if need be.

        Raises:
            SettingsError: it is not.
        """
        self._open_checked()
        for folder in self._folders if writable else ():
            if not os.access(folder, os.W_OK | os.X_OK):
                raise SettingsError(f"{folder} can't be written", remedy="allow this user to write there")

    def create(self) -> None:
        """Make the table."""
        with os_errors(f"creating {self.folder}", starting=True):
            self._folders[1].mkdir(parents=True, exist_ok=True)
        sync_directories([self.folder.parent])
        shown = [column.name for column in self.table.columns if column.name not in _WITHOUT_STATISTICS]
        with self._committing():
            DeltaTable.create(
                self.folder,
                _delta_schema(self.table),
                description=self.table.meaning,
                configuration={_VERSION: str(CONTRACT_VERSION), "delta.dataSkippingStatsColumns": ",".join(shown)},
                raise_if_key_not_exists=False,
            )

    def clear(self) -> None:
        """Leave out files that are gone or broken, whose tags are read again, and remove versions of a week ago."""
        found = self._open_checked()
        for path in _data_files(found):
            if path.exists() and not _is_parquet(path):
                with os_errors(f"moving {path} away"):
                    path.rename(f"{path}.damaged")
        with self._committing():
            if found.repair(dry_run=True)["files_removed"]:
                found.repair()
            if found.vacuum(dry_run=True):
                found.vacuum(dry_run=False)

    def purge(self) -> None:
        """Remove files that only old versions hold, of any age."""
        with self._committing():
            found = DeltaTable(self.folder)
            found.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False, full=True)

    def replace(self, change: Change, facts: dict[str, str]) -> None:
        """Make a change, in one commit that states these facts; none where nothing changes."""
        held, values = {value for (value,) in self.count((change.key,))}, set(change.values)
        if not change.rows.num_rows and not held & values:
            return
        options: dict[str, Any] = {
            "target_file_size": _FILE_SIZE,
            "writer_properties": _WRITER,
            "commit_properties": CommitProperties(custom_metadata=facts),
        }
        with self._committing():
            if not held & values:
                write_deltalake(DeltaTable(self.folder), change.rows, mode="append", **options)
                return
            texts = ", ".join("'" + value.replace("'", "''") + "'" for value in change.values)
            predicate = f"{change.key} IN ({texts})" if held - values else None
            write_deltalake(DeltaTable(self.folder), change.rows, mode="overwrite", predicate=predicate, **options)

    def count(self, columns: Sequence[str]) -> Counter[tuple[str, ...]]:
        """Count the rows by the values of some columns."""
        counts: Counter[tuple[str, ...]] = Counter()
        for part in self.parts(columns):
            grouped = part.group_by(list(columns)).aggregate([([], "count_all")]).to_pydict()
            keys = zip(*(grouped[name] for name in columns), strict=True)
            counts.update(dict(zip(keys, grouped["count_all"], strict=True)))
        return counts

    def parts(self, columns: Sequence[str], wanted: pc.Expression | None = None) -> Iterator[pa.Table]:
        """Read the newest version file by file: one that can't be read hides no other. The first part has no rows."""
        empty = plain_schema(self.table).empty_table().select(list(columns))
        yield empty
        with _lake_errors(f"reading {self.folder}"):
            paths = _data_files(DeltaTable(self.folder))
        for path in paths:
            try:
                part = pq.read_table(path, columns=list(columns), filters=wanted, partitioning=None)
            except (OSError, pa.ArrowException):
                self.damages[path] = Damage(str(path), "can't be read, or was replaced just now")
            else:
                yield part.cast(empty.schema)

    def _open_checked(self) -> DeltaTable:
        with _lake_errors(f"reading {self.folder}"):
            found = DeltaTable(self.folder)
            metadata, protocol, fields = found.metadata(), found.protocol(), found.schema().fields
        for problem, remedy in _problems(self.table, metadata, protocol, {field.name: field for field in fields}):
            raise SettingsError(f"{self.folder} {problem}", remedy=remedy)
        return found

    @contextmanager
    def _committing(self) -> Iterator[None]:
        """Make durable what a commit writes: the library syncs nothing."""
        before = set(self._files())
        with _lake_errors(f"writing {self.folder}"):
            yield
        with os_errors(f"writing {self.folder}"):
            for path in self._files():
                if path not in before or path.name == "_last_checkpoint":
                    with path.open("r+b") as file:
                        os.fsync(file.fileno())
        sync_directories(self._folders)

    def _files(self) -> Iterator[Path]:
        return (path for folder in self._folders for path in folder.iterdir() if path.is_file())


def _problems(
    table: Table, metadata: Metadata, protocol: ProtocolVersions, fields: dict[str, Field]
) -> Iterator[tuple[str, str]]:
    ours = {field.name: field for field in _delta_schema(table).fields}
    wrong = sorted(name for name in ours if name not in fields or fields[name].type != ours[name].type)
    wrong += sorted(name for name in fields.keys() - ours.keys() if not fields[name].nullable)
    version = metadata.configuration.get(_VERSION, "")
    needed = (protocol.min_reader_version, protocol.min_writer_version)
    if version.isdecimal() and int(version) > CONTRACT_VERSION:
        yield "was made by a newer version of this product", "upgrade this one"
    if wrong or metadata.partition_columns or not version.isdecimal():
        named = f" (columns: {', '.join(wrong)})" if wrong else ""
        yield f"is not of this product{named}", "load into a new directory"
    if needed[0] > _PROTOCOL[0] or needed[1] > _PROTOCOL[1]:
        yield f"needs the Delta protocol {needed[0]}/{needed[1]}", "drop the table features that were added"
    if metadata.configuration.get("delta.appendOnly", "").lower() == "true":
        yield "has delta.appendOnly set, but tags are replaced", "set it to false"


@contextmanager
def _lake_errors(doing: str) -> Iterator[None]:
    """Classify what the library raises by class, and by the code of the operating system: its words may hold rows."""
    try:
        yield
    except CommitFailedError:
        raise_alone(DestinationError(f"{doing} failed: another program changed it", remedy="run again once it ended"))
    except SchemaMismatchError:
        raise_alone(DestinationError(f"{doing} failed: its columns were changed", remedy="load into a new directory"))
    except (DeltaError, OSError, ValueError) as error:
        raise_alone(_failure(error, doing))


def _failure(error: Exception, doing: str) -> DestinationError:
    codes = _OS_ERROR.findall(str(error))
    number = error.errno if isinstance(error, OSError) and error.errno else int(codes[-1]) if codes else 0
    if number:
        try:
            with os_errors(doing):
                raise OSError(number, os.strerror(number))
        except DestinationError as failure:
            return failure
    return DestinationError(
        f"{doing} failed ({type(error).__name__})",
        remedy="restore what is missing or damaged there, or load into a new directory",
    )


@cache
def _delta_schema(table: Table) -> Schema:
    """Give the Delta schema, with the meanings as comments of columns."""
    fields = Schema.from_arrow(plain_schema(table)).fields
    meanings = {column.name: {"comment": column.meaning} for column in table.columns}
    return Schema([Field(one.name, one.type, nullable=one.nullable, metadata=meanings[one.name]) for one in fields])


def _data_files(found: DeltaTable) -> list[Path]:
    """List the files of the version that was opened."""
    return [Path(unquote(uri)) for uri in found.file_uris()]


def _is_parquet(path: Path) -> bool:
    with suppress(OSError):  # it may be one: this user can't look
        try:
            pq.read_metadata(path)
        except pa.ArrowException:
            return False
    return True
