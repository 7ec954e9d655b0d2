"""Exports: one file of one run, whole or not at all."""

import csv
import gzip
import hashlib
import io
import re
import sys

import pandas as pd
import pyarrow.parquet as pq
import pytest
from smspartner.errors import CountMismatch, DestinationBusy, DestinationError
from smspartner_pipelines.load.csv_format import csv_header, csv_lines
from smspartner_pipelines.load.export import CsvExport, CsvStdout, ParquetExport
from smspartner_schemas.arrow import arrow_schema, empty_table
from smspartner_schemas.contract import STATUSES, TAG_RUNS

RUN_ID = "20261123T180000Z-ab12cd34"
NO_HISTORY = empty_table(TAG_RUNS)
KINDS = {"rows.parquet": ParquetExport, "rows.csv": CsvExport, "rows.csv.gz": CsvExport}


@pytest.fixture(params=KINDS)
def target(request, tmp_path):
    """A file of each kind."""
    return tmp_path / request.param


def export_to(target, *arguments):
    """The export that writes `target`."""
    return KINDS[target.name](str(target), *arguments)


def run(export, *snapshots):
    """Export snapshots in one run."""
    with export:
        for snapshot in snapshots:
            assert export.replace_tag(snapshot, RUN_ID) == []
        written = export.finish(NO_HISTORY, RUN_ID)
        export.save_report(b"{}", RUN_ID)
    return written


def names(folder):
    """All names in a folder, hidden ones too."""
    return sorted(path.name for path in folder.iterdir())


def as_csv(*snapshots):
    """The CSV of snapshots."""
    lines = [b"".join(csv_lines(snapshot.table)) for snapshot in snapshots]
    return b"".join([csv_header(STATUSES.column_names), *lines])


# Files.


def test_file(target, make_snapshot):
    """The file holds all rows in the order they came, and nothing else stands beside it."""
    snapshots = [make_snapshot("one", 5), make_snapshot("none", 0), make_snapshot("two", 3, quarantined=1)]
    (written,) = run(export_to(target), *snapshots)
    content = target.read_bytes()
    assert (written.path, written.size) == (str(target), len(content))
    assert written.sha256 == hashlib.sha256(content).hexdigest()
    assert names(target.parent) == [target.name]
    if target.suffix == ".parquet":
        table = pq.read_table(target)
        assert table.schema.equals(arrow_schema(STATUSES))
        assert table.to_pylist() == [row for snapshot in snapshots for row in snapshot.table.to_pylist()]
    else:
        assert (gzip.decompress(content) if target.suffix == ".gz" else content) == as_csv(*snapshots)


def test_same_rows_same_bytes(target, make_snapshot):
    """The same rows give the same bytes, gzip's header included."""
    snapshots = [make_snapshot("one", 500), make_snapshot("two", 3)]
    first, second = run(export_to(target), *snapshots), run(export_to(target), *snapshots)
    assert first == second


def test_no_rows(target):
    """A run without rows still writes a file with its columns, in place of an older one."""
    target.write_bytes(b"older")
    run(export_to(target))
    frame = pd.read_parquet(target) if target.suffix == ".parquet" else pd.read_csv(target)
    assert list(frame.columns) == list(STATUSES.column_names)
    assert len(frame) == 0


def test_old_file_until_finished(target, make_snapshot):
    """Until the run has finished, the old file is there; without a finish it stays, and nothing is left beside it."""
    target.write_bytes(b"old")
    with export_to(target) as export:
        export.replace_tag(make_snapshot(rows=200_000), RUN_ID)
        assert target.read_bytes() == b"old"
        assert [name for name in names(target.parent) if not name.startswith(".")] == [target.name]
    assert target.read_bytes() == b"old"
    assert names(target.parent) == [target.name]


def test_interrupted(target, make_snapshot):
    """Ctrl-C leaves the old file and nothing beside it."""

    def interrupted():
        with export_to(target) as export:
            export.replace_tag(make_snapshot(), RUN_ID)
            raise KeyboardInterrupt

    target.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert target.read_bytes() == b"old"
    assert names(target.parent) == [target.name]


def test_keeps_no_tags(target, make_snapshot):
    """An export knows nothing of former runs."""
    run(export_to(target), make_snapshot())
    assert not export_to(target).keeps_tags
    assert export_to(target).loaded_tags() == {}


