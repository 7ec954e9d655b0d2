"""What only PostgreSQL does: servers, rights, locks, cut connections, encodings, and what libpq reads."""

import os
import socket
import threading
from contextlib import suppress
from dataclasses import replace
from urllib.parse import quote, urlsplit

import pytest
from adbc_driver_postgresql import dbapi
from load.looking import LATER, load, loaded, refused
from smspartner.errors import DestinationBusy, DestinationError, SettingsError
from smspartner_pipelines.load import open_destination
from smspartner_pipelines.load import postgresql as postgresql_tables
from smspartner_pipelines.load.destination import loaded_tags
from smspartner_schemas.contract import STATUSES

TAGS_AND_ROWS = "SELECT tag, count(*) AS rows FROM statuses GROUP BY tag ORDER BY tag"


@pytest.fixture
def address(postgresql_server):
    """Give user, password, and host with port of the server."""
    parts = urlsplit(postgresql_server)
    return parts.username, parts.password, f"{parts.hostname}:{parts.port}"


# Connecting.

_REFUSES = "the server refuses user, password, database"
WRONG = {
    "wrong password": ("{user}:not-this-one@{place}/postgres", SettingsError, _REFUSES),
    "no password": ("{user}@{place}/postgres", SettingsError, _REFUSES),
    "no database": ("{user}:{password}@{place}/nowhere", SettingsError, _REFUSES),
    "no TLS": ("{user}:{password}@{place}/postgres?sslmode=require", SettingsError, _REFUSES),
    "wrong option": ("{user}:{password}@{place}/postgres?bogus=1", SettingsError, _REFUSES),
    "wrong port": ("{user}:{password}@127.0.0.1:99999/postgres", DestinationError, "no connection can be made"),
    "no schema": (
        "{user}:{password}@{place}/postgres?options=-csearch_path%3Dnowhere",
        SettingsError,
        "no schema of the search path exists; create it",
    ),
    "no server": (
        "{user}:{password}@127.0.0.1:1/postgres",
        DestinationError,
        "no connection can be made; start the server",
    ),
    "no host": ("{user}:{password}@no.such.host.invalid/postgres", DestinationError, "no connection can be made"),
    "no socket": ("{user}:{password}@/postgres?host=/nowhere", DestinationError, "no connection can be made"),
}


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong(address, case):
    """What is wrong with a URI is a matter of settings, a server that is silent is not; the password is hidden."""
    uri, kind, problem = case
    user, password, place = address
    found = refused("postgresql://" + uri.format(user=user, password=password, place=place), kind)
    assert f": {problem}" in found
    assert (password in found, "not-this-one" in found) == (False, False)


def fatal(state):
    """Give the answer of a server that refuses a client at once."""
    return b"E\0\0\0\x20SFATAL\0VFATAL\0C" + state + b"\0MNo\0\0"


ANSWERS = {
    "starting": (fatal(b"57P03"), DestinationError, "the server is not ready"),
    "full": (fatal(b"53300"), DestinationError, "the server takes no more connections"),
    "no such client": (fatal(b"28000"), SettingsError, "the server refuses user, password"),
    "hangs up": (b"", DestinationError, "no connection can be made"),
    "HTTP": (b"HTTP/1.1 400 Bad Request\r\n\r\n", SettingsError, "the server refuses"),
    "silent": (None, DestinationError, "no connection can be made; start the server"),
}


