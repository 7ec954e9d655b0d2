"""The Parquet dataset: what is loaded, what a reader finds, and what one damaged file leaves of it."""

import json
import re
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
from load.looking import HOSTILE, LATER, READ_AT, RUN_ID, load, loaded, refused, rows_of, scan, states_and_damages
from smspartner.errors import CountMismatch, DestinationBusy, DestinationError, SettingsError
from smspartner.privacy import Erasure
from smspartner_pipelines.load import open_destination
from smspartner_pipelines.load.destination import LoadedTag, NothingLoaded, erasures
from smspartner_pipelines.load.parquet import file_name
from smspartner_schemas.arrow import arrow_schema
from smspartner_schemas.contract import ERASURES, QUARANTINE, RUNS, STATUSES, TABLES, TAG_RUNS
from smspartner_schemas.frames import to_frame

ERASURE = Erasure("0123abcd", "f" * 64, READ_AT)


@pytest.fixture
def here(tmp_path):
    """A path for a dataset."""
    return tmp_path / "out"


def finish(here, tag_runs):
    """Add the rows of `tag_runs` of a run."""
    dataset = open_destination(str(here))
    with dataset.open(for_loading=True):
        dataset.finish(tag_runs, RUN_ID, complete=True)


def sizes(here):
    """The sizes of all files, by name."""
    return {str(path.relative_to(here)): path.stat().st_size for path in here.rglob("*") if path.is_file()}


def path_of(here, tag, folder="statuses"):
    """The file of a tag."""
    return here / folder / file_name(tag)


# What a reader finds, and a later run.


@pytest.mark.parametrize("kind", ["folder", "bucket"])
def test_story(here, request, make_snapshot, make_tag_runs, kind):
    """A tag has a file in `statuses` and one in `quarantine`, a run in `tag_runs` and `runs`; all is read as loaded."""
    bucket = None if kind == "folder" else request.getfixturevalue("bucket")
    uri, lock = (f"{bucket.uri}/out", ".lock/holder.json") if bucket else (str(here), ".lock")

    def held():
        keys = bucket.objects("out/") if bucket else []
        return {key.removeprefix("out/"): len(bucket.read(key)) for key in keys} or sizes(here)

    one, two, history = make_snapshot("Promo.Nov!", quarantined=1), make_snapshot("relance"), make_tag_runs("x", "y")
    dataset = open_destination(uri)
    with pytest.raises(NothingLoaded), dataset.open(for_loading=False):
        pass
    dataset.check()
    assert held() == {}
    with dataset.open(for_loading=True):
        written = list(dataset.replace([one, two]))
        written.append(dataset.finish(history, RUN_ID, complete=True))
        dataset.save_report(b'{"run": 1}', RUN_ID)
        dataset.record_erasure(ERASURE)
        done = replace(ERASURE, removed_tags=1, removed_rows=2, removed_quarantined=3)
        dataset.record_erasure(done)
        assert erasures(dataset) == [done]
    dataset.check()
    files = [
        *("statuses/promo-nov-228768cc47667e67.parquet", "quarantine/promo-nov-228768cc47667e67.parquet"),
        *("statuses/relance-7d28f71d8356364d.parquet", f"tag_runs/{RUN_ID}.parquet"),
    ]
    assert held().keys() == {*files, lock, "erasures/0123abcd-ffffffffffffffff.parquet", f"runs/{RUN_ID}.json"}
    assert [file.path.removeprefix(f"{uri}/") for some in written for file in some] == files
    assert [held()[name] for name in files] == [file.size for some in written for file in some]
    assert scan(uri, STATUSES) == (rows_of(one.table, two.table), [])
    some = [snapshot.table.select(["status", "tag"]) for snapshot in (one, two)]
    assert scan(uri, STATUSES, ["status", "tag"])[0] == rows_of(*some)
    assert scan(uri, QUARANTINE) == (rows_of(one.quarantine), [])
    assert scan(uri, TAG_RUNS) == (rows_of(history), [])
    assert scan(uri, RUNS) == ([{"run_id": RUN_ID, "report": '{"run": 1}'}], [])
    for table in (*TABLES, RUNS, ERASURES):
        for part in dataset.scan(table, table.column_names):
            assert part.schema.equals(arrow_schema(table))


