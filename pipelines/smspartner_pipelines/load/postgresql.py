"""A schema of a PostgreSQL database as tables of a warehouse, by way of ADBC."""

from __future__ import annotations

import hashlib
import os
import re
import socket
import struct
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote, urlsplit

import adbc_driver_manager
from adbc_driver_manager import AdbcStatusCode
from adbc_driver_postgresql import dbapi
from smspartner.errors import DestinationBusy, DestinationError, raise_alone

from smspartner_pipelines.load.sql_schema import ELSEWHERE, NotUsable
from smspartner_pipelines.load.sql_tables import ConnectionLost, SqlTables
from smspartner_pipelines.load.undisturbed import Undisturbed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pyarrow as pa

T = TypeVar("T")

_TAKE_LOCK = "SELECT pg_try_advisory_lock($1) AS taken"
_HOLDS_LOCK = (
    "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid = pg_backend_pid() "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
    "AND (classid::bigint << 32 | objid::bigint) = $1 AND objsubid = 1) AS held"
)

_BY_STATE: tuple[tuple[str, type[DestinationError], str, str], ...] = (
    ("53100", DestinationError, "the server's disk is full", "free some space there and run again"),
    ("53200", DestinationError, "the server is out of memory", "give it more"),
    ("53300", DestinationError, "the server takes no more connections", "wait, or raise max_connections"),
    ("57P03", DestinationError, "the server is not ready", "run again when it is up"),
    ("57014", DestinationError, "a statement was cancelled", "raise statement_timeout, or run again"),
    ("55P03", DestinationError, "somebody else has locked a table", "run again when they are done"),
    ("40", DestinationError, "a transaction of somebody else was in the way", "run again"),
    ("42501", NotUsable, "a right is missing", "GRANT it to this user"),
    ("25006", NotUsable, "it may only be read", "connect to the primary server, as a user who may write"),
    ("3D000", NotUsable, "there is no such database", "create it (createdb), or correct the URI"),
    ("28", NotUsable, "the server does not let this user in from here", "correct the URI, or the server's pg_hba.conf"),
    ("42", NotUsable, "what stands there is not as this product makes it", ELSEWHERE),
    ("22P05", DestinationError, "its encoding can't hold a character of a text", "load into a database in UTF8"),
    ("22021", DestinationError, "its encoding can't hold a character of a text", "load into a database in UTF8"),
    ("22", DestinationError, "a table refuses values", "drop the rule that was added to it"),
    ("23", DestinationError, "a table refuses rows", "drop the rule that was added to it"),
    ("P0", DestinationError, "a trigger refuses rows", "drop it"),
    ("57P", ConnectionLost, "the server ended the connection", "run again when it is up"),
    ("25P03", ConnectionLost, "the server ended the connection", "raise idle_in_transaction_session_timeout"),
    ("08", ConnectionLost, "the connection was lost", "run again when the server can be reached"),
)
"""SQLSTATEs, or what they begin with; the first that fits counts."""

_ENCODING = "client_encoding=UTF8"
"""ADBC sends UTF-8, also where libpq takes another encoding from environment, role or database. Of two, libpq takes the
last: a `SET` would be undone by a rollback, and `options` give way to PGCLIENTENCODING."""

_URI = re.compile(r"(?P<head>[^:]+://(?:(?P<user>[^@/]*)@)?(?P<host>[^/?]*)(?:/(?P<database>[^?]*))?)\??(?P<query>.*)")
"""As libpq reads it: a password may hold a question mark."""

_PROBE_SECONDS = 5.0


