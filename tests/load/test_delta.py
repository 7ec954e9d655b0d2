"""Delta Lake: what is loaded, what readers of the tables see when, and what is not ours."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, Field, Schema, TableFeatures, write_deltalake
from deltalake.exceptions import CommitFailedError
from smspartner.erasure import Person
from smspartner.errors import CountMismatch, DestinationBusy, DestinationError, SettingsError
from smspartner_pipelines.load import open_destination
from smspartner_pipelines.load.dataset import ParquetDataset
from smspartner_pipelines.load.delta import DeltaLake
from smspartner_pipelines.load.destination import Compactable, LoadedTag
from smspartner.phone_numbers import PhonePrivacy
from smspartner.redaction import Secret
from smspartner_schemas.arrow import arrow_schema
from smspartner_schemas.contract import LOADED_TAGS, QUARANTINE, STATUSES, TAG_RUNS

RUN_ID = "20261123T180000Z-ab12cd34"
LATER = "20261124T180000Z-ef56ab78"
READ_AT = datetime(2026, 11, 23, 18, 0, 0, 123456, tzinfo=UTC)
HOSTILE = [
    *("../../x", "..", ".", "a/b", "a\\b", "A", "a", "con", "NUL", "%00", "~", "-rf", "_hidden", ".hidden", "*", "?"),
    *("'", '"', "$HOME", "été", "e\u0301te\u0301", "\U0001f600" * 20, "x.parquet", "tag=1", "+33612345678", "a" * 20),
    *("a%2Fb", "01", "1", "null", "true", "2026-01-01", "<>|:&#{}[]", "__HIVE_DEFAULT"),
]


@pytest.fixture
def here(tmp_path):
    """A place for a lake."""
    return tmp_path / "lake"


def load(here, *snapshots, run_id=RUN_ID):
    """Load snapshots in one batch of one run."""
    with DeltaLake(str(here)) as lake:
        return [file for files in lake.replace_tags(snapshots, run_id) for file in files]


def loaded(here):
    """What the tables say, to somebody who does not lock them."""
    return dict(DeltaLake(str(here)).loaded_tags())


def table(here, name="statuses"):
    """One of the tables, as the library opens it."""
    return DeltaTable(str(here / name))


def rows(here, name="statuses"):
    """All rows of a table, as a reader of Delta Lake finds them."""
    return sorted(table(here, name).to_pyarrow_table().to_pylist(), key=str)


def sorted_rows(*tables):
    """Rows, as `rows` gives them."""
    return sorted((row for one in tables for row in one.to_pylist()), key=str)


# What a reader finds.


def test_layout(here, make_snapshot, make_tag_runs):
    """A tag has one file in its folder of `statuses` and `quarantine`; states, history and reports stand beside."""
    with DeltaLake(str(here)) as lake:
        written = list(lake.replace_tags([make_snapshot("Été!", quarantined=1), make_snapshot("b")], RUN_ID))
        (history,) = lake.finish(make_tag_runs("gone"), RUN_ID)
        lake.save_report(b"{}", RUN_ID)
    paths = [path.relative_to(here) for path in here.rglob("*") if path.is_file() and "_delta_log" not in path.parts]
    assert sorted(str(path.parent / path.name.partition("-")[0]) for path in paths) == [
        *(".lock", "loaded_tags/20261123T180000Z", "quarantine/tag=Été%21/20261123T180000Z"),
        *("runs/20261123T180000Z", "statuses/tag=b/20261123T180000Z", "statuses/tag=Été%21/20261123T180000Z"),
        "tag_runs/20261123T180000Z",
    ]
    assert [len(files) for files in written] == [2, 1]
    assert {file.path for files in written for file in files} | {history.path} <= {str(here / path) for path in paths}
    assert all((here / file.path).stat().st_size == file.size for files in written for file in files)


def test_schema(here):
    """Tables have the contract's columns, types, nullability and meanings, in a protocol that every reader knows."""
    load(here)
    types = {"string": "string", "int32": "integer", "int64": "long", "float64": "double", "bool": "boolean"}
    for contract in (STATUSES, QUARANTINE, TAG_RUNS, LOADED_TAGS):
        found = table(here, contract.name)
        fields = found.schema().fields
        assert [field.name for field in fields] == list(contract.column_names)
        for field, column in zip(fields, contract.columns, strict=True):
            assert (field.nullable, field.metadata["comment"]) == (column.nullable, column.meaning)
            assert json.loads(field.to_json())["type"] == types.get(column.type, column.type) or column.type in {
                "strings",
                "integers",
            }
        assert found.metadata().description == contract.meaning
        assert found.metadata().partition_columns == (["tag"] if contract in {STATUSES, QUARANTINE} else [])
        assert found.protocol()[:2] == (1, 2)


