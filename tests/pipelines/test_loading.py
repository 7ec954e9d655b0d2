"""One run's loading into several destinations."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from smspartner.errors import CountMismatch, DestinationError
from smspartner_pipelines.load import open_destination
from smspartner_pipelines.incremental import Selection
from smspartner_pipelines.loading import Loading
from smspartner_pipelines.outcomes import RunOutcome

RUN_ID = "20261123T180000Z-ab12cd34"
TAGS = ("a", "b")


class Full:
    """A destination whose disk is full once it has taken some tags."""

    keeps_tags = True
    batch_rows = 0

    def __init__(self, takes: int = 0) -> None:
        self.uri = "full"
        self.takes = takes
        self.calls: list[str] = []

    def replace_tags(self, snapshots: Any, run_id: str) -> Iterator[list[Any]]:  # noqa: ARG002
        """Take tags, until it fails."""
        for snapshot in snapshots:
            self.calls.append(snapshot.tag)
            if len(self.calls) > self.takes:
                raise DestinationError("disk full")
            yield []

    def finish(self, tag_runs: Any, run_id: str) -> list[Any]:  # noqa: ARG002
        """Finish."""
        self.calls.append("finish")
        return []

    def save_report(self, report: bytes, run_id: str) -> None:  # noqa: ARG002
        """Keep the report."""
        self.calls.append("report")


def chosen(*wanted: str) -> Selection:
    """A selection that gives each destination these tags."""
    return Selection(tuple(frozenset(tags) for tags in wanted), TAGS, {})


def test_each_destination_takes_what_it_lacks(tmp_path: Path, snapshot: Any, settings: Any) -> None:
    """A tag goes only where it is lacking; every destination has the run's tags and report at the end."""
    run = RunOutcome(RUN_ID, TAGS)
    with open_destination(str(tmp_path / "x")) as first, open_destination(str(tmp_path / "y")) as second:
        loading = Loading([first, second], chosen("ab", "b"), run)
        for tag in TAGS:
            loading.load([snapshot(tag, 2)])
        loading.finish(settings(tags=TAGS))
        assert [{"a", "b"}, {"b"}] == [set(one.loaded_tags()) for one in (first, second)]
    assert [(one.tags_loaded, one.failure) for one in run.destinations] == [(2, None), (1, None)]
    for place in ("x", "y"):
        assert pq.read_table(tmp_path / place / "tag_runs").num_rows == 2
        report = json.loads((tmp_path / place / "runs" / f"{RUN_ID}.json").read_text("utf-8"))
        assert (report["run_id"], report["exit_code"], report["totals"]["rows_loaded"]) == (RUN_ID, 0, 4)


@pytest.mark.parametrize("verdict", ["unknown", "incomplete", "unstable", "shrunk", "failed"])
def test_only_complete_tags_are_loaded(snapshot: Any, verdict: str) -> None:
    """A tag that is not complete never reaches a destination, but is in the outcome."""
    run, destination = RunOutcome(RUN_ID, TAGS), Full()
    Loading([destination], chosen("ab"), run).load([snapshot("a", verdict=verdict)])  # type: ignore[list-item]
    assert (destination.calls, list(run.tag_runs)) == ([], ["a"])


def test_a_failing_destination_does_not_stop_the_others(tmp_path: Path, snapshot: Any, settings: Any) -> None:
    """A destination that fails takes nothing more but the report; the others take everything."""
    run, full = RunOutcome(RUN_ID, TAGS), Full(takes=1)
    with open_destination(str(tmp_path / "x")) as sound:
        loading = Loading([full, sound], chosen("ab", "ab"), run)  # type: ignore[list-item]
        for tag in TAGS:
            loading.load([snapshot(tag)])
        loading.finish(settings(tags=TAGS))
        assert {"a", "b"} == set(sound.loaded_tags())
    assert [(one.tags_loaded, one.failure) for one in run.destinations] == [(1, "disk full"), (2, None)]
    assert (full.calls, run.exit_code) == (["a", "b", "report"], 1)