class PostgresqlTables(SqlTables):
    """The first schema of the search path; libpq reads the URI, `PGPASSWORD`, `PGPASSFILE`, `PGSERVICE` and the like.

    Runs exclude each other by an advisory lock of the session, which ends with the connection.
    """

    dialect = "postgresql"
    primary_key = True
    comment = "obj_description(to_regclass(quote_ident(t.table_name)), 'pg_class')"
    in_list = "SELECT jsonb_array_elements_text($1::jsonb)"

    def __init__(self, uri: str, where: str) -> None:
        super().__init__(where)
        self._uri = uri
        self._connection: Any = None
        self._key: int | None = None
        self._thread = Undisturbed()

    def exists(self) -> bool:
        """See `SqlTables.exists`: no database is made here, and connecting shows whether there is one."""
        return True

    def connect(self, *, for_loading: bool) -> None:
        """See `SqlTables.connect`."""
        self._thread = Undisturbed()
        try:
            self._connection = self._thread.call(lambda: dbapi.connect(_session(self._uri), autocommit=True), _nothing)
        except adbc_driver_manager.Error:
            raise_alone(_refusal(self._uri, self.where))
        schema = self._one("SELECT current_schema()::text AS it")
        if schema is None:
            raise NotUsable(
                f"{self.where}: no schema of the search path exists",
                remedy="create it, or name another one (?options=-csearch_path%3DSCHEMA)",
            )
        if for_loading:
            # Positive; PostgreSQL keeps the locks of databases apart by itself.
            key = int.from_bytes(hashlib.sha256(f"smspartner {schema}".encode()).digest()[:8], "big") >> 1
            if not self._one(_TAKE_LOCK, key):
                raise DestinationBusy(
                    f"{self.where} is in use by another run", remedy="wait until it has ended, or load elsewhere"
                )
            self._key = key

    def close(self) -> None:
        """See `SqlTables.close`."""
        connection, self._connection, self._key = self._connection, None, None
        if connection is not None and not self._thread.left_alone:
            with suppress(adbc_driver_manager.Error):
                self._thread.call(connection.close, _nothing)

    def run(self, statement: str, *values: object) -> None:
        """See `SqlTables.run`."""
        with self._cursor() as cursor:
            self._call(lambda: cursor.execute(statement, list(values) or None))

    def fetch(self, statement: str, *values: object) -> pa.Table:
        """See `SqlTables.fetch`."""
        with self._cursor() as cursor:
            return self._call(lambda: cursor.execute(statement, list(values) or None).fetch_arrow_table())

    def insert(self, table: str, rows: pa.Table) -> None:
        """See `SqlTables.insert`."""
        with self._cursor() as cursor:
            self._call(lambda: cursor.adbc_ingest(table, rows, mode="append"))

    def check_lock(self) -> None:
        """See `SqlTables.check_lock`: a pooler may have handed the transaction to another connection."""
        if self._key is not None and not self._one(_HOLDS_LOCK, self._key):
            raise ConnectionLost(
                f"{self.where}: the connection does not hold its lock any more",
                remedy="run again, and connect to the server itself rather than to a pooler in transaction mode",
            )

    def purge(self) -> None:
        """See `Destination.purge`: the server reuses the space of removed rows by itself (VACUUM)."""

    def _one(self, statement: str, *values: object) -> Any:
        return self.fetch(statement, *values)[0][0].as_py()

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        if self._connection is None or self._thread.left_alone:
            raise _by_state("08003", self.where)
        cursor = self._connection.cursor()
        try:
            yield cursor
        finally:
            if not self._thread.left_alone:
                with suppress(adbc_driver_manager.Error):
                    cursor.close()

    def _call(self, act: Callable[[], T]) -> T:
        try:
            return self._thread.call(act, self._connection.adbc_cancel)
        except adbc_driver_manager.Error as error:
            failure = _failure(error, self.where)
        raise failure


def _failure(error: adbc_driver_manager.Error, where: str) -> DestinationError:
    """Classify by SQLSTATE; the server's words may repeat rows, and the driver's the statement."""
    if error.sqlstate:
        return _by_state(error.sqlstate, where)
    if error.status_code == AdbcStatusCode.IO:  # so says a connection that was cut
        return _by_state("08006", where)
    return DestinationError(f"{where}: the driver failed ({error.status_code.name})", remedy="run again")


def _by_state(state: str, where: str) -> DestinationError:
    for known, kind, what, remedy in _BY_STATE:
        if state.startswith(known):
            return kind(f"{where}: {what}", remedy=remedy)
    return DestinationError(f"{where}: PostgreSQL failed (SQLSTATE {state})", remedy="see the server's log, run again")


def _session(uri: str) -> str:
    """Give the URI with what every session needs."""
    parts = _URI.fullmatch(uri)
    if parts is None:
        return uri
    first = "fallback_application_name=smspartner"
    if "PGCONNECT_TIMEOUT" not in os.environ:
        first += "&connect_timeout=30"
    given = parts["query"].strip("&")
    return f"{parts['head']}?{first}&{given}{'&' * bool(given)}{_ENCODING}"


def _refusal(uri: str, where: str) -> DestinationError:
    """Find out why there is no connection: libpq's failure has no SQLSTATE, so the server is asked for one."""
    parts = _URI.fullmatch(uri)
    try:
        place = urlsplit(f"//{parts['host'] if parts else ''}")
        host, port = place.hostname, place.port or int(os.environ.get("PGPORT", "5432"))
    except ValueError:
        return NotUsable(f"{where}: host or port of the URI is wrong", remedy="correct it")
    if parts is None or host is None:
        return DestinationError(
            f"{where}: no connection can be made", remedy="check the URI, PGHOST, PGSERVICE, and that the server is up"
        )
    user = unquote((parts["user"] or "").partition(":")[0])
    words = ("user", user or "unknown", "database", unquote(parts["database"] or user) or "postgres")
    try:
        with socket.create_connection((host, port), _PROBE_SECONDS) as line:
            asked = struct.pack(">i", 3 << 16) + b"".join(word.encode() + b"\0" for word in words) + b"\0"
            line.sendall(struct.pack(">i", len(asked) + 4) + asked)
            answer = line.recv(4096)
    except (OSError, UnicodeError):
        answer = b""
    if not answer:
        return DestinationError(f"{where}: no server answers there", remedy="start it, or correct host and port")
    states = [field[1:].decode("ascii", "replace") for field in answer[5:].split(b"\0") if field.startswith(b"C")]
    if answer.startswith(b"E") and states:
        return _by_state(states[0], where)
    return NotUsable(
        f"{where}: the server refuses the user, the password, the database, the TLS mode or an option of the URI",
        remedy="correct it, or PGPASSWORD, PGPASSFILE, PGSERVICE",
    )


def _nothing() -> None:
    """Cancel nothing: a connection that is being made or closed can't be."""
