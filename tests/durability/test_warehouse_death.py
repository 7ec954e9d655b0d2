"""Whatever dies while a warehouse is loaded: readers find a batch old or new, and the next run heals."""

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

SCRIPT = str(Path(__file__).with_name("warehouse_deaths.py"))
OLD, NEW = "20261123T180000Z-ab12cd34", "20261124T180000Z-ab12cd34"
OLD_TAGS = {"a": (OLD, 5, 2), "b": (OLD, 3, 0), "c": (OLD, 1, 0)}
NEW_TAGS = {"a": (NEW, 7, 1), "b": (NEW, 0, 0), "c": (NEW, 4, 1)}
ERASED = {"a": (OLD, 4, 2), "b": (OLD, 2, 0), "c": (OLD, 0, 0)}


@pytest.fixture(scope="module")
def load():
    """Load in another process, which may die of it; give its exit code."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, SCRIPT], stdin=pipe, stdout=pipe, text=True) as loader:

        def run(place, what, **fate):
            loader.stdin.write(json.dumps({"uri": place.uri, "what": what, **fate}) + "\n")
            loader.stdin.flush()
            return json.loads(loader.stdout.readline())

        yield run
        loader.stdin.close()


def tags_in(place):
    """Give run, rows and quarantined rows by tag as they stand in the tables, which must be what the state says."""
    state = place.sql("SELECT tag, run_id, rows_loaded, rows_quarantined FROM loaded_tags")
    counted = place.sql(
        "SELECT tag, min(run_id) AS first, max(run_id) AS last, sum(loaded) AS loaded, sum(1 - loaded) AS doubted "
        "FROM (SELECT tag, run_id, 1 AS loaded FROM statuses UNION ALL SELECT tag, run_id, 0 FROM quarantine) AS t "
        "GROUP BY tag"
    )
    told = {row["tag"]: (row["run_id"], row["rows_loaded"], row["rows_quarantined"]) for row in state}
    held = {row["tag"]: (row["first"], int(row["loaded"]), int(row["doubted"])) for row in counted}
    assert all(row["first"] == row["last"] for row in counted)
    assert held == {tag: facts for tag, facts in told.items() if facts[1] + facts[2]}
    return told


def test_killed_at_any_step_of_a_load(warehouse, load):
    """SIGKILL before any statement, and right before and after the commit: all tags are old, or all are new."""
    before, after = ("old", OLD_TAGS), ("new", NEW_TAGS)
    stayed, came, at, code = 0, 0, 2, None
    assert load(warehouse, "old") == 0
    while code != 0:  # the first two steps only look
        at += 1
        code = load(warehouse, after[0], at=at)
        assert code in {0, -signal.SIGKILL}
        found = tags_in(warehouse)
        assert found in (before[1], after[1])
        stayed, came = stayed + (found == before[1]), came + (found == after[1])
        assert load(warehouse, after[0]) == 0
        before, after = after, before
    assert tags_in(warehouse) == before[1]
    assert (stayed > 8, came >= 2) == (True, True)


def test_killed_during_a_first_load(load, warehouse):
    """The same where there are no tables yet: a first run that died is simply run again."""
    for at in (3, 40, 85):
        code = load(warehouse, "new", at=at)
        assert code == -signal.SIGKILL
    assert load(warehouse, "new") == 0
    assert tags_in(warehouse) == NEW_TAGS


def test_killed_during_an_erasure(warehouse, load):
    """Each tag is with the person or without; the record comes before the first row goes; a repetition finishes."""
    at, code = 0, None
    while code != 0:
        at += 7
        assert load(warehouse, "old") == 0
        warehouse.sql("DELETE FROM erasures")
        code = load(warehouse, "erase", at=at)
        assert code in {0, -signal.SIGKILL}
        found = tags_in(warehouse)
        assert all(found[tag] in (OLD_TAGS[tag], ERASED[tag]) for tag in OLD_TAGS)
        assert found == OLD_TAGS or warehouse.sql("SELECT count(*) AS records FROM erasures") == [{"records": 1}]
        assert load(warehouse, "erase") == 0
        assert tags_in(warehouse) == ERASED
        assert None not in warehouse.sql("SELECT * FROM erasures")[0].values()
    assert at > 20


@pytest.fixture
def struck():
    """Open a warehouse of this process that is struck at a step: `struck(place, at, blow)`."""
    return runpy.run_path(SCRIPT)


def test_connection_cut_at_any_step(postgresql, load, struck):
    """A connection that is cut, at any step, fails the load in one sentence; all tags are old, or all are new."""

    def cut(session):
        pid = session.query("SELECT pg_backend_pid() AS pid")["pid"][0].as_py()
        postgresql.sql(f"SELECT pg_terminate_backend({pid}, 10000)")

    for at in range(9, 60, 4):
        assert load(postgresql, "old") == 0
        try:
            struck["act"]("new", struck["destination_of"](postgresql.uri, at, cut))
            told = ""
        except DestinationError as error:
            told = str(error)
        assert told.startswith(("there: the server ended the connection", "there: the connection was lost")) or not told
        assert tags_in(postgresql) == (OLD_TAGS if told else NEW_TAGS)
        if not told:
            break


def test_server_dies_in_the_middle(postgresql_server, start_postgresql, struck):
    """A server that is stopped as by a power failure, in the middle of a load, comes up with every tag old."""
    folder = tempfile.mkdtemp(prefix="smspartner-postgresql-")
    try:
        server = start_postgresql(folder)
        uri = server.stdout.readline().strip()

        def stop(_session):
            server.stdin.close()
            server.wait(30)

        struck["act"]("old", struck["open_destination"](uri))
        with pytest.raises(DestinationError, match=r"^there: the (server ended the connection|connection was lost)"):
            struck["act"]("new", struck["destination_of"](uri, 14, stop))
        with start_postgresql(folder) as again:
            uri = again.stdout.readline().strip()
            found = struck["open_destination"](uri).loaded_tags()
            assert {
                tag: (state.run_id, state.rows_loaded, state.rows_quarantined) for tag, state in found.items()
            } == OLD_TAGS
            struck["act"]("new", struck["open_destination"](uri))
            assert set(struck["open_destination"](uri).loaded_tags()) == {"a", "b", "c"}
            again.stdin.close()
            again.wait(30)
    finally:
        shutil.rmtree(folder, ignore_errors=os.name == "nt")