def test_rows(here, make_snapshot, make_tag_runs):
    """Rows, quarantine and history come back with their types and values."""
    one, two = make_snapshot("one", 5, quarantined=2), make_snapshot("two", 3)
    with DeltaLake(str(here)) as lake:
        list(lake.replace_tags([one, make_snapshot("none", 0), two], RUN_ID))
        lake.finish(make_tag_runs("x", "y"), RUN_ID)
    assert rows(here) == sorted_rows(one.table, two.table)
    assert rows(here, "quarantine") == sorted_rows(one.quarantine)
    assert rows(here, "tag_runs") == sorted_rows(make_tag_runs("x", "y"))
    assert str(table(here).to_pyarrow_table().schema.field("status_at").type) == "timestamp[us, tz=UTC]"


def test_stored_tag(here, make_snapshot):
    """A tag's rows come back in the API's order, however many they are, in the contract's types."""
    load(here, make_snapshot("large", 140_000, quarantined=2), make_snapshot("none", 0))
    lake = DeltaLake(str(here))
    stored = {tag: lake.stored_tag(state) for tag, state in lake.loaded_tags().items()}
    expected = make_snapshot("large", 140_000, quarantined=2)
    assert stored["large"].rows.schema.equals(arrow_schema(STATUSES))
    assert stored["large"].rows["phone_number"].equals(expected.table["phone_number"])
    assert stored["large"].rows.slice(131_070, 4).to_pylist() == expected.table.slice(131_070, 4).to_pylist()
    assert stored["large"].quarantine.to_pylist() == expected.quarantine.to_pylist()
    assert (stored["none"].rows.num_rows, stored["none"].quarantine.schema) == (0, arrow_schema(QUARANTINE))


def test_encodings(here, make_snapshot):
    """Files are zstd, words dictionary-encoded, row groups 128k rows."""
    load(here, make_snapshot(rows=140_000))
    (path,) = (here / "statuses").glob("tag=*/*.parquet")
    metadata = pq.read_metadata(path)
    assert [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)] == [131_072, 8_928]
    columns = [metadata.row_group(0).column(n) for n in range(metadata.num_columns)]
    assert {column.compression for column in columns} == {"ZSTD"}
    assert {column.path_in_schema for column in columns if "RLE_DICTIONARY" in column.encodings} == {
        *("country", "status", "run_id")
    }


def test_hostile_tags(tmp_path, here, make_snapshot):
    """No tag leaves the lake or is taken for another; each is replaced by itself."""
    load(here, *(make_snapshot(tag, 1) for tag in HOSTILE))
    load(here, *(make_snapshot(tag, 2, quarantined=1, run_id=LATER) for tag in HOSTILE), run_id=LATER)
    assert [path.name for path in tmp_path.iterdir()] == ["lake"]
    assert sorted(row["tag"] for row in rows(here)) == sorted([*HOSTILE, *HOSTILE])
    assert {tag: state.consistent for tag, state in loaded(here).items()} == dict.fromkeys(HOSTILE, True)
    assert {row["run_id"] for row in rows(here)} == {LATER}
    lake = DeltaLake(str(here))
    for tag, state in lake.loaded_tags().items():
        stored = lake.stored_tag(state)
        assert (set(stored.rows["tag"].to_pylist()), stored.quarantine["tag"].to_pylist()) == ({tag}, [tag])


