"""Delta Lake: what readers of the tables find, what a run heals, and what is not ours."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, Field, Schema, TableFeatures, write_deltalake
from load.looking import HOSTILE, LATER, RUN_ID, load, refused, rows_of, states_and_damages
from smspartner.errors import DestinationError, SettingsError
from smspartner_pipelines.load import open_destination
from smspartner_pipelines.load.delta_table import LakeTable
from smspartner_pipelines.load.destination import Damage, loaded_tags
from smspartner_schemas.contract import LOADED_TAGS, QUARANTINE, STATUSES
from smspartner_schemas.sql import WAREHOUSE_TABLES

LAST = "20261125T180000Z-ef56ab78"


@pytest.fixture
def here(tmp_path):
    """A place for a lake: spaces, accents and marks of URLs in its path are nothing special."""
    return tmp_path / "é x#y?z"


@pytest.fixture
def uri(here):
    """Its URI."""
    return f"delta:{here}"


def runs_and_damaged(uri):
    """Give the runs of loaded tags, and the tags that are damaged."""
    states, damages = states_and_damages(uri)
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


# What a reader finds.


def test_schema(here, uri):
    """Tables have the contract's columns, types, nullability and meanings, in a protocol that every reader knows."""
    load(uri)
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


def test_files(here, uri, make_snapshot):
    """Rows of a batch are sorted by tag in zstd files; a batch is one commit to each table that changes."""
    tags = [f"t{n:02}" for n in range(50)]
    load(uri, *(make_snapshot(tag, 3, quarantined=1) for tag in reversed(tags)))
    (path,) = data_files(here)
    assert pq.read_table(path)["tag"].to_pylist() == [tag for tag in tags for _ in range(3)]
    assert pq.read_metadata(path).row_group(0).column(0).compression == "ZSTD"
    commits = [here / name / "_delta_log" / f"{1:020}.json" for name in ("quarantine", "statuses", "loaded_tags")]
    assert sorted(commits, key=lambda path: path.stat().st_mtime_ns) == commits
    load(uri, make_snapshot("other", 3, run_id=LATER))
    assert [table(here, name).version() for name in ("quarantine", "statuses")] == [1, 2]
    load(uri, *(make_snapshot(tag, 2, run_id=LATER) for tag in tags))
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


def test_one_tag_rewrites_little(here, uri, make_snapshot):
    """Files stay small, so that a tag that is loaded again leaves most of what is loaded where it is."""
    load(uri, *(make_snapshot(f"t{n:02}", 60_000) for n in range(40)))
    before = set(data_files(here))
    load(uri, make_snapshot("t07", 5, run_id=LATER))
    assert len(before) > 1
    assert len(before - set(data_files(here))) == 1


def test_no_phone_number_in_logs_and_footers(here, uri, make_snapshot):
    """No phone number stands in a log, a checkpoint or a footer, even after other programs rewrote the files."""
    for run in range(3):
        load(uri, *(make_snapshot(tag, quarantined=2, run_id=f"r{run}") for tag in ("a", f"b{run}")))
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


def test_erased_numbers_leave_the_disk(here, uri, make_snapshot):
    """After a purge no file holds rows that were replaced, files of nobody included."""
    load(uri, make_snapshot("a", 5, quarantined=2), make_snapshot("b", 1))
    shutil.copy(data_files(here)[0], here / "statuses" / "left-by-somebody.parquet")
    destination = open_destination(uri)
    with destination.open(for_loading=True):
        list(destination.replace([make_snapshot("a", 0), make_snapshot("b", 0)]))
        destination.purge()
    found = [path for path in here.rglob("*.parquet") if "+336" in repr(pq.read_table(path).to_pylist())]
    assert (found, rows(here), runs_and_damaged(uri)[0].keys()) == ([], [], {"a", "b"})


READERS = os.environ.get("SMSPARTNER_TEST_READERS", "")
"""A Python with duckdb and duckdb-extension-delta."""

