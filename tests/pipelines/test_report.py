"""The run report and the summary."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.console import Console
from smspartner_pipelines.load.destination import WrittenFile
from smspartner_pipelines.exit_codes import ExitCode
from smspartner_pipelines.outcomes import DestinationOutcome, RunOutcome, tag_run
from smspartner_pipelines.report import loaded_tags_json, print_loaded_tags, print_summary, report, report_json

RUN_ID = "20261123T180000Z-ab12cd34"
STARTED = datetime(2026, 11, 23, 18, tzinfo=UTC)
ASKED = ("t[1]", "gone", "done", "never")


def finished(snapshot: Any) -> RunOutcome:
    """A run that was interrupted after three of four tags."""
    run = RunOutcome(RUN_ID, ASKED, started_at=STARTED, finished_at=STARTED + timedelta(seconds=1.5), seconds=1.5)
    run.note(snapshot("t[1]", 3, bad=1))
    run.note(snapshot("gone", verdict="unknown", reason="code 4"))
    run.note_skipped({"done": "settled"})
    run.drift["t[1]"] = {"row field operator": 3}
    run.erased["t[1]"] = 2
    run.destinations = [
        DestinationOutcome("data", [WrittenFile("data/x.parquet", 7, "ab")], 1),
        DestinationOutcome("bad", failure="disk full"),
    ]
    run.ended_by, run.failure = ExitCode.INTERRUPTED, "interrupted; tags that were loaded stay loaded"
    return run


def shown(run: RunOutcome) -> str:
    """The summary as it is printed into a file."""
    console = Console(file=io.StringIO(), width=160, highlight=False)
    print_summary(run, console)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


def test_report(snapshot: Any, settings: Any) -> None:
    """The report has settings, versions, totals, every tag, what was not reached, drift, and the files written."""
    run = finished(snapshot)
    found = report(run, settings(tags=ASKED))
    versions = found.pop("versions")
    assert {"python", "smspartner-connector", "great-expectations", "pandas", "pyarrow", "requests", "tenacity"} == set(
        versions
    )
    assert found == {
        "run_id": RUN_ID,
        "exit_code": 130,
        "meaning": "interrupted",
        "failure": "interrupted; tags that were loaded stay loaded",
        "started_at": STARTED,
        "finished_at": STARTED + timedelta(seconds=1.5),
        "seconds": 1.5,
        "settings": settings().public(),
        "totals": {"tags": 3, "rows_received": 4, "rows_loaded": 3, "rows_quarantined": 1, "requests": 4, "retries": 2},
        "tags": [tag_run(snapshot("t[1]", 3, bad=1), RUN_ID), run.tag_runs["gone"], run.tag_runs["done"]],
        "not_reached": ["never"],
        "drift": {"t[1]": {"row field operator": 3}},
        "erased": {"t[1]": 2},
        "validation": {},
        "destinations": [
            {
                "uri": "data",
                "tags_loaded": 1,
                "failure": None,
                "files": [{"path": "data/x.parquet", "bytes": 7, "sha256": "ab"}],
            },
            {"uri": "bad", "tags_loaded": 0, "failure": "disk full", "files": []},
        ],
    }


def test_report_as_json(snapshot: Any, settings: Any) -> None:
    """The report is UTF-8 JSON with times in ISO 8601, and shows neither key nor phone number."""
    run = finished(snapshot)
    run.failure = "key-of-the-pipeline-tests é"
    written = report_json(run, settings(tags=ASKED)).decode()
    document = json.loads(written)
    assert (document["failure"], document["started_at"]) == ("*** é", "2026-11-23T18:00:00.000000Z")
    assert written.endswith("}\n")
    assert "+336" not in written


def test_summary(snapshot: Any) -> None:
    """The summary has a line for each tag and says what failed, without any phone number."""
    lines = [" ".join(line.split()) for line in shown(finished(snapshot)).splitlines()]
    assert lines == [
        "tag verdict rows delivered waiting quarantined reason",
        "t[1] complete 3 33.3 % 1 1",
        "gone unknown code 4",
        "done skipped settled",
        "note: drift, not in the API's documentation: row field operator (t[1]: 3)",
        "note: rows of erased numbers were left out (t[1]: 2)",
        "error: bad: disk full",
        "1 of 4 tags were not reached",
        f"run {RUN_ID}: 3 rows loaded into data, 1 in quarantine",
        "exit code 130: interrupted; tags that were loaded stay loaded",
    ]


def test_summary_of_success(snapshot: Any) -> None:
    """A run that went well says so by saying nothing of an exit code."""
    run = RunOutcome(RUN_ID, ("t", "empty"))
    run.note(snapshot("t", 1))
    run.note(snapshot("empty", 0))
    run.destinations = [DestinationOutcome("a"), DestinationOutcome("b")]
    lines = [" ".join(line.split()) for line in shown(run).splitlines()]
    assert lines[1:3] == ["t complete 1 100.0 % 0 0", "empty complete 0 0 0"]
    assert [f"run {RUN_ID}: 1 rows loaded into a, b, 0 in quarantine"] == lines[3:]


def test_loaded_tags(loaded: Any) -> None:
    """What a destination holds is shown as a table and as JSON, with whether each tag is settled."""
    tags = [
        loaded("a"),
        loaded("b", waiting=2, newest_status_at=None, phone_numbers="hashed:0123abcd"),
        loaded("c", consistent=False),
    ]
    console = Console(file=io.StringIO(), width=160, highlight=False)
    print_loaded_tags(tags, console)
    lines = [" ".join(line.split()) for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]
    assert lines == [
        "tag rows waiting quarantined settled newest status extracted numbers",
        "a 4 0 0 yes 2026-11-21 17:00Z 2026-11-23 18:00Z plain",
        "b 4 2 0 no 2026-11-23 18:00Z hashed:0123abcd",
        "c 4 0 0 no: run again 2026-11-21 17:00Z 2026-11-23 18:00Z plain",
    ]
    assert [(row["tag"], row["settled"]) for row in json.loads(loaded_tags_json(tags))] == [
        ("a", True),
        ("b", False),
        ("c", False),
    ]