def test_no_phone_number_in_logs_and_footers(here, make_snapshot, make_tag_runs):
    """No phone number stands in a log, a checkpoint or a footer, even after other programs rewrote the files."""
    with DeltaLake(str(here)) as lake:
        for run in range(12):
            list(lake.replace_tags([make_snapshot("a", quarantined=2, run_id=f"r{run}")], f"r{run}"))
        lake.finish(make_tag_runs("a"), RUN_ID)
        lake.compact(timedelta(days=7))
    for name in ("statuses", "quarantine"):
        write_deltalake(table(here, name), table(here, name).to_pyarrow_table(), mode="append")
        table(here, name).optimize.compact()
        table(here, name).create_checkpoint()
        log = list((here / name / "_delta_log").iterdir())
        told = [repr(pq.read_table(path).to_pylist()) for path in log if path.suffix == ".parquet"]
        assert len(told) >= 2
        told += [path.read_text() for path in log if path.suffix == ".json"]
        assert [text for text in told if "3360000" in text or "3369999" in text] == []
    for path in [*here.rglob("20*.parquet"), *here.rglob("r*.parquet")]:
        content = path.read_bytes()
        footer = content[-8 - int.from_bytes(content[-8:-4], "little") :]
        assert b"336" not in footer, path


# What a later run finds.


def test_loaded_tags(here, make_snapshot):
    """The state of each tag comes back as it was, times with microseconds in UTC."""
    erased = replace(make_snapshot("gone", 2), rows_declared=4, rows_received=4, erased_places=(1, 3), page_rows=2)
    load(here, make_snapshot("promo-nov", 6, quarantined=2), make_snapshot("none", 0), erased)
    newest = datetime(2026, 11, 23, 18, 0, 0, 123400, tzinfo=UTC)
    assert loaded(here) == {
        "promo-nov": LoadedTag("promo-nov", 8, 6, 2, 1, newest, READ_AT, RUN_ID),
        "none": LoadedTag("none", 0, 0, 0, 0, None, READ_AT, RUN_ID),
        "gone": LoadedTag("gone", 4, 2, 0, 0, newest, READ_AT, RUN_ID, page_rows=2, erased_places=(1, 3)),
    }


def test_nothing_loaded(here):
    """No directory, an empty one, or a lake without tags hold none."""
    assert (loaded(here), DeltaLake(str(here)).exists()) == ({}, False)
    here.mkdir()
    assert (loaded(here), DeltaLake(str(here)).exists()) == ({}, False)
    load(here)
    assert (loaded(here), DeltaLake(str(here)).exists()) == ({}, True)


def test_replace(here, make_snapshot):
    """Tags that are loaded again have their new rows only, and other tags keep theirs."""
    load(here, make_snapshot("a", 5, quarantined=1), make_snapshot("b", 2), make_snapshot("c", 3))
    load(here, make_snapshot("a", 7, run_id=LATER), make_snapshot("c", 0, run_id=LATER), run_id=LATER)
    assert rows(here) == sorted_rows(make_snapshot("a", 7, run_id=LATER).table, make_snapshot("b", 2).table)
    assert rows(here, "quarantine") == []
    assert {tag: state.run_id for tag, state in loaded(here).items()} == {"a": LATER, "b": RUN_ID, "c": LATER}
    assert all(state.consistent for state in loaded(here).values())


def test_a_batch_is_one_commit(here, make_snapshot):
    """All tags of a batch change in one version of the table, which readers of versions can go back from."""
    load(here, *(make_snapshot(f"t{n}", 2) for n in range(50)))
    before = table(here).version()
    load(here, *(make_snapshot(f"t{n}", 3, run_id=LATER) for n in range(50)), run_id=LATER)
    assert table(here).version() == before + 1
    assert DeltaTable(str(here / "statuses"), version=before).to_pyarrow_table().num_rows == 100