def test_readers(here, make_snapshot):
    """pandas, PyArrow and DuckDB read the folder with the contract's types and the loaded rows."""
    one, two = make_snapshot("one", 5), make_snapshot("two", 3)
    load(here, one, make_snapshot("none", 0), two)
    frame = pd.read_parquet(here / "statuses")
    words = dict.fromkeys((name for name in frame if frame[name].dtype == "category"), "str")
    expected = to_frame(pa.concat_tables([one.table, two.table]))
    assert frame.dtypes.astype(str).equals(expected.dtypes.astype(str))
    pd.testing.assert_frame_equal(frame.astype(words), expected.astype(words))
    table = pa.dataset.dataset(here / "statuses").to_table()
    assert table.schema.equals(arrow_schema(STATUSES))
    assert rows_of(table) == rows_of(one.table, two.table)
    found = duckdb.sql(f"FROM read_parquet('{here}/statuses/*.parquet')")
    assert str(found.types[6]) == "TIMESTAMP WITH TIME ZONE"
    assert rows_of(found.to_arrow_table().cast(arrow_schema(STATUSES))) == rows_of(one.table, two.table)


def test_encodings(here, make_snapshot):
    """Files are zstd, words dictionary-encoded, row groups 128k rows, and no number or raw row stands in a footer."""
    load(here, make_snapshot(rows=140_000, quarantined=200))
    metadata = pq.read_metadata(path_of(here, "promo-nov"))
    assert [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)] == [131_072, 8_928]
    columns = [metadata.row_group(0).column(n) for n in range(metadata.num_columns)]
    assert {column.compression for column in columns} == {"ZSTD"}
    words = {column.path_in_schema for column in columns if "RLE_DICTIONARY" in column.encodings}
    assert words == {"tag", "country", "status", "run_id"}
    assert {column.path_in_schema for column in columns if column.statistics is None} == {"phone_number"}
    for path in here.rglob("*.parquet"):
        end = path.read_bytes()
        assert b"336" not in end[-8 - int.from_bytes(end[-8:-4], "little") :]


def test_loaded_tags(here, make_snapshot):
    """The state of each tag comes back as it was, times with microseconds in UTC."""
    load(here, make_snapshot("promo-nov", 6, quarantined=2), make_snapshot("none", 0))
    newest = datetime(2026, 11, 23, 18, 0, 0, 123400, tzinfo=UTC)
    # received, loaded, quarantined, erased, delivered, not_delivered, waiting, ko, stop_sms
    counts = (8, 6, 2, 0, 2, 2, 1, 1, 2)
    assert loaded(here) == {
        "promo-nov": LoadedTag("promo-nov", *counts, newest, READ_AT, RUN_ID, "plain", "digest of promo-nov"),
        "none": LoadedTag("none", *[0] * 9, None, READ_AT, RUN_ID, "plain", "digest of none"),
    }


def test_many_tags(here, make_snapshot):
    """More files than are written or read at once are all found, and long footers, too."""
    part = make_snapshot("large", 10_000)
    large = pa.concat_tables([part.table] * 280)
    tags = [f"tag-{number}" for number in range(300)]
    load(here, replace(part, table=large, rows_declared=len(large), rows_received=len(large)))
    load(here, *(make_snapshot(tag, 1) for tag in tags))
    assert loaded(here).keys() == {*tags, "large"}
    assert pq.read_metadata(path_of(here, "large")).serialized_size > 16 * 1024
    parts = [part.num_rows for part in open_destination(str(here)).scan(STATUSES, ["tag"])]
    assert (sum(parts), len(parts)) == (2_800_300, 2)


# Replacing.


