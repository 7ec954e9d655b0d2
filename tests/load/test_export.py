"""Exports: one file of one run, whole or not at all."""

import gzip
import hashlib
import io
import re
import shutil
import sys
from dataclasses import replace

import pandas as pd
import pyarrow.parquet as pq
import pytest
from load.looking import RUN_ID, load, refused
from smspartner.errors import CountMismatch, DestinationBusy, DestinationError, SettingsError
from smspartner_pipelines.load import open_destination
from smspartner_schemas.arrow import arrow_schema, empty_table
from smspartner_schemas.contract import STATUSES, TABLES, TAG_RUNS

NO_HISTORY = empty_table(TAG_RUNS)


@pytest.fixture(params=["rows.parquet", "rows.csv", "rows.csv.gz"])
def target(request, tmp_path):
    """A file of each kind."""
    return tmp_path / request.param


def run(target, *snapshots, complete=True):
    """Export snapshots in one run."""
    export = open_destination(str(target))
    with export.open(for_loading=True):
        assert list(export.replace(snapshots)) == [[]] * len(snapshots)
        written = export.finish(NO_HISTORY, RUN_ID, complete=complete)
        export.save_report(b"{}", RUN_ID)
    return written


def names(folder):
    """All names in a folder, hidden ones too."""
    return sorted(path.name for path in folder.iterdir())


def tags_in(content):
    """The tags of a CSV, packed or not, in order."""
    text = (gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content).decode()
    assert text.startswith(",".join(STATUSES.column_names) + "\r\n")
    return [line.partition(",")[0] for line in text.split("\r\n")[1:-1]]


def test_file(target, make_snapshot):
    """The file holds all rows in the order they came, and nothing else stands beside it."""
    snapshots = [make_snapshot("one", 5), make_snapshot("none", 0), make_snapshot("two", 3, quarantined=1)]
    (written,) = run(target, *snapshots)
    content = target.read_bytes()
    assert (written.path, written.size) == (str(target), len(content))
    assert written.sha256 == hashlib.sha256(content).hexdigest()
    assert names(target.parent) == [target.name]
    if target.suffix == ".parquet":
        table = pq.read_table(target)
        assert table.schema.equals(arrow_schema(STATUSES))
        assert table.to_pylist() == [row for snapshot in snapshots for row in snapshot.table.to_pylist()]
    else:
        assert tags_in(content) == ["one"] * 5 + ["two"] * 3


def test_same_rows_same_bytes(target, make_snapshot):
    """The same rows give the same bytes, whenever they are written: gzip's header holds no time and no name."""
    snapshots = [make_snapshot("one", 500), make_snapshot("two", 3)]
    (first,) = run(target, *snapshots)
    other = target.with_name(f"other-{target.name}")
    (second,) = run(other, *snapshots)
    assert (first.size, first.sha256) == (second.size, second.sha256)
    if target.suffix == ".gz":
        assert target.read_bytes()[3:8] == bytes(5)  # flags (no name) and time


def test_no_rows(target):
    """A run without rows still writes a file with its columns, in place of an older one."""
    target.write_bytes(b"older")
    run(target)
    frame = pd.read_parquet(target) if target.suffix == ".parquet" else pd.read_csv(target)
    assert (list(frame.columns), len(frame)) == (list(STATUSES.column_names), 0)


def test_only_at_the_end(target, make_snapshot):
    """Until the run has come to its end the old file is there; a run that did not, or is interrupted, leaves it."""
    target.write_bytes(b"old")
    export = open_destination(str(target))

    def interrupted():
        with export.open(for_loading=True):
            list(export.replace([make_snapshot(rows=200_000)]))
            assert target.read_bytes() == b"old"
            assert [name for name in names(target.parent) if not name.startswith(".")] == [target.name]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert run(target, make_snapshot(), complete=False) == []
    assert target.read_bytes() == b"old"
    assert names(target.parent) == [target.name]