def test_books_must_balance(target, make_snapshot):
    """A snapshot that lost rows is refused, and the rest can still be finished."""
    broken = make_snapshot(rows=2)
    object.__setattr__(broken, "rows_received", 3)
    with export_to(target) as export:
        with pytest.raises(CountMismatch):
            export.replace_tag(broken, RUN_ID)
        export.replace_tag(make_snapshot(rows=3), RUN_ID)
        export.finish(NO_HISTORY, RUN_ID)
    assert target.exists()


def test_small_tags_share_row_groups(tmp_path, make_snapshot):
    """Many small tags do not make many row groups, and words stay dictionary-encoded."""
    snapshots = [make_snapshot(f"tag-{n}", 700) for n in range(400)]
    run(ParquetExport(str(tmp_path / "rows.parquet")), *snapshots)
    metadata = pq.read_metadata(tmp_path / "rows.parquet")
    assert [metadata.row_group(n).num_rows for n in range(metadata.num_row_groups)] == [131_072, 131_072, 17_856]
    tags = metadata.row_group(1).column(0)
    assert "RLE_DICTIONARY" in tags.encodings
    assert tags.total_compressed_size < 10_000
    table = pq.read_table(tmp_path / "rows.parquet")
    assert table["tag"].to_pylist() == [f"tag-{n}" for n in range(400) for _ in range(700)]


def test_excel_export(tmp_path, make_snapshot):
    """The dialect reaches the file."""
    run(CsvExport(str(tmp_path / "rows.csv"), "excel"), make_snapshot())
    assert (tmp_path / "rows.csv").read_bytes().startswith(b"\xef\xbb\xbftag;phone_number;")


def test_link(tmp_path, make_snapshot):
    """A symbolic link stays one; the file it leads to is replaced."""
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "rows.csv").write_bytes(b"old")
    (tmp_path / "rows.csv").symlink_to(tmp_path / "real" / "rows.csv")
    run(CsvExport(str(tmp_path / "rows.csv")), make_snapshot())
    assert (tmp_path / "rows.csv").is_symlink()
    assert (tmp_path / "real" / "rows.csv").read_bytes() == as_csv(make_snapshot())
    assert names(tmp_path / "real") == ["rows.csv"]


def test_name_alone(tmp_path, monkeypatch, make_snapshot):
    """A file in the working directory needs no path."""
    monkeypatch.chdir(tmp_path)
    export = CsvExport("rows.csv")
    export.check()
    assert run(export, make_snapshot())[0].path == "rows.csv"
    assert names(tmp_path) == ["rows.csv"]


# What goes wrong.


def test_check(target):
    """`check` touches neither the file nor its directory."""
    target.write_bytes(b"old")
    export_to(target).check()
    assert target.read_bytes() == b"old"
    assert names(target.parent) == [target.name]


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("folder.csv", "is a directory; write parquet:"),
        ("gone/rows.csv", "a directory of the path does not exist; create it, or name another place"),
        ("file/rows.csv", "a part of the path is a file, not a directory; correct the path"),
    ],
)
def test_wrong_paths(tmp_path, path, says):
    """A path that can't be written is named before anything is asked for."""
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(DestinationError, match=says) as caught:
        CsvExport(str(tmp_path / path)).check()
    assert caught.value.__context__ is None
    if path != "folder.csv":
        with pytest.raises(DestinationError), CsvExport(str(tmp_path / path)):
            pass


FULL_DISK = """
from smspartner.errors import DestinationError
from smspartner_pipelines.load import open_destination
from smspartner_schemas.arrow import empty_table
from smspartner_schemas.contract import TAG_RUNS
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
snapshots = [conftest.build_snapshot("a", 10), conftest.build_snapshot("b", 300_000), conftest.build_snapshot("c", 10)]
with open_destination(sys.argv[1]) as export:
    for act in (
        *(lambda s=snapshot: export.replace_tag(s, "R") for snapshot in snapshots),
        lambda: export.finish(empty_table(TAG_RUNS), "R"),
    ):
        try:
            act()
            print("done")
        except DestinationError as error:
            print(error)
"""


def test_full_disk(target, start):
    """When a tag can't be written, nothing is published, though later tags could be: the file would be a torso."""
    target.write_bytes(b"old")
    said, error = start(FULL_DISK, str(target)).communicate()
    broken = f"{target} is not written: an earlier write to it failed; run again"
    full = "the file is larger than this system allows; raise the limit or load elsewhere"
    assert said.splitlines() == ["done", f"writing {target} failed: {full}", broken, broken]
    assert error == ""
    assert target.read_bytes() == b"old"
    assert names(target.parent) == [target.name]