def test_no_destination_left(snapshot: Any) -> None:
    """When the last destination has failed there is nothing to go on for."""
    run = RunOutcome(RUN_ID, TAGS)
    loading = Loading([Full(), Full()], chosen("ab", "ab"), run)  # type: ignore[list-item]
    with pytest.raises(DestinationError, match=r"^disk full; disk full$"):
        loading.load([snapshot("a")])
    assert run.not_reached == ["a", "b"]


def test_what_was_loaded_before_a_failure_is_told(snapshot: Any) -> None:
    """Of tags that are loaded together, those that were before the last destination failed are in the outcome."""
    run, destination = RunOutcome(RUN_ID, TAGS), Full(takes=1)
    with pytest.raises(DestinationError, match=r"^disk full$"):
        Loading([destination], chosen("ab"), run).load([snapshot("a"), snapshot("b")])  # type: ignore[list-item]
    assert (list(run.tag_runs), run.destinations[0].tags_loaded, run.not_reached) == (["a"], 1, ["b"])


def test_nothing_is_read_in_vain(tmp_path: Path, snapshot: Any) -> None:
    """When only failed destinations lack what is still to be read, the run ends; what others got stays loaded."""
    run = RunOutcome(RUN_ID, TAGS)
    with open_destination(str(tmp_path / "x")) as sound:
        loading = Loading([Full(), sound], chosen("ab", "a"), run)  # type: ignore[list-item]
        with pytest.raises(DestinationError, match=r"^disk full$"):
            loading.load([snapshot("a")])
        assert {"a"} == set(sound.loaded_tags())
    assert (list(run.tag_runs), run.not_reached) == (["a"], ["b"])


def test_a_tag_that_nobody_took_is_not_told_as_loaded(tmp_path: Path, snapshot: Any) -> None:
    """A tag that only a failed destination lacks is `failed`, with 0 rows loaded, while others go on."""
    run = RunOutcome(RUN_ID, TAGS)
    with open_destination(str(tmp_path / "x")) as sound:
        loading = Loading([Full(), sound], chosen("a", "b"), run)  # type: ignore[list-item]
        for tag in TAGS:
            loading.load([snapshot(tag, 2)])
        assert {"b"} == set(sound.loaded_tags())
    assert [(row["verdict"], row["rows_loaded"]) for row in run.tag_runs.values()] == [("failed", 0), ("complete", 2)]
    assert (run.tag_runs["a"]["reason"], run.total("rows_loaded"), run.exit_code) == (
        "read, but loaded nowhere: every destination that lacks it has failed",
        2,
        1,
    )


def test_lost_rows_are_a_bug(tmp_path: Path, snapshot: Any) -> None:
    """A snapshot whose books do not balance is not loaded."""
    from dataclasses import replace

    with open_destination(str(tmp_path / "x")) as destination:
        loading = Loading([destination], chosen("ab"), RunOutcome(RUN_ID, TAGS))
        with pytest.raises(CountMismatch):
            loading.load([replace(snapshot("a", 2), rows_received=3)])
        assert destination.loaded_tags() == {}


def test_exports_of_runs_that_ended_early(tmp_path: Path, snapshot: Any, settings: Any) -> None:
    """An export is published only by a run that came to its end; the old file stays otherwise."""
    file = tmp_path / "out.csv"
    file.write_text("old", encoding="utf-8")
    for ends_early, content in ((True, "old"), (False, "tag,")):
        run = RunOutcome(RUN_ID, TAGS)
        with open_destination(str(file)) as export:
            loading = Loading([export], chosen("ab"), run)
            loading.load([snapshot("a")])
            if ends_early:
                with run.ending_early():
                    raise KeyboardInterrupt
            else:
                loading.load([snapshot("b")])
            loading.finish(settings(tags=TAGS))
        assert file.read_text("utf-8-sig").startswith(content)
        told = run.destinations[0]
        assert (told.tags_loaded, told.dropped) == ((0, True) if ends_early else (2, False))