def test_replace_twice(here, make_snapshot):
    """The same population loaded twice is the same rows."""
    load(here, make_snapshot(rows=100, quarantined=2))
    before = rows(here), rows(here, "quarantine"), loaded(here)
    load(here, make_snapshot(rows=100, quarantined=2))
    assert (rows(here), rows(here, "quarantine"), loaded(here)) == before


def test_books_must_balance(here, make_snapshot):
    """A batch with a snapshot whose counts do not add up is not loaded."""
    with pytest.raises(CountMismatch):
        load(here, make_snapshot("a"), replace(make_snapshot(rows=3), rows_declared=4))
    assert (loaded(here), rows(here)) == ({}, [])


def test_two_runs(here, make_snapshot):
    """A second run is refused while the first holds the lake, and changes nothing."""
    with DeltaLake(str(here)) as lake:
        list(lake.replace_tags([make_snapshot("a")], RUN_ID))
        with pytest.raises(DestinationBusy, match="is in use by another run"):
            load(here, make_snapshot("b"))
    assert loaded(here).keys() == {"a"}


def test_lake_that_is_removed(here, make_snapshot):
    """A run whose lake was removed writes nothing there any more."""
    with DeltaLake(str(here)) as lake:
        shutil.rmtree(here)
        for write in (
            lambda: list(lake.replace_tags([make_snapshot()], RUN_ID)),
            lambda: lake.save_report(b"{}", RUN_ID),
        ):
            with pytest.raises(DestinationError, match="was removed, moved or replaced"):
                write()
    assert not here.exists()


# Other programs.


def test_foreign_rows(here, make_snapshot):
    """A tag to which another program added rows is not consistent; its next loading sets it right, and others stay."""
    load(here, make_snapshot("a"), make_snapshot("b"))
    write_deltalake(table(here), make_snapshot("a", 1).table.cast(table(here).to_pyarrow_table().schema), mode="append")
    assert {tag: state.consistent for tag, state in loaded(here).items()} == {"a": False, "b": True}
    load(here, make_snapshot("a", 5, run_id=LATER), run_id=LATER)
    assert all(state.consistent for state in loaded(here).values())
    assert rows(here) == sorted_rows(make_snapshot("a", 5, run_id=LATER).table, make_snapshot("b").table)


@pytest.mark.parametrize("change", ["delete", "restore", "rewrite"])
def test_foreign_changes(here, make_snapshot, change):
    """Rows that another program deleted, restored from an old version or rewrote make their tag inconsistent."""
    load(here, make_snapshot("a"), make_snapshot("b"))
    load(here, make_snapshot("a", run_id=LATER), run_id=LATER)
    if change == "delete":
        table(here).delete("tag = 'a' AND status = 'ko'")
    elif change == "restore":
        table(here).restore(table(here).version() - 1)
    else:
        table(here).optimize.z_order(["status"], partition_filters=[("tag", "=", "a")])
    assert {tag: state.consistent for tag, state in loaded(here).items()} == {"a": False, "b": True}


def test_commits_of_others_while_a_run_goes_on(here, make_snapshot):
    """Commits of other programs between a run's are taken into account: theirs stay where they concern other tags."""
    foreign = make_snapshot("foreign", 2).table
    with DeltaLake(str(here)) as lake:
        list(lake.replace_tags([make_snapshot("a")], RUN_ID))
        schema = table(here).to_pyarrow_table().schema
        write_deltalake(table(here), foreign.cast(schema), mode="append")
        table(here).delete("tag = 'a'")
        table(here).alter.set_table_properties({"delta.checkpointInterval": "20"})
        list(lake.replace_tags([make_snapshot("a", 6, run_id=LATER)], LATER))
    assert rows(here) == sorted_rows(make_snapshot("a", 6, run_id=LATER).table, foreign)
    assert loaded(here)["a"].consistent


