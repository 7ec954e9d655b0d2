"""Delta Lake: what readers of the tables find, what a run heals, and what is not ours."""

import json
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, Field, Schema, TableFeatures, write_deltalake
from deltalake.exceptions import CommitFailedError
from smspartner.errors import DestinationError, SettingsError
from smspartner_pipelines.load import open_destination
from smspartner_pipelines.load.destination import Damage, loaded_tags
from smspartner_schemas.contract import LOADED_TAGS, QUARANTINE, STATUSES
from smspartner_schemas.sql import WAREHOUSE_TABLES

RUN_ID = "20261123T180000Z-ab12cd34"
LATER = "20261124T180000Z-ef56ab78"
LAST = "20261125T180000Z-ef56ab78"


@pytest.fixture
def here(tmp_path):
    """A place for a lake: spaces, accents and marks of URLs in its path are nothing special."""
    return tmp_path / "é x#y?z"


def load(here, *snapshots):
    """Load snapshots in one batch of one run."""
    destination = open_destination(f"delta:{here}")
    with destination.open(for_loading=True):
        list(destination.replace(snapshots))


def loaded(here):
    """Give the runs of loaded tags, and the tags that are damaged, to somebody who does not lock."""
    destination = open_destination(f"delta:{here}")
    with destination.open(for_loading=False):
        states, damages = loaded_tags(destination)
    return {tag: state.run_id for tag, state in states.items()}, {damage.tag for damage in damages}


def table(here, name="statuses"):
    """One of the tables, as the library opens it."""
    return DeltaTable(str(here / name))


def rows(here, name="statuses"):
    """All rows of a table, as a reader of Delta Lake finds them."""
    return sorted(table(here, name).to_pyarrow_table().to_pylist(), key=str)


def data_files(here, name="statuses"):
    """The files of a table that its newest version holds."""
    return [here / name / path for path in pa.table(table(here, name).get_add_actions())["path"].to_pylist()]


def sorted_rows(*tables):
    """Rows, as `rows` gives them."""
    return sorted((row for one in tables for row in one.to_pylist()), key=str)


# What a reader finds.


def test_schema(here):
    """Tables have the contract's columns, types, nullability and meanings, in a protocol that every reader knows."""
    load(here)
    types = {"int32": "integer", "int64": "long", "float64": "double", "bool": "boolean"}
    for contract in WAREHOUSE_TABLES:
        found = table(here, contract.name)
        fields = found.schema().fields
        assert [field.name for field in fields] == list(contract.column_names)
        for field, column in zip(fields, contract.columns, strict=True):
            assert (field.nullable, field.metadata["comment"]) == (column.nullable, column.meaning)
            kind = json.loads(field.to_json())["type"]
            assert kind == types.get(column.type, column.type) or kind["elementType"] == "string"
        assert (found.metadata().description, found.metadata().partition_columns) == (contract.meaning, [])
        assert found.protocol()[:2] == (1, 2)


def test_files(here, make_snapshot):
    """Rows of a batch are sorted by tag in zstd files; a batch is one commit to each table that changes."""
    tags = [f"t{n:02}" for n in range(50)]
    load(here, *(make_snapshot(tag, 3, quarantined=1) for tag in reversed(tags)))
    (path,) = data_files(here)
    assert pq.read_table(path)["tag"].to_pylist() == [tag for tag in tags for _ in range(3)]
    assert pq.read_metadata(path).row_group(0).column(0).compression == "ZSTD"
    commits = [here / name / "_delta_log" / f"{1:020}.json" for name in ("quarantine", "statuses", "loaded_tags")]
    assert sorted(commits, key=lambda path: path.stat().st_mtime_ns) == commits
    load(here, make_snapshot("other", 3, run_id=LATER))
    assert [table(here, name).version() for name in ("quarantine", "statuses")] == [1, 2]
    load(here, *(make_snapshot(tag, 2, run_id=LATER) for tag in tags))
    assert [table(here, name).version() for name in ("quarantine", "statuses")] == [2, 3]
    assert DeltaTable(here / "statuses", version=2).to_pyarrow_table().num_rows == 153
    assert len(rows(here)) == 103


@pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")
def test_what_is_committed_is_durable(tmp_path):
    """Every data file and every commit is synced before a tag counts as loaded."""
    here = tmp_path / "lake"  # strace writes letters with accents in its own way
    program = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import conftest\nfrom smspartner_pipelines.load import open_destination\n"
        f"lake = open_destination({f'delta:{here}'!r})\n"
        "with lake.open(for_loading=True): list(lake.replace([conftest.build_snapshot(quarantined=1)]))\n"
    )
    traced = ["strace", "-f", "-y", "-qq", "-e", "trace=fsync", "-o", str(tmp_path / "calls"), sys.executable, "-c"]
    subprocess.run([*traced, program], check=True, timeout=120)
    synced = set(re.findall(r"fsync\(\d+<([^>]*)>", (tmp_path / "calls").read_text()))
    written = {str(path) for path in (*here.rglob("*.parquet"), *here.rglob("*.json"))}
    assert len(written) == 12
    assert written - synced == set()


def test_one_tag_rewrites_little(here, make_snapshot):
    """Files stay small, so that a tag that is loaded again leaves most of what is loaded where it is."""
    load(here, *(make_snapshot(f"t{n:02}", 60_000) for n in range(40)))
    before = set(data_files(here))
    load(here, make_snapshot("t07", 5, run_id=LATER))
    assert len(before) > 1
    assert len(before - set(data_files(here))) == 1


def test_no_phone_number_in_logs_and_footers(here, make_snapshot):
    """No phone number stands in a log, a checkpoint or a footer, even after other programs rewrote the files."""
    for run in range(3):
        load(here, *(make_snapshot(tag, quarantined=2, run_id=f"r{run}") for tag in ("a", f"b{run}")))
    for name in ("statuses", "quarantine"):
        for path in data_files(here, name):
            content = path.read_bytes()
            assert b"336" not in content[-8 - int.from_bytes(content[-8:-4], "little") :], path
        write_deltalake(table(here, name), table(here, name).to_pyarrow_table(), mode="append")
        table(here, name).optimize.compact()
        table(here, name).create_checkpoint()
        log = list((here / name / "_delta_log").iterdir())
        texts = [repr(pq.read_table(path).to_pylist()) for path in log if path.suffix == ".parquet"]
        texts += [path.read_text() for path in log if path.suffix == ".json"]
        assert len(texts) > 3
        assert [text for text in texts if "3360000" in text or "3369999" in text] == []


def test_erased_numbers_leave_the_disk(here, make_snapshot):
    """After a purge no file holds rows that were replaced, files of nobody included."""
    load(here, make_snapshot("a", 5, quarantined=2), make_snapshot("b", 1))
    shutil.copy(data_files(here)[0], here / "statuses" / "left-by-somebody.parquet")
    destination = open_destination(f"delta:{here}")
    with destination.open(for_loading=True):
        list(destination.replace([make_snapshot("a", 0), make_snapshot("b", 0)]))
        destination.purge()
    found = [path for path in here.rglob("*.parquet") if "+336" in repr(pq.read_table(path).to_pylist())]
    assert (found, rows(here), loaded(here)[0].keys()) == ([], [], {"a", "b"})


# What a run heals.


@pytest.mark.parametrize("commits", [1, 2])
def test_died_between_commits(here, make_snapshot, commits):
    """Where a run died between two commits, the tags that do not fit together are read again; no table shows a mix."""
    load(here, make_snapshot("a", 3, quarantined=1), make_snapshot("b", 2))
    shutil.copytree(here, here.with_name("before"))
    load(here, make_snapshot("a", 4, quarantined=2, run_id=LATER), make_snapshot("c", 2, run_id=LATER))
    for contract in (QUARANTINE, STATUSES, LOADED_TAGS)[commits:]:  # which come in this order
        shutil.rmtree(here / contract.name)
        shutil.copytree(here.with_name("before") / contract.name, here / contract.name)
    misfits = {"a"} if commits == 1 else {"a", "c"}
    assert loaded(here) == ({"b": RUN_ID}, misfits)
    assert len({row["run_id"] for row in rows(here) if row["tag"] == "a"}) == 1
    load(here, *(make_snapshot(tag, 4, quarantined=2, run_id=LAST) for tag in misfits))
    assert loaded(here) == ({"b": RUN_ID} | dict.fromkeys(misfits, LAST), set())


