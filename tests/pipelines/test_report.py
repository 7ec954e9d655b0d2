"""The run report for programs, and the summary for people."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from smspartner_pipelines.load.destination import WrittenFile
from smspartner_pipelines.outcome import RunOutcome
from smspartner_pipelines.report import print_summary, report, report_json
from smspartner_schemas.contract import EXIT_MEANINGS, ExitCode

RUN_ID = "20261123T180000Z-ab12cd34"
STARTED = datetime(2026, 11, 23, 18, tzinfo=UTC)
TAGS = ("t[1]", "gone", "done", "never")


@pytest.fixture
def finished(snapshot: Any, settings: Any, loaded: Any, target: Any) -> RunOutcome:
    """A run that was interrupted after three of four tags."""
    run = RunOutcome(
        RUN_ID, settings(tags=TAGS), started_at=STARTED, finished_at=STARTED + timedelta(seconds=1.5), seconds=1.5
    )
    run.note(snapshot("t[1]", 4, bad=1))
    run.note(snapshot("gone", verdict="unknown", reason="code 4"))
    run.note_skipped({"done": ("settled", loaded("done"))})
    run.drift["t[1]"] = {"row field operator": 3}
    run.notes.append("paging is not proved yet")
    run.destinations = [
        target(uri="rows.csv", dropped=True),
        target(uri="my data", files=[WrittenFile("data/x.parquet", 7, "ab")], tags_loaded=1),
        target(uri="bad", failure="the disk is full; free some space"),
    ]
    run.ended_by, run.failure = ExitCode.INTERRUPTED, "interrupted; tags that were loaded stay loaded"
    return run


def shown(run: RunOutcome, capsys: pytest.CaptureFixture[str], **options: Any) -> list[str]:
    """The lines of the summary as they are printed into a file."""
    print_summary(run, **options)
    out, err = capsys.readouterr()
    assert out == ""
    return [" ".join(line.split()) for line in err.splitlines()]


VERSIONS = ["great-expectations", "pandas", "pyarrow", "python", "requests", "smspartner-connector", "tenacity"]
VERDICTS = {"complete": 1, "unknown": 1, "skipped": 1}
COUNTS = {"rows_received": 5, "rows_loaded": 4, "rows_erased": 0, "rows_quarantined": 1, "requests": 4, "retries": 2}


def test_report(finished: RunOutcome) -> None:
    """The report has settings, versions, totals, every tag, what was not reached, drift, and the files written."""
    found = report(finished)
    found["versions"] = sorted(found["versions"])
    assert found == {
        "report_version": 1,
        "run_id": RUN_ID,
        "exit_code": 130,
        "meaning": "interrupted; what was loaded stays loaded",
        "failure": "interrupted; tags that were loaded stay loaded",
        "started_at": STARTED,
        "finished_at": STARTED + timedelta(seconds=1.5),
        "seconds": 1.5,
        "settings": finished.settings.public(),
        "versions": VERSIONS,
        "totals": {"tags": 3, "verdicts": VERDICTS, **COUNTS},
        "tags": [finished.tag_runs[tag] for tag in TAGS[:3]],
        "not_reached": ["never"],
        "drift": {"t[1]": {"row field operator": 3}},
        "notes": ["paging is not proved yet"],
        "validation": {},
        "destinations": [
            {"uri": uri, "tags_loaded": tags, "failure": failure, "files": files}
            for uri, tags, failure, files in (
                ("rows.csv", 0, None, []),
                ("my data", 1, None, [{"path": "data/x.parquet", "bytes": 7, "sha256": "ab"}]),
                ("bad", 0, "the disk is full; free some space", []),
            )
        ],
    }


def test_report_as_json(finished: RunOutcome) -> None:
    """The report is UTF-8 JSON with times in ISO 8601, and shows neither key nor phone number."""
    finished.failure = "KEY-of-the-pipeline-tests é"
    written = report_json(finished).decode()
    document = json.loads(written)
    assert (document["failure"], document["started_at"]) == ("*** é", "2026-11-23T18:00:00.000000Z")
    assert written.endswith("}\n")
    assert "+336" not in written


FOR_A_PERSON = [
    "gone: unknown: code 4",
    "in quarantine: 1 row of t[1]; `smspartner quarantine 'my data'` counts them by reason",
    "rows.csv was not written, since the run ended early",
    "error: bad: the disk is full; free some space (`smspartner check --to bad` says more)",
    "not read, 1 of 4 tags: never",
    "run again: smspartner run never … (with the options of this run)",
    "exit code 130: interrupted; tags that were loaded stay loaded",
]


def test_summary(finished: RunOutcome, capsys: pytest.CaptureFixture[str]) -> None:
    """What was loaded comes first, skipped tags in one line; what needs a person last, with --quiet alone."""
    assert shown(finished, capsys) == [
        "tag rows delivered waiting quarantined",
        "t[1] 4 33.3 % 1 1",
        "skipped, since what is loaded is unchanged or fresh: 1 tag",
        "note: not in the API's documentation: row field operator (t[1])",
        "note: paging is not proved yet",
        f"run {RUN_ID}: 4 rows loaded into my data, 1.5 s",
        *FOR_A_PERSON,
    ]
    assert shown(finished, capsys, quiet=True) == FOR_A_PERSON


def test_kept_though_shrunk(snapshot: Any, settings: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Where tags that shrank may be among the skipped ones, nobody is told that all are unchanged."""
    run = RunOutcome(RUN_ID, settings(tags=("t",), keep_shrunk=True))
    run.note(snapshot("t", verdict="skipped", reason="it shrank"))
    kept = "skipped, since what is loaded is unchanged or fresh, or the API has less of it now (--keep-shrunk): 1 tag"
    assert shown(run, capsys)[0] == kept