def test_commits_of_others_at_the_same_time(here, make_snapshot):
    """Another program that commits all the while is waited for, as long as it pauses at all; nothing is lost."""
    load(here, make_snapshot("a"))
    with DeltaLake(str(here)) as lake, ThreadPoolExecutor(1) as other:
        changes = [other.submit(change_settings, here, interval) for interval in range(11, 41)]
        for run in range(10):
            list(lake.replace_tags([make_snapshot("a", 2 + run, quarantined=run % 2, run_id=f"r{run}")], f"r{run}"))
    assert any(change.result() for change in changes)
    expected = make_snapshot("a", 11, quarantined=1, run_id="r9")
    assert (rows(here), rows(here, "quarantine")) == (sorted_rows(expected.table), sorted_rows(expected.quarantine))
    assert loaded(here)["a"].consistent


def change_settings(here, interval):
    """Commit what every writer must take notice of; tell whether it could be."""
    try:
        table(here).alter.set_table_properties({"delta.checkpointInterval": str(interval)})
    except CommitFailedError:  # ours came first
        return False
    return True


# What is not ours, or too new.


def test_directory_with_other_files(here, make_snapshot):
    """A directory that holds other files, or a Parquet dataset, is refused, and a dataset refuses a lake."""
    here.mkdir()
    (here / "notes.txt").touch()
    with pytest.raises(DestinationError, match="holds other files and is no lake of this product"):
        DeltaLake(str(here)).check()
    with ParquetDataset(str(here.with_name("data"))) as dataset:
        list(dataset.replace_tags([make_snapshot()], RUN_ID))
    with pytest.raises(DestinationError, match="holds other files and is no lake of this product"):
        DeltaLake(str(here.with_name("data"))).check()
    load(here.with_name("other"))
    with pytest.raises(DestinationError, match="is a Delta lake; write delta:"):
        ParquetDataset(str(here.with_name("other"))).check()


def test_path_with_percent(tmp_path):
    """A path that the library can't be given is refused."""
    with pytest.raises(DestinationError, match="its path holds a %"):
        DeltaLake(str(tmp_path / "50%25")).check()


def test_odd_path(tmp_path, make_snapshot):
    """Spaces, accents and marks of URLs in the path are nothing special."""
    here = tmp_path / "é x#y?z"
    load(here, make_snapshot())
    assert rows(here) == sorted_rows(make_snapshot().table)
    assert loaded(here)["promo-nov"].consistent


TOO_NEW = {
    "a newer contract": (
        lambda found: found.alter.set_table_properties({"smspartner.contract_version": "99"}, False),
        "was made by a newer version of this product",
    ),
    "a newer protocol": (
        lambda found: found.alter.add_feature(TableFeatures.DeletionVectors, allow_protocol_versions_increase=True),
        "asks for the Delta protocol 3/7",
    ),
    "no replacing": (
        lambda found: found.alter.set_table_properties({"delta.appendOnly": "true"}),
        "has delta.appendOnly set",
    ),
}


@pytest.mark.parametrize("case", TOO_NEW.values(), ids=TOO_NEW.keys())
def test_tables_that_can_not_be_written(here, make_snapshot, case):
    """A table that a newer version, or another program, made unwritable for us is refused before anything is done."""
    change, told = case
    load(here, make_snapshot())
    change(table(here))
    before = table(here).version()
    for use in (DeltaLake(str(here)).check, lambda: load(here, make_snapshot()), lambda: loaded(here)):
        with pytest.raises(DestinationError, match=told) as caught:
            use()
        assert caught.value.__context__ is None
    assert table(here).version() == before


