"""The Parquet dataset: what is loaded, and what a reader sees when."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
from smspartner.errors import CountMismatch, DestinationBusy, DestinationError
from smspartner_pipelines.load.dataset import ParquetDataset, file_name
from smspartner_pipelines.load.destination import LoadedTag
from smspartner_schemas.arrow import arrow_schema
from smspartner_schemas.contract import QUARANTINE, STATUSES, TAG_RUNS
from smspartner_schemas.frames import pandas_dtypes, to_frame

RUN_ID = "20261123T180000Z-ab12cd34"
LATER = "20261124T180000Z-ef56ab78"
HOSTILE = [
    *("../../x", "..", ".", "a/b", "a\\b", "A", "a", "con", "NUL", "%00", "~", "-rf", "_hidden", ".hidden", "*", "?"),
    *("'", '"', "$HOME", "été", "e\u0301te\u0301", "\U0001f600" * 20, "x.parquet", "tag=1", "+33612345678", "a" * 20),
]


@pytest.fixture
def here(tmp_path):
    """A place for a dataset."""
    return tmp_path / "out"


def load(here, *snapshots, run_id=RUN_ID):
    """Load snapshots in one run."""
    with ParquetDataset(str(here)) as dataset:
        return [file for files in dataset.replace_tags(snapshots, run_id) for file in files]


def loaded(here):
    """What the footers say."""
    return dict(ParquetDataset(str(here)).loaded_tags())


def rows(here, table="statuses"):
    """All rows, as a reader of the folder finds them."""
    found = pa.dataset.dataset(here / table).to_table()
    return sorted(found.to_pylist(), key=str)


def files(here):
    """The names of all files."""
    return sorted(str(path.relative_to(here)) for path in here.rglob("*") if path.is_file())


# What a reader finds.


def test_layout(here, make_snapshot, make_tag_runs):
    """A tag has one file in `statuses`, and one in `quarantine`; a run has one in `tag_runs` and one in `runs`."""
    with ParquetDataset(str(here)) as dataset:
        snapshots = [make_snapshot("Promo.Nov!", quarantined=1), make_snapshot("relance")]
        written = [file for files in dataset.replace_tags(snapshots, RUN_ID) for file in files]
        written += dataset.finish(make_tag_runs("gone"), RUN_ID)
        dataset.save_report(b"{}", RUN_ID)
    expected = [
        *(".lock", "quarantine/promo-nov-228768cc47667e67.parquet", f"runs/{RUN_ID}.json"),
        *("statuses/promo-nov-228768cc47667e67.parquet", "statuses/relance-7d28f71d8356364d.parquet"),
        f"tag_runs/{RUN_ID}.parquet",
    ]
    assert files(here) == expected
    assert [Path(file.path).relative_to(here).parts[0] for file in written] == [
        *("statuses", "quarantine", "statuses", "tag_runs")
    ]
    assert [Path(file.path).stat().st_size for file in written] == [file.size for file in written]


def test_pandas(here, make_snapshot):
    """`pandas.read_parquet` gives the contract's frame, without a word about types."""
    one, two = make_snapshot("one", 5), make_snapshot("two", 3)
    load(here, one, make_snapshot("none", 0), two)
    frame = pd.read_parquet(here / "statuses")
    assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == pandas_dtypes()
    expected = to_frame(pa.concat_tables([one.table, two.table]))
    plain = [name for name in frame.columns if frame[name].dtype == "category"]
    pd.testing.assert_frame_equal(
        frame.astype(dict.fromkeys(plain, "str")), expected.astype(dict.fromkeys(plain, "str"))
    )


def test_pyarrow(here, make_snapshot):
    """A PyArrow dataset over the folder has the contract's schema and the loaded rows."""
    one, two = make_snapshot("one", 5), make_snapshot("two", 3)
    load(here, one, two)
    found = pa.dataset.dataset(here / "statuses").to_table()
    assert found.schema.equals(arrow_schema(STATUSES))
    assert found.to_pylist() == one.table.to_pylist() + two.table.to_pylist()


def test_duckdb(here, make_snapshot):
    """DuckDB reads the folder by a glob, with times that have a zone."""
    one, two = make_snapshot("one", 5), make_snapshot("two", 3)
    load(here, one, two)
    found = duckdb.sql(f"FROM read_parquet('{here}/statuses/*.parquet') ORDER BY tag, phone_number")
    assert [str(kind) for kind in found.types] == [
        *("VARCHAR", "VARCHAR", "INTEGER", "VARCHAR", "VARCHAR", "BOOLEAN"),
        *("TIMESTAMP WITH TIME ZONE", "TIMESTAMP WITH TIME ZONE", "VARCHAR"),
    ]
    table = found.to_arrow_table().cast(arrow_schema(STATUSES))
    assert table.to_pylist() == one.table.to_pylist() + two.table.to_pylist()