def test_replace(here, make_snapshot):
    """A tag loaded again has its new rows and quarantine only, others keep theirs; the same rows, the same bytes."""
    load(here, make_snapshot("a", 5, quarantined=1), make_snapshot("b", 2, quarantined=1), make_snapshot("c", 1))
    new = [make_snapshot("a", 7, run_id=LATER), make_snapshot("c", 1, quarantined=3, run_id=LATER)]
    written = load(here, *new)
    kept = make_snapshot("b", 2, quarantined=1)
    assert scan(here, STATUSES)[0] == rows_of(kept.table, *[one.table for one in new])
    assert scan(here, QUARANTINE)[0] == rows_of(kept.quarantine, new[1].quarantine)
    assert {tag: state.run_id for tag, state in loaded(here).items()} == {"a": LATER, "b": RUN_ID, "c": LATER}
    content = {name: (here / name).read_bytes() for name in sizes(here)}
    assert load(here, *new) == written
    assert {name: (here / name).read_bytes() for name in sizes(here)} == content


def test_counts_must_add_up(here, make_snapshot):
    """A snapshot whose counts do not add up is not loaded."""
    with pytest.raises(CountMismatch):
        load(here, replace(make_snapshot(rows=3), rows_declared=4))
    assert loaded(here) == {}


def test_hostile_tags(tmp_path, here, make_snapshot):
    """No tag leaves the folder, hides, or takes the place of another, even where names are blind to case."""
    load(here, *(make_snapshot(tag, 1) for tag in HOSTILE))
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    names = list(sizes(here / "statuses"))
    assert len({name.casefold() for name in names}) == len(HOSTILE)
    assert [name for name in names if not re.fullmatch(r"[a-z0-9][a-z0-9-]*\.parquet", name)] == []
    assert loaded(here).keys() == set(HOSTILE)
    assert {row["tag"] for row in scan(here, STATUSES)[0]} == set(HOSTILE)
    assert file_name("Été_2026/Relance") == "ete-2026-relance-b6490f55b62d32b5.parquet"


def test_leftovers(here, make_snapshot):
    """What dead runs staged is never seen, and is gone after the next run."""
    load(here, make_snapshot("a"), make_snapshot("b", quarantined=1))
    (here / ".staging" / f".{file_name('x')}.0123456789abcdef.partial").write_bytes(b"PAR1 half")
    shutil.copy(path_of(here, "b", "quarantine"), here / ".staging" / file_name("a"))
    before = loaded(here)
    load(here)
    assert (loaded(here), sizes(here / ".staging")) == (before, {})


# What is damaged.


def rewrite(path, **facts):
    """Write a file anew with other facts in its footer."""
    table = pq.read_table(path)
    known = json.loads(pq.read_metadata(path).metadata[b"smspartner"]) | facts
    with pq.ParquetWriter(path, table.schema.remove_metadata()) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({"smspartner": json.dumps(known)})


