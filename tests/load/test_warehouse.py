"""What databases and lakes do alike as warehouses: whole tags replaced, rows counted, nothing foreign touched."""

from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from load import looking
from load.looking import HOSTILE, LATER, RUN_ID, rows_of
from smspartner.errors import CountMismatch, DestinationBusy, DestinationError, SettingsError
from smspartner.privacy import Erasure
from smspartner_pipelines.load import open_destination
from smspartner_pipelines.load import warehouse as warehouses
from smspartner_pipelines.load.destination import Damage, NothingLoaded, erasures, state_of
from smspartner_schemas.arrow import arrow_schema
from smspartner_schemas.contract import ERASURES, LOADED_TAGS, QUARANTINE, RUNS, STATUSES, TAG_RUNS
from smspartner_schemas.sql import quoted

databases = pytest.mark.parametrize("warehouse", ["duckdb", "postgresql"], indirect=True)
"""For what changes tables by SQL."""


@pytest.fixture
def load(warehouse):
    """Load snapshots by one run."""
    return partial(looking.load, warehouse.uri)


@pytest.fixture
def scan(warehouse):
    """Read a table through a destination that was opened to read."""
    return partial(looking.read, warehouse.uri)


@pytest.fixture
def counts(warehouse):
    """Count the rows of tables by tag and run, as a reader sees them."""

    def count(table="statuses"):
        found = warehouse.sql(f"SELECT tag, run_id, count(*) AS rows FROM {table} GROUP BY tag, run_id")
        return {row["tag"]: (row["run_id"], row["rows"]) for row in found}

    return count


def tables_in(place):
    """List tables and views."""
    if place.kind == "delta":
        return sorted(path.name for path in Path(place.uri.removeprefix("delta:")).glob("*"))
    schema = "'main'" if place.kind == "duckdb" else "current_schema()"
    found = place.sql(f"SELECT table_name::text AS name FROM information_schema.tables WHERE table_schema = {schema}")
    return sorted(row["name"] for row in found)


def test_round_trip(warehouse, load, scan, make_snapshot):
    """Every column of rows and quarantine comes back as it was loaded, for any tag, here and to a reader with SQL."""
    snapshots = [make_snapshot(tag, 10, quarantined=2) for tag in HOSTILE]
    snapshots.append(replace(make_snapshot("empty", 0), first_page=""))
    assert load(*snapshots) == [[]] * len(snapshots)
    for table, loaded in ((STATUSES, "table"), (QUARANTINE, "quarantine")):
        (found,) = scan(table)
        assert found.schema.equals(arrow_schema(table))
        assert rows_of(found) == rows_of(*(getattr(snapshot, loaded) for snapshot in snapshots))
    assert sorted(warehouse.sql("SELECT * FROM statuses"), key=str) == rows_of(*scan(STATUSES))
    states = {row["tag"]: row for piece in scan(LOADED_TAGS) for row in piece.to_pylist()}
    assert states == {snapshot.tag: vars(state_of(snapshot)) for snapshot in snapshots}


def test_a_tag_is_no_pattern(load, counts, make_snapshot):
    """Tags that differ in case, or look like patterns of SQL, are tags of their own; loading one twice adds nothing."""
    again = ("a", "100%_done", "O'Brien", "''", "a\\b")
    load(*(make_snapshot(tag) for tag in HOSTILE))
    for _ in range(2):
        load(*(make_snapshot(tag, 2, quarantined=1, run_id=LATER) for tag in again))
    assert counts() == dict.fromkeys(HOSTILE, (RUN_ID, 4)) | dict.fromkeys(again, (LATER, 2))
    assert counts("quarantine") == dict.fromkeys(again, (LATER, 1))


def test_replace(load, counts, make_snapshot):
    """A new population takes the place of the old one, down to no rows; other tags stay; quarantine goes with it."""
    load(make_snapshot("a", 5, quarantined=2), make_snapshot("b", 3, quarantined=1))
    load(make_snapshot("a", 0, run_id=LATER))
    load()
    assert counts() == {"b": (RUN_ID, 3)}
    assert counts("quarantine") == {"b": (RUN_ID, 1)}
    assert counts("loaded_tags") == {"a": (LATER, 1), "b": (RUN_ID, 1)}