@pytest.mark.parametrize(
    "fields",
    [
        [Field("tag", "string"), Field("x", "integer")],
        [*Schema.from_arrow(pa.schema([pa.field("tag", pa.string())])).fields, Field("occurrence", "string")],
    ],
    ids=["foreign", "other-types"],
)
def test_foreign_table(here, fields):
    """A Delta table of somebody else is refused, with the columns that are wrong."""
    DeltaTable.create(str(here / "statuses"), Schema(fields), partition_by=["tag"])
    with pytest.raises(
        DestinationError, match=r"statuses is another table than this product's \(columns: .*occurrence"
    ):
        DeltaLake(str(here)).check()


def test_columns_that_an_older_version_lacked(here, make_snapshot):
    """A column that may be null and is missing is added before anything is loaded; old rows have null there."""
    load(here, make_snapshot("a", 2))
    older = table(here)
    fields = [field for field in older.schema().fields if field.name != "country"]
    settings = older.metadata().configuration
    shutil.rmtree(here / "statuses")
    DeltaTable.create(
        str(here / "statuses"),
        Schema(fields),
        partition_by=["tag"],
        configuration=settings,
        raise_if_key_not_exists=False,
    )
    old = make_snapshot("old", 3).table.drop_columns(["country"])
    write_deltalake(str(here / "statuses"), old.cast(table(here).to_pyarrow_table().schema), mode="append")
    DeltaLake(str(here)).check()
    assert [field.name for field in table(here).schema().fields] == [field.name for field in fields]
    load(here, make_snapshot("b", 4))
    found = rows(here)
    assert {row["country"] for row in found if row["tag"] == "old"} == {None}
    assert [row for row in found if row["tag"] == "b"] == sorted_rows(make_snapshot("b", 4).table)


def test_damaged_log(here, make_snapshot):
    """A log that can't be read is told with what to do, without what stands in it."""
    load(here, make_snapshot())
    (here / "statuses" / "_delta_log" / f"{0:020}.json").write_text("{")
    with pytest.raises(DestinationError, match=r"^reading .*statuses failed .*restore what is missing") as caught:
        loaded(here)
    assert caught.value.__context__ is None


def test_missing_file(here, make_snapshot):
    """A data file that is gone is told by its name."""
    load(here, make_snapshot())
    lake = DeltaLake(str(here))
    state = lake.loaded_tags()["promo-nov"]
    next((here / "statuses").glob("tag=*/*.parquet")).unlink()
    with pytest.raises(DestinationError, match=r"reading .*\.parquet failed"):
        lake.stored_tag(state)


@pytest.mark.parametrize("uri", ["delta:s3://bucket/lake", "delta:abfss://a@b/c"])
def test_object_stores_are_refused(uri):
    """A lake in an object store is not loaded into yet, which is said."""
    with pytest.raises(SettingsError, match="this version does not load into delta:"):
        open_destination(uri)


def test_registered(here):
    """`delta:DIR` names a lake, under the name that the user gave."""
    found = open_destination(f"delta:{here}")
    assert isinstance(found, DeltaLake)
    assert isinstance(found, Compactable)
    assert (found.uri, found.keeps_tags) == (f"delta:{here}", True)


# Deaths between the steps; whole processes die in tests/durability.


def test_a_commit_that_never_reached_the_disk(here, make_snapshot):
    """After a power failure that left an empty commit, the next run drops it, and with it what had begun."""
    load(here, make_snapshot("a"))
    expected = rows(here), loaded(here)
    names = {str(path.relative_to(here)) for path in here.rglob("*.parquet")}
    (here / "statuses" / "_delta_log" / f"{2:020}.json").touch()
    load(here)
    assert (rows(here), loaded(here)) == expected
    assert names == {str(path.relative_to(here)) for path in here.rglob("*.parquet")}