RUN = """
from smspartner_pipelines.load import open_destination
with open_destination(sys.argv[1]) as export:
    export.replace_tag(conftest.build_snapshot("first", 200_000), "FIRST")
    print("in", flush=True)
    sys.stdin.readline()
"""


def test_second_run(target, start, make_snapshot):
    """A second run is refused while the first writes; when that is killed, its traces are gone after the next."""
    first = start(RUN, str(target))
    assert first.stdout.readline() == "in\n"
    says = f"^{re.escape(str(target))} is in use by another run"
    with pytest.raises(DestinationBusy, match=says), export_to(target):
        pass
    first.kill()
    first.communicate()
    assert len(names(target.parent)) == 2
    run(export_to(target), make_snapshot())
    assert names(target.parent) == [target.name]


def test_neighbours(tmp_path, make_snapshot):
    """Exports to `rows.csv` and `rows.csv.gz` at once do not touch each other's files."""
    plain, compressed = CsvExport(str(tmp_path / "rows.csv")), CsvExport(str(tmp_path / "rows.csv.gz"))
    with compressed, plain:
        for export in (plain, compressed):
            export.replace_tag(make_snapshot(), RUN_ID)
            export.finish(NO_HISTORY, RUN_ID)
    assert gzip.decompress((tmp_path / "rows.csv.gz").read_bytes()) == (tmp_path / "rows.csv").read_bytes()
    assert names(tmp_path) == ["rows.csv", "rows.csv.gz"]


# Standard output.


def test_stdout(capfdbinary, make_snapshot):
    """Standard output gets one header and all rows."""
    snapshots = [make_snapshot("one", 5), make_snapshot("none", 0), make_snapshot("two", 3)]
    stdout = CsvStdout()
    stdout.check()
    assert run(stdout, *snapshots) == []
    assert capfdbinary.readouterr().out == as_csv(*snapshots)


def test_stdout_without_rows(capfdbinary):
    """A run without rows writes the header; a run that ends before it has finished writes nothing."""
    run(CsvStdout())
    assert capfdbinary.readouterr().out == as_csv()
    with CsvStdout():
        pass
    assert capfdbinary.readouterr().out == b""


def test_stream(make_snapshot):
    """Any binary stream can stand for standard output, in either dialect."""
    stream = io.BytesIO()
    run(CsvStdout("excel", stream), make_snapshot())
    cells = list(csv.reader(io.StringIO(stream.getvalue().decode("utf-8-sig"), newline=""), delimiter=";"))
    assert [row[1] for row in cells] == ["phone_number", *(f"'+3360000000{n}" for n in range(4))]


def test_stdout_takes_no_bytes(monkeypatch):
    """Where standard output is closed or text only, the sentence says so."""
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    with pytest.raises(DestinationError, match=r"^standard output takes no bytes here; name a file to load into$"):
        CsvStdout().check()
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(DestinationError, match="takes no bytes"):
        CsvStdout().check()


TO_STDOUT = """
from smspartner.errors import DestinationError
from smspartner_pipelines.load import open_destination
if sys.argv[1:]:
    os.dup2(os.open(sys.argv[1], os.O_WRONLY), 1)
with open_destination("-") as export:
    for _ in range(3):
        try:
            export.replace_tag(conftest.build_snapshot("a", 5000), "R")
        except DestinationError as error:
            print(error, file=sys.stderr)
"""


def test_broken_pipe(start):
    """When the reader goes away, that is one sentence per attempt, and Python does not complain when it ends."""
    child = start(TO_STDOUT)
    assert child.stdout.readline().startswith("tag,phone_number,")
    child.stdout.close()
    child.stdin.close()
    said = child.stderr.read().splitlines()
    assert said[0] == ("writing to standard output failed: whoever was reading it has stopped; let it read to the end")
    assert set(said[1:]) == {"standard output is not whole: an earlier write to it failed; run again"}
    assert child.wait() == 0


def test_full_device(start):
    """When standard output takes no more, the sentence says why."""
    child = start(TO_STDOUT, "/dev/full")
    _, error = child.communicate()
    assert error.splitlines()[0] == "writing to standard output failed: the disk is full; free some space and run again"
    assert child.returncode == 0