@pytest.mark.parametrize("case", ANSWERS.values(), ids=ANSWERS.keys())
def test_servers_that_refuse_at_once(case, monkeypatch):
    """A server that starts up, is full or knows no such client is told by its code; a silent one is given up."""
    answer, kind, problem = case
    monkeypatch.setattr(postgresql_tables, "_PROBE_SECONDS", 5.0 if answer is not None else 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            with suppress(OSError):
                while answer is not None:
                    line, _ = server.accept()
                    with line:
                        line.recv(4096)
                        line.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        place = f"127.0.0.1:{server.getsockname()[1]}"
        assert f": {problem}" in refused(f"postgresql://me:pw@{place}/db?sslmode=disable&connect_timeout=2", kind)
        server.shutdown(socket.SHUT_RDWR)


def test_password_of_the_environment(address, monkeypatch, tmp_path):
    """`PGPASSWORD`, `PGPASSFILE` and `PGSERVICEFILE` are read."""
    user, password, place = address
    host, port = place.split(":")
    with monkeypatch.context() as patch:
        patch.setenv("PGPASSWORD", password)
        open_destination(f"postgres://{user}@{place}/postgres").check()
    (tmp_path / "pass").write_text(f"*:*:*:{user}:{password}\n")
    (tmp_path / "pass").chmod(0o600)
    with monkeypatch.context() as patch:
        patch.setenv("PGPASSFILE", str(tmp_path / "pass"))
        open_destination(f"postgres://{user}@{place}/postgres").check()
    (tmp_path / "services").write_text(
        f"[bi]\nhost={host}\nport={port}\nuser={user}\npassword={password}\ndbname=postgres\n"
    )
    with monkeypatch.context() as patch:
        patch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
        open_destination("postgresql://?service=bi").check()
    assert "PGPASSWORD" not in os.environ


def test_waiting_for_locks(postgresql):
    """A session waits 30 s for somebody's lock, or as long as the URI says."""
    for uri, expected in ((postgresql.uri, "30s"), (postgresql.uri.replace("=-c", "=-clock_timeout%3D7s%20-c"), "7s")):
        destination = open_destination(uri)
        with destination.open(for_loading=True):
            assert destination._session.run("SELECT current_setting('lock_timeout') AS t")["t"].to_pylist() == [
                expected
            ]


# Rights, schemas, tables.


def test_read_only(postgresql):
    """A server that may only be read is refused before anything is requested, also where the tables are there."""
    uri = postgresql.uri.replace("?options=", "?options=-cdefault_transaction_read_only%3Don%20")
    for _ in range(2):
        assert all(part in refused(uri) for part in (": it may only be read", "; connect to the primary server"))
        load(postgresql.uri)


@pytest.fixture
def clerk(postgresql, address):
    """Make a user without rights; give their name, that of the test's schema, and its URI for them.

    A question mark in their password does not begin the query of the URI.
    """
    name = f"clerk_{postgresql.sql('SELECT pg_backend_pid() AS pid')[0]['pid']}"
    schema = postgresql.sql("SELECT quote_ident(current_schema()) AS name")[0]["name"]
    postgresql.sql(f"CREATE ROLE {name} LOGIN PASSWORD 'who?=&knows'")
    postgresql.sql(f"GRANT USAGE ON SCHEMA {schema} TO {name}")
    user, password, _ = address
    return name, schema, postgresql.uri.replace(f"{user}:{password}@", f"{name}:who?=&knows@")


def test_rights(postgresql, clerk, make_snapshot):
    """Rights to make tables, or to load into those that are there, are enough; a missing one is settings."""
    name, schema, uri = clerk
    assert ": a right is missing" in refused(uri)
    load(postgresql.uri)
    assert ": a right is missing" in refused(uri)
    postgresql.sql(f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {name}")
    assert ": a right is missing; GRANT this user " in refused(uri)
    with open_destination(uri).open(for_loading=False):
        pass
    postgresql.sql(f"GRANT INSERT, DELETE ON ALL TABLES IN SCHEMA {schema} TO {name}")
    open_destination(uri).check()
    load(uri, make_snapshot())
    assert postgresql.sql("SELECT count(*) AS rows FROM statuses") == [{"rows": 4}]


@pytest.mark.parametrize("made", ["MATERIALIZED VIEW statuses AS SELECT 1 AS tag", "TYPE runs AS ENUM ('a')"])
def test_names_that_are_taken(postgresql, made):
    """What has a name of ours and is no table is refused, whatever kind of thing it is."""
    postgresql.sql(f"CREATE {made}")
    assert "load elsewhere" in refused(postgresql.uri)


def test_schemas_are_places_of_their_own(postgresql, postgresql_server, make_snapshot):
    """Runs into two schemas of a database do not exclude each other, nor see each other's tags."""
    postgresql.sql('CREATE SCHEMA IF NOT EXISTS "other place"')
    path = quote('"other\\ place"')
    both = [open_destination(uri) for uri in (postgresql.uri, f"{postgresql_server}?options=-csearch_path%3D{path}")]
    with both[0].open(for_loading=True), both[1].open(for_loading=True):
        for destination, tag in zip(both, "ab", strict=True):
            list(destination.replace([make_snapshot(tag)]))
        assert [list(loaded_tags(destination)[0]) for destination in both] == [["a"], ["b"]]


MEDDLERS = {
    "RETURN NULL;": "holds 6 rows where 9 were loaded",
    "INSERT INTO statuses SELECT NEW.*; NEW.occurrence = 9;": "holds 12 rows where 9 were loaded",
}


@pytest.mark.parametrize("meddler", MEDDLERS)
def test_triggers(postgresql, make_snapshot, meddler):
    """A trigger that keeps rows out, or adds some, is noticed by their count: nothing is changed."""
    once = f"IF NEW.stop_sms AND pg_trigger_depth() = 1 THEN {meddler} END IF; RETURN NEW;"
    destination = open_destination(postgresql.uri)
    with destination.open(for_loading=True):
        list(destination.replace([make_snapshot("a", 2)]))
        postgresql.sql(f"CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {once} END $$")
        postgresql.sql("CREATE TRIGGER meddle BEFORE INSERT ON statuses FOR EACH ROW EXECUTE FUNCTION meddle()")
        with pytest.raises(DestinationError, match=f'"statuses" {MEDDLERS[meddler]}; nothing was changed; remove'):
            list(destination.replace([make_snapshot("a", 9, run_id=LATER)]))
    assert postgresql.sql(TAGS_AND_ROWS) == [{"tag": "a", "rows": 2}]


# Runs beside each other, and connections that are cut.


def cut(postgresql):
    """End every session that holds a lock of a run."""
    postgresql.sql(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = 'smspartner' "
        "AND pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory')"
    )


def test_a_session_that_was_cut(postgresql, make_snapshot, make_tag_runs):
    """Where the session is cut between two batches the run connects, locks and goes on, with everything it writes."""
    destination = open_destination(postgresql.uri)
    with destination.open(for_loading=True):
        list(destination.replace([make_snapshot("a", 2)]))
        for act in (
            lambda: list(destination.scan(STATUSES, STATUSES.column_names)),
            lambda: list(destination.replace([make_snapshot("a", 9, run_id=LATER)])),
            lambda: destination.finish(make_tag_runs("a", run_id=LATER), LATER, complete=True),
            lambda: destination.save_report(b"{}", LATER),
        ):
            cut(postgresql)
            act()
        with pytest.raises(DestinationBusy):
            open_destination(postgresql.uri).check()
        assert loaded_tags(destination)[0]["a"].rows_loaded == 9
    tables = ("statuses", "tag_runs", "runs")
    assert [postgresql.sql(f"SELECT count(*) AS rows FROM {name}")[0]["rows"] for name in tables] == [9, 1, 1]


def test_a_pooler(postgresql, make_snapshot):
    """A pooler that hands a transaction to a session without the lock ends the run before anything is written."""
    destination, other = open_destination(postgresql.uri), open_destination(postgresql.uri)
    with destination.open(for_loading=True):
        destination._session.run("SELECT pg_advisory_unlock_all()::text")
        with other.open(for_loading=True), pytest.raises(DestinationBusy, match="connect to the server itself"):
            list(destination.replace([make_snapshot("a")]))
    assert postgresql.sql("SELECT count(*) AS rows FROM statuses") == [{"rows": 0}]


def test_another_run_while_the_session_was_cut(postgresql, make_snapshot):
    """Another run that holds the place, or came and went, meanwhile ends this one: what it knows is no longer true."""
    first, second = open_destination(postgresql.uri), open_destination(postgresql.uri)
    with first.open(for_loading=True):
        list(first.replace([make_snapshot("a", 2)]))
        cut(postgresql)
        with second.open(for_loading=True):
            with pytest.raises(DestinationBusy, match="is in use by another run"):
                list(first.replace([make_snapshot("a", 3)]))
            list(second.replace([make_snapshot("b", 5, run_id=LATER)]))
        with pytest.raises(DestinationBusy, match="another run has loaded there since; run again"):
            list(first.replace([make_snapshot("b", 3)]))
    assert postgresql.sql(TAGS_AND_ROWS) == [
        {"tag": "a", "rows": 2},
        {"tag": "b", "rows": 5},
    ]


def test_a_server_that_is_gone(start_postgresql, make_snapshot):
    """A server that went away while a run loads fails the destination in one sentence."""
    server = start_postgresql()
    destination = open_destination(server.stdout.readline().strip())
    with destination.open(for_loading=True):
        server.stdin.close()
        server.wait(30)
        with pytest.raises(DestinationError, match="no connection can be made") as caught:
            list(destination.replace([make_snapshot()]))
    assert caught.value.__context__ is None


def test_readers_see_old_or_new(postgresql, make_snapshot):
    """Whoever reads while tags are replaced finds every tag, whole, and of one run: never a mix, never a gap."""
    runs = [f"2026112{number}T180000Z-ab12cd34" for number in range(8)]
    seen, over = [], threading.Event()

    def read():
        while not over.is_set():
            seen.append(postgresql.sql("SELECT tag, run_id, count(*) AS rows FROM statuses GROUP BY tag, run_id"))

    destination = open_destination(postgresql.uri)
    with destination.open(for_loading=True):
        reader = threading.Thread(target=read)
        for run_id in runs:
            list(destination.replace([make_snapshot(tag, 500, run_id=run_id) for tag in ("a", "b", "c")]))
            if not reader.ident:
                reader.start()
        over.set()
        reader.join()
    assert seen
    assert {(len(found), len({row["run_id"] for row in found})) for found in seen} == {(3, 1)}
    assert {row["rows"] for found in seen for row in found} == {500}


# Encodings.


@pytest.fixture(params=["UTF8", "LATIN1", "SQL_ASCII"])
def database(request, postgresql_server):
    """Make a database of an encoding; give its URI, and the encoding."""
    name = f"in_{request.param.lower()}_{os.urandom(4).hex()}"
    with dbapi.connect(postgresql_server, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name} ENCODING '{request.param}' TEMPLATE template0 LOCALE 'C'")
    return postgresql_server.replace("/postgres", f"/{name}"), request.param


DISTURBED = {
    "nothing": ({}, ""),
    "environment": ({"PGCLIENTENCODING": "LATIN1"}, ""),
    "uri": ({}, "?client_encoding=LATIN1"),
    "options": ({"PGCLIENTENCODING": "LATIN1"}, "?options=-cclient_encoding%3DLATIN1&connect_timeout=9"),
    "role": ({}, "role"),
}


@pytest.mark.parametrize("disturbance", DISTURBED.values(), ids=DISTURBED.keys())
def test_encodings(database, monkeypatch, make_snapshot, disturbance):
    """`é` is one character in every database, whatever environment, URI or role say of the client's encoding."""
    uri, encoding = database
    environment, query = disturbance
    if query == "role":
        query = ""
        with dbapi.connect(uri, autocommit=True) as connection, connection.cursor() as cursor:
            name = urlsplit(uri).path.strip("/")
            cursor.execute(f"ALTER ROLE loader IN DATABASE {name} SET client_encoding = 'LATIN1'")
    with monkeypatch.context() as patch:
        for variable, value in environment.items():
            patch.setenv(variable, value)
        load(uri + query, make_snapshot("soldes-été"))
        load(uri + query, make_snapshot("soldes-été", 2, run_id=LATER))
        assert list(loaded(uri + query)) == ["soldes-été"]
    with dbapi.connect(f"{uri}?client_encoding=UTF8") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT encode(convert_to(tag, 'UTF8'), 'hex') AS h, count(*) AS n FROM statuses GROUP BY 1")
        expected = "soldes-été".encode().hex()
        assert encoding == "SQL_ASCII" or cursor.fetchall() == [(expected, 2)]


def test_a_text_that_the_database_cant_hold(database, make_snapshot):
    """A character that the database's encoding has not fails the destination by name, and stays out of the message."""
    uri, encoding = database
    load(uri, make_snapshot("a"))
    destination = open_destination(uri)
    with destination.open(for_loading=True):
        for snapshot in (
            replace(make_snapshot("b"), first_page="a\0b"),
            *((make_snapshot("10€"), replace(make_snapshot("b"), first_page="€")) if encoding == "LATIN1" else ()),
        ):
            with pytest.raises(DestinationError, match="its encoding can't hold a character of a text") as caught:
                list(destination.replace([make_snapshot("a", 9), snapshot]))
            assert "€" not in str(caught.value)
        assert [state.rows_loaded for state in loaded_tags(destination)[0].values()] == [4]


def test_a_foreign_table_in_the_place_of_the_view_is_named(postgresql):
    """A foreign table that is called `campaigns` is refused as what it is, and left as it is."""
    postgresql.sql("CREATE FOREIGN DATA WRAPPER elsewhere")
    try:
        postgresql.sql("CREATE SERVER other FOREIGN DATA WRAPPER elsewhere")
        postgresql.sql("CREATE FOREIGN TABLE campaigns (tag text) SERVER other")
        assert '"campaigns" is a foreign table of somebody else' in refused(postgresql.uri, SettingsError)
    finally:
        postgresql.sql("DROP FOREIGN DATA WRAPPER elsewhere CASCADE")
