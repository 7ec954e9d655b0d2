"""A DuckDB file as tables of a warehouse."""

from __future__ import annotations

import shutil
import threading
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, TypeVar

import duckdb
from smspartner.errors import DestinationBusy, DestinationError, raise_alone
from smspartner_schemas.sql import quoted

from smspartner_pipelines.load.files import os_errors, refuse_planted_link, sync_directories, try_writing
from smspartner_pipelines.load.folder import refuse_inside_dataset
from smspartner_pipelines.load.sql_schema import NotUsable
from smspartner_pipelines.load.sql_tables import ConnectionLost, SqlTables
from smspartner_pipelines.load.undisturbed import Undisturbed

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

T = TypeVar("T")

_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,  # nothing is fetched from anywhere
    "autoload_known_extensions": False,
}
_MAGIC, _HEAD = b"DUCK", 12
"""How a file begins: eight bytes of checksum, then this."""

_LITTLE = 1 << 20
"""Bytes of free space that are too few to write on."""

_CHECK = "check the disk, `pip install --upgrade duckdb`, or load elsewhere"

_HELD: set[Path] = set()
_holding = threading.Lock()


class DuckdbTables(SqlTables):
    """A database file. One process at a time may open it, readers included: its lock is DuckDB's own."""

    dialect = "duckdb"
    primary_key = False
    comment = "t.TABLE_COMMENT"
    in_list = "SELECT unnest(CAST(CAST($1 AS json) AS varchar[]))"

    def __init__(self, path: str, where: str) -> None:
        super().__init__(where)
        self._given = Path(path)
        self._path = self._given.resolve()
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._holds = False
        self._thread = Undisturbed()

    def exists(self) -> bool:
        """See `SqlTables.exists`."""
        if self._path.name == ":memory:":
            raise NotUsable(f"{self.where} would be gone when the run ends", remedy="name a file")
        refuse_inside_dataset(self._path)
        for path in (self._given, self._path.with_name(f"{self._path.name}.wal")):
            refuse_planted_link(path)
        return self._path.exists()

    def check(self) -> None:
        """See `Destination.check`."""
        super().check()
        if not self._path.exists():
            try_writing(self._path)

    def connect(self, *, for_loading: bool) -> None:
        """See `SqlTables.connect`."""
        with _holding:
            if for_loading and self._path in _HELD:  # one process may open it twice
                raise self._busy()
            self._open(read_only=not for_loading)
            if for_loading:
                _HELD.add(self._path)
                self._holds = True
        self.run("SET TimeZone = 'UTC'")

    def _open(self, *, read_only: bool) -> None:
        try:
            self._connection = self._thread.call(
                lambda: duckdb.connect(str(self._path), read_only=read_only, config=_CONFIG), lambda: None
            )
        except (duckdb.ConnectionException, duckdb.BinderException):  # another connection of this process
            raise_alone(self._busy())
        except duckdb.Error:
            pass
        if self._connection is None:
            raise self._refusal()

    def close(self) -> None:
        """See `SqlTables.close`: what is still in the log beside the file comes into it."""
        connection, self._connection = self._connection, None
        if connection is not None and not self._thread.left_alone:
            with suppress(duckdb.Error):
                self._thread.call(connection.close, lambda: None)
        if self._holds:
            self._holds = False
            _HELD.discard(self._path)

    def run(self, statement: str, *values: object) -> None:
        """See `SqlTables.run`."""
        self._call(lambda connection: connection.execute(statement, list(values)))

    def fetch(self, statement: str, *values: object) -> pa.Table:
        """See `SqlTables.fetch`."""
        return self._call(lambda connection: connection.sql(statement, params=list(values)).to_arrow_table())

    def insert(self, table: str, rows: pa.Table) -> None:
        """See `SqlTables.insert`."""

        def act(connection: duckdb.DuckDBPyConnection) -> None:
            connection.register("rows_to_load", rows)
            try:
                named = f'INSERT INTO "{table}" BY NAME SELECT * FROM rows_to_load'  # noqa: S608 - a table of ours
                connection.execute(named)
            finally:
                with suppress(duckdb.Error):  # a transaction that failed takes no more statements
                    connection.unregister("rows_to_load")

        self._call(act)

    def check_lock(self) -> None:
        """See `SqlTables.check_lock`: the lock goes with the open file."""

    def purge(self) -> None:
        """See `Destination.purge`: free blocks of the file hold what was removed, so its content moves into a new one.

        The old file stays locked until the new one stands in its place.
        """
        name = self.fetch("SELECT current_database() AS name")["name"][0].as_py()
        with os_errors(f"writing {self.where}"), TemporaryDirectory(dir=self._path.parent, prefix=".purge-") as folder:
            fresh = Path(folder) / "fresh.duckdb"
            escaped = str(fresh).replace("'", "''")
            self.run("CHECKPOINT")
            self.run(f"ATTACH '{escaped}' AS fresh")
            self.run(f"COPY FROM DATABASE {quoted(name)} TO fresh")
            self.run("DETACH fresh")
            fresh.chmod(self._path.stat().st_mode & 0o777)
            fresh.replace(self._path)
        sync_directories([self._path.parent])
        self._connect_again()

    def _call(self, act: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
        connection = self._connection
        if connection is None or self._thread.left_alone:
            raise ConnectionLost(f"{self.where} is not open", remedy="run again")
        try:
            return self._thread.call(lambda: act(connection), connection.interrupt)
        except duckdb.Error as error:
            failure = self._failure(error)
        raise failure

    def _failure(self, error: duckdb.Error) -> DestinationError:
        """Classify by class: DuckDB's words may repeat values of rows."""
        if isinstance(error, duckdb.IntegrityError | duckdb.DataError):
            return DestinationError(f"{self.where}: a table refuses rows", remedy="drop the rule that was added to it")
        if isinstance(error, duckdb.CatalogException | duckdb.BinderException):
            return NotUsable(
                f"{self.where}: what stands there is not as this product makes it",
                remedy="move it away, or load elsewhere",
            )
        if self._is_full():
            return DestinationError(f"{self.where}: the disk is full", remedy="free some space and run again")
        if isinstance(error, duckdb.OutOfMemoryException):
            return DestinationError(f"{self.where}: memory ran out", remedy="give it more")
        return DestinationError(f"{self.where}: DuckDB failed ({type(error).__name__})", remedy=_CHECK)

    def _refusal(self) -> DestinationError:
        """Look why the file can't be opened: DuckDB has one class of error for all of this."""
        try_writing(self._path)
        with os_errors(f"opening {self.where}", starting=True), self._path.open("r+b") as file:
            is_database, is_held = file.read(_HEAD).endswith(_MAGIC), not _lockable(file.fileno())
        if is_held:
            return self._busy()
        if not is_database:
            return NotUsable(f"{self.where} is no DuckDB database", remedy="name another file")
        return DestinationError(f"{self.where} is damaged, or of another version of DuckDB", remedy=_CHECK)

    def _busy(self) -> DestinationBusy:
        return DestinationBusy(
            f"{self.where} is in use by another process, readers included",
            remedy="wait until it has ended, or load elsewhere",
        )

    def _is_full(self) -> bool:
        try:
            return shutil.disk_usage(self._path.parent).free < _LITTLE
        except OSError:
            return False


def _lockable(descriptor: int) -> bool:
    """Whether no other process has the file locked; closing the file afterwards gives up what this one holds of it."""
    try:
        import fcntl
    except ImportError:  # Windows lets nobody open it
        return True
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