def test_quarantine_and_tag_runs(here, make_snapshot, make_tag_runs):
    """Doubtful rows and the history keep their types and values."""
    snapshot, history = make_snapshot(quarantined=2), make_tag_runs("x", "y")
    load(here, snapshot)
    with ParquetDataset(str(here)) as dataset:
        dataset.finish(history, RUN_ID)
    doubted = pq.read_table(here / "quarantine")
    assert doubted.schema.equals(arrow_schema(QUARANTINE))
    assert doubted.equals(snapshot.quarantine)
    past = pq.read_table(here / "tag_runs")
    assert past.schema.equals(arrow_schema(TAG_RUNS))
    assert past.to_pylist() == history.to_pylist()


def test_encodings(here, make_snapshot):
    """Files are zstd, words dictionary-encoded, row groups 128k rows."""
    load(here, make_snapshot(rows=140_000))
    metadata = pq.read_metadata(next((here / "statuses").iterdir()))
    assert [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)] == [131_072, 8_928]
    columns = [metadata.row_group(0).column(n) for n in range(metadata.num_columns)]
    assert {column.compression for column in columns} == {"ZSTD"}
    words = {column.path_in_schema for column in columns if "RLE_DICTIONARY" in column.encodings}
    assert words == {"tag", "country", "status", "run_id"}
    bare = {column.path_in_schema for column in columns if column.statistics is None}
    assert bare == {"phone_number"}


def test_tag_without_rows(here, make_snapshot):
    """A complete tag with no rows is loaded all the same."""
    load(here, make_snapshot("none", 0))
    assert pd.read_parquet(here / "statuses").shape == (0, len(STATUSES.columns))
    assert loaded(here)["none"].rows_loaded == 0


# What a later run finds.


def test_loaded_tags(here, make_snapshot):
    """The state of each tag comes back as it was, times with microseconds in UTC."""
    load(here, make_snapshot("promo-nov", 6, quarantined=2), make_snapshot("none", 0))
    read_at = datetime(2026, 11, 23, 18, 0, 0, 123456, tzinfo=UTC)
    assert loaded(here) == {
        "promo-nov": LoadedTag(
            tag="promo-nov",
            rows_received=8,
            rows_loaded=6,
            rows_quarantined=2,
            waiting=1,
            newest_status_at=datetime(2026, 11, 23, 18, 0, 0, 123400, tzinfo=UTC),
            extracted_at=read_at,
            run_id=RUN_ID,
        ),
        "none": LoadedTag("none", 0, 0, 0, 0, None, read_at, RUN_ID),
    }


def test_nothing_loaded(here):
    """No directory, or an empty one, holds no tags."""
    assert loaded(here) == {}
    here.mkdir()
    assert loaded(here) == {}
    with ParquetDataset(str(here)):
        assert loaded(here) == {}


def test_many_tags(here, make_snapshot):
    """More files than are read at once are all found."""
    tags = {f"tag-{n}" for n in range(300)}
    load(here, *(make_snapshot(tag, 1) for tag in tags))
    assert loaded(here).keys() == tags


def test_footers_are_found_as_pyarrow_finds_them(here, make_snapshot):
    """Our key stands in the footer as PyArrow reads it, also when the footer is long."""
    part = make_snapshot("large", 10_000)
    large = pa.concat_tables([part.table] * 280)
    count = large.num_rows
    load(here, make_snapshot("small", 1), replace(part, table=large, rows_declared=count, rows_received=count))
    for tag in ("small", "large"):
        path = here / "statuses" / file_name(tag)
        facts = json.loads(pq.read_metadata(path).metadata[b"smspartner"])
        assert facts["rows_loaded"] == loaded(here)[tag].rows_loaded
    assert pq.read_metadata(path).serialized_size > 16 * 1024


def test_footers_hold_nothing_personal(here, make_snapshot):
    """No phone number stands in a footer, whatever reads it."""
    load(here, make_snapshot(quarantined=3))
    for path in here.rglob("*.parquet"):
        content = path.read_bytes()
        size = int.from_bytes(content[-8:-4], "little")
        assert b"336" not in content[-8 - size :]
        assert set(pq.read_metadata(path).metadata) == {b"smspartner", b"ARROW:schema"}
        assert set(json.loads(pq.read_metadata(path).metadata[b"smspartner"])) == {
            *("contract_version", "tag", "rows_received", "rows_loaded", "rows_quarantined", "waiting"),
            *("newest_status_at", "extracted_at", "run_id", "phone_numbers", "page_rows", "erased_places"),
        }