@pytest.mark.parametrize("change", ["append", "delete", "restore"])
def test_foreign_changes(here, make_snapshot, change):
    """A tag to which another program added rows, or took or restored some, is read again; the others stay."""
    load(here, make_snapshot("a"), make_snapshot("b"))
    load(here, make_snapshot("a", run_id=LATER))
    if change == "append":
        one = make_snapshot("a", 1).table.cast(table(here).to_pyarrow_table().schema)
        write_deltalake(table(here), one, mode="append")
    elif change == "delete":
        table(here).delete("tag = 'a' AND status = 'ko'")
    else:
        table(here).restore(table(here).version() - 1)
    assert loaded(here) == ({"b": RUN_ID}, {"a"})
    load(here, make_snapshot("a", 5, run_id=LAST))
    assert loaded(here)[1] == set()
    assert rows(here) == sorted_rows(make_snapshot("a", 5, run_id=LAST).table, make_snapshot("b").table)


DAMAGES = {
    "gone": lambda path: path.unlink(),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:200]),
    "empty": lambda path: path.write_bytes(b""),
    "foreign": lambda path: path.write_text("something else"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_damaged_files(here, make_snapshot, damage):
    """A file that is damaged hides no other from readers; a run leaves it out, and its tags are read again."""
    load(here, make_snapshot("a"))
    load(here, make_snapshot("b", run_id=LATER))
    (damaged,) = [path for path in data_files(here) if "b" in pq.read_table(path)["tag"].to_pylist()]
    damage(damaged)
    destination = open_destination(f"delta:{here}")
    with destination.open(for_loading=False):
        found = list(destination.scan(STATUSES, STATUSES.column_names))
        states, damages = loaded_tags(destination)
    assert [one.num_rows if isinstance(one, pa.Table) else one.place for one in found] == [4, str(damaged)]
    assert isinstance(found[1], Damage)
    assert (states.keys(), {one.tag for one in damages} - {None}) == ({"a"}, {"b"})
    with destination.open(for_loading=True):
        states, damages = loaded_tags(destination)
        assert (states.keys(), [one.tag for one in damages]) == ({"a"}, ["b"])
        list(destination.replace([make_snapshot("b", run_id=LATER)]))
    assert loaded(here)[1] == set()


def test_a_commit_that_never_reached_the_disk(here, make_snapshot):
    """After a power failure that left an empty commit, the next run goes on."""
    load(here, make_snapshot("a"))
    (here / "statuses" / "_delta_log" / f"{2:020}.json").touch()
    assert loaded(here)[1] == set()
    load(here, make_snapshot("a", 5, run_id=LATER))
    assert (len(rows(here)), loaded(here)) == (5, ({"a": LATER}, set()))


def test_damaged_log(here, make_snapshot):
    """A log that can't be read is reported with what to do, without what stands in it."""
    load(here, make_snapshot())
    (here / "statuses" / "_delta_log" / f"{0:020}.json").write_text("{")
    with pytest.raises(DestinationError, match=r"^reading .*statuses failed .*; restore what is missing") as caught:
        loaded(here)
    assert caught.value.__context__ is None


def test_commits_of_others_at_the_same_time(here, make_snapshot):
    """Another program that commits all the while costs at most a batch, in our words; nothing is lost."""
    load(here, make_snapshot("a"))
    destination = open_destination(f"delta:{here}")
    expected, failures = make_snapshot("a"), []
    with destination.open(for_loading=True), ThreadPoolExecutor(1) as other:
        changes = [other.submit(change_settings, here, interval) for interval in range(11, 41)]
        for run in range(6):
            snapshot = make_snapshot("a", 2 + run, run_id=f"r{run}")
            try:
                list(destination.replace([snapshot]))
                expected = snapshot
            except DestinationError as error:
                failures.append(error)
        assert [change.result() for change in changes]
    assert {error.__context__ for error in failures} <= {None}
    assert all("another program changed it; run again once it ended" in str(error) for error in failures)
    assert rows(here) == sorted_rows(expected.table)


def change_settings(here, interval):
    """Commit what every writer must take notice of, if ours does not come first."""
    try:
        table(here).alter.set_table_properties({"delta.checkpointInterval": str(interval)})
    except CommitFailedError:
        return False
    return True


def test_lake_that_is_removed(here, make_snapshot):
    """A run whose lake was removed writes nothing there any more."""
    destination = open_destination(f"delta:{here}")
    with destination.open(for_loading=True):
        shutil.rmtree(here)
        for write in (lambda: list(destination.replace([make_snapshot()])), destination.purge):
            with pytest.raises(DestinationError, match="was removed, moved or replaced"):
                write()
    assert not here.exists()


# What is not ours, or too new.


def refused(path):
    """Give what is said where a lake can't be loaded."""
    with pytest.raises(SettingsError) as caught:
        open_destination(f"delta:{path}").check()
    assert caught.value.__context__ is None
    return str(caught.value)


def test_directories_of_others(here, tmp_path, make_snapshot):
    """A directory that holds other files, or a dataset, is refused, and a dataset refuses a lake."""
    here.mkdir()
    (here / "notes.txt").touch()
    assert "holds other files and is no lake of this product" in refused(here)
    dataset = open_destination(str(tmp_path / "data"))
    with dataset.open(for_loading=True):
        list(dataset.replace([make_snapshot()]))
    assert "holds other files and is no lake of this product" in refused(tmp_path / "data")
    load(tmp_path / "other")
    with pytest.raises(SettingsError, match="is a Delta lake; write delta:"):
        open_destination(str(tmp_path / "other")).check()
    assert "holds a %, which Delta Lake can't write to" in refused(tmp_path / "50%25")


TOO_NEW = {
    "contract": lambda found: found.alter.set_table_properties({"smspartner.contract_version": "99"}, False),
    "protocol": lambda found: found.alter.add_feature(
        TableFeatures.DeletionVectors, allow_protocol_versions_increase=True
    ),
}


@pytest.mark.parametrize("change", TOO_NEW.values(), ids=TOO_NEW.keys())
def test_tables_that_can_not_be_written(here, make_snapshot, change):
    """A table that a newer version, or another program, made unreadable for us is refused before anything is done."""
    load(here, make_snapshot())
    change(table(here))
    before = table(here).version()
    problem = "needs a newer version of it or of the Delta protocol; upgrade it"
    assert problem in refused(here)
    for use in (lambda: load(here, make_snapshot()), lambda: loaded(here)):
        with pytest.raises(SettingsError, match=problem):
            use()
    assert table(here).version() == before


@pytest.mark.parametrize("kind", ["string", "integer"])
def test_foreign_table(here, kind):
    """A Delta table of somebody else is refused, with the columns that are wrong."""
    ours = pa.schema([pa.field("tag", pa.string())])
    DeltaTable.create(str(here / "statuses"), Schema([*Schema.from_arrow(ours).fields, Field("occurrence", kind)]))
    assert "of the Delta protocol (columns: country, " in refused(here)


@pytest.mark.parametrize("uri", ["delta:s3://bucket/lake", "delta:abfss://a@b/c"])
def test_object_stores_are_refused(uri):
    """A lake in an object store is not loaded into yet, which is said."""
    with pytest.raises(SettingsError, match="this version does not load into delta:"):
        open_destination(uri)