DAMAGED = "is damaged, or is no file of this product"
DAMAGES = {
    "empty": (lambda path: path.write_bytes(b""), DAMAGED),
    "magic only": (lambda path: path.write_bytes(b"PAR1"), DAMAGED),
    "text": (lambda path: path.write_bytes(b"hello, world"), DAMAGED),
    "zeros": (lambda path: path.write_bytes(b"PAR1" + bytes(40) + b"PAR1"), DAMAGED),
    "cut by 1": (lambda path: path.write_bytes(path.read_bytes()[:-1]), DAMAGED),
    "cut by 300": (lambda path: path.write_bytes(path.read_bytes()[:-300]), DAMAGED),
    "foreign": (lambda path: pq.write_table(pa.table({"x": [1]}), path), DAMAGED),
    "newer": (lambda path: rewrite(path, contract_version=99), "was written by a newer version of this product"),
    "no version": (lambda path: rewrite(path, contract_version="1"), DAMAGED),
    "other facts": (lambda path: rewrite(path, rows_loaded=None, extracted_at=5), DAMAGED),
    "another tag": (lambda path: shutil.copy(path_of(path.parents[1], "b"), path), "was renamed or copied"),
    "folder": (lambda path: (path.unlink(), path.mkdir()), "can't be read"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_file(here, make_snapshot, make_tag_runs, damage):
    """A damaged file is named with its tag, hides nothing else, and is replaced when its tag is loaded again."""
    load(here, make_snapshot("a"), make_snapshot("b", quarantined=1), make_snapshot("c", 2))
    finish(here, make_tag_runs("a", "b"))
    path, (damage_it, what) = path_of(here, "a"), DAMAGES[damage]
    damage_it(path)
    states, (found,) = states_and_damages(here)
    assert (states.keys(), found.place, found.tag) == ({"b", "c"}, str(path), "a")
    assert found.what.startswith(what)
    others = rows_of(make_snapshot("b").table, make_snapshot("c", 2).table)
    assert scan(here, STATUSES) == (others, [found])
    if damage != "folder":
        load(here, make_snapshot("a"))
        assert loaded(here).keys() == {"a", "b", "c"}


def test_damaged_rows(here, make_snapshot):
    """Rows that are fewer than the footer says are damage; a fact that this version does not know is none."""
    load(here, make_snapshot("a", 3), make_snapshot("b", 3))
    before = loaded(here)
    rewrite(path_of(here, "a"), mood="good")
    assert loaded(here) == before
    rewrite(path_of(here, "b"), rows_loaded=4)
    rows, damages = scan(here, STATUSES)
    assert (rows, [damage.tag for damage in damages]) == (rows_of(make_snapshot("a", 3).table), ["b"])


def test_a_changed_byte(here, make_snapshot, make_tag_runs):
    """Rows in which a single byte has changed are damage, wherever in a file it stands, also where all can be read."""
    load(here, make_snapshot("a", 3))
    finish(here, make_tag_runs("a"))
    for table in (STATUSES, TAG_RUNS):
        (path,) = (here / table.name).glob("*.parquet")
        sound, whole = path.read_bytes(), scan(here, table)
        rows_end = len(sound) - 8 - int.from_bytes(sound[-8:-4], "little")
        for at in range(4, rows_end, 7):
            path.write_bytes(sound[:at] + bytes([sound[at] ^ 0xA5]) + sound[at + 1 :])
            rows, damages = scan(here, table)
            assert damages or (rows, damages) == whole, at
        path.write_bytes(sound)


def test_other_names(here, make_snapshot):
    """A copy, and a file of another kind, are named: readers of the folder would find them; hidden files are not."""
    load(here, make_snapshot("a"))
    shutil.copy(path_of(here, "a"), here / "statuses" / "copy.parquet")
    for name in (".DS_Store", "_SUCCESS", "._promo.parquet", "notes.txt"):
        (here / "statuses" / name).write_bytes(b"?")
    states, damages = states_and_damages(here)
    assert states.keys() == {"a"}
    assert [Path(damage.place).name for damage in damages] == ["copy.parquet", "notes.txt"]


@pytest.mark.parametrize("damage", ["missing", "cut", "of another run", "of another tag", "too many", "rows gone"])
def test_quarantine_that_does_not_fit(here, make_snapshot, damage):
    """A tag whose quarantine is not that of its rows is damaged; others are not."""
    load(here, make_snapshot("a", quarantined=damage != "too many"), make_snapshot("b", quarantined=1))
    a, b = (path_of(here, tag, "quarantine") for tag in ("a", "b"))
    if damage == "missing":
        a.unlink()
    elif damage == "cut":
        a.write_bytes(a.read_bytes()[:-9])
    elif damage == "of another run":
        kept = path_of(here, "a").read_bytes()
        load(here, make_snapshot("a", quarantined=1, run_id=LATER))
        path_of(here, "a").write_bytes(kept)
    elif damage == "rows gone":
        path_of(here, "a").unlink()
    else:
        a.write_bytes(b.read_bytes())
    states, (found,) = states_and_damages(here)
    assert (states.keys(), found.tag) == ({"b"}, "a")
    expected = "is the quarantine of a tag whose rows are gone" if damage == "rows gone" else "does not fit the quarant"
    assert found.what.startswith(expected)
    load(here, make_snapshot("a", quarantined=2))
    assert loaded(here).keys() == {"a", "b"}


@pytest.mark.parametrize(("table", "name"), [(TAG_RUNS, "r.parquet"), (RUNS, "r.json"), (ERASURES, "e.parquet")])
def test_damaged_history(here, make_snapshot, table, name):
    """A damaged file of a run or of an erasure is named; without the latter nothing is loaded."""
    load(here, make_snapshot("a"))
    (here / table.name / name).write_bytes(b'{"half": ')
    rows, (found,) = scan(here, table)
    assert (rows, found.place) == ([], str(here / table.name / name))
    if table is ERASURES:
        with pytest.raises(DestinationError, match="an erased person's rows would come back; restore it from a backup"):
            erasures(open_destination(str(here)))


# Where it may be.


def test_wrong_paths(tmp_path, make_snapshot):
    """A file in the way, another directory's files, a folder of a dataset and a Delta lake are refused."""
    (tmp_path / "file").touch()
    (tmp_path / "lake" / "statuses" / "_delta_log").mkdir(parents=True)
    load(tmp_path / "out", make_snapshot())
    for path, says in (
        ("file", "a part of the path is a file"),
        ("file/out", "a part of the path is a file"),
        (".", "holds other files and is no dataset of this product; name a new or an empty directory"),
        ("out/statuses", "lies inside the dataset"),
        ("out/runs/x/y", "lies inside the dataset"),
        ("lake", f"is a Delta lake; write delta:{tmp_path}"),
    ):
        assert says in refused(tmp_path / path)
        with pytest.raises(SettingsError), open_destination(str(tmp_path / path)).open(for_loading=True):
            pass
    (tmp_path / "new" / "lost+found").mkdir(parents=True)
    (tmp_path / "new" / ".gitkeep").touch()
    load(tmp_path / "new")


@pytest.mark.parametrize("folder", ["statuses", "quarantine", "runs", ".staging", ".lock"])
@pytest.mark.parametrize("kind", ["file", "link"])
def test_our_folders(here, tmp_path, folder, kind):
    """A file or a link in the place of a folder or the lock is refused, and nothing is written through it."""
    load(here)
    path = here / folder
    path.unlink() if folder == ".lock" else path.rmdir()
    (tmp_path / "elsewhere").mkdir()
    if kind == "link":
        path.symlink_to(tmp_path / "elsewhere")
    elif folder == ".lock":
        path.mkdir()
    else:
        path.touch()
    with pytest.raises((SettingsError, DestinationError)), open_destination(str(here)).open(for_loading=True):
        pass
    assert list((tmp_path / "elsewhere").iterdir()) == []


RUN = """
from smspartner.privacy import Erasure
from smspartner_pipelines.load import open_destination
dataset = open_destination(sys.argv[1])
with dataset.open(for_loading=True):
    list(dataset.replace([conftest.build_snapshot("first")]))
    print("in", flush=True)
    sys.stdin.readline()
"""


def test_second_run(here, start, make_snapshot):
    """While a run holds the dataset a second one is refused, but it may be read; a killed run holds nothing."""
    first = start(RUN, str(here))
    assert first.stdout.readline() == "in\n"
    here.with_name("link").symlink_to(here)
    for path in (here, here.with_name("link")):
        says = f"^{re.escape(str(path))} is in use by another run; wait until it has ended, or load somewhere else$"
        with pytest.raises(DestinationBusy, match=says), open_destination(str(path)).open(for_loading=True):
            pass
        with pytest.raises(DestinationBusy, match=says):
            open_destination(str(path)).check()
    with open_destination(str(here)).open(for_loading=False):
        assert loaded(here).keys() == {"first"}
    first.kill()
    first.communicate()
    load(here, make_snapshot("second"))
    assert loaded(here).keys() == {"first", "second"}


def test_goes_away(here, make_snapshot, make_tag_runs):
    """A dataset that is removed or moved while a run goes on takes nothing more, whoever made another in its place."""
    dataset = open_destination(str(here))
    with dataset.open(for_loading=True):
        here.rename(here.with_name("moved"))
        load(here)
        for act in (
            lambda: list(dataset.replace([make_snapshot()])),
            lambda: dataset.save_report(b"{}", RUN_ID),
            lambda: dataset.finish(make_tag_runs(), RUN_ID, complete=True),
            lambda: dataset.record_erasure(ERASURE),
        ):
            with pytest.raises(DestinationError, match="was removed, moved or replaced while the run went on"):
                act()
    assert loaded(here) == loaded(here.with_name("moved")) == {}