def test_scan_in_pieces(load, scan, make_snapshot, monkeypatch):
    """What is larger than a piece comes in several, of whole tags, with the columns asked for and no others."""
    monkeypatch.setattr(warehouses, "_PIECE_ROWS", 10)
    snapshots = [make_snapshot(tag, rows) for tag, rows in (("a", 4), ("b", 4), ("c", 4), ("d", 30), ("é", 1))]
    load(*snapshots)
    pieces = scan(STATUSES, ["status", "phone_number"])
    assert [piece.num_rows for piece in pieces] == [8, 4, 30, 1]
    assert pieces[0].column_names == ["status", "phone_number"]
    expected = [snapshot.table.select(["status", "phone_number"]) for snapshot in snapshots]
    assert rows_of(*pieces) == rows_of(*expected)
    assert scan(QUARANTINE) == []


def test_nothing_there_yet(warehouse):
    """Where nothing was loaded, checking changes nothing, and reading is refused."""
    destination = open_destination(warehouse.uri)
    destination.check()
    with pytest.raises(NothingLoaded, match="nothing was ever loaded into"), destination.open(for_loading=False):
        pass
    assert tables_in(warehouse) == []


MISFITS = {
    "fewer rows": "DELETE FROM statuses WHERE tag = 'a' AND phone_number = '+33600000001'",
    "more rows": "INSERT INTO statuses SELECT tag, phone_number, 9, country, status, stop_sms, status_at, "
    "extracted_at, run_id FROM statuses WHERE tag = 'a'",
    "fewer in quarantine": "DELETE FROM quarantine WHERE tag = 'a'",
    "another run": f"UPDATE loaded_tags SET run_id = '{LATER}' WHERE tag = 'a'",
    "a run's rows beside": "INSERT INTO statuses SELECT tag, phone_number, 9, country, status, stop_sms, status_at, "
    f"extracted_at, '{LATER}' FROM statuses WHERE tag = 'a'",
    "rows nobody loaded": "DELETE FROM loaded_tags WHERE tag = 'a'",
}


@databases
@pytest.mark.parametrize("change", MISFITS.values(), ids=MISFITS.keys())
def test_rows_that_nobody_loaded(warehouse, load, scan, make_snapshot, change):
    """A tag that holds fewer, more or other rows than were loaded is damaged, and read again; the others are not."""
    load(*(make_snapshot(tag, 4, quarantined=1) for tag in ("a", "b")))
    warehouse.sql(change)
    damage, states = scan(LOADED_TAGS)
    assert isinstance(damage, Damage)
    assert (damage.tag, damage.what) == ("a", "holds other rows than were loaded")
    assert states["tag"].to_pylist() == ["b"]
    load(make_snapshot("a", 4, run_id=LATER))
    (states,) = scan(LOADED_TAGS, ["run_id"])
    assert sorted(states["run_id"].to_pylist()) == [RUN_ID, LATER]


def test_counts_are_checked(load, counts, make_snapshot):
    """A snapshot whose counts do not add up is refused with its whole batch: nothing is changed."""
    load(make_snapshot("a"))
    with pytest.raises(CountMismatch):
        load(make_snapshot("a", 2), replace(make_snapshot("b"), rows_received=5))
    assert counts() == {"a": (RUN_ID, 4)}


def test_tag_runs_and_reports(warehouse, scan, make_tag_runs):
    """The audit and the report of a run are kept, once, however often they are saved, and come back."""
    destination = open_destination(warehouse.uri)
    with destination.open(for_loading=True):
        for _ in range(2):
            assert destination.finish(make_tag_runs("a", "b"), RUN_ID, complete=True) == []
            destination.save_report('{"é": "O\'"}'.encode(), RUN_ID)
        destination.finish(make_tag_runs("a", run_id=LATER), LATER, complete=False)
    (history,), (reports,) = scan(TAG_RUNS), scan(RUNS)
    assert rows_of(history) == rows_of(make_tag_runs("a", "b"), make_tag_runs("a", run_id=LATER))
    assert reports.to_pylist() == [{"run_id": RUN_ID, "report": '{"é": "O\'"}'}]


