"""Batches of snapshots, loading into several destinations, and what a run came to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from smspartner.errors import AccessRefused, CountMismatch, DestinationError, Interrupted, SettingsError
from smspartner_pipelines.loading import finish, in_batches, load, open_destinations
from smspartner_pipelines.outcome import RunOutcome, Target
from smspartner_pipelines.selection import select_tags
from smspartner_schemas.contract import ExitCode

RUN_ID = "20261123T180000Z-ab12cd34"
TAGS = ("a", "b")


class Full:
    """A destination whose disk is full."""

    uri, keeps_tags, batch_rows = "full", True, 0

    def __init__(self) -> None:
        self.calls: list[str] = []

    def replace(self, snapshots: Any) -> Iterator[list[Any]]:
        """Fail with the first tag."""
        for snapshot in snapshots:
            self.calls.append(snapshot.tag)
            raise DestinationError("disk full")
        yield []

    def finish(self, tag_runs: Any, run_id: str, *, complete: bool) -> list[Any]:  # noqa: ARG002
        """Finish."""
        self.calls.append("finish")
        return []

    def save_report(self, report: bytes, run_id: str) -> None:  # noqa: ARG002
        """Keep the report."""
        self.calls.append("report")


class Valid:
    """Validation that has nothing to say."""

    def results(self) -> dict[str, Any]:
        """Say so."""
        return {"validate": "contract", "success": True}


VALID: Any = Valid()


@pytest.fixture
def outcome(settings: Any, tmp_path: Path) -> RunOutcome:
    """The outcome of a run of two tags."""
    return RunOutcome(RUN_ID, settings(tags=TAGS, to=(str(tmp_path / "x"),)))


def full() -> Target:
    """A destination that fails."""
    destination: Any = Full()
    return Target(destination)


def test_one_that_fails_keeps_nothing_from_the_others(tmp_path: Path, outcome: RunOutcome, snapshot: Any) -> None:
    """A destination that fails takes nothing more; the others take every tag, tag_runs and the report; exit code 1."""
    failing = full()
    with ExitStack() as stack:
        outcome.destinations = [failing, *open_destinations(outcome, stack)]
        select_tags(outcome.settings, outcome.destinations)
        for tag in TAGS:
            load([snapshot(tag, 4)], outcome)
        finish(outcome, VALID)
    assert failing.destination.calls == ["a"]  # type: ignore[attr-defined]
    assert [(one.tags_loaded, one.failure) for one in outcome.destinations] == [(0, "disk full"), (2, None)]
    assert pq.read_table(tmp_path / "x" / "tag_runs").num_rows == 2
    report = json.loads((tmp_path / "x" / "runs" / f"{RUN_ID}.json").read_text("utf-8"))
    assert (report["run_id"], report["exit_code"], report["totals"]["rows_loaded"]) == (RUN_ID, 1, 8)


def test_no_destination_left(outcome: RunOutcome, snapshot: Any) -> None:
    """Where every destination has failed, a tag that was read is `failed`, and the run ends."""
    outcome.destinations = [full()]
    select_tags(outcome.settings, outcome.destinations)
    with pytest.raises(DestinationError, match="every destination has failed"):
        load([snapshot("a")], outcome)
    assert (outcome.tag_runs["a"]["verdict"], outcome.tag_runs["a"]["rows_loaded"]) == ("failed", 0)


def test_only_complete_tags_are_loaded(outcome: RunOutcome, snapshot: Any) -> None:
    """A tag with another verdict never reaches a destination, and is in the outcome."""
    outcome.destinations = [full()]
    select_tags(outcome.settings, outcome.destinations)
    for tag, verdict in (("a", "unstable"), ("b", "shrunk")):
        load([snapshot(tag, verdict=verdict)], outcome)
    assert outcome.destinations[0].destination.calls == []  # type: ignore[attr-defined]
    assert list(outcome.tag_runs) == ["a", "b"]


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
    ("ends", "failing", "verdicts", "bad", "code"),
    [
        (None, False, ("complete", "unknown"), 0, ExitCode.OK),
        (None, False, ("complete", "complete"), 1, ExitCode.ROWS_IN_QUARANTINE),
        (None, False, ("incomplete", "complete"), 1, ExitCode.TAGS_NOT_COMPLETE),
        (None, True, ("incomplete", "complete"), 1, ExitCode.NOT_DONE),
        (DestinationError("down"), False, ("incomplete", "complete"), 1, ExitCode.NOT_DONE),
        (AccessRefused("code 10", code=10), True, ("incomplete", "complete"), 1, ExitCode.REFUSED),
        (Interrupted("asked to stop"), True, ("incomplete", "complete"), 1, ExitCode.INTERRUPTED),
    ],
)
def test_the_exit_code_is_the_most_serious(
    outcome: RunOutcome,
    snapshot: Any,
    ends: BaseException | None,
    failing: bool,  # noqa: FBT001
    verdicts: tuple[str, str],
    bad: int,
    code: ExitCode,
) -> None:
    """Where several hold: interrupted, refused, not done, not complete, quarantine."""
    outcome.destinations = [full()]
    outcome.destinations[0].failure = "disk full" if failing else None
    with outcome.keeps_what_ends_it():
        for tag, verdict in zip(TAGS, verdicts, strict=True):
            outcome.note(snapshot(tag, 1, bad if verdict == "complete" else 0, verdict))
        if ends:
            raise ends
    outcome.close()
    assert code is outcome.exit_code


def test_a_skipped_tag_repeats_what_is_loaded(outcome: RunOutcome, snapshot: Any, loaded: Any) -> None:
    """A skipped tag repeats the counts that are loaded, quarantine included, beside the requests of this run."""
    held = loaded("a", rows_received=6, rows_quarantined=2)
    outcome.note_skipped({"b": ("fresh", loaded("b", rows_quarantined=1))})
    outcome.destinations = [full()]
    outcome.destinations[0].loaded = {"a": held}
    outcome.note(snapshot("a", verdict="skipped", reason="unchanged"))
    outcome.close()
    row = outcome.tag_runs["a"]
    assert tuple(
        row[name]
        for name in ("rows_declared", "rows_received", "rows_loaded", "rows_quarantined", "delivered", "requests")
    ) == (6, 6, 4, 2, 4, 2)
    assert held.extracted_at == row["extracted_at"]
    not_asked = outcome.tag_runs["b"]
    assert (not_asked["requests"], not_asked["asked_at"], not_asked["rows_quarantined"]) == (0, None, 1)
    assert ExitCode.ROWS_IN_QUARANTINE is outcome.exit_code
    assert outcome.tag_runs_table().num_rows == 2


def test_every_tag_has_one_result(outcome: RunOutcome, snapshot: Any) -> None:
    """A tag with two results, or with none in a run that came to its end, is a bug, and the run says so."""
    outcome.note(snapshot("a"))
    with pytest.raises(CountMismatch, match="tag a has two results"):
        outcome.note(snapshot("a"))
    outcome.close()
    assert (outcome.exit_code, outcome.not_reached) == (ExitCode.NOT_DONE, ["b"])
    assert "1 tags have no result" in (outcome.failure or "")


@pytest.mark.parametrize(
    ("sizes", "rows", "batches"),
    [
        ([], 10, []),
        ([3], 10, [[3]]),
        ([3, 3, 3, 3, 3], 6, [[3, 3], [3, 3], [3]]),
        ([100, 1, 1], 6, [[100], [1, 1]]),
        ([0, 0, 0], 6, [[0, 0, 0]]),
        ([1, 1], 0, [[1], [1]]),
    ],
)
def test_batches_by_rows(snapshot: Any, sizes: list[int], rows: int, batches: list[list[int]]) -> None:
    """A batch ends with the snapshot that fills it; none is empty, the order stays."""
    given = [snapshot(f"t{number}", size) for number, size in enumerate(sizes)]
    gathered = list(in_batches(given, rows, seconds=3600))
    assert batches == [[one.table.num_rows for one in batch] for batch in gathered]
    assert given == [one for batch in gathered for one in batch]


def test_batches_by_the_clock(snapshot: Any) -> None:
    """A batch that is old enough ends, also while nothing but ticks arrives; a tick alone makes no batch."""
    first, second = snapshot("a"), snapshot("b")
    assert [[first], [second]] == list(in_batches([None, first, None, second, None], 1000, seconds=0))
    assert [[first, second]] == list(in_batches([first, None, second], 1000, seconds=3600))


def test_a_batch_is_given_before_the_next_is_begun(snapshot: Any) -> None:
    """Nothing is taken beyond a full batch until that is loaded."""
    taken = []

    def snapshots() -> Iterator[Any]:
        for number in range(4):
            taken.append(number)
            yield snapshot(f"t{number}", 5)

    next(in_batches(snapshots(), 10, seconds=3600))
    assert taken == [0, 1]


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
