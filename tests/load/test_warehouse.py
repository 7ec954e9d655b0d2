"""What every database does as a warehouse: whole tags replaced, books kept, nothing foreign touched."""

from dataclasses import replace
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from smspartner.erasure import Person
from smspartner.errors import CountMismatch, DestinationBusy, DestinationError
from smspartner_pipelines.load import open_destination
from smspartner.phone_numbers import PhonePrivacy
from smspartner.redaction import Secret
from smspartner_schemas.contract import LOADED_TAGS, STATUSES
from smspartner_schemas.sql import quoted

FIRST, SECOND = "20261123T180000Z-ab12cd34", "20261124T180000Z-ab12cd34"
AWKWARD = ("O'Brien", 'say"so"', "100%_done", "back\\slash", "😀é", "{a,b}", "NULL", "$1", "--x", "A", "a")


@pytest.fixture
def load(warehouse):
    """Load snapshots by one run."""

    def run(*snapshots, run_id=FIRST):
        with open_destination(warehouse.uri) as destination:
            return list(destination.replace_tags(snapshots, run_id))

    return run


@pytest.fixture
def counts(warehouse):
    """Count the rows of tables by tag and run, as a reader sees them."""

    def count(table="statuses"):
        found = warehouse.sql(f"SELECT tag, run_id, count(*) AS rows FROM {table} GROUP BY tag, run_id")
        return {row["tag"]: (row["run_id"], row["rows"]) for row in found}

    return count


def unsorted(snapshot):
    """Give a snapshot whose rows are in no order of their numbers, as the API gives them."""
    rows = snapshot.table.num_rows
    return replace(snapshot, table=snapshot.table.take(pa.array([(7 * row + 3) % rows for row in range(rows)])))


def tables_in(place):
    """List tables and views."""
    schema = "'main'" if place.kind == "duckdb" else "current_schema()"
    found = place.sql(f"SELECT table_name::text AS name FROM information_schema.tables WHERE table_schema = {schema}")
    return sorted(row["name"] for row in found)


def stored(place, tag):
    """Give all that is stored of a tag."""
    destination = open_destination(place.uri)
    return destination.stored_tag(destination.loaded_tags()[tag])


def test_round_trip(warehouse, load, make_snapshot):
    """Every column of rows and quarantine comes back as it was loaded, in the contract's schema, in API order."""
    snapshots = [unsorted(make_snapshot(tag, 10, quarantined=2)) for tag in AWKWARD]
    assert load(*snapshots) == [[]] * len(AWKWARD)
    destination = open_destination(warehouse.uri)
    loaded = destination.loaded_tags()
    for snapshot in snapshots:
        found = destination.stored_tag(loaded[snapshot.tag])
        assert found.rows.to_pylist() == snapshot.table.to_pylist()
        assert found.quarantine.to_pylist() == snapshot.quarantine.to_pylist()
        assert (found.rows.schema, found.quarantine.schema) == (snapshot.table.schema, snapshot.quarantine.schema)


def test_a_tag_is_no_pattern(load, counts, make_snapshot):
    """Tags that differ in case, or look like patterns of SQL, are tags of their own."""
    load(*(make_snapshot(tag) for tag in AWKWARD))
    load(*(make_snapshot(tag, 2, run_id=SECOND) for tag in ("a", "100%_done")), run_id=SECOND)
    expected = dict.fromkeys(AWKWARD, (FIRST, 4)) | dict.fromkeys(("a", "100%_done"), (SECOND, 2))
    assert counts() == expected


def test_readers_find_the_contract(warehouse, load, make_snapshot):
    """A reader with SQL finds the rows as they are, nulls as nulls."""
    snapshot = make_snapshot("promo", 7)
    load(snapshot)
    found = warehouse.sql("SELECT * FROM statuses ORDER BY phone_number")
    assert found == snapshot.table.to_pylist()


