"""A DuckDB file as a session of a warehouse."""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import duckdb
from smspartner.errors import DestinationBusy, DestinationError, raise_alone
from smspartner_schemas.sql import quoted

from smspartner_pipelines.load.files import os_errors, refuse_planted_link, sync_directories, try_writing
from smspartner_pipelines.load.folder import refuse_inside_dataset
from smspartner_pipelines.load.sql_session import ELSEWHERE, NotUsable, Session

if TYPE_CHECKING:
    import pyarrow as pa

_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,  # nothing is fetched from anywhere
    "autoload_known_extensions": False,
}
_MAGIC, _HEAD = b"DUCK", 12
"""How a file begins: eight bytes of checksum, then this."""

_LITTLE = 1 << 20
"""Bytes of free space that are too few to write on."""


class DuckdbSession(Session):
    """A database file. One process at a time may open it, readers included: its lock is DuckDB's own."""

    dialect = "duckdb"
    name = "lower(t.table_name)"
    comment = "t.TABLE_COMMENT"
    in_list = "SELECT unnest(CAST(CAST($1 AS json) AS varchar[]))"
    errors = duckdb.Error

    def __init__(self, path: str, where: str) -> None:
        super().__init__(where)
        self._given = Path(path)
        self._path = self._given.resolve()

    def exists(self, *, for_loading: bool) -> bool:
        """See `Session.exists`."""
        if self._path.name == ":memory:":
            raise NotUsable(f"{self.where} would be gone when the run ends", remedy="name a file")
        refuse_inside_dataset(self._path)
        for path in (self._given, self._path.with_name(f"{self._path.name}.wal")):
            refuse_planted_link(path)
        if for_loading:
            try_writing(self._path)
        return self._path.exists()

    def connect(self, *, for_loading: bool) -> None:
        """See `Session.connect`: a name of its own keeps out other connections of this process, which may share it."""
        own = {"custom_user_agent": f"smspartner/{secrets.token_hex(8)}"} if for_loading else {}
        try:
            self.connection = self.undisturbed(
                lambda: duckdb.connect(str(self._path), read_only=not for_loading, config={**_CONFIG, **own})
            )
        except (duckdb.ConnectionException, duckdb.BinderException):
            raise_alone(self._busy())
        except duckdb.Error:
            pass
        if self.connection is None:
            raise self._refusal()
        self.run("SET TimeZone = 'UTC'")
        kept = self.run("SELECT count(path) AS n FROM duckdb_databases() WHERE database_name = current_database()")
        if not kept["n"][0].as_py():  # DuckDB opens a CSV, JSON or Parquet file as a view, in a database in memory
            self.close()
            raise self._no_database()

    def lock(self) -> None:
        """See `Session.lock`: the lock goes with the open file."""

    def run(self, statement: str, *values: object) -> pa.Table:
        """See `Session.run`."""

        def act(connection: duckdb.DuckDBPyConnection) -> pa.Table:
            rows = connection.sql(statement, params=list(values))  # `execute` would copy the rows once more
            return None if rows is None else rows.to_arrow_table()

        return self.call(act)

    def insert(self, table: str, rows: pa.Table) -> None:
        """See `Session.insert`."""

        def act(connection: duckdb.DuckDBPyConnection, rows_to_load: pa.Table = rows) -> None:  # noqa: ARG001 - its name
            connection.execute(f"INSERT INTO {quoted(table)} BY NAME SELECT * FROM rows_to_load")  # noqa: S608 - ours

        self.call(act)

    def purge(self) -> None:
        """See `Destination.purge`: free blocks of the file hold what was removed, so its content moves into a new one.

        The old file stays locked until the new one stands in its place.
        """
        name = self.run("SELECT current_database() AS name")["name"][0].as_py()
        with os_errors(f"writing {self.where}"), TemporaryDirectory(dir=self._path.parent, prefix=".purge-") as folder:
            fresh = Path(folder) / "fresh.duckdb"
            escaped = str(fresh).replace("'", "''")
            copy = f"COPY FROM DATABASE {quoted(name)} TO fresh"
            for statement in ("CHECKPOINT", f"ATTACH '{escaped}' AS fresh", copy, "DETACH fresh"):
                self.run(statement)
            fresh.chmod(self._path.stat().st_mode & 0o777)
            fresh.replace(self._path)
        sync_directories([self._path.parent])
        self.close()
        self.connect(for_loading=True)

    def failure(self, error: duckdb.Error) -> DestinationError:
        """See `Session.failure`."""
        if isinstance(error, duckdb.IntegrityError | duckdb.DataError):
            return DestinationError(f"{self.where}: a table refuses rows", remedy="drop the rule that was added to it")
        if isinstance(error, duckdb.CatalogException | duckdb.BinderException):
            return NotUsable(f"{self.where}: what stands there is not as this product makes it", remedy=ELSEWHERE)
        with os_errors(f"looking at {self.where}"):
            if shutil.disk_usage(self._path.parent).free < _LITTLE:
                return DestinationError(f"{self.where}: the disk is full", remedy="free some space and run again")
        return DestinationError(
            f"{self.where}: DuckDB failed ({type(error).__name__})",
            remedy="check disk and memory, `pip install --upgrade duckdb`, or load elsewhere",
        )

    def _refusal(self) -> DestinationError:
        """Look why the file can't be opened: DuckDB has one class of error for all of this."""
        try_writing(self._path)
        with os_errors(f"opening {self.where}", starting=True), self._path.open("r+b") as file:
            is_database = file.read(_HEAD).endswith(_MAGIC)
        if is_database:
            return self._busy()
        return self._no_database()

    def _no_database(self) -> NotUsable:
        return NotUsable(f"{self.where} is no DuckDB database", remedy="name another file")

    def _busy(self) -> DestinationBusy:
        return DestinationBusy(
            f"{self.where} is in use by another process, readers included; or it is damaged, or of a newer DuckDB",
            remedy="wait until that process has ended, `pip install --upgrade duckdb`, or load elsewhere",
        )
