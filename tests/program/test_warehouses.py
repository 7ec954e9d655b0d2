"""The whole program on databases and lakes: what it does on a dataset, it does there."""

import json
import signal
import time
from pathlib import Path
from urllib.parse import quote

import duckdb
import pytest
from adbc_driver_postgresql import dbapi
from smspartner_pipelines.sandbox import Campaign, Fault

PHONE_KEY = "a phone key of 26 letters!"
GONE = "+33639980001"
VARYING = ("run_id", "extracted_at")
KEYS = {"statuses": ("tag", "phone_number", "occurrence"), "quarantine": ("tag", "page", "position")}


@pytest.fixture
def found(warehouse):
    """Read a table of the warehouse in the order of its key: `found("quarantine", without=VARYING)`."""

    def read(table="statuses", without=()):
        rows = warehouse.sql(f"SELECT * FROM {table}")
        rows.sort(key=lambda row: tuple(row[name] for name in KEYS[table]))
        return [{name: value for name, value in row.items() if name not in without} for row in rows]

    return read


@pytest.fixture
def compared(rows, found):
    """Give rows and quarantine of a dataset, and those of the warehouse, but for what differs from run to run."""

    def both(dataset):
        here = [rows(dataset, table, without=VARYING) for table in KEYS]
        return here, [found(table, without=VARYING) for table in KEYS]

    return both


@pytest.fixture
def sandbox(start_sandbox, api_row):
    """Serve tags with rows to doubt and one without: numbers in no order, some of them often, two rows on a page."""
    promo = [
        *(api_row(3), api_row(2, status="KO"), api_row(2), api_row(1), api_row(2, status="KO")),
        *(api_row(2, date="1517989999"), api_row(1, status="?"), api_row(1), api_row(4, phoneNumber="n/a")),
    ]
    return start_sandbox(
        [
            Campaign.of_rows("promo", promo),
            Campaign.of_rows("été%'\"", [api_row(2, date="soon"), api_row(1)]),
            Campaign.of_rows("sound", [api_row(2), api_row(1)]),
            Campaign.of_rows("none", []),
        ],
        page_size=2,
    )


TAGS = ("promo", "été%'\"", "sound", "none")


def test_same_everywhere(sandbox, command, warehouse, rows, found):
    """Extracted once, rows, quarantine and run report are the same in the warehouse and in a dataset.

    So is what `smspartner tags` and `smspartner quarantine` say.
    """
    ended = command(sandbox, "run", *TAGS, "--to", "data", "--to", warehouse.uri)
    assert (ended.returncode, ended.stderr.splitlines()[-1].count("pass-word")) == (4, 0), ended.stderr
    for table in KEYS:
        assert rows("data", table) == found(table)
    assert len(found()) == 10
    (kept,), (path,) = warehouse.sql("select report from runs"), Path("data/runs").iterdir()
    assert json.loads(kept["report"]) == json.loads(path.read_bytes())
    told = [command(None, "tags", place, "--json").stdout for place in ("data", warehouse.uri)]
    assert json.loads(told[0]) == json.loads(told[1])
    expected, ended = (command(None, "quarantine", place) for place in ("data", warehouse.uri))
    assert (ended.returncode, ended.stdout) == (0, expected.stdout)
    assert "status_unknown" in ended.stdout


def test_forget(sandbox, command, warehouse, found, compared):
    """A person leaves rows and quarantine as they leave a dataset, and no later run brings them back."""
    changes = {"SMSPARTNER_PHONE_KEY": PHONE_KEY}
    places = ("--to", "data", "--to", warehouse.uri)
    command(sandbox, "run", *TAGS, *places)
    ended = command(None, "forget", GONE, *places, **changes)
    there, here = (line.split(": ", 1)[1] for line in ended.stdout.splitlines())
    assert (ended.returncode, there) == (0, here)
    assert GONE not in {row["phone_number"] for row in found()}
    command(sandbox, "run", *TAGS, "--to", warehouse.uri, "--refresh", "all", **changes)
    expected, there = compared("data")
    assert expected == there
    again = command(sandbox, "run", "promo", "--to", warehouse.uri)
    assert (again.returncode, "numbers were erased there under phone key" in again.stderr) == (2, True)


@pytest.mark.parametrize("form", ["masked", "hashed"])
def test_forms_of_numbers(sandbox, command, warehouse, compared, form):
    """Masked and hashed numbers are loaded as into a dataset, and asking for another form rewrites what is settled."""
    changes = {"SMSPARTNER_PHONE_KEY": PHONE_KEY}
    command(sandbox, "run", *TAGS, "--to", warehouse.uri)
    command(sandbox, "run", *TAGS, "--to", "data", "--to", warehouse.uri, "--phone-numbers", form, **changes)
    expected, there = compared("data")
    assert expected == there
    assert [row for row in there[0] if "63998" in row["phone_number"]] == []


def test_a_server_that_ends_idle_sessions(sandbox, command, postgresql):
    """A session that the server ends while the API is slow is opened and locked again: the run loads everything."""
    sandbox.faults.add(Fault("slow", tag="sound", seconds=2))
    uri = postgresql.uri.replace("?options=", "?options=-cidle_session_timeout%3D500%20")
    ended = command(sandbox, "run", "sound", "none", "--to", uri, "--timeout", "30")
    assert ended.returncode == 0, ended.stderr
    assert postgresql.sql("SELECT count(*) AS rows FROM statuses") == [{"rows": 2}]
    assert postgresql.sql("SELECT count(*) AS rows FROM tag_runs") == [{"rows": 2}]


WAITING = "SELECT count(*) AS n FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'DELETE FROM%'"


