"""A lake whose run dies, is refused by the disk, or meets another: each tag old or new, and the next run heals."""

from __future__ import annotations

import os
import signal
import subprocess
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from smspartner_pipelines.load.delta import DeltaLake

TAGS = ("gains", "loses", "same", "empty")
TABLES = ("statuses", "quarantine", "loaded_tags", "tag_runs")
VARYING = ("run_id", "extracted_at")
ONE = "+33614435761"


def rows_by_tag(lake, name):
    """The rows of each tag as a reader of a table finds them, but for what varies; those of one tag of one run."""
    found, versions = {}, {}
    if not any((lake / name / "_delta_log").glob("*.json")):
        return found
    rows = DeltaTable(str(lake / name)).to_pyarrow_table().to_pylist()
    for row in sorted(
        rows, key=lambda row: str([row.get(key) for key in ("phone_number", "page", "position", "occurrence")])
    ):
        version = [row.pop(column) for column in VARYING]
        assert versions.setdefault(row["tag"], version) == version, "rows of several runs under one tag"
        found.setdefault(row["tag"], []).append(row)
    return found


def contents(folder):
    """What readers of both tables find."""
    return {name: rows_by_tag(folder / "lake", name) for name in ("statuses", "quarantine")}


def check_what_a_reader_finds(story, folder):
    """Each tag's rows are old or new, and a tag that counts as loaded has rows and quarantine of one population."""
    earlier, later, found = contents(story.before), contents(story.after), contents(folder)
    for name, tags in found.items():
        mixed = [tag for tag in TAGS if tags.get(tag) not in (earlier[name].get(tag), later[name].get(tag))]
        assert mixed == [], name
    for tag, state in DeltaLake(str(folder / "lake")).loaded_tags().items():
        counted = tuple(len(found[name].get(tag, ())) for name in ("statuses", "quarantine"))
        assert not state.consistent or counted == (state.rows_loaded, state.rows_quarantined), tag


def check_healed(story, folder, ended):
    """After the next run all is as if nothing had happened, and no file lies about that no version knows."""
    assert (ended.code, ended.stderr) == (0, "")
    assert contents(story.after) == contents(folder)
    states = DeltaLake(str(folder / "lake")).loaded_tags()
    assert (set(states), {state.consistent for state in states.values()}) == (set(TAGS), {True})
    assert list((folder / "lake" / ".staging").iterdir()) == []
    for name in TABLES:
        table = folder / "lake" / name
        actions = pa.table(DeltaTable(str(table)).get_add_actions(flatten=True))
        live = {unquote(path) for path in actions["path"].to_pylist()}
        told = "".join(log.read_text(encoding="utf-8") for log in (table / "_delta_log").glob("*.json"))
        there = {str(path.relative_to(table)) for path in table.rglob("*.parquet") if "_delta_log" not in path.parts}
        assert live <= there
        assert [path for path in there if path.rpartition("/")[2] not in told] == []
    history = DeltaTable(str(folder / "lake" / "tag_runs")).to_pyarrow_table().to_pylist()
    assert len({(row["run_id"], row["tag"]) for row in history}) == len(history)


def test_killed_before_calls_that_change_files(tell, forks, record_property):
    """Whatever file a run was about to open, flush, move or remove when it died, nothing is half (every third call)."""
    story = tell("delta:lake", earlier=True)
    assert contents(story.before) != contents(story.after)
    assert list(contents(story.after)["statuses"]) != []

    def die(at):
        folder = story.copy(f"at-{at}")
        killed = forks.run(folder, story.sandbox, *story.arguments, kill_at=at)
        check_what_a_reader_finds(story, folder)
        check_healed(story, folder, forks.run(folder, story.sandbox, *story.arguments))
        return killed.code

    codes = forks.each(die, range(1, story.events["files"] + 1, 3))
    record_property("kills", len(codes))
    assert set(codes) == {-signal.SIGKILL}


