"""The run: batches of snapshots, loading into several destinations, and what a run came to."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from smspartner.errors import AccessRefused, CountMismatch, DestinationError, Interrupted, SettingsError
from smspartner_pipelines.outcome import RunOutcome, Target
from smspartner_pipelines.run import finish, in_batches, load, open_destinations
from smspartner_pipelines.selection import select_tags
from smspartner_pipelines.validation import Validator
from smspartner_schemas.contract import ExitCode

RUN_ID = "20261123T180000Z-ab12cd34"
TAGS = ("a", "b")


class Full:
    """A destination whose disk is full."""

    uri, keeps_tags = "full", True

    def __init__(self) -> None:
        self.calls: list[str] = []

    def replace(self, snapshots: Any) -> Iterator[list[Any]]:
        """Fail with the first tag."""
        for snapshot in snapshots:
            self.calls.append(snapshot.tag)
            raise DestinationError("disk full")
        yield []


@pytest.fixture
def full() -> Target:
    """A destination that fails."""
    destination: Any = Full()
    return Target(destination)


@pytest.fixture
def outcome(settings: Any, full: Target, tmp_path: Path) -> RunOutcome:
    """The outcome of a run of two tags, which are wanted by a destination that fails."""
    outcome = RunOutcome(RUN_ID, settings(tags=TAGS, to=(str(tmp_path / "x"),)))
    outcome.destinations = [full]
    select_tags(outcome.settings, outcome.destinations)
    return outcome


def test_one_that_fails_keeps_nothing_from_the_others(
    tmp_path: Path, outcome: RunOutcome, full: Any, snapshot: Any
) -> None:
    """A destination that fails takes nothing more; the others take every tag, tag_runs and the report; exit code 1."""
    outcome.paging.looked = True
    with ExitStack() as stack:
        outcome.destinations = [full, *open_destinations(outcome, stack)]
        select_tags(outcome.settings, outcome.destinations)
        for tag in TAGS:
            load([snapshot(tag, 4)], outcome)
        finish(outcome, Validator("plain", by="contract"))
    assert full.destination.calls == ["a"]
    assert [(one.tags_loaded, one.failure) for one in outcome.destinations] == [(0, "disk full"), (2, None)]
    assert pq.read_table(tmp_path / "x" / "tag_runs").num_rows == 2
    report = json.loads((tmp_path / "x" / "runs" / f"{RUN_ID}.json").read_text("utf-8"))
    assert (report["run_id"], report["exit_code"], report["totals"]["rows_loaded"]) == (RUN_ID, 1, 8)
    assert (report["finished_at"] >= report["started_at"], report["notes"][0][:24]) == (
        True,
        "paging is not proved yet",
    )


def test_no_destination_left(outcome: RunOutcome, snapshot: Any) -> None:
    """Where every destination has failed, a tag that was read is `failed`, and the run ends."""
    with pytest.raises(DestinationError, match="every destination has failed"):
        load([snapshot("a")], outcome)
    assert (outcome.tag_runs["a"]["verdict"], outcome.tag_runs["a"]["rows_loaded"]) == ("failed", 0)


def test_only_complete_tags_are_loaded(outcome: RunOutcome, full: Any, snapshot: Any) -> None:
    """A tag with another verdict never reaches a destination, and is in the outcome."""
    for tag, verdict in (("a", "unstable"), ("b", "shrunk")):
        load([snapshot(tag, verdict=verdict)], outcome)
    assert (full.destination.calls, list(outcome.tag_runs)) == ([], ["a", "b"])


def test_destinations_that_cannot_be_used_at_the_start(tmp_path: Path, settings: Any) -> None:
    """One alone raises what is wrong; beside another one it is noted, and the run goes on."""
    (tmp_path / "file").write_text("not a folder")
    bad, good = str(tmp_path / "file" / "data"), str(tmp_path / "good")

    def opened(*to: str) -> list[bool]:
        with ExitStack() as stack:
            return [target.usable for target in open_destinations(RunOutcome(RUN_ID, settings(to=to)), stack)]

    with pytest.raises((SettingsError, DestinationError)):
        opened(bad)
    assert opened(bad, good) == [False, True]
    with pytest.raises(DestinationError, match="no destination can be used"):
        opened(bad, str(tmp_path / "file" / "other"))


@pytest.mark.parametrize(
    ("ends", "failure", "verdicts", "bad", "code"),
    [
        (None, None, ("complete", "unknown"), 0, ExitCode.OK),
        (None, None, ("complete", "complete"), 1, ExitCode.ROWS_IN_QUARANTINE),
        (None, None, ("incomplete", "complete"), 1, ExitCode.TAGS_NOT_COMPLETE),
        (None, "disk full", ("incomplete", "complete"), 1, ExitCode.NOT_DONE),
        (DestinationError("down"), None, ("incomplete", "complete"), 1, ExitCode.NOT_DONE),
        (AccessRefused("code 10", code=10), "disk full", ("incomplete", "complete"), 1, ExitCode.REFUSED),
        (Interrupted("asked to stop"), "disk full", ("incomplete", "complete"), 1, ExitCode.INTERRUPTED),
    ],
)
def test_the_exit_code_is_the_most_serious(
    outcome: RunOutcome, full: Target, snapshot: Any, ends: Any, failure: str | None, verdicts: Any, bad: int, code: int
) -> None:
    """Where several hold: interrupted, refused, not done, not complete, quarantine."""
    full.failure = failure
    with outcome.keeps_what_ends_it():
        for tag, verdict in zip(TAGS, verdicts, strict=True):
            outcome.note(snapshot(tag, 1, bad if verdict == "complete" else 0, verdict))
        if ends:
            raise ends
    outcome.close()
    assert code is outcome.exit_code


def test_a_skipped_tag_repeats_what_is_loaded(outcome: RunOutcome, full: Target, snapshot: Any, loaded: Any) -> None:
    """A skipped tag repeats the counts that are loaded, quarantine included, beside the requests of this run."""
    held = loaded("a", rows_received=6, rows_quarantined=2)
    outcome.note_skipped({"b": ("fresh", loaded("b", rows_quarantined=1))})
    full.loaded = {"a": held}
    outcome.note(snapshot("a", verdict="skipped", reason="unchanged"))
    outcome.close()
    row, not_asked = outcome.tag_runs["a"], outcome.tag_runs["b"]
    names = ("rows_declared", "rows_received", "rows_loaded", "rows_quarantined", "delivered", "requests")
    assert [row[name] for name in names] == [6, 6, 4, 2, 4, 2]
    assert held.extracted_at == row["extracted_at"]
    assert (not_asked["requests"], not_asked["asked_at"], not_asked["rows_quarantined"]) == (0, None, 1)
    assert (outcome.exit_code, outcome.tag_runs_table().num_rows) == (ExitCode.ROWS_IN_QUARANTINE, 2)


def test_every_tag_has_one_result(outcome: RunOutcome, snapshot: Any) -> None:
    """A tag with two results, or with none in a run that came to its end, is a bug, and the run says so."""
    outcome.note(snapshot("a"))
    with pytest.raises(CountMismatch, match="tag a has two results"):
        outcome.note(snapshot("a"))
    outcome.close()
    assert (outcome.exit_code, outcome.not_reached) == (ExitCode.NOT_DONE, ["b"])
    assert "1 tags have no result" in (outcome.failure or "")


@pytest.mark.parametrize(
    ("sizes", "rows", "seconds", "batches"),
    [
        ([], 10, 3600, []),
        ([3], 10, 3600, [[3]]),
        ([3, 3, 3, 3, 3], 6, 3600, [[3, 3], [3, 3], [3]]),
        ([100, 1, 1], 6, 3600, [[100], [1, 1]]),
        ([0, 0, 0], 6, 3600, [[0, 0, 0]]),
        ([1, 1], 0, 3600, [[1], [1]]),
        ([None, 1, None, None, 2, None], 10, 0, [[1], [2]]),  # ticks: nothing came, but time went by
        ([1, None, 2], 10, 3600, [[1, 2]]),
    ],
)
def test_batches(snapshot: Any, sizes: list[int | None], rows: int, seconds: int, batches: list[list[int]]) -> None:
    """A batch ends with the snapshot that fills it, or by the clock; none is empty, and nothing is taken beyond it."""
    taken = []

    def snapshots() -> Iterator[Any]:
        for number, size in enumerate(sizes):
            if size is not None:
                taken.append(size)
            yield None if size is None else snapshot(f"t{number}", size)

    given: list[int] = []
    for batch, expected in zip(in_batches(snapshots(), rows, seconds), batches, strict=True):
        assert [one.table.num_rows for one in batch] == expected
        given += expected
        assert taken == given


def test_a_batch_is_as_old_as_its_first_tag(snapshot: Any) -> None:
    """However many tags come after it, a tag does not wait longer than a batch may."""
    tags = [snapshot("a"), snapshot("b"), snapshot("c")]

    def snapshots() -> Iterator[Any]:
        yield tags[0]
        time.sleep(0.1)
        yield from tags[1:]

    assert len(next(in_batches(snapshots(), 1000, seconds=0.1))) < 3


@pytest.mark.parametrize("end", [Interrupted("asked to stop"), AccessRefused("code 10", code=10)])
def test_what_was_read_is_given_before_the_end(snapshot: Any, end: Exception) -> None:
    """Tags read before the key is refused, or the run interrupted, are given, to be loaded; then the run ends."""

    def snapshots() -> Iterator[Any]:
        yield snapshot("a")
        raise end

    batches = in_batches(snapshots(), 10, seconds=3600)
    assert [one.tag for one in next(batches)] == ["a"]
    with pytest.raises(type(end)):
        next(batches)
