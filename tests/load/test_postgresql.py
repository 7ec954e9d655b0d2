"""What only PostgreSQL does: servers, rights, locks, schemas, and what libpq reads."""

import os
import threading
from urllib.parse import quote, urlsplit

import pytest
from smspartner.errors import DestinationBusy, DestinationError
from smspartner_pipelines.load import open_destination
from smspartner_pipelines.load.postgresql import PostgresqlDatabase
from smspartner_pipelines.load.warehouse import Warehouse

FIRST, SECOND = "20261123T180000Z-ab12cd34", "20261124T180000Z-ab12cd34"


@pytest.fixture
def address(postgresql_server):
    """Give user, password, and host with port of the server."""
    parts = urlsplit(postgresql_server)
    return parts.username, parts.password, f"{parts.hostname}:{parts.port}"


def refused(uri):
    """Give what is told where a destination can't be loaded."""
    with pytest.raises(DestinationError) as caught:
        open_destination(uri).check()
    assert caught.value.__context__ is None
    return str(caught.value)


WRONG = {
    "wrong password": ("{user}:not-this-one@{place}/postgres", "the password is wrong, or there is no such user"),
    "no password": ("{user}@{place}/postgres", "no password was given; set PGPASSWORD or PGPASSFILE"),
    "no database": ("{user}:{password}@{place}/nowhere", "there is no such database; create it (createdb)"),
    "no server": ("{user}:{password}@127.0.0.1:1/postgres", "no server answers there; start it, or correct host"),
    "no schema": ("{user}:{password}@{place}/postgres?options=-csearch_path%3Dnowhere", "no schema of the search path"),
    "wrong option": ("{user}:{password}@{place}/postgres?bogus=1", "the URI is wrong; correct it"),
    "no TLS": ("{user}:{password}@{place}/postgres?sslmode=require", "no trusted TLS connection could be made"),
    "no service": ("{user}:{password}@{place}/postgres?service=nowhere", "there is no such service"),
}


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_told(address, case):
    """What is wrong with a URI or a server is one sentence with a remedy, and without the password."""
    uri, told = case
    user, password, place = address
    found = refused("postgresql://" + uri.format(user=user, password=password, place=place))
    assert f": {told}" in found
    assert password not in found
    assert "not-this-one" not in found


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


def test_read_only(postgresql):
    """A server that may only be read is refused before anything is requested, also where the tables are there."""
    uri = postgresql.uri.replace("?options=", "?options=-cdefault_transaction_read_only%3Don%20")
    for _ in range(2):
        assert ": the server or this user may only read (cannot execute" in refused(uri)
        open_destination(postgresql.uri).__enter__().__exit__()


@pytest.fixture
def clerk(postgresql, address):
    """Make a user without rights; give the URI of the test's schema as theirs, and the name of the schema."""
    name = f"clerk_{postgresql.sql('SELECT pg_backend_pid() AS pid')[0]['pid']}"
    schema = postgresql.sql("SELECT quote_ident(current_schema()) AS name")[0]["name"]
    postgresql.sql(f"CREATE ROLE {name} LOGIN PASSWORD 'clerks-own-pass'")
    postgresql.sql(f"GRANT USAGE ON SCHEMA {schema} TO {name}")
    user, password, _ = address
    return name, schema, postgresql.uri.replace(f"{user}:{password}@", f"{name}:clerks-own-pass@")


def test_rights(postgresql, clerk, make_snapshot):
    """Rights to make tables, or to load into those that are there, are enough; a missing one is told."""
    name, schema, uri = clerk
    assert "a right is missing (permission denied for schema" in refused(uri)
    open_destination(postgresql.uri).__enter__().__exit__()
    assert "a right is missing (permission denied for table statuses); GRANT it to this user" in refused(uri)
    postgresql.sql(f"GRANT SELECT, INSERT, DELETE ON ALL TABLES IN SCHEMA {schema} TO {name}")
    open_destination(uri).check()
    with open_destination(uri) as destination:
        list(destination.replace_tags([make_snapshot()], FIRST))
    assert postgresql.sql("SELECT count(*) AS rows FROM statuses") == [{"rows": 4}]