# Replacing.


def test_replace(here, make_snapshot):
    """A tag that is loaded again has its new rows only, and other tags keep theirs."""
    load(here, make_snapshot("a", 5, quarantined=1), make_snapshot("b", 2))
    load(here, make_snapshot("a", 7, run_id=LATER), run_id=LATER)
    expected = make_snapshot("a", 7, run_id=LATER).table.to_pylist() + make_snapshot("b", 2).table.to_pylist()
    assert rows(here) == sorted(expected, key=str)
    assert files(here / "quarantine") == []
    assert loaded(here)["a"].run_id == LATER
    assert loaded(here)["a"].consistent


def test_replace_twice(here, make_snapshot):
    """The same population loaded twice leaves byte for byte the same files."""
    snapshot = make_snapshot(rows=100, quarantined=2)
    first = load(here, snapshot)
    content = {name: (here / name).read_bytes() for name in files(here)}
    assert load(here, snapshot) == first
    assert {name: (here / name).read_bytes() for name in files(here)} == content


def test_books_must_balance(here, make_snapshot):
    """A snapshot whose counts do not add up is not loaded."""
    with pytest.raises(CountMismatch):
        load(here, replace(make_snapshot(rows=3), rows_declared=4))
    assert loaded(here) == {}


def test_hostile_tags(tmp_path, here, make_snapshot):
    """No tag leaves the folder, hides, or takes the place of another, even where names are blind to case."""
    load(here, *(make_snapshot(tag, 1) for tag in HOSTILE))
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    names = files(here / "statuses")
    assert len({name.casefold() for name in names}) == len(HOSTILE)
    assert [name for name in names if not re.fullmatch(r"[a-z0-9][a-z0-9-]*\.parquet", name)] == []
    assert loaded(here).keys() == set(HOSTILE)
    assert {row["tag"] for row in rows(here)} == set(HOSTILE)


def test_names_are_readable():
    """A file's name tells its tag."""
    assert file_name("Été_2026/Relance") == "ete-2026-relance-b6490f55b62d32b5.parquet"


# When something dies.

KILLED = """
from smspartner_pipelines.load.dataset import ParquetDataset
here, event, count, rows, quarantined = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])

def strike(name, arguments):
    global count
    count -= name == event
    if not count:
        os.kill(os.getpid(), 9)

snapshot = conftest.build_snapshot("a", rows, quarantined=quarantined, run_id="LATER")
with ParquetDataset(here) as dataset:
    sys.addaudithook(strike)
    list(dataset.replace_tags([snapshot], "LATER"))
print("survived")
"""
STEPS = [("open", 2), ("os.rename", 1), ("open", 4), ("os.rename", 2), ("os.remove", 1)]


@pytest.mark.parametrize("quarantined", [(0, 2), (2, 0), (2, 3)], ids=str)
def test_killed_while_replacing(here, start, make_snapshot, quarantined):
    """Whenever a run is killed, readers see old rows or new; what does not fit together is noticed and mended."""
    before, after = quarantined
    old, new = make_snapshot("a", 5, quarantined=before), make_snapshot("a", 6, quarantined=after, run_id="LATER")
    killed = 0
    for event, count in STEPS:
        load(here, old)
        said, error = start(KILLED, str(here), event, str(count), "6", str(after)).communicate()
        assert error == ""
        killed += said == ""
        state, found = loaded(here)["a"], rows(here)
        assert found in (rows_of(old), rows_of(new))
        assert state.run_id == found[0]["run_id"]
        quarantine = rows(here, "quarantine") if files(here / "quarantine") else []
        fits = quarantine == sorted((new if state.run_id == "LATER" else old).quarantine.to_pylist(), key=str)
        assert state.consistent == fits

        load(here, new, run_id="LATER")
        assert rows(here) == rows_of(new)
        assert loaded(here)["a"].consistent
        assert files(here / ".staging") == []
    assert killed >= 3


def rows_of(snapshot):
    """The rows of a snapshot, as `rows` gives them."""
    return sorted(snapshot.table.to_pylist(), key=str)


def test_first_load_dies_after_quarantine(here, make_snapshot):
    """Doubtful rows of a tag that was never loaded are gone after the next run."""
    load(here, make_snapshot("a", quarantined=1), make_snapshot("b", quarantined=1))
    (here / "statuses" / file_name("a")).unlink()
    (here / "quarantine" / "notes.parquet").write_bytes(b"not ours")
    load(here)
    assert files(here / "quarantine") == sorted([file_name("b"), "notes.parquet"])