def test_a_checkpoint_that_never_reached_the_disk(here, make_snapshot):
    """After a power failure that left an empty checkpoint, the next run reads the log without it."""
    for run in range(11):
        load(here, make_snapshot("a", run_id=f"r{run}"), run_id=f"r{run}")
    (checkpoint,) = (here / "statuses" / "_delta_log").glob("*.checkpoint.parquet")
    expected = rows(here), loaded(here)
    checkpoint.write_bytes(b"")
    with pytest.raises(DestinationError, match="statuses failed"):
        loaded(here)
    load(here)
    assert (rows(here), loaded(here)) == expected


def test_damaged_note(here, make_snapshot):
    """A note that can't be read stops a run, by name and with what to do."""
    load(here, make_snapshot())
    (here / ".staging" / "tables.note.json").write_text("[]")
    with pytest.raises(DestinationError, match=r"tables\.note\.json is damaged; remove it"):
        load(here)


# Erasure and housekeeping.


def person(number):
    """Whom to erase."""
    return Person(number, PhonePrivacy("plain", Secret("a phone key of 26 letters!")))


def numbers_in_files(here, number):
    """The files below a lake that hold a number in a row."""
    found = [path for path in here.rglob("*.parquet") if number in repr(pq.ParquetFile(path).read().to_pylist())]
    return [*found, *(path for path in here.rglob("*.json") if number in path.read_text())]


def test_erase(here, make_snapshot):
    """An erased person is in no file, of old versions neither; other rows, and the counts, stay right."""
    load(here, make_snapshot("a", 5, quarantined=2), make_snapshot("b", 1), make_snapshot("c", 0))
    load(here, make_snapshot("b", 0, run_id=LATER), run_id=LATER)
    (here / "statuses" / "tag=b" / "left-by-somebody.parquet").write_bytes(
        next((here / "statuses" / "tag=a").iterdir()).read_bytes()
    )
    one = "+33600000000"
    assert len(numbers_in_files(here, one)) == 3
    with DeltaLake(str(here)) as lake:
        record = lake.erase(person(one), READ_AT)
    assert dict(record.removed) == {"tags": 1, "rows": 1, "quarantined": 0}
    assert numbers_in_files(here, one) == []
    assert rows(here) == sorted_rows(make_snapshot("a", 5).table.slice(1))
    state = loaded(here)["a"]
    assert (state.rows_received, state.rows_loaded, state.erased_places, state.consistent) == (7, 4, (0,), True)
    assert [kept.number_hash for kept in DeltaLake(str(here)).erasures()] == [record.number_hash]
    with DeltaLake(str(here)) as lake:
        assert dict(lake.erase(person(one), READ_AT).removed) == {"tags": 0, "rows": 0, "quarantined": 0}


def test_compact(here, make_snapshot, make_tag_runs):
    """Compacting merges the history, removes what no kept version holds, and changes no row."""
    for run in range(4):
        with DeltaLake(str(here)) as lake:
            list(lake.replace_tags([make_snapshot("a", run_id=f"r{run}")], f"r{run}"))
            lake.finish(make_tag_runs("x", run_id=f"r{run}"), f"r{run}")
    before = rows(here), rows(here, "tag_runs"), loaded(here)
    with DeltaLake(str(here)) as lake:
        kept = lake.compact(timedelta(days=7))
        assert len(list((here / "statuses").rglob("r*.parquet"))) == 4
        said = lake.compact(timedelta(0))
    assert kept[:2] == [
        "tag_runs: 4 files are 1 now",
        "statuses: 0 files removed of versions older than 168 h",
    ]
    assert said[1:] == [
        *(
            "statuses: 3 files removed of versions older than 0 h",
            "quarantine: 0 files removed of versions older than 0 h",
        ),
        *(
            "loaded_tags: 3 files removed of versions older than 0 h",
            "tag_runs: 4 files removed of versions older than 0 h",
        ),
    ]
    assert (rows(here), rows(here, "tag_runs"), loaded(here)) == before
    assert len(table(here, "tag_runs").file_uris()) == 1
    load(here, make_snapshot("a", 6))
    assert len(rows(here)) == 6