@pytest.fixture
def struck(forks, strace):
    """Run the command of a story, struck at a system call on a file: `struck(story, folder, file, call, fate)`."""

    def run(story, folder, file, call, fate):
        def attach(process):
            inject = ["-e", f"trace={call}", "-e", f"inject={call}:{fate}", "-P", str(file)]
            command = [strace, "-f", "-o", os.devnull, *inject, "-p", str(process)]
            subprocess.run(command, check=False, capture_output=True, timeout=60)

        return forks.run(folder, story.sandbox, *story.arguments, meanwhile=attach, wait_for_tracer=True)

    return run


def next_commit(folder, table):
    """The file of a table's next commit, while the library writes it and when it has its name."""
    log = folder / "lake" / table / "_delta_log"
    name = f"{1 + max(int(path.stem) for path in log.glob('*.json')):020}.json"
    return log / f"{name}#1", log / name


STRIKES = [(table, *strike) for table in TABLES for strike in ((0, "write"), (0, "linkat"), (1, "fsync"))]


def strikes(names):
    """The strikes at commits to these tables."""
    return [strike for strike in STRIKES if strike[0] in names]


@pytest.mark.parametrize("story_of", ["run", "replay", "forget"])
def test_killed_within_a_commit(story_of, tell, tell_of_one, struck, forks):
    """A process killed while the library writes, names or syncs any of its commits leaves each tag old or new.

    Rows that no API may still have are in one of the two tables, or the next command finishes their move.
    """
    story = tell("delta:lake", earlier=True) if story_of == "run" else tell_of_one(story_of, "delta:lake")
    points = strikes(TABLES if story_of == "run" else TABLES[:3])

    def die(point):
        table, which, call = point
        folder = story.copy(f"{table}-{call}")
        killed = struck(story, folder, next_commit(folder, table)[which], call, "signal=KILL")
        check_what_a_reader_finds(story, folder)
        check_healed(story, folder, forks.run(folder, story.sandbox, *story.arguments))
        return killed.code

    codes = forks.each(die, points)
    assert set(codes) == {-signal.SIGKILL}


def test_refused_by_the_disk(tell, struck, forks):
    """A disk that is full, or broken, within a commit: exit code 1, the cause is told, and the next run heals."""
    story = tell("delta:lake", earlier=True)

    def be_refused(number):
        table, which, call = STRIKES[number]
        error, told = (("ENOSPC", "the disk is full; free"), ("EIO", "the disk reports an error; check"))[number % 2]
        folder = story.copy(f"{table}-{call}")
        ended = struck(story, folder, next_commit(folder, table)[which], call, f"error={error}")
        check_what_a_reader_finds(story, folder)
        assert "Traceback" not in ended.stderr
        assert (ended.code, told in ended.stderr.splitlines()[0]) == (1, True), (table, call, ended.stderr)
        check_healed(story, folder, forks.run(folder, story.sandbox, *story.arguments))

    forks.each(be_refused, range(len(STRIKES)))


def test_erased_for_good(tell_of_one, struck, forks):
    """An erasure that died before old versions were removed removes them when it is repeated."""
    story = tell_of_one("forget", "delta:lake")
    folder = story.copy("here")
    killed = struck(story, folder, next_commit(folder, "loaded_tags")[1], "fsync", "signal=KILL")
    assert killed.code == -signal.SIGKILL
    assert forks.run(folder, story.sandbox, *story.arguments).code == 0
    for path in (folder / "lake").rglob("*.parquet"):
        assert ONE not in repr(pq.ParquetFile(path).read().to_pylist())


def test_read_only_folder(tell, forks, tmp_path):
    """A lake that belongs to somebody else: exit code 2, the cause, and nothing was requested."""
    if os.getuid() != 0:
        pytest.skip("needs to be the superuser, to become somebody else")
    story = tell("delta:lake", earlier=True)
    for folder in (tmp_path, *tmp_path.parents[:-2]):
        folder.chmod(folder.stat().st_mode | 0o055)
    story.sandbox.forget_requests()
    ended = forks.run(story.before, story.sandbox, *story.arguments, user=65534)
    assert (ended.code, story.sandbox.requests) == (2, [])
    assert "permission is denied; allow" in ended.stderr or "can't be written; allow" in ended.stderr