@pytest.mark.parametrize("damage", ["missing", "cut", "of another run", "of another tag", "too many"])
def test_quarantine_that_does_not_fit(here, make_snapshot, damage):
    """A tag whose quarantine is not that of its rows is inconsistent; others are not."""
    load(here, make_snapshot("a", quarantined=0 if damage == "too many" else 1), make_snapshot("b", quarantined=1))
    a, b = (here / "quarantine" / file_name(tag) for tag in ("a", "b"))
    statuses = here / "statuses" / file_name("a")
    if damage == "missing":
        a.unlink()
    elif damage == "cut":
        a.write_bytes(a.read_bytes()[:-9])
    elif damage == "of another run":
        kept = statuses.read_bytes()
        load(here, make_snapshot("a", quarantined=1, run_id=LATER), run_id=LATER)
        statuses.write_bytes(kept)
    else:
        a.write_bytes(b.read_bytes())
    assert {tag: state.consistent for tag, state in loaded(here).items()} == {"a": False, "b": True}


def test_staged_files_of_dead_runs(here, make_snapshot):
    """What a killed run had half-written is gone after the next, and was never seen."""
    load(here, make_snapshot())
    (here / ".staging" / f".{file_name('x')}.0123456789abcdef.partial").write_bytes(b"PAR1 half")
    assert loaded(here).keys() == {"promo-nov"}
    load(here)
    assert files(here / ".staging") == []


def test_writing_fails_when_rows_and_quarantine_were_to_be_moved(here, make_snapshot):
    """The run is told; readers keep the old rows; whoever leaves or enters next finishes what had begun."""
    load(here, make_snapshot("a"))
    kept = (here / "statuses" / file_name("a")).read_bytes()
    with ParquetDataset(str(here)) as dataset:
        (here / "statuses").rename(here / "away")
        (here / "statuses").touch()
        with pytest.raises(DestinationError, match="a part of the path is a file"):
            list(dataset.replace_tags([make_snapshot("a", quarantined=1, run_id=LATER)], LATER))
        (here / "statuses").unlink()
        (here / "away").rename(here / "statuses")
        assert (here / "statuses" / file_name("a")).read_bytes() == kept
        assert loaded(here)["a"].consistent
    assert (loaded(here)["a"].run_id, loaded(here)["a"].consistent) == (LATER, True)
    assert rows(here, "quarantine") == make_snapshot("a", quarantined=1, run_id=LATER).quarantine.to_pylist()
    assert files(here / ".staging") == []


# What is not ours.


@pytest.mark.parametrize("content", [b"", b"PAR1", b"hello, world", b"PAR1" + bytes(40) + b"PAR1"])
def test_damaged_file(here, make_snapshot, content):
    """A file that is no Parquet stops the run, by name and with what to do."""
    load(here, make_snapshot())
    path = here / "statuses" / "other.parquet"
    path.write_bytes(content)
    says = f"{path} is damaged, or no file of this product; move it away (its tag is then read again) and run again"
    with pytest.raises(DestinationError, match=f"^{re.escape(says)}$") as caught:
        loaded(here)
    assert caught.value.__context__ is None


@pytest.mark.parametrize("cut", [1, 9, 300])
def test_cut_file(here, make_snapshot, cut):
    """A file of ours that lost its end stops the run."""
    load(here, make_snapshot())
    path = next((here / "statuses").iterdir())
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(DestinationError, match="is damaged"):
        loaded(here)


def test_foreign_parquet_file(here, make_snapshot):
    """A Parquet file of somebody else stops the run: readers of the folder would find its rows."""
    load(here, make_snapshot())
    pq.write_table(pa.table({"x": [1]}), here / "statuses" / "other.parquet")
    with pytest.raises(DestinationError, match=r"other\.parquet is damaged, or no file of this product"):
        loaded(here)


def test_copied_file(here, make_snapshot):
    """A copy of a tag's file would give its rows twice."""
    load(here, make_snapshot())
    (here / "statuses" / "copy.parquet").write_bytes((here / "statuses" / file_name("promo-nov")).read_bytes())
    with pytest.raises(DestinationError, match=r"copy\.parquet was renamed or copied"):
        loaded(here)


def test_other_endings_are_passed_over(here, make_snapshot):
    """Notes and what systems leave in folders do not matter."""
    load(here, make_snapshot())
    for name in ("README.txt", ".DS_Store", "_SUCCESS", "._promo.parquet"):
        (here / "statuses" / name).write_bytes(b"?")
    assert loaded(here).keys() == {"promo-nov"}