BY_DUCKDB = """
import json, sys, duckdb, duckdb_extension_delta
from pathlib import Path
(extension,) = Path(duckdb_extension_delta.__path__[0]).rglob("delta.duckdb_extension")
connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
connection.load_extension(str(extension))
connection.execute("SET TimeZone = 'UTC'")
found = connection.execute("FROM delta_scan(?)", [sys.argv[1]]).to_arrow_table().to_pylist()
print(json.dumps(found, default=lambda time: time.isoformat()))
"""
"""DuckDB reads the log by its own extension, which is a package here, so that nothing is fetched."""


@pytest.mark.skipif(not READERS, reason="needs SMSPARTNER_TEST_READERS: a Python with duckdb and its delta extension")
def test_rows_of_another_reader(tmp_path, make_snapshot):
    """DuckDB finds the rows of today, of every tag, and none of what was replaced."""
    uri, new = f"delta:{tmp_path}/lake", [make_snapshot(tag, 3, run_id=LATER) for tag in HOSTILE]
    load(uri, *(make_snapshot(tag, 4, quarantined=1) for tag in HOSTILE))
    load(uri, *new)
    command = [READERS, "-c", BY_DUCKDB, str(tmp_path / "lake" / "statuses")]
    done = subprocess.run(command, check=False, capture_output=True, text=True, encoding="utf-8", timeout=180)
    assert done.returncode == 0, done.stderr
    expected = json.loads(json.dumps(rows_of(*(one.table for one in new)), default=lambda time: time.isoformat()))
    assert sorted(json.loads(done.stdout), key=str) == sorted(expected, key=str)


# What a run heals.


@pytest.mark.parametrize("commits", [1, 2])
def test_died_between_commits(here, uri, make_snapshot, commits):
    """Where a run died between two commits, the tags that do not fit together are read again; no table shows a mix."""
    load(uri, make_snapshot("a", 3, quarantined=1), make_snapshot("b", 2))
    shutil.copytree(here, here.with_name("before"))
    load(uri, make_snapshot("a", 4, quarantined=2, run_id=LATER), make_snapshot("c", 2, run_id=LATER))
    for contract in (QUARANTINE, STATUSES, LOADED_TAGS)[commits:]:  # which come in this order
        shutil.rmtree(here / contract.name)
        shutil.copytree(here.with_name("before") / contract.name, here / contract.name)
    misfits = {"a"} if commits == 1 else {"a", "c"}
    assert runs_and_damaged(uri) == ({"b": RUN_ID}, misfits)
    assert len({row["run_id"] for row in rows(here) if row["tag"] == "a"}) == 1
    load(uri, *(make_snapshot(tag, 4, quarantined=2, run_id=LAST) for tag in misfits))
    assert runs_and_damaged(uri) == ({"b": RUN_ID} | dict.fromkeys(misfits, LAST), set())


@pytest.mark.parametrize("change", ["append", "delete", "restore"])
def test_foreign_changes(here, uri, make_snapshot, change):
    """A tag to which another program added rows, or took or restored some, is read again; the others stay."""
    load(uri, make_snapshot("a"), make_snapshot("b"))
    load(uri, make_snapshot("a", run_id=LATER))
    if change == "append":
        one = make_snapshot("a", 1).table.cast(table(here).to_pyarrow_table().schema)
        write_deltalake(table(here), one, mode="append")
    elif change == "delete":
        table(here).delete("tag = 'a' AND status = 'ko'")
    else:
        table(here).restore(table(here).version() - 1)
    assert runs_and_damaged(uri) == ({"b": RUN_ID}, {"a"})
    load(uri, make_snapshot("a", 5, run_id=LAST))
    assert runs_and_damaged(uri)[1] == set()
    assert rows(here) == rows_of(make_snapshot("a", 5, run_id=LAST).table, make_snapshot("b").table)