def test_what_it_does_not_do(target, make_snapshot):
    """A snapshot that lost rows is refused, others can still be finished; an export can't be read as a destination."""
    export = open_destination(str(target))
    with export.open(for_loading=True):
        with pytest.raises(CountMismatch):
            list(export.replace([replace(make_snapshot(rows=2), rows_received=3)]))
        list(export.replace([make_snapshot(rows=3)]))
        export.finish(NO_HISTORY, RUN_ID, complete=True)
    assert target.exists()
    assert [list(export.scan(table, table.column_names)) for table in TABLES] == [[], [], []]
    with pytest.raises(SettingsError, match="is an export, which keeps no tags"), export.open(for_loading=False):
        pass


def test_small_tags_share_row_groups(tmp_path, make_snapshot):
    """Many small tags do not make many row groups, words stay dictionary-encoded, numbers leave no statistics."""
    run(tmp_path / "rows.parquet", *[make_snapshot(f"tag-{n}", 700) for n in range(400)])
    metadata = pq.read_metadata(tmp_path / "rows.parquet")
    assert [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)] == [131_072, 131_072, 17_856]
    tags, numbers = (metadata.row_group(1).column(n) for n in (0, 1))
    assert "RLE_DICTIONARY" in tags.encodings
    assert tags.total_compressed_size < 10_000
    assert numbers.statistics is None
    table = pq.read_table(tmp_path / "rows.parquet")
    assert table["tag"].to_pylist() == [f"tag-{n}" for n in range(400) for _ in range(700)]


def test_link(tmp_path, monkeypatch, make_snapshot):
    """A file needs no path; a symbolic link of the user's own stays one, and the file it leads to is replaced."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "rows.csv").write_bytes(b"old")
    (tmp_path / "rows.csv").symlink_to(tmp_path / "real" / "rows.csv")
    open_destination("rows.csv").check()
    run("rows.csv", make_snapshot())
    assert (tmp_path / "rows.csv").is_symlink()
    assert tags_in((tmp_path / "real" / "rows.csv").read_bytes()) == ["promo-nov"] * 4
    assert (names(tmp_path), names(tmp_path / "real")) == (["real", "rows.csv"], ["rows.csv"])


def test_neighbours(tmp_path, make_snapshot):
    """Exports to `rows.csv` and `rows.csv.gz` at once do not touch each other's files."""
    packed = open_destination(str(tmp_path / "rows.csv.gz"))
    with packed.open(for_loading=True):
        run(tmp_path / "rows.csv", make_snapshot())
        packed.finish(NO_HISTORY, RUN_ID, complete=True)
    assert names(tmp_path) == ["rows.csv", "rows.csv.gz"]


# What goes wrong.


def test_wrong_paths(tmp_path):
    """A path that can't be written is refused before anything is asked for."""
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "file").touch()
    load(tmp_path / "data")
    for path, says in (
        ("folder.csv", "is a directory; write parquet:"),
        ("gone/rows.csv", "a directory of the path does not exist; create it, or name another one"),
        ("file/rows.csv", "a part of the path is a file, not a directory; correct the path"),
        ("data/statuses/rows.csv", "lies inside the dataset"),
    ):
        assert says in refused(tmp_path / path)
        with pytest.raises(SettingsError, match=says), open_destination(str(tmp_path / path)).open(for_loading=True):
            pass


FULL_DISK = """
from smspartner.errors import DestinationError
from smspartner_pipelines.load import open_destination
from smspartner_schemas.arrow import empty_table
from smspartner_schemas.contract import TAG_RUNS
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
export = open_destination(sys.argv[1])
def load(rows):
    return lambda: list(export.replace([conftest.build_snapshot("a", rows)]))
with export.open(for_loading=True):
    for act in (load(10), load(140_000), load(10), lambda: export.finish(empty_table(TAG_RUNS), "R", complete=True)):
        try:
            act()
            print("done")
        except DestinationError as error:
            print(error)
"""