def test_schemas_are_places_of_their_own(postgresql, postgresql_server, make_snapshot):
    """Runs into two schemas of a database do not exclude each other, nor see each other's tags."""
    postgresql.sql('CREATE SCHEMA IF NOT EXISTS "other place"')
    path = quote('"other\\ place"')
    other = f"{postgresql_server}?options=-csearch_path%3D{path}"
    with open_destination(postgresql.uri) as here, open_destination(other) as there:
        list(here.replace_tags([make_snapshot("a")], FIRST))
        list(there.replace_tags([make_snapshot("b")], FIRST))
    assert [list(open_destination(uri).loaded_tags()) for uri in (postgresql.uri, other)] == [["a"], ["b"]]


def test_rows_left_out_by_a_trigger(postgresql, make_snapshot):
    """A trigger that leaves rows out is noticed by their count: nothing is changed."""
    with open_destination(postgresql.uri) as destination:
        list(destination.replace_tags([make_snapshot("a", 2)], FIRST))
        postgresql.sql(
            "CREATE FUNCTION leave_out() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN IF NEW.stop_sms THEN RETURN NULL; END IF; RETURN NEW; END $$"
        )
        postgresql.sql("CREATE TRIGGER leave_out BEFORE INSERT ON statuses FOR EACH ROW EXECUTE FUNCTION leave_out()")
        with pytest.raises(DestinationError, match='"statuses" holds 6 rows where 9 were loaded; nothing was changed'):
            list(destination.replace_tags([make_snapshot("a", 9)], SECOND))
    assert postgresql.sql("SELECT count(*) AS rows FROM statuses") == [{"rows": 2}]


class Watched(PostgresqlDatabase):
    """A database that shows its sessions."""

    def open(self, *, locked):
        """Open, and keep the session in sight."""
        self.session = super().open(locked=locked)
        return self.session


def test_lost_lock(postgresql, make_snapshot):
    """Where the connection lost its lock, as behind a pooler in transaction mode, nothing more is loaded by it."""
    database = Watched(postgresql.uri, "there")
    with Warehouse(database) as destination:
        list(destination.replace_tags([make_snapshot("a", 2)], FIRST))
        database.session.run("SELECT pg_advisory_unlock_all()")
        with pytest.raises(DestinationError, match="does not hold its lock any more, so another run may load by now"):
            list(destination.replace_tags([make_snapshot("a", 9)], SECOND))
    assert postgresql.sql("SELECT count(*) AS rows FROM statuses") == [{"rows": 2}]


def test_the_lock_goes_with_its_connection(postgresql):
    """A run whose connection is gone holds no lock; it says so, and the next run may load."""
    with open_destination(postgresql.uri) as destination:
        with pytest.raises(DestinationBusy):
            open_destination(postgresql.uri).__enter__()
        postgresql.sql(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = 'smspartner' "
            "AND pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory')"
        )
        with pytest.raises(DestinationError, match=r"the (server ended the connection|connection was lost)"):
            destination.loaded_tags()
        with open_destination(postgresql.uri) as other:
            assert other.loaded_tags() == {}


def test_readers_see_old_or_new(postgresql, make_snapshot):
    """Whoever reads while tags are replaced finds every tag, whole, and of one run: never a mix, never a gap."""
    runs = [f"2026112{number}T180000Z-ab12cd34" for number in range(8)]
    seen, over = [], threading.Event()

    def read():
        while not over.is_set():
            seen.append(postgresql.sql("SELECT tag, run_id, count(*) AS rows FROM statuses GROUP BY tag, run_id"))

    with open_destination(postgresql.uri) as destination:
        reader = threading.Thread(target=read)
        for run_id in runs:
            made = [make_snapshot(tag, 500, run_id=run_id) for tag in ("a", "b", "c")]
            list(destination.replace_tags(made, run_id))
            if not reader.ident:
                reader.start()
        over.set()
        reader.join()
    assert seen
    assert {(len(found), len({row["run_id"] for row in found})) for found in seen} == {(3, 1)}
    assert {row["rows"] for found in seen for row in found} == {500}