DAMAGES = {
    "gone": lambda path: path.unlink(),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:200]),
    "empty": lambda path: path.write_bytes(b""),
    "foreign": lambda path: path.write_text("something else"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_damaged_files(here, uri, make_snapshot, damage):
    """A file that is damaged hides no other from readers; a run leaves it out, and its tags are read again."""
    load(uri, make_snapshot("a"))
    load(uri, make_snapshot("b", run_id=LATER))
    (damaged,) = [path for path in data_files(here) if "b" in pq.read_table(path)["tag"].to_pylist()]
    damage(damaged)
    destination = open_destination(uri)
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
    assert runs_and_damaged(uri)[1] == set()


def test_a_commit_that_never_reached_the_disk(here, uri, make_snapshot):
    """After a power failure that left an empty commit, the next run goes on."""
    load(uri, make_snapshot("a"))
    (here / "statuses" / "_delta_log" / f"{2:020}.json").touch()
    assert runs_and_damaged(uri)[1] == set()
    load(uri, make_snapshot("a", 5, run_id=LATER))
    assert (len(rows(here)), runs_and_damaged(uri)) == (5, ({"a": LATER}, set()))


def test_damaged_log(here, uri, make_snapshot):
    """A log that can't be read is reported with what to do, without what stands in it."""
    load(uri, make_snapshot())
    (here / "statuses" / "_delta_log" / f"{0:020}.json").write_text("{")
    with pytest.raises(DestinationError, match=r"^reading .*statuses failed .*; restore what is missing") as caught:
        runs_and_damaged(uri)
    assert caught.value.__context__ is None


def test_a_commit_of_others_in_between(here, uri, make_snapshot):
    """Another program that commits meanwhile costs a batch, in our words; nothing is lost."""
    load(uri, make_snapshot("a"))
    stale = table(here)
    table(here).alter.set_table_properties({"delta.checkpointInterval": "11"})
    says = "failed: another program changed it; run again once it ended"
    with pytest.raises(DestinationError, match=says) as caught, LakeTable(STATUSES, here, {})._committing():
        write_deltalake(stale, stale.to_pyarrow_table(), mode="append")
    assert caught.value.__context__ is None
    assert rows(here) == rows_of(make_snapshot("a").table)


def test_lake_that_is_removed(here, uri, make_snapshot):
    """A run whose lake was removed writes nothing there any more."""
    destination = open_destination(uri)
    with destination.open(for_loading=True):
        shutil.rmtree(here)
        for write in (lambda: list(destination.replace([make_snapshot()])), destination.purge):
            with pytest.raises(DestinationError, match="was removed, moved or replaced"):
                write()
    assert not here.exists()


# What is not ours, or too new.


def test_directories_of_others(here, uri, tmp_path, make_snapshot):
    """A directory that holds other files, or a dataset, is refused, and a dataset refuses a lake."""
    here.mkdir()
    (here / "notes.txt").touch()
    assert "holds other files and is no lake of this product" in refused(uri)
    load(tmp_path / "data", make_snapshot())
    assert "holds other files and is no lake of this product" in refused(f"delta:{tmp_path}/data")
    load(f"delta:{tmp_path}/other")
    assert "is a Delta lake; write delta:" in refused(tmp_path / "other")
    assert "holds a %, which Delta Lake can't write to" in refused(f"delta:{tmp_path}/50%25")


@pytest.mark.parametrize("newer", ["contract", "protocol"])
def test_tables_that_can_not_be_written(here, uri, make_snapshot, newer):
    """A table that a newer version, or another program, made unreadable for us is refused before anything is done."""
    load(uri, make_snapshot())
    if newer == "contract":
        table(here).alter.set_table_properties({"smspartner.contract_version": "99"}, False)
    else:
        table(here).alter.add_feature(TableFeatures.DeletionVectors, allow_protocol_versions_increase=True)
    before, problem = table(here).version(), "needs a newer version of it or of the Delta protocol; upgrade it"
    assert problem in refused(uri)
    for use in (lambda: load(uri, make_snapshot()), lambda: runs_and_damaged(uri)):
        with pytest.raises(SettingsError, match=problem):
            use()
    assert table(here).version() == before


@pytest.mark.parametrize("kind", ["string", "integer"])
def test_foreign_table(here, uri, kind):
    """A Delta table of somebody else is refused, with the columns that are wrong."""
    ours = pa.schema([pa.field("tag", pa.string())])
    DeltaTable.create(str(here / "statuses"), Schema([*Schema.from_arrow(ours).fields, Field("occurrence", kind)]))
    assert "of the Delta protocol (columns: country, " in refused(uri)