@databases
def test_campaigns(warehouse, load, make_snapshot):
    """The view `campaigns` has a row for each tag, with its counts, also without rows; one that is dropped stays so."""
    waits = replace(make_snapshot("waits"), rows_declared=1, rows_received=1)
    waits = replace(waits, table=waits.table.slice(2, 1))
    load(make_snapshot("a", 9, quarantined=2), make_snapshot("empty", 0), waits)
    found = warehouse.sql("SELECT * FROM campaigns ORDER BY tag")
    counted = ("messages", "delivered", "not_delivered", "waiting", "ko", "opt_outs", "rows_quarantined")
    assert [[row[name] for name in (*counted, "still_waiting")] for row in found] == [
        [9, 3, 2, 2, 2, 3, 2, True],
        [0, 0, 0, 0, 0, 0, 0, False],
        [1, 0, 0, 1, 0, 0, 0, True],
    ]
    assert [row["delivered_share"] for row in found] == [pytest.approx(3 / 7), None, None]
    assert (found[0]["first_delivery_at"] < found[0]["last_delivery_at"], found[1]["read_at"]) == (
        True,
        datetime(2026, 11, 23, 18, 0, 0, 123456, tzinfo=UTC),
    )
    warehouse.sql("DROP VIEW campaigns")
    load(make_snapshot())
    assert "campaigns" not in tables_in(warehouse)


def test_two_loaders_exclude_each_other(warehouse, load, make_snapshot):
    """While one holds it, another is refused by every door that writes, in this process too; afterwards it may."""
    first, other = open_destination(warehouse.uri), open_destination(warehouse.uri)
    with first.open(for_loading=True):
        for act in (other.check, other.open(for_loading=True).__enter__):
            with pytest.raises(DestinationBusy, match="is in use by another"):
                act()
        list(first.replace([make_snapshot("a")]))
    assert load(make_snapshot("b")) == [[]]


def test_erasures(warehouse, make_snapshot):
    """The record of an erased person is kept once, and replaced by one that says what was removed."""
    at = datetime(2026, 11, 25, tzinfo=UTC)
    begun = [Erasure("0a" * 4, number * 32, at) for number in ("1b", "2c")]
    done = replace(begun[0], removed_tags=1, removed_rows=2, removed_quarantined=0)
    destination = open_destination(warehouse.uri)
    with destination.open(for_loading=True):
        for record in (*begun, done):
            destination.record_erasure(record)
        destination.purge()
        assert sorted(erasures(destination), key=lambda one: one.number_hash) == [done, begun[1]]
        (rows,) = destination.scan(ERASURES, ERASURES.column_names)
    assert rows.schema.equals(arrow_schema(ERASURES))


@pytest.mark.parametrize("kind", ["duckdb", "delta"])
def test_full_disk(disk, make_snapshot, kind):
    """Where the disk is full, that is said; what was loaded stays, and is loaded anew once there is space."""
    uri = f"{kind}:{disk.path}/loaded"
    destination = open_destination(uri)
    with destination.open(for_loading=True):
        list(destination.replace([make_snapshot("a", 10)]))
        with pytest.raises(DestinationError, match="the disk is full; free some space and run again"):
            list(destination.replace([make_snapshot("a", 500_000)]))
    assert looking.loaded(uri)["a"].rows_loaded == 10
    assert disk.mount("remount,size=100m")
    looking.load(uri, make_snapshot("a", 20_000))
    assert looking.loaded(uri)["a"].rows_loaded == 20_000


# What is not ours.


@databases
def test_columns_of_the_user(warehouse, load, make_snapshot):
    """Columns that somebody added stay, as long as rows can be loaded without them."""
    load(make_snapshot("a"))
    warehouse.sql("ALTER TABLE statuses ADD COLUMN note text DEFAULT 'mine'")
    load(make_snapshot("b"))
    notes = warehouse.sql("SELECT DISTINCT tag, note FROM statuses ORDER BY tag")
    assert notes == [{"tag": "a", "note": "mine"}, {"tag": "b", "note": "mine"}]


def columns(changes=None):
    """Give the columns of `statuses` for a table of somebody else, some of them changed or left out (None)."""
    types = {"int32": "integer", "bool": "boolean", "timestamp": "timestamptz", "string": "text"}
    declared = {
        column.name: f"{types[column.type]}{'' if column.nullable else ' NOT NULL'}" for column in STATUSES.columns
    }
    declared |= changes or {}
    return ", ".join(f"{quoted(name)} {column}" for name, column in declared.items() if column)


