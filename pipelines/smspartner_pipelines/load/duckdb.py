"""A DuckDB file as a warehouse."""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import duckdb

from smspartner.errors import DestinationBusy, DestinationError
from smspartner_pipelines.load.atomic import try_writing
from smspartner_pipelines.load.nesting import refuse_inside_dataset
from smspartner_pipelines.load.undisturbed import Undisturbed
from smspartner.redaction import hide_numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pyarrow as pa
    from smspartner_schemas.sql import Dialect

    from smspartner_pipelines.load.database import Session

T = TypeVar("T")

_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": False,  # nothing is fetched from anywhere
    "autoload_known_extensions": False,
}

_TAKEN = ("could not set lock", "different configuration", "unique file handle conflict")
"""Words of DuckDB where the file is open elsewhere: in another process, or by somebody else in this one."""

_CAUSES = (
    ("no space left", "the disk is full", "free some space and run again"),
    ("disk quota exceeded", "the disk quota is used up", "free some space and run again"),
    ("permission denied", "permission is denied", "allow this user to write there or load elsewhere"),
    ("read-only file system", "the file system is read-only", "make it writable or load elsewhere"),
    ("is a directory", "it is a directory", "name a file"),
    ("not a valid duckdb", "it is no DuckDB database", "name another file"),
    ("input/output error", "the disk reports an error", "check the disk or load elsewhere"),
    ("version number", "another version of DuckDB made it", "pip install --upgrade duckdb"),
    ("newer version", "another version of DuckDB made it", "pip install --upgrade duckdb"),
    ("out of memory", "memory ran out", "give it more, or read fewer tags at once"),
    ("does not exist", "a table or a column is missing", "run again, which makes what is missing"),
)
"""What DuckDB says, what that means and what to do about it; its classes of errors tell less than its words."""

_HELD: set[Path] = set()
_holding = threading.Lock()


class DuckdbDatabase:
    """A database file. One process at a time may open it, readers included: its lock is DuckDB's own."""

    dialect: Dialect = "duckdb"
    primary_key = False
    tables_found = (
        "SELECT c.table_name, CASE WHEN t.table_name IS NULL THEN 'view' ELSE 'table' END AS kind, c.column_name, "
        "c.data_type, NOT c.is_nullable AS not_null, c.column_default IS NOT NULL AS has_default, t.comment "
        "FROM duckdb_columns() AS c LEFT JOIN duckdb_tables() AS t ON t.table_oid = c.table_oid "
        "AND t.database_oid = c.database_oid AND t.schema_oid = c.schema_oid "
        "WHERE c.database_name = current_database() AND c.schema_name = current_schema() AND NOT c.internal "
        "ORDER BY c.table_name, c.column_index"
    )

    def __init__(self, path: str, where: str) -> None:
        self.where = where
        self._path = Path(path).resolve()

    def check_place(self) -> bool:
        """Tell whether there is a file; where there is none yet, make sure that there can be one.

        Raises:
            DestinationError: there can't.
        """
        if self._path.name == ":memory:":
            raise DestinationError(f"{self.where} would be gone when the run ends; name a file")
        refuse_inside_dataset(self._path)
        if self.present():
            return True
        try_writing(self._path, staging=self._path.parent)
        return False

    def present(self) -> bool:
        """Whether there is a file."""
        return self._path.exists()

    def open(self, *, locked: bool) -> Session:
        """Open the file; for loading it is made if need be.

        Raises:
            DestinationBusy: it is open elsewhere.
            DestinationError: it can't be opened.
        """
        with _holding:
            if locked and self._path in _HELD:  # one process may open it twice
                raise DestinationBusy(_taken(self.where))
            session = DuckdbSession(self._path, self.where, read_only=not locked)
            if locked:
                _HELD.add(self._path)
        return session


class DuckdbSession:
    """A connection to a DuckDB file."""

    def __init__(self, path: Path, where: str, *, read_only: bool) -> None:
        self._path = path
        self._where = where
        self._read_only = read_only
        self._thread = Undisturbed()
        try:
            connect = partial(duckdb.connect, str(path), read_only=read_only, config=_CONFIG)
            self._connection = self._call(connect, lambda: None)
            self.run("SET TimeZone = 'UTC'")
        except BaseException:
            self._thread.end()
            raise

    def run(self, statement: str, *values: object) -> None:
        """Run a statement that gives no rows."""
        self._call(lambda: self._connection.execute(statement, list(values)))

    def query(self, statement: str, *values: object) -> pa.Table:
        """Return the rows of a query."""
        return self._call(lambda: self._connection.sql(statement, params=list(values)).to_arrow_table())

    def insert(self, table: str, rows: pa.Table) -> None:
        """Insert rows by the names of their columns."""

        def act() -> None:
            self._connection.register("rows_to_load", rows)
            try:
                named = f'INSERT INTO "{table}" BY NAME SELECT * FROM rows_to_load'  # noqa: S608  # ours
                self._connection.execute(named)
            finally:
                with suppress(duckdb.Error):  # a transaction that failed takes no more statements
                    self._connection.unregister("rows_to_load")

        self._call(act)

    @contextmanager
    def transaction(self, *, keep: bool = True) -> Iterator[None]:
        """Do what the block does as a whole, or not at all."""
        self._call(self._connection.begin)
        try:
            yield
            if keep:
                self._call(self._connection.commit)
        except BaseException:
            self._roll_back()
            raise
        if not keep:
            self._roll_back()

    def close(self) -> None:
        """Close the file, which brings what is still in its log into it."""
        with suppress(DestinationError):
            self._call(self._connection.close)
        self._thread.end()
        if not self._read_only:
            _HELD.discard(self._path)

    def _roll_back(self) -> None:
        with suppress(DestinationError):  # what failed may have ended the transaction
            self._call(self._connection.rollback)

    def _call(self, act: Callable[[], T], cancel: Callable[[], object] | None = None) -> T:
        try:
            return self._thread.call(act, cancel or self._connection.interrupt)
        except duckdb.Error as error:
            failure = _failure(error, self._where)
        raise failure


def _failure(error: duckdb.Error, where: str) -> DestinationError:
    """Say what failed; the words of DuckDB may repeat values of rows, so they are only told where they can't."""
    words = str(error).lower()
    if any(taken in words for taken in _TAKEN):
        return DestinationBusy(_taken(where))
    if isinstance(error, duckdb.IntegrityError | duckdb.DataError):
        return DestinationError(f"{where}: a table refuses rows ({type(error).__name__}); drop the rule that was added")
    for sign, cause, remedy in _CAUSES:
        if sign in words:
            return DestinationError(f"{where}: {cause}; {remedy}")
    told = hide_numbers(str(error).partition("\n")[0])
    return DestinationError(f"{where}: DuckDB failed ({told}); mend this and run again")


def _taken(where: str) -> str:
    return f"{where} is in use by another process, readers included; wait until it has ended, or load elsewhere"