def test_a_lock_of_somebody_else(sandbox, command, postgresql, report):
    """A database in which a lock is waited for in vain fails as busy; the others are loaded, and the run ends."""
    command(sandbox, "run", "sound", "--to", postgresql.uri)
    uri = postgresql.uri.replace("?options=", "?options=-clock_timeout%3D500%20")
    with dbapi.connect(postgresql.uri) as other, other.cursor() as cursor:
        cursor.execute("SELECT * FROM statuses FOR UPDATE").fetchall()
        code, found = report(sandbox, "sound", "--to", uri, "--to", "data", "--refresh", "all")
    first, second = found["destinations"]
    assert (code, first["tags_loaded"], second["tags_loaded"], second["failure"]) == (1, 0, 1, None)
    assert ": a transaction of somebody else is in the way; run again when it has ended" in first["failure"]


def test_signals_while_duckdb_works(sandbox, command, start, here):
    """Ctrl-C during a long statement of DuckDB ends the run once that is done, without a traceback."""
    command(sandbox, "run", "sound", "--to", "duckdb:a.db")
    with duckdb.connect("a.db") as mine:  # a row takes a moment
        slow = "sha256(repeat(CAST(random() AS varchar), 5000000))"
        mine.execute(f"ALTER TABLE statuses ADD COLUMN slow text DEFAULT ({slow})")
        before = mine.execute("SELECT DISTINCT run_id FROM statuses").fetchall()
    sandbox.forget_requests()
    sandbox.faults.add(Fault("slow", tag="none", seconds=60))
    run = start(sandbox, "run", "sound", "none", "--to", "duckdb:a.db", "--refresh", "all", "--concurrency", "1")
    while "none" not in {request.tag for request in sandbox.requests}:  # by then the other tag is read
        assert run.poll() is None
        time.sleep(0.01)
    while run.poll() is None:
        run.send_signal(signal.SIGINT)
        time.sleep(0.1)
    assert run.returncode == 130
    assert "Traceback" not in run.communicate()[1]
    with duckdb.connect("a.db") as mine:
        assert mine.execute("SELECT DISTINCT run_id FROM statuses").fetchall() != before


def test_signals_while_a_database_works(sandbox, command, start, postgresql):
    """Ctrl-C, however often, lets the database load what was read: no statement is torn."""
    command(sandbox, "run", "sound", "--to", postgresql.uri)
    before = postgresql.sql("SELECT DISTINCT run_id FROM statuses")
    with dbapi.connect(postgresql.uri) as other, other.cursor() as cursor:
        cursor.execute("SELECT * FROM statuses FOR UPDATE").fetchall()
        run = start(sandbox, "run", "sound", "--to", postgresql.uri, "--refresh", "all")
        while postgresql.sql(WAITING) != [{"n": 1}]:
            assert run.poll() is None
            time.sleep(0.01)
        for _ in range(3):
            run.send_signal(signal.SIGINT)
            time.sleep(0.05)
        assert (run.poll(), postgresql.sql(WAITING)) == (None, [{"n": 1}])
        other.rollback()
    assert run.wait(30) in {0, 130}
    assert postgresql.sql("SELECT DISTINCT run_id FROM statuses") != before


def test_a_password_appears_nowhere(sandbox, smspartner, postgresql, here):
    """The password in a destination's URI stands in no output, log, error, report or table, whatever is done there."""
    password = 'pa55 "w@rd"/of%the+clerk'
    role = f"keeper_{postgresql.sql('SELECT pg_backend_pid() AS pid')[0]['pid']}"
    schema = postgresql.sql("SELECT quote_ident(current_schema()) AS name")[0]["name"]
    postgresql.sql(f"CREATE ROLE {role} LOGIN PASSWORD '{password}'")
    postgresql.sql(f"GRANT ALL ON SCHEMA {schema} TO {role}")
    scheme, rest = postgresql.uri.split("://")
    uri = f"{scheme}://{role}:{quote(password, safe='')}@{rest.partition('@')[2]}"
    (here / "settings.toml").write_text(f"to = ['{uri}']")
    debug = ("-vv", "--log-level", "debug")
    ended = [
        smspartner(sandbox, "run", "sound", "promo", "--to", uri, "--json", *debug),
        smspartner(sandbox, "run", "sound", "--config", "settings.toml", *debug),
        smspartner(sandbox, "run", "sound", *debug, SMSPARTNER_TO=uri),
        smspartner(sandbox, "tags", uri),
        smspartner(sandbox, "quarantine", uri, "--json"),
        smspartner(sandbox, "check", "--to", uri),
        smspartner(sandbox, "run", "sound", "--to", uri.replace("/postgres?", "/nowhere?"), *debug),
        smspartner(sandbox, "run", "sound", "--to", uri.replace("%40", "%41"), *debug),
        smspartner(sandbox, "run", "sound", "--to", uri, "--to", uri, "--nosuch"),
        smspartner(sandbox, "run", "sound", f"--to={uri}", "--base-url", f"http://{uri}"),
    ]
    assert [one.returncode for one in ended] == [4, 0, 0, 0, 0, 0, 2, 2, 2, 2]
    kept = postgresql.sql("SELECT report FROM runs")
    told = [*(one.stdout + one.stderr for one in ended), *(row["report"] for row in kept)]
    for spelled in (password, quote(password), quote(password, safe=""), json.dumps(password)[1:-1], "w@rd", "w%40rd"):
        assert [text for text in told if spelled in text] == []
    assert len(kept) == 3
    assert f"{role}:***@" in ended[3].stderr + ended[0].stdout