def test_loading_twice_changes_nothing(warehouse, load, make_snapshot):
    """The same population loaded again is the same rows, each once."""
    snapshot = make_snapshot(quarantined=1)
    tables = [f"SELECT * FROM {name} ORDER BY 1, 2, 3" for name in ("statuses", "quarantine", "loaded_tags")]
    seen = []
    for _ in range(2):
        load(snapshot)
        seen.append([warehouse.sql(table) for table in tables])
    assert seen[0] == seen[1]
    assert [len(rows) for rows in seen[0]] == [4, 1, 1]


def test_replace(load, counts, make_snapshot):
    """A new population takes the place of the old one, down to no rows; other tags stay; quarantine goes with it."""
    load(make_snapshot("a", 5, quarantined=2), make_snapshot("b", 3, quarantined=1))
    load(make_snapshot("a", 0, run_id=SECOND), run_id=SECOND)
    assert counts() == {"b": (FIRST, 3)}
    assert counts("quarantine") == {"b": (FIRST, 1)}
    assert counts("loaded_tags") == {"a": (SECOND, 1), "b": (FIRST, 1)}


def test_state(warehouse, load, make_snapshot):
    """What a later run judges by is what was loaded; it is read without entering."""
    load(replace(make_snapshot("a", 9, quarantined=2), page_rows=5), make_snapshot("empty", 0))
    state = open_destination(warehouse.uri).loaded_tags()
    promo, empty = state["a"], state["empty"]
    assert (promo.rows_received, promo.rows_loaded, promo.rows_quarantined, promo.waiting) == (11, 9, 2, 2)
    assert (promo.extracted_at, promo.page_rows) == (datetime(2026, 11, 23, 18, 0, 0, 123456, tzinfo=UTC), 5)
    assert (empty.rows_loaded, empty.newest_status_at, empty.consistent) == (0, None, True)


def test_nothing_there_yet(warehouse):
    """Where nothing was loaded nothing is found, and looking changes nothing."""
    destination = open_destination(warehouse.uri)
    destination.check()
    assert (destination.exists(), destination.loaded_tags()) == (False, {})
    assert tables_in(warehouse) == []


def test_books(warehouse, load, counts, make_snapshot):
    """A snapshot whose counts do not add up is refused with its whole batch: nothing is changed."""
    load(make_snapshot("a"))
    with pytest.raises(CountMismatch):
        load(make_snapshot("a", 2), replace(make_snapshot("b"), rows_received=5), run_id=SECOND)
    assert counts() == {"a": (FIRST, 4)}


def test_many_tags_at_once(load, counts, make_snapshot):
    """A thousand small tags are one transaction."""
    snapshots = [make_snapshot(f"tag-{number}", 2) for number in range(1000)]
    load(*snapshots)
    load(*snapshots)
    assert set(counts().values()) == {(FIRST, 2)}
    assert len(counts()) == 1000


def test_tag_runs_and_reports(warehouse, make_tag_runs):
    """The audit and the report of a run are kept, once, however often they are saved."""
    with open_destination(warehouse.uri) as destination:
        for _ in range(2):
            assert destination.finish(make_tag_runs("a", "b"), FIRST) == []
            destination.save_report('{"é": "O\'"}'.encode(), FIRST)
        destination.finish(make_tag_runs("a", run_id=SECOND), SECOND)
    assert warehouse.sql("SELECT run_id, tag, extracted_at FROM tag_runs ORDER BY run_id, tag") == [
        {"run_id": run_id, "tag": tag, "extracted_at": None}
        for run_id, tag in ((FIRST, "a"), (FIRST, "b"), (SECOND, "a"))
    ]
    assert warehouse.sql("SELECT * FROM runs") == [{"run_id": FIRST, "report": '{"é": "O\'"}'}]