FOREIGN = {
    "other type": (f"CREATE TABLE statuses ({columns({'occurrence': 'text'})})", '"occurrence" as string, not int32'),
    "other time": (f"CREATE TABLE statuses ({columns({'status_at': 'timestamp'})})", '"status_at" as timestamp'),
    "missing column": (
        f"CREATE TABLE statuses ({columns({'phone_number': None})})",
        '"phone_number" as nothing, not string',
    ),
    "a view": ("CREATE VIEW statuses AS SELECT 1 AS tag", '"statuses" is a view'),
    "state": ("CREATE TABLE runs (id integer)", '"runs" has "run_id" as nothing, not string'),
}


@databases
@pytest.mark.parametrize("case", FOREIGN.values(), ids=FOREIGN.keys())
def test_foreign_tables_are_refused(warehouse, case):
    """What stands there under our names and is something else is refused by every door, and left as it is."""
    made, problem = case
    warehouse.sql(made)
    destination = open_destination(warehouse.uri)
    opened = [destination.open(for_loading=loading) for loading in (True, False)]
    for act in (destination.check, *(one.__enter__ for one in opened)):
        with pytest.raises(SettingsError) as caught:
            act()
        assert problem in caught.value.what
        assert (bool(caught.value.remedy), caught.value.__context__) == (True, None)
    assert len(tables_in(warehouse)) == 1


@databases
@pytest.mark.parametrize(
    ("made", "kind"),
    [("VIEW campaigns AS SELECT 1 AS tag", "view"), ("TABLE campaigns (tag text)", "table")],
    ids=["view", "table"],
)
@pytest.mark.parametrize("first", [True, False], ids=["before the first run", "after one"])
def test_campaigns_of_somebody_else_are_refused(warehouse, load, make_snapshot, made, kind, first):
    """What somebody else calls `campaigns` is named before anything is loaded, and left as it is; reading goes on."""
    if not first:
        load(make_snapshot())
        warehouse.sql("DROP VIEW campaigns")
    warehouse.sql(f"CREATE {made}")
    destination = open_destination(warehouse.uri)
    for act in (destination.check, destination.open(for_loading=True).__enter__):
        with pytest.raises(SettingsError) as caught:
            act()
        said = (
            f'"campaigns" is a {kind} of somebody else, where this product keeps a view; rename it, or load elsewhere'
        )
        assert str(caught.value) == f"{destination.uri}: {said}"
    assert warehouse.sql("SELECT * FROM campaigns") == ([{"tag": 1}] if kind == "view" else [])
    if not first:
        assert looking.loaded(warehouse.uri).keys() == {make_snapshot().tag}


@databases
def test_newer_version_is_refused(warehouse, load, make_snapshot):
    """Tables of a newer version are not touched by this one."""
    load(make_snapshot())
    warehouse.sql(f"COMMENT ON TABLE {LOADED_TAGS.name} IS 'A row per tag. Contract version 999.'")
    destination = open_destination(warehouse.uri)
    for act in (destination.check, destination.open(for_loading=False).__enter__):
        with pytest.raises(SettingsError, match="was made by a newer version of this product; upgrade this one"):
            act()


@databases
def test_a_rule_of_the_user(warehouse, load, counts, make_snapshot):
    """Where a table refuses rows, what was loaded stays, and no value of a row is passed on."""
    load(make_snapshot("a", 2))
    if warehouse.kind == "duckdb":
        warehouse.sql("CREATE UNIQUE INDEX mine ON statuses (stop_sms)")
    else:
        warehouse.sql("ALTER TABLE statuses ADD CHECK (phone_number < '+33600000005')")
    with pytest.raises(DestinationError) as caught:
        load(make_snapshot("a", 9, run_id=LATER))
    assert "refuses rows" in caught.value.what
    assert ("+336" in str(caught.value), caught.value.__context__, counts()) == (False, None, {"a": (RUN_ID, 2)})


@databases
def test_tables_that_went_while_a_run_loads(warehouse, make_snapshot):
    """A table that somebody drops while a run loads fails this destination alone: it is no matter of settings then."""
    destination = open_destination(warehouse.uri)
    with destination.open(for_loading=True):
        if warehouse.kind == "duckdb":
            destination._session.run("DROP VIEW campaigns")
            destination._session.run("DROP TABLE quarantine")
        else:
            warehouse.sql("DROP TABLE quarantine")
        with pytest.raises(DestinationError, match="is not as this product makes it"):
            list(destination.replace([make_snapshot("a")]))
