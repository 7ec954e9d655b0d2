"""Whatever dies while a warehouse is loaded: readers find tags old or new, and the next run heals."""

from __future__ import annotations

import json
import os
import runpy
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from smspartner.errors import DestinationError
from smspartner_pipelines.load.destination import loaded_tags

SCRIPT = str(Path(__file__).with_name("warehouse_deaths.py"))
OLD, NEW = "20261123T180000Z-ab12cd34", "20261124T180000Z-ab12cd34"
OLD_TAGS = {"a": (OLD, 5, 2), "b": (OLD, 3, 0), "c": (OLD, 1, 0)}
NEW_TAGS = {"a": (NEW, 7, 1), "b": (NEW, 0, 0), "c": (NEW, 4, 1)}


@pytest.fixture(scope="module")
def load():
    """Load in another process, which may die of it; give its exit code."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, SCRIPT], stdin=pipe, stdout=pipe, text=True) as loader:

        def run(place, what, **fate):
            loader.stdin.write(json.dumps({"uri": place.uri, "run": what, **fate}) + "\n")
            loader.stdin.flush()
            return json.loads(loader.stdout.readline())

        yield run
        loader.stdin.close()


def held(place, table):
    """Count the rows of a table by tag, which must all be of one run."""
    found = place.sql(f"SELECT tag, min(run_id) AS a, max(run_id) AS b, count(*) AS n FROM {table} GROUP BY tag")
    assert all(row["a"] == row["b"] for row in found)
    return {row["tag"]: (row["a"], row["n"]) for row in found}


def state_of(place):
    """Give run, rows and quarantined rows by tag, as they are loaded."""
    found = place.sql("SELECT tag, run_id, rows_loaded, rows_quarantined FROM loaded_tags")
    return {row["tag"]: (row["run_id"], row["rows_loaded"], row["rows_quarantined"]) for row in found}


def rows_in(tags, column):
    """Give run and rows of the tags of a run that have any, or of its quarantine."""
    return {tag: (facts[0], facts[column]) for tag, facts in tags.items() if facts[column]}


def check_old_or_new(place):
    """Check that each table shows every tag old or new, and that a tag that counts as loaded fits together."""
    together = state = state_of(place)
    for column, table in ((1, "statuses"), (2, "quarantine")):
        found, said = held(place, table), rows_in(state, column)
        old, new = rows_in(OLD_TAGS, column), rows_in(NEW_TAGS, column)
        assert all(found.get(tag) in (old.get(tag), new.get(tag)) for tag in OLD_TAGS), table
        together = {tag: facts for tag, facts in together.items() if found.get(tag) == said.get(tag)}
    assert place.kind == "delta" or (together == state and state in (OLD_TAGS, NEW_TAGS))
    return together


def test_killed_at_any_step(warehouse, load):
    """SIGKILL before any step of a load, and right after its commit: tags are old or new, and the next run heals."""
    code, at, seen = None, 0, set()
    assert load(warehouse, "old") == 0
    while code != 0:
        at += 1
        code = load(warehouse, "new", at=at)
        assert code in {0, -signal.SIGKILL}
        seen.add(len([tag for tag, facts in check_old_or_new(warehouse).items() if facts == NEW_TAGS[tag]]))
        assert load(warehouse, "new") == 0
        assert state_of(warehouse) == NEW_TAGS
        assert load(warehouse, "old") == 0
        assert state_of(warehouse) == check_old_or_new(warehouse) == OLD_TAGS
    assert (at > 8, seen >= {0, 3}) == (True, True)


def test_killed_during_a_first_load(warehouse, load):
    """The same where there are no tables yet: a first run that died is simply run again."""
    for at in (3, 20, 45):
        load(warehouse, "new", at=at)
    assert load(warehouse, "new") == 0
    assert check_old_or_new(warehouse) == NEW_TAGS


@pytest.fixture
def deaths():
    """Open a warehouse of this process that is struck at a step: `deaths["destination_of"](uri, at, blow)`."""
    return runpy.run_path(SCRIPT)


def test_connection_cut_at_any_step(postgresql, load, deaths):
    """A connection that is cut at any step is made again, and everything is loaded, once."""

    def cut(session):
        pid = session.run("SELECT pg_backend_pid() AS pid")["pid"][0].as_py()
        postgresql.sql(f"SELECT pg_terminate_backend({pid}, 10000)")

    assert load(postgresql, "old") == 0
    for at in range(4, 14):  # from the first statement of the load on, until after its commit
        deaths["act"]("new", deaths["destination_of"](postgresql.uri, at, cut))
        assert check_old_or_new(postgresql) == NEW_TAGS
        assert load(postgresql, "old") == 0


def test_server_dies_in_the_middle(start_postgresql, deaths):
    """A server that is stopped as by a power failure, in the middle of a load, comes up with every tag old."""
    folder = tempfile.mkdtemp(prefix="smspartner-postgresql-")
    try:
        server = start_postgresql(folder)
        uri = server.stdout.readline().strip()

        def stop(_session):
            server.stdin.close()
            server.wait(30)

        deaths["act"]("old", deaths["open_destination"](uri))
        with pytest.raises(DestinationError, match=r"^there: no connection can be made"):
            deaths["act"]("new", deaths["destination_of"](uri, 9, stop))
        with start_postgresql(folder) as again:
            destination = deaths["open_destination"](again.stdout.readline().strip())
            with destination.open(for_loading=True):
                found = loaded_tags(destination)[0]
            assert {tag: (one.run_id, one.rows_loaded, one.rows_quarantined) for tag, one in found.items()} == OLD_TAGS
            deaths["act"]("new", destination)
            again.stdin.close()
            again.wait(30)
    finally:
        shutil.rmtree(folder, ignore_errors=os.name == "nt")