def test_campaigns(warehouse, load, make_snapshot):
    """The view `campaigns` has a row for each tag, with its counts, also where it has no rows."""
    load(make_snapshot("a", 9, quarantined=2), make_snapshot("empty", 0))
    found = warehouse.sql("SELECT * FROM campaigns ORDER BY tag")
    counted = (
        "messages",
        "delivered",
        "not_delivered",
        "waiting",
        "ko",
        "opt_outs",
        "rows_quarantined",
        "still_waiting",
    )
    assert [[row[name] for name in counted] for row in found] == [
        [9, 3, 2, 2, 2, 3, 2, True],
        [0, 0, 0, 0, 0, 0, 0, False],
    ]
    assert [row["delivery_rate"] for row in found] == [pytest.approx(1 / 3), None]
    assert (found[0]["first_delivery_at"] < found[0]["last_delivery_at"], found[1]["read_at"]) == (
        True,
        datetime(2026, 11, 23, 18, 0, 0, 123456, tzinfo=UTC),
    )


def test_the_view_is_yours(warehouse, load, make_snapshot):
    """A view that was changed or dropped stays so."""
    load(make_snapshot())
    warehouse.sql("DROP VIEW campaigns")
    load(make_snapshot())
    with pytest.raises(Exception, match="campaigns"):
        warehouse.sql("SELECT * FROM campaigns")


def test_two_loaders_exclude_each_other(warehouse, make_snapshot):
    """While one holds it, another is refused and told so, in this process too; afterwards it may."""
    with open_destination(warehouse.uri):
        other = open_destination(warehouse.uri)
        other.check()
        with pytest.raises(DestinationBusy, match="is in use by another"):
            other.__enter__()
    with other:
        assert len(list(other.replace_tags([make_snapshot()], FIRST))) == 1


@pytest.fixture
def person():
    """Name the person whose number is that of the first row of every snapshot."""
    return Person("+33600000000", PhonePrivacy("plain", Secret("a phone key of 26 letters!")))


def test_erase(warehouse, load, counts, make_snapshot, person):
    """A person leaves rows and quarantine; the record names nobody; doing it again changes nothing more."""
    named = make_snapshot("a", 5, quarantined=2)
    raw = pa.array(['{"phoneNumber": "06 00 00 00 00"}', '{"phoneNumber": "+33600000009"}'])
    named = replace(
        named, page_rows=9, quarantine=named.quarantine.set_column(4, named.quarantine.schema.field(4), raw)
    )
    load(unsorted(named), make_snapshot("b", 3), replace(make_snapshot("c", 3), table=make_snapshot("c", 4).table[1:]))
    at = datetime(2026, 11, 25, tzinfo=UTC)
    removed = []
    for _ in range(2):
        with open_destination(warehouse.uri) as destination:
            removed.append(dict(destination.erase(person, at).removed))
    assert removed == [{"tags": 2, "rows": 2, "quarantined": 1}, {"tags": 0, "rows": 0, "quarantined": 0}]
    assert counts() == {"a": (FIRST, 4), "b": (FIRST, 2), "c": (FIRST, 3)}
    state = destination.loaded_tags()["a"]
    assert (state.rows_received, state.rows_loaded, state.rows_quarantined, len(state.erased_places)) == (7, 4, 1, 2)
    (record,) = destination.erasures()
    assert (record.erased_at, record.removed, "600000000" in repr(record)) == (at, removed[1], False)


def alter(place, *statements):
    """Change the tables behind the product's back."""
    for statement in statements:
        place.sql(statement)


def test_missing_column_is_added(warehouse, load, make_snapshot):
    """A table of an older version gets the column it lacks, and keeps its rows."""
    load(make_snapshot("a"))
    alter(warehouse, *(["DROP VIEW campaigns"] if warehouse.kind == "postgresql" else []))
    alter(warehouse, "ALTER TABLE statuses DROP COLUMN country")
    load(make_snapshot("b", run_id=SECOND), run_id=SECOND)
    found = warehouse.sql("SELECT tag, country FROM statuses ORDER BY tag, phone_number")
    assert [row["country"] for row in found] == [None] * 4 + ["FR", None, "NA", "FR"]
    assert stored(warehouse, "b").rows.to_pylist() == make_snapshot("b", run_id=SECOND).table.to_pylist()