def test_full_disk(target, start):
    """When a tag can't be written, nothing is published, though later tags could be: rows would be missing."""
    target.write_bytes(b"old")
    said, error = start(FULL_DISK, str(target)).communicate()
    broken = f"{target} is not whole: an earlier write to it failed; run again"
    full = "the file is larger than this system allows; raise the limit, or load elsewhere"
    assert said.splitlines() == ["done", f"writing {target} failed: {full}", broken, broken]
    assert error == ""
    assert target.read_bytes() == b"old"
    assert names(target.parent) == [target.name]


RUN = """
from smspartner_pipelines.load import open_destination
export = open_destination(sys.argv[1])
with export.open(for_loading=True):
    list(export.replace([conftest.build_snapshot("first", 200_000)]))
    print("in", flush=True)
    sys.stdin.readline()
"""


def test_second_run(target, start, make_snapshot):
    """A second run is refused while the first writes; when that is killed, its traces are gone after the next."""
    first = start(RUN, str(target))
    assert first.stdout.readline() == "in\n"
    says = f"^{re.escape(str(target))} is in use by another run"
    with pytest.raises(DestinationBusy, match=says), open_destination(str(target)).open(for_loading=True):
        pass
    with pytest.raises(DestinationBusy, match=says):
        open_destination(str(target)).check()
    first.kill()
    first.communicate()
    assert len(names(target.parent)) == 2
    run(target, make_snapshot())
    assert names(target.parent) == [target.name]


def test_folder_goes_away(tmp_path, make_snapshot):
    """An export whose folder is moved away during a run does not appear where another run may be by now."""
    folder = tmp_path / "out"
    folder.mkdir()
    export = open_destination(str(folder / "rows.csv"))
    with export.open(for_loading=True):
        list(export.replace([make_snapshot()]))
        shutil.move(folder, tmp_path / "moved")
        folder.mkdir()
        with pytest.raises(DestinationError, match="was removed, moved or replaced while the run went on"):
            export.finish(NO_HISTORY, RUN_ID, complete=True)
    assert names(folder) == []


# Standard output.


def test_stdout(capfdbinary, monkeypatch, make_snapshot):
    """Standard output gets one header and all rows, if the run came to its end; what takes no bytes is named."""
    open_destination("-").check()
    snapshots = [make_snapshot("one", 5), make_snapshot("none", 0), make_snapshot("two", 3)]
    assert run("-", *snapshots) == []
    assert tags_in(capfdbinary.readouterr().out) == ["one"] * 5 + ["two"] * 3
    run("-")
    assert tags_in(capfdbinary.readouterr().out) == []
    run("-", *snapshots, complete=False)
    assert capfdbinary.readouterr().out == b""
    for stream in (io.StringIO(), None):
        monkeypatch.setattr(sys, "stdout", stream)
        with pytest.raises(SettingsError, match=r"^standard output takes no bytes here; name a file to load into$"):
            open_destination("-").check()


TO_STDOUT = """
from smspartner.errors import DestinationError
from smspartner_pipelines.load import open_destination
from smspartner_schemas.arrow import empty_table
from smspartner_schemas.contract import TAG_RUNS
if sys.argv[1:]:
    os.dup2(os.open(sys.argv[1], os.O_WRONLY), 1)
export = open_destination("-")
with export.open(for_loading=True):
    list(export.replace([conftest.build_snapshot("a", 30_000)]))
    try:
        export.finish(empty_table(TAG_RUNS), "R", complete=True)
    except DestinationError as error:
        print(error, file=sys.stderr)
"""


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_standard_output_that_takes_no_more(start, monkeypatch, unbuffered):
    """When the reader goes away, or a disk is full, that is one sentence, and Python does not complain when it ends."""
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    child = start(TO_STDOUT)
    assert child.stdout.readline().startswith("tag,phone_number,")
    child.stdout.close()
    says = "writing standard output failed: the program that reads it has stopped; let it read to the end\n"
    assert (child.stderr.read(), child.wait()) == (says, 0)
    child = start(TO_STDOUT, "/dev/full")
    says = "writing standard output failed: the disk is full; free some space and run again\n"
    assert (child.communicate()[1], child.returncode) == (says, 0)
