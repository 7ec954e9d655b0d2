"""What a run would ask for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from faults import Campaign, Fault
from smspartner.connection import Rate
from smspartner.errors import AccessRefused
from smspartner_pipelines.plan import Plan, TagPlan, plan_run
from smspartner_pipelines.settings import RunSettings
from smspartner_schemas.contract import ExitCode

TAGS = ("big", "even", "empty", "full", "gone", "bad")
ROWS = {"big": 25, "even": 20, "empty": 0, "full": 10, "bad": 1}
CAMPAIGNS = [Campaign(tag, rows, sent_at=0) for tag, rows in ROWS.items()]


@pytest.fixture
def plan(connect: Any, tmp_path: Path) -> Callable[..., Plan]:
    """Plan a run into an empty directory."""

    def make(sandbox: Any, tags: tuple[str, ...] = TAGS, **options: Any) -> Plan:
        return plan_run(RunSettings(tags=tags, connection=connect(sandbox, **options), to=(str(tmp_path / "data"),)))

    return make


def test_plan(start_sandbox: Any, plan: Any) -> None:
    """Each tag's first page is asked for, and gives rows and requests; one that fails is named and ends nothing."""
    sandbox = start_sandbox(CAMPAIGNS, page_size=10, faults=[Fault("not_found", tag="bad")])
    made = plan(sandbox)
    assert [(tag.tag, tag.rows, tag.requests, tag.answered) for tag in made.tags] == [
        ("big", 25, 3, True),
        ("even", 20, 3, True),  # two pages, and the look behind the last, which is full
        ("empty", 0, 1, True),
        ("full", 10, 1, True),
        ("gone", 0, 1, True),
        ("bad", 0, 1, False),
    ]
    assert made.tags[4].note.startswith("the API answered code 4 (message not found)")
    assert (made.facts()["requests"], made.exit_code) == (10, ExitCode.TAGS_NOT_COMPLETE)
    assert sorted((tag, None) for tag in TAGS) == sorted((record.tag, record.page) for record in sandbox.requests)
    twice = plan(sandbox, TAGS[:3], verify=True)
    assert ([tag.requests for tag in twice.tags], twice.exit_code) == ([6, 6, 2], ExitCode.OK)


def test_refused(start_sandbox: Any, plan: Any) -> None:
    """A refused key ends the planning at once, however many tags are left."""
    sandbox = start_sandbox(CAMPAIGNS, api_key="another-key")
    with pytest.raises(AccessRefused):
        plan(sandbox, tuple(f"tag{number}" for number in range(500)), concurrency=2)
    assert len(sandbox.requests) < 400


def test_lines() -> None:
    """The plan says of each tag what it takes, and how long all takes at the least by the rate."""
    tags = (TagPlan("big", 25_000, 25), TagPlan("done", note="skipped: fresh"), TagPlan("gone", 0, 1, "code 4"))
    total = "3 tags, 25,000 rows, 26 requests"
    for rate, took in ((None, ""), (Rate(6, 60.0), ", at least 0:04:20"), (Rate(1000, 1.0), ", at least 0.0 s")):
        assert list(Plan(tags, rate).lines()) == [
            "tag     rows  requests  note",
            "big   25,000        25",
            "done       0         0  skipped: fresh",
            "gone       0         1  code 4",
            total + took,
        ]