@pytest.mark.parametrize(("version", "says"), [(2, "newer version of this product; update"), ("1", "is damaged")])
def test_other_contract_versions(here, make_snapshot, version, says):
    """Files of a newer version are left alone; a version that is none is damage."""
    load(here, make_snapshot())
    path = next((here / "statuses").iterdir())
    table = pq.read_table(path)
    facts = json.loads(pq.read_metadata(path).metadata[b"smspartner"]) | {"contract_version": version}
    with pq.ParquetWriter(path, table.schema.remove_metadata()) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({"smspartner": json.dumps(facts)})
    with pytest.raises(DestinationError, match=says):
        loaded(here)


# Where it may be.


def test_check_creates(here, make_snapshot):
    """`check` makes the directory with its parents, leaves nothing in it, and stands in nobody's way."""
    deep = here / "a" / "b"
    ParquetDataset(str(deep)).check()
    assert files(here) == []
    load(deep, make_snapshot())
    content = files(deep)
    ParquetDataset(str(deep)).check()
    assert files(deep) == content


@pytest.mark.parametrize("path", ["file", "file/out"])
def test_a_file_in_the_way(tmp_path, path):
    """A file where the directory should be, or one of its parents, is named."""
    (tmp_path / "file").touch()
    dataset = ParquetDataset(str(tmp_path / path))
    with pytest.raises(DestinationError, match=r"is a file|a file stands where a directory is needed"):
        dataset.check()
    with pytest.raises(DestinationError), dataset:
        pass


@pytest.mark.parametrize("name", [".bashrc", "thesis.docx", "runs"])
def test_foreign_directory(tmp_path, name):
    """A directory that holds something else is refused before anything is written into it."""
    (tmp_path / name).touch()
    dataset = ParquetDataset(str(tmp_path))
    says = f"{tmp_path} holds other files and is no dataset of this product; name a new or an empty directory"
    with pytest.raises(DestinationError, match=f"^{re.escape(says)}$"):
        dataset.check()
    with pytest.raises(DestinationError, match=f"^{re.escape(says)}$"), dataset:
        pass
    assert files(tmp_path) == [name]


def test_nearly_empty_directories(tmp_path, make_snapshot):
    """A new volume, and a directory kept by a version control, count as empty."""
    (tmp_path / "lost+found").mkdir()
    (tmp_path / ".gitkeep").touch()
    ParquetDataset(str(tmp_path)).check()
    load(tmp_path, make_snapshot())
    assert loaded(tmp_path).keys() == {"promo-nov"}


@pytest.mark.parametrize("folder", ["statuses", "quarantine", "tag_runs", "runs", ".staging"])
def test_a_file_instead_of_a_folder(here, folder):
    """A file that has the name of one of the folders is named."""
    load(here)
    (here / folder).rmdir()
    (here / folder).touch()
    with pytest.raises(DestinationError, match=f"{re.escape(folder)}|a file stands where a directory is needed"):
        ParquetDataset(str(here)).check()
    with pytest.raises(DestinationError), ParquetDataset(str(here)):
        pass


def test_folder_vanishes(here, make_snapshot):
    """A directory that is removed during the run is an error with a remedy."""
    with ParquetDataset(str(here)) as dataset:
        (here / "statuses").rmdir()
        with pytest.raises(
            DestinationError, match="a directory of the path does not exist; create it, or name another place"
        ):
            list(dataset.replace_tags([make_snapshot()], RUN_ID))
    assert files(here / ".staging") == []


RUN = """
from smspartner_pipelines.load.dataset import ParquetDataset
with ParquetDataset(sys.argv[1]) as dataset:
    list(dataset.replace_tags([conftest.build_snapshot("first")], "FIRST"))
    print("in", flush=True)
    sys.stdin.readline()
"""


def test_second_run(here, start, make_snapshot):
    """While a run holds the dataset a second one is refused, but it may be read; a killed run holds nothing."""
    first = start(RUN, str(here))
    assert first.stdout.readline() == "in\n"
    with (
        pytest.raises(DestinationBusy, match=f"^{re.escape(str(here))} is in use by another run"),
        ParquetDataset(str(here)),
    ):
        pass
    ParquetDataset(str(here)).check()
    assert loaded(here).keys() == {"first"}
    first.kill()
    first.communicate()
    load(here, make_snapshot("second"))
    assert loaded(here).keys() == {"first", "second"}


def test_reports(here):
    """A report is kept as it is given."""
    with ParquetDataset(str(here)) as dataset:
        dataset.save_report(b'{"run": 1}', RUN_ID)
        dataset.save_report(b'{"run": 2}', RUN_ID)
    assert (here / "runs" / f"{RUN_ID}.json").read_bytes() == b'{"run": 2}'
