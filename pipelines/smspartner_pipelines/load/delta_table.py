"""One Delta table of a lake: made, checked, committed to durably, read file by file."""

from __future__ import annotations

import os
import re
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import ColumnProperties, DeltaTable, Schema, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError
from smspartner.errors import DestinationError, SettingsError, raise_alone
from smspartner_schemas.arrow import plain_schema
from smspartner_schemas.contract import CONTRACT_VERSION

from smspartner_pipelines.load.destination import Damage
from smspartner_pipelines.load.files import os_errors, sync_directories

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow.compute as pc
    from smspartner_schemas.contract import Table

    from smspartner_pipelines.load.warehouse import Change

_VERSION = "smspartner.contract_version"
_WITHOUT_STATISTICS = frozenset({"phone_number", "raw", "reasons", "report", "reason"})
"""Personal data would stand in log and footers, long texts would only fill them."""

_WRITING: dict[str, Any] = {
    "target_file_size": 8 << 20,  # of a larger file, more is written again for one tag
    "writer_properties": WriterProperties(
        compression="ZSTD",
        compression_level=1,
        max_row_group_size=1 << 17,
        column_properties={name: ColumnProperties(statistics_enabled="NONE") for name in _WITHOUT_STATISTICS},
    ),
}
_READER_VERSION = 1
"""The newest version of the protocol that files can be read by themselves of: no deletions beside them."""

_OS_ERROR = re.compile(r"\(os error (\d+)\)")
"""How Rust ends what it says of an error of the operating system: a code, in any language."""


class LakeTable:
    """A table of the contract in a folder. It is not partitioned; rows come sorted by tag.

    `damages` gets each file that could not be read, by its path.
    """

    def __init__(self, table: Table, lake: Path, damages: dict[str, Damage]) -> None:
        self.folder = lake / table.name
        self.folders = (self.folder, self.folder / "_delta_log")
        self._table, self._damages = table, damages

    def exists(self) -> bool:
        """Whether there is such a table."""
        return any(self.folders[1].glob("*.json"))

    def check(self) -> DeltaTable:
        """Give the table as it stands; raises SettingsError where it is not of this product and version."""
        with _lake_errors(f"reading {self.folder}"):
            found = DeltaTable(self.folder)
            version = found.metadata().configuration.get(_VERSION, "")
            needed, types = found.protocol().min_reader_version, {one.name: one.type for one in found.schema().fields}
        wrong = sorted(one.name for one in _delta_schema(self._table).fields if types.get(one.name) != one.type)
        if wrong or needed > _READER_VERSION or not version.isdecimal() or int(version) > CONTRACT_VERSION:
            named = f" (columns: {', '.join(wrong)})" if wrong else ""
            raise SettingsError(
                f"{self.folder} is not of this product, or needs a newer version of it or of the Delta protocol{named}",
                remedy="upgrade it, drop table features that were added, or load into a new directory",
            )
        return found

    def prepare(self) -> None:
        """Make the table; of one that exists, leave out files that are gone or broken, whose tags are read again.

        Versions of a week ago are removed.
        """
        if not self.exists():
            self._create()
            return
        found = self.check()
        for path in _data_files(found):
            with suppress(OSError):  # it is gone; or it may be whole, and this user can't look
                try:
                    pq.read_metadata(path)
                except pa.ArrowException:
                    path.rename(f"{path}.damaged")
        with self._committing():
            found.repair()
            found.vacuum(dry_run=False)

    def _create(self) -> None:
        with os_errors(f"creating {self.folder}", starting=True):
            self.folders[1].mkdir(parents=True, exist_ok=True)
        sync_directories([self.folder.parent])
        shown = ",".join(name for name in self._table.column_names if name not in _WITHOUT_STATISTICS)
        with self._committing():
            DeltaTable.create(
                self.folder,
                _delta_schema(self._table),
                description=self._table.meaning,
                configuration={_VERSION: str(CONTRACT_VERSION), "delta.dataSkippingStatsColumns": shown},
                raise_if_key_not_exists=False,
            )

    def purge(self) -> None:
        """Remove files that only old versions hold, of any age."""
        with self._committing():
            found = DeltaTable(self.folder)
            found.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False, full=True)

    def replace(self, change: Change) -> None:
        """Make a change, in one commit; none where nothing changes."""
        held, values = {value for (value,) in self.count((change.key,))}, set(change.values)
        if not change.rows.num_rows and not held & values:
            return
        how: dict[str, Any] = {**_WRITING, "mode": "overwrite" if held & values else "append"}
        if held & values and held - values:
            texts = ", ".join("'" + value.replace("'", "''") + "'" for value in change.values)
            how["predicate"] = f"{change.key} IN ({texts})"
        with self._committing():
            write_deltalake(DeltaTable(self.folder), change.rows, **how)

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
        empty = plain_schema(self._table).empty_table().select(list(columns))
        yield empty
        with _lake_errors(f"reading {self.folder}"):
            paths = _data_files(DeltaTable(self.folder))
        for path in paths:
            try:
                part = pq.read_table(path, columns=list(columns), filters=wanted, partitioning=None)
            except (OSError, pa.ArrowException):
                self._damages[str(path)] = Damage(str(path), "can't be read, or was replaced just now")
            else:
                yield part.cast(empty.schema)

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
        sync_directories(self.folders)

    def _files(self) -> Iterator[Path]:
        return (path for folder in self.folders for path in folder.iterdir() if path.is_file())


@contextmanager
def _lake_errors(doing: str) -> Iterator[None]:
    """Classify what the library raises by class, and by the code of the operating system: its words may hold rows."""
    codes: list[str] = []
    try:
        yield
        return  # noqa: TRY300 - what follows is for errors, outside of them
    except CommitFailedError:
        what, remedy = "failed: another program changed it", "run again once it ended"
    except (DeltaError, OSError, ValueError) as error:
        codes = [str(error.errno)] if isinstance(error, OSError) and error.errno else _OS_ERROR.findall(str(error))
        what = f"failed ({type(error).__name__})"
        remedy = "restore what is missing or damaged there, or load into a new directory"
    with os_errors(doing):
        for code in codes[-1:]:
            raise OSError(int(code), os.strerror(int(code)))
    raise_alone(DestinationError(f"{doing} {what}", remedy=remedy))


def _delta_schema(table: Table) -> Schema:
    """Give the Delta schema, with the meanings as comments of columns."""
    columns = zip(plain_schema(table), table.columns, strict=True)
    return Schema.from_arrow(pa.schema([field.with_metadata({"comment": one.meaning}) for field, one in columns]))


def _data_files(found: DeltaTable) -> list[Path]:
    """List the files of the version that was opened."""
    return [Path(unquote(uri)) for uri in found.file_uris()]
