"""What PostgreSQL and libpq refuse, in words: cause and remedy, without SQL, values of rows or secrets."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from smspartner.errors import DestinationError
from smspartner.redaction import hide_numbers

if TYPE_CHECKING:
    from adbc_driver_manager import Error

_LOST = ("the connection was lost", "run again when the server can be reached")
_NO_ROOM = ("the server takes no more connections", "wait, or raise max_connections")

_BY_STATE = (
    ("53100", "the server's disk is full", "free some space there and run again"),
    ("53200", "the server is out of memory", "give it more"),
    ("53300", *_NO_ROOM),
    ("42501", "a right is missing", "GRANT it to this user"),
    ("25006", "the server or this user may only read", "connect to the primary server, and as a user who may write"),
    ("42P01", "a table is missing", "run again, which makes what is missing"),
    ("42703", "a column is missing", "load by a run first, which adds what a newer version needs"),
    ("55P03", "somebody else has locked a table", "run again when they are done"),
    ("57014", "the server or its administrator cancelled a statement", "raise statement_timeout, or run again"),
    ("40", "a transaction of somebody else was in the way", "run again"),
    ("57P", "the server ended the connection", "run again when it is up"),
    ("08", *_LOST),
    ("23", "a table refuses rows", "drop the rule that was added to it"),
    ("22", "a table refuses values", "drop the rule that was added to it"),
    ("P0", "a trigger refuses rows", "drop it"),
)
"""SQLSTATEs, or the classes that they begin with."""

_BY_WORDS = (
    ("password authentication failed", "the password is wrong, or there is no such user", "correct the URI"),
    ("no password supplied", "no password was given", "set PGPASSWORD or PGPASSFILE"),
    ("permission denied for database", "this user may not connect to the database", "GRANT CONNECT to it"),
    ("no pg_hba.conf entry", "the server lets nobody in from here as that user", "add a line to its pg_hba.conf"),
    ("database .* does not exist", "there is no such database", "create it (createdb), or correct the URI"),
    ("role .* does not exist", "there is no such user", "create it (createuser), or correct the URI"),
    ("connection refused|no such file or directory", "no server answers there", "start it, or correct host and port"),
    ("could not translate host name", "there is no such host", "correct the URI"),
    ("timeout expired", "the server did not answer in time", "correct host and port, or raise connect_timeout"),
    (
        "certificate|ssl error|not support ssl",
        "no trusted TLS connection could be made",
        "correct sslmode, sslrootcert",
    ),
    ("too many (clients|connections)|remaining connection slots", *_NO_ROOM),
    ("starting up|shutting down|in recovery mode", "the server is not ready", "run again when it is up"),
    ("definition of service", "there is no such service", "correct PGSERVICE or the service file"),
    ("invalid (uri|integer|port|connection option|sslmode)|in uri", "the URI is wrong", "correct it"),
    ("not permitted to log in", "this user may not log in", "ALTER ROLE … LOGIN"),
    ("no connection to the server|server closed|terminating connection|has been closed|reset by peer", *_LOST),
)
"""What libpq says where there is no SQLSTATE, as patterns in lower case."""

_TELLABLE = {"42501", "57014", "25006", "42P01", "42703"}
"""States whose message names a table, a schema or a setting, and never a value."""


def failure_of(error: Error, where: str) -> DestinationError:
    """Say in one sentence what failed, where, and what to do."""
    text = str(error)
    found = re.search(r"SQLSTATE: (\w{5})", text)
    state = error.sqlstate or (found[1] if found else "") or ""
    message = _primary_message(error, text)
    for known, cause, remedy in _BY_STATE:
        if state.startswith(known):
            told = f" ({hide_numbers(message)})" if state in _TELLABLE else ""
            return DestinationError(f"{where}: {cause}{told}; {remedy}")
    for pattern, cause, remedy in _BY_WORDS:
        if re.search(pattern, text.lower()):
            return DestinationError(f"{where}: {cause}; {remedy}")
    told = f"{hide_numbers(message)} {state}".strip()
    return DestinationError(f"{where}: PostgreSQL failed ({told}); mend this and run again")


def _primary_message(error: Error, text: str) -> str:
    """Give the server's own sentence: details and context repeat rows, and the driver repeats the statement."""
    details = dict(error.details or ())
    told = details.get("PG_DIAG_MESSAGE_PRIMARY") or details.get(b"PG_DIAG_MESSAGE_PRIMARY")  # type: ignore[call-overload]
    if told is not None:
        return bytes(told).decode("utf-8", "replace")
    found = re.search(r"(?:ERROR|FATAL|PANIC): +(.*)", text)
    return (found[1] if found else text.partition("\n")[0]).rpartition("'")[2].strip() or type(error).__name__