@pytest.mark.parametrize(
    ("tags", "options", "again"),
    [
        (1, {}, "smspartner run 't[1]' … (with the options of this run)"),
        (30, {}, "the same command with --fresh-since 2026-11-23T18:00:00Z"),
        (30, {"refresh": "all"}, "the same command with --fresh-since 2026-11-23T18:00:00Z instead of --refresh all"),
        (30, {"to": ("data", "a.csv")}, "the same command, since an export holds the tags of one run"),
    ],
)
def test_run_again(
    snapshot: Any, settings: Any, capsys: pytest.CaptureFixture[str], tags: int, options: Any, again: str
) -> None:
    """What failed or was not read is named with the command that reads it; not what shrank, nor after a refusal."""
    names = ("small", *(f"t[{number}]" for number in range(1, tags + 1)))
    run = RunOutcome(RUN_ID, settings(tags=names, **{"to": ("data",), **options}), started_at=STARTED)
    run.note(snapshot("small", verdict="shrunk", reason="it shrank"))
    run.note(snapshot("t[1]", verdict="failed", reason="HTTP 500"))
    assert shown(run, capsys, quiet=True)[-2:] == [f"run again: {again}", f"exit code 3: {EXIT_MEANINGS[ExitCode(3)]}"]
    run.ended_by, run.failure = ExitCode.REFUSED, "code 10"
    refused = shown(run, capsys, quiet=True)
    assert refused[-1] == "exit code 5: code 10; `smspartner check` says more"
    assert not [line for line in refused if line.startswith("run again")]


def test_success(snapshot: Any, settings: Any, target: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """A run that went well names no exit code; the delivered share is of what is final, none where nothing is."""
    run = RunOutcome(RUN_ID, settings(tags=("t", "empty")))
    run.note(snapshot("t", 1))
    run.note(snapshot("empty", 0))
    run.destinations = [target(uri="a"), target(uri="b")]
    assert shown(run, capsys)[1:] == ["t 1 100.0 % 0 0", "empty 0 0 0", f"run {RUN_ID}: 1 row loaded into a, b, 0.0 s"]
    assert shown(run, capsys, quiet=True) == []


def test_thousands_of_tags(snapshot: Any, settings: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """However many tags there are, the summary fits a screen or two; tags that are not complete are named."""
    tags = tuple(f"tag-{number}" for number in range(300))
    run = RunOutcome(RUN_ID, settings(tags=tags))
    for number, tag in enumerate(tags):
        good = number < 200
        run.note(snapshot(tag) if good else snapshot(tag, verdict="failed", reason="HTTP 500; run again"))
    lines = shown(run, capsys)
    assert lines[41] == "and 160 more complete tags"
    assert lines[43] == "tag-200: failed: HTTP 500; run again"
    assert lines[63].startswith("and 80 more: tag-220, tag-221, ")
    assert (len(lines), lines[64][:11], lines[65][:12]) == (66, "run again: ", "exit code 3:")