def test_columns_of_the_user(warehouse, load, make_snapshot):
    """Columns that somebody added stay, as long as rows can be loaded without them."""
    load(make_snapshot("a"))
    alter(warehouse, "ALTER TABLE statuses ADD COLUMN note text DEFAULT 'mine'")
    load(make_snapshot("b"))
    assert warehouse.sql("SELECT DISTINCT tag, note FROM statuses ORDER BY tag") == [
        {"tag": "a", "note": "mine"},
        {"tag": "b", "note": "mine"},
    ]


def columns(changes=None):
    """Give the columns of `statuses` for a table of somebody else, some of them changed or left out (None)."""
    types = {"int32": "integer", "bool": "boolean", "timestamp": "timestamptz", "string": "text"}
    declared = {
        column.name: f"{types[column.type]}{'' if column.nullable else ' NOT NULL'}" for column in STATUSES.columns
    }
    declared |= changes or {}
    return ", ".join(f"{quoted(name)} {column}" for name, column in declared.items() if column)


FOREIGN = {
    "other type": (f"CREATE TABLE statuses ({columns({'occurrence': 'text'})})", '"occurrence" as'),
    "missing column": (f"CREATE TABLE statuses ({columns({'phone_number': None})})", 'no column "phone_number"'),
    "not null": (f"CREATE TABLE statuses ({columns({'country': 'text NOT NULL'})})", 'not let "country" be null'),
    "required extra": (f"CREATE TABLE statuses ({columns({'mine': 'text NOT NULL'})})", 'a column "mine" of yours'),
    "a view": ("CREATE VIEW statuses AS SELECT 1 AS tag", '"statuses" is a view'),
    "bookkeeping": ("CREATE TABLE runs (id integer)", '"runs" has no column "run_id"'),
}


@pytest.mark.parametrize("case", FOREIGN.values(), ids=FOREIGN.keys())
def test_foreign_tables_are_refused(warehouse, case):
    """What stands there under our names and is something else is refused by every door, and left as it is."""
    made, told = case
    warehouse.sql(made)
    destination = open_destination(warehouse.uri)
    for act in (destination.check, destination.__enter__, destination.loaded_tags):
        with pytest.raises(DestinationError) as caught:
            act()
        assert told in str(caught.value)
        assert caught.value.__context__ is None
    assert len(tables_in(warehouse)) == 1


def test_newer_version_is_refused(warehouse, load, make_snapshot):
    """Tables of a newer version are not touched by this one."""
    load(make_snapshot())
    alter(warehouse, f"COMMENT ON TABLE {LOADED_TAGS.name} IS 'A row per tag. Contract version 999.'")
    for act in (open_destination(warehouse.uri).check, open_destination(warehouse.uri).loaded_tags):
        with pytest.raises(DestinationError, match="was made by a newer version of this product; upgrade this one"):
            act()


def test_a_rule_of_the_user(warehouse, load, counts, make_snapshot):
    """Where a table refuses rows, what was loaded stays, and no value of a row is told."""
    load(make_snapshot("a", 2))
    if warehouse.kind == "duckdb":
        alter(warehouse, "CREATE UNIQUE INDEX mine ON statuses (stop_sms)")
    else:
        alter(warehouse, "ALTER TABLE statuses ADD CHECK (phone_number < '+33600000005')")
    with pytest.raises(DestinationError) as caught:
        load(make_snapshot("a", 9, run_id=SECOND), run_id=SECOND)
    assert "refuses rows" in str(caught.value)
    assert ("+336" in str(caught.value), caught.value.__context__, counts()) == (False, None, {"a": (FIRST, 2)})
