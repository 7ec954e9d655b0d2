"""A schema of a PostgreSQL database as a session of a warehouse, by way of ADBC."""

from __future__ import annotations

import os
import re
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import adbc_driver_manager
from adbc_driver_manager import AdbcStatusCode
from adbc_driver_postgresql import dbapi
from smspartner.errors import DestinationBusy, DestinationError, raise_alone

from smspartner_pipelines.load.sql_session import ELSEWHERE, ConnectionLost, NotUsable, Session

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

T = TypeVar("T")

_TAKE_LOCK = "SELECT pg_try_advisory_lock(hashtextextended('smspartner ' || current_schema(), 0)) AS taken"

_BY_STATE: tuple[tuple[str, type[DestinationError], str, str], ...] = (
    ("53100", DestinationError, "the server's disk is full", "free some space there and run again"),
    ("53300", DestinationError, "the server takes no more connections", "wait, or raise max_connections"),
    ("57P03", DestinationError, "the server is not ready", "run again when it is up"),
    ("57014", DestinationError, "a statement was cancelled", "raise statement_timeout, or run again"),
    ("40|55P03", DestinationBusy, "a transaction of somebody else is in the way", "run again when it has ended"),
    ("42501", NotUsable, "a right is missing", "GRANT this user CREATE on the schema, or all on this product's tables"),
    ("25006", NotUsable, "it may only be read", "connect to the primary server, as a user who may write"),
    ("42", NotUsable, "what stands there is not as this product makes it", ELSEWHERE),
    ("22P05|22021", DestinationError, "its encoding can't hold a character of a text", "load into a database in UTF8"),
    ("22|23|P0", DestinationError, "a table refuses rows", "drop the rule or the trigger that was added to it"),
    ("57P|25P03|08", ConnectionLost, "the connection was lost", "run again when the server can be reached"),
)
"""What SQLSTATEs begin with; the first that fits counts."""

_ENCODING = "client_encoding=UTF8"
"""ADBC sends UTF-8, also where libpq takes another encoding from environment, role or database. Of two, libpq takes the
last: a `SET` would be undone by a rollback, and `options` give way to PGCLIENTENCODING."""

_WAIT = "SELECT set_config('lock_timeout', '30s', false) WHERE current_setting('lock_timeout') = '0'"
"""So long a statement waits for somebody's lock, unless the user has set another time: no signal ends its waiting."""

_URI = re.compile(r"([^:]+://(?:[^@/]*@)?([^/?]*)[^?]*)\??(.*)", re.DOTALL)
"""All before the query, the host therein, and the query, as libpq reads it: a password may hold a question mark."""

_HELLO = b"\0\0\0\x19\0\3\0\0user\0smspartner\0\0"
"""Begins a session: its length, the version of the protocol, a user. A server that is full or not ready says so."""

_PROBE_SECONDS = 5.0


class PostgresqlSession(Session):
    """The first schema of the search path; libpq reads the URI, `PGPASSWORD`, `PGPASSFILE`, `PGSERVICE` and the like.

    Runs exclude each other by an advisory lock of the session, which ends with the connection.
    """

    dialect = "postgresql"
    name = "t.table_name"
    comment = "obj_description(to_regclass(quote_ident(t.table_name)), 'pg_class')"
    in_list = "SELECT jsonb_array_elements_text($1::jsonb)"
    errors = adbc_driver_manager.Error

    def __init__(self, uri: str, where: str) -> None:
        super().__init__(where)
        self._head, self._host, self._query = _URI.findall(uri)[0]

    def exists(self, *, for_loading: bool) -> bool:  # noqa: ARG002
        """See `Session.exists`: no database is made here, and connecting shows whether there is one."""
        return True

    def connect(self, *, for_loading: bool) -> None:  # noqa: ARG002
        """See `Session.connect`."""
        timeout = "" if "PGCONNECT_TIMEOUT" in os.environ else "connect_timeout=30"
        words = ("fallback_application_name=smspartner", timeout, self._query.strip("&"), _ENCODING)
        uri = f"{self._head}?{'&'.join(filter(None, words))}"
        try:
            self.connection = self.undisturbed(lambda: dbapi.connect(uri, autocommit=True))
        except adbc_driver_manager.Error:
            raise_alone(self._refusal())
        self.run(_WAIT)

    def lock(self) -> None:
        """See `Session.lock`: the session may take it as often as it likes."""
        taken = self.run(_TAKE_LOCK)["taken"][0].as_py()
        if taken is None:
            raise NotUsable(
                f"{self.where}: no schema of the search path exists",
                remedy="create it, or name another one (?options=-csearch_path%3DSCHEMA)",
            )
        if not taken:
            raise DestinationBusy(
                f"{self.where} is in use by another run",
                remedy="wait until it has ended, or load elsewhere; connect to the server itself, not to a pooler",
            )

    def close(self) -> None:
        """See `Session.close`: the server ends a session some time after its client, so the lock is given up first."""
        with suppress(DestinationError):
            self.run("SELECT pg_advisory_unlock_all()::text")
        super().close()

    def run(self, statement: str, *values: object) -> pa.Table:
        """See `Session.run`."""
        return self._use_cursor(lambda cursor: cursor.execute(statement, list(values) or None).fetch_arrow_table())

    def insert(self, table: str, rows: pa.Table) -> None:
        """See `Session.insert`."""
        self._use_cursor(lambda cursor: cursor.adbc_ingest(table, rows, mode="append"))

    def purge(self) -> None:
        """See `Destination.purge`: the server reuses the space of removed rows by itself (VACUUM)."""

    def failure(self, error: adbc_driver_manager.Error) -> DestinationError:
        """See `Session.failure`: by SQLSTATE, which a connection that was cut has not."""
        return self._by_state(error.sqlstate or ("08006" if error.status_code == AdbcStatusCode.IO else "unknown"))

    def _use_cursor(self, act: Callable[[Any], T]) -> T:
        def use(connection: Any) -> T:
            with connection.cursor() as cursor:
                return act(cursor)

        return self.call(use)

    def _by_state(self, state: str) -> DestinationError:
        for known, kind, what, remedy in _BY_STATE:
            if re.match(known, state):
                return kind(f"{self.where}: {what}", remedy=remedy)
        return DestinationError(
            f"{self.where}: PostgreSQL failed (SQLSTATE {state})", remedy="see the server's log, run again"
        )

    def _refusal(self) -> DestinationError:
        """Find out why there is no connection: libpq's failure has no SQLSTATE, so the server is asked for one."""
        answer = b""
        with suppress(OSError, ValueError):
            place = urlsplit(f"//{self._host}")
            port = place.port or int(os.environ.get("PGPORT", "5432"))
            with socket.create_connection((place.hostname or "", port), _PROBE_SECONDS) as line:
                line.sendall(_HELLO)
                answer = line.recv(4096)
        if state := re.search(rb"\0C(5[37]\w{3})\0", answer):
            return self._by_state(state[1].decode())
        if answer:
            return NotUsable(
                f"{self.where}: the server refuses user, password, database, TLS mode or an option of the URI",
                remedy="correct it, or PGPASSWORD, PGPASSFILE, PGSERVICE, or the server's pg_hba.conf",
            )
        return DestinationError(
            f"{self.where}: no connection can be made",
            remedy="start the server, or correct the URI, PGHOST or PGSERVICE",
        )
