"""What became of each tag and of the run."""

from __future__ import annotations

from typing import Any

import pytest
from smspartner.errors import AccessRefused, CountMismatch, DestinationError, ValidationBroken
from smspartner_pipelines.exit_codes import ExitCode
from smspartner_pipelines.outcomes import DestinationOutcome, RunOutcome, tag_run
from smspartner_schemas.arrow import arrow_schema
from smspartner_schemas.contract import TAG_RUNS

RUN_ID = "20261123T180000Z-ab12cd34"


def outcome(*asked: str, allow_quarantined: int = 0) -> RunOutcome:
    """The outcome of a run that begins."""
    return RunOutcome(RUN_ID, asked, allow_quarantined)


def test_tag_run(snapshot: Any) -> None:
    """A tag that was read has every count of its rows and of its reading."""
    read = snapshot("t", 6, bad=1)
    assert {
        "run_id": RUN_ID,
        "tag": "t",
        "verdict": "complete",
        "reason": "",
        "rows_declared": 7,
        "rows_received": 7,
        "rows_loaded": 6,
        "rows_quarantined": 1,
        "delivered": 2,
        "not_delivered": 2,
        "waiting": 1,
        "ko": 1,
        "stop_sms": 1,
        "pages": 1,
        "requests": 2,
        "retries": 1,
        "extracted_at": read.extracted_at,
        "seconds": 0.25,
    } == tag_run(read, RUN_ID)


def test_table(snapshot: Any) -> None:
    """The rows of `tag_runs` have the contract's schema and come in the order asked, skipped tags with zeros."""
    run = outcome("s", "t", "missing", "u")
    run.note(snapshot("u", verdict="unknown", reason="code 4"))
    run.note(snapshot("t", 2))
    run.note_skipped({"s": "settled"})
    table = run.tag_runs_table()
    table.validate(full=True)
    assert arrow_schema(TAG_RUNS) == table.schema
    assert [
        (row["tag"], row["verdict"], row["reason"], row["rows_loaded"], row["rows_declared"])
        for row in table.to_pylist()
    ] == [("s", "skipped", "settled", 0, None), ("t", "complete", "", 2, 2), ("u", "unknown", "code 4", 0, None)]
    assert (run.not_reached, run.total("rows_loaded")) == (["missing"], 2)
    assert outcome().tag_runs_table().schema == arrow_schema(TAG_RUNS)


def test_one_end_for_each_tag(snapshot: Any) -> None:
    """A tag that comes to two ends is a bug that is never accepted."""
    run = outcome("t")
    run.note(snapshot("t"))
    with pytest.raises(CountMismatch, match=r"^tag t came to two ends in one run"):
        run.note(snapshot("t"))


def test_books_that_do_not_balance(snapshot: Any) -> None:
    """A run that came to its end without an outcome for every tag is not done."""
    run = outcome("t", "u")
    run.note(snapshot("t"))
    run.close()
    assert (run.exit_code, run.failure) == (ExitCode.NOT_DONE, "1 tags came to no end; please report this bug")
    assert run.finished_at is not None


@pytest.mark.parametrize(
    ("verdicts", "bad", "allowed", "code"),
    [
        (["complete", "unknown"], 0, 0, ExitCode.OK),
        (["complete"], 1, 0, ExitCode.ROWS_IN_QUARANTINE),
        (["complete"], 1, 1, ExitCode.OK),
        (["complete"], 2, 1, ExitCode.ROWS_IN_QUARANTINE),
        *(
            (["complete", verdict], 1, 0, ExitCode.TAGS_NOT_COMPLETE)
            for verdict in ("incomplete", "unstable", "failed")
        ),
    ],
)
def test_exit_codes(snapshot: Any, verdicts: list[str], bad: int, allowed: int, code: ExitCode) -> None:
    """The exit code is that of the most serious thing that happened to a tag."""
    run = outcome(*verdicts, allow_quarantined=allowed)
    for verdict in verdicts:
        run.note(snapshot(verdict, 1, bad, verdict))
    run.close()
    assert (code, None) == (run.exit_code, run.failure)
    run.destinations = [DestinationOutcome("a"), DestinationOutcome("b", failure="disk full")]
    assert run.exit_code is ExitCode.NOT_DONE


@pytest.mark.parametrize(
    ("exc", "code", "failure"),
    [
        (KeyboardInterrupt(), ExitCode.INTERRUPTED, "interrupted; tags that were loaded stay loaded"),
        (AccessRefused("code 10", code=10), ExitCode.REFUSED, "code 10; check the key in your SMS Partner account"),
        (DestinationError("disk full"), ExitCode.NOT_DONE, "disk full"),
        (ValidationBroken("suite"), ExitCode.NOT_DONE, "suite"),
        (CountMismatch("books"), ExitCode.NOT_DONE, "books"),
    ],
)
def test_ending_early(exc: BaseException, code: ExitCode, failure: str) -> None:
    """What ends a run before its end is its exit code and is said in words; tags not reached are no bug then."""
    run = outcome("t")
    with run.ending_early():
        raise exc
    run.close()
    assert (code, failure, ["t"]) == (run.exit_code, run.failure, run.not_reached)


def test_bugs_are_not_swallowed() -> None:
    """Anything else goes on up."""
    run = outcome("t")
    with pytest.raises(KeyError), run.ending_early():
        raise KeyError("bug")
