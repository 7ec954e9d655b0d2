"""A schema of a PostgreSQL database as a warehouse, by way of ADBC."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import adbc_driver_manager
from adbc_driver_postgresql import dbapi

from smspartner.errors import DestinationBusy, DestinationError
from smspartner_pipelines.load.postgresql_errors import failure_of
from smspartner_pipelines.load.undisturbed import Undisturbed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pyarrow as pa
    from smspartner_schemas.sql import Dialect

    from smspartner_pipelines.load.database import Session

T = TypeVar("T")

_SCHEMA = "SELECT current_schema()::text AS schema"
_TAKE_LOCK = "SELECT pg_try_advisory_lock($1) AS taken"
_HOLDS_LOCK = (
    "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid = pg_backend_pid() "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
    "AND (classid::bigint << 32 | objid::bigint) = $1 AND objsubid = 1) AS held"
)


class PostgresqlDatabase:
    """The first schema of the search path; libpq reads the URI, `PGPASSWORD`, `PGPASSFILE`, `PGSERVICE` and the like.

    Loaders exclude each other by an advisory lock of their session.
    """

    dialect: Dialect = "postgresql"
    primary_key = True
    tables_found = (
        "SELECT c.relname::text AS table_name, CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'table' "
        "WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table' "
        "WHEN 'S' THEN 'sequence' WHEN 'c' THEN 'type' ELSE 'index' END AS kind, "
        "coalesce(a.attname::text, '') AS column_name, "
        "coalesce(format_type(a.atttypid, a.atttypmod), '') AS data_type, "
        "coalesce(a.attnotnull, false) AS not_null, "
        "coalesce(a.atthasdef OR a.attidentity <> '', false) AS has_default, "
        "obj_description(c.oid, 'pg_class') AS comment "
        "FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace "
        "LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped "
        "WHERE n.nspname = current_schema() ORDER BY c.relname, a.attnum"
    )

    def __init__(self, uri: str, where: str) -> None:
        self.where = where
        self._uri = uri

    def check_place(self) -> bool:
        """Tell that there is a database to open: none is made here."""
        return True

    def present(self) -> bool:
        """Whether there is a database to open; opening it will tell."""
        return True

    def open(self, *, locked: bool) -> Session:
        """Connect.

        Raises:
            DestinationBusy: another run loads into that schema.
            DestinationError: the server can't be reached, or refuses.
        """
        session = PostgresqlSession(self._uri, self.where)
        try:
            schema = self._schema(session)
            if locked:
                session.lock(_lock_key(schema))
        except BaseException:
            session.close()
            raise
        return session

    def _schema(self, session: Session) -> str:
        schema = session.query(_SCHEMA)["schema"][0].as_py()
        if schema is None:
            raise DestinationError(
                f"{self.where}: no schema of the search path exists; create it, or name another one "
                "(?options=-csearch_path%3DSCHEMA)"
            )
        return str(schema)


def _lock_key(schema: str) -> int:
    """Name the lock of a schema, as a positive bigint; PostgreSQL keeps the locks of databases apart by itself."""
    return int.from_bytes(hashlib.sha256(f"smspartner {schema}".encode()).digest()[:8], "big") >> 1


class PostgresqlSession:
    """A connection to PostgreSQL, with a lock if it is for loading."""

    def __init__(self, uri: str, where: str) -> None:
        self._where = where
        self._key: int | None = None
        self._within = False
        self._thread = Undisturbed()
        named = f"{uri}{'&' if '?' in uri else '?'}fallback_application_name=smspartner"
        try:
            self._connection = self._call(partial(dbapi.connect, named), lambda: None)
        except BaseException:
            self._thread.end()
            raise

    def lock(self, key: int) -> None:
        """Take the lock, without waiting; it is held until the session ends.

        Raises:
            DestinationBusy: another session has it.
        """
        if not self.query(_TAKE_LOCK, key)["taken"][0].as_py():
            raise DestinationBusy(f"{self._where} is in use by another run; wait until it has ended, or load elsewhere")
        self._key = key

    def run(self, statement: str, *values: object) -> None:
        """Run a statement that gives no rows."""
        with self._at_once():
            self._execute(lambda cursor: cursor.execute(statement, list(values) or None))

    def query(self, statement: str, *values: object) -> pa.Table:
        """Return the rows of a query."""
        with self._at_once():
            return self._execute(lambda cursor: cursor.execute(statement, list(values) or None).fetch_arrow_table())

    def insert(self, table: str, rows: pa.Table) -> None:
        """Copy rows into a table by the names of their columns."""
        self._execute(lambda cursor: cursor.adbc_ingest(table, rows, mode="append"))

    @contextmanager
    def transaction(self, *, keep: bool = True) -> Iterator[None]:
        """Do what the block does as a whole, or not at all.

        Raises:
            DestinationError: the lock is not held any more.
        """
        self._within = True
        try:
            self._check_lock()
            yield
            if keep:
                self._call(self._connection.commit)
        except BaseException:
            self._roll_back()
            raise
        finally:
            self._within = False
        if not keep:
            self._roll_back()

    def close(self) -> None:
        """End the connection, and with it the lock."""
        with suppress(DestinationError):
            self._call(self._connection.close)
        self._thread.end()

    @contextmanager
    def _at_once(self) -> Iterator[None]:
        """End the transaction that a statement outside of one has begun: none is left open while a run reads."""
        try:
            yield
        finally:
            if not self._within:
                self._roll_back()

    def _check_lock(self) -> None:
        """Make sure that this very connection holds the lock.

        A pooler that hands out another connection for each transaction, or a server that was restarted, would let two
        runs load at the same time.
        """
        if self._key is not None and not self.query(_HOLDS_LOCK, self._key)["held"][0].as_py():
            raise DestinationError(
                f"{self._where}: the connection does not hold its lock any more, so another run may load by now; "
                "run again, and connect to the server itself rather than to a pooler in transaction mode"
            )

    def _roll_back(self) -> None:
        with suppress(DestinationError):
            self._call(self._connection.rollback)

    def _execute(self, act: Callable[[Any], T]) -> T:
        cursor = self._call(self._connection.cursor)
        try:
            return self._call(lambda: act(cursor))
        finally:
            with suppress(DestinationError):
                self._call(cursor.close)

    def _call(self, act: Callable[[], T], cancel: Callable[[], object] | None = None) -> T:
        try:
            return self._thread.call(act, cancel or self._connection.adbc_cancel)
        except adbc_driver_manager.Error as error:
            failure = failure_of(error, self._where)
        raise failure
