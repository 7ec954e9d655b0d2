"""What a run would ask for."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console
from smspartner.errors import AccessRefused
from smspartner_pipelines.exit_codes import ExitCode
from smspartner_pipelines.plan import Plan, TagPlan, plan_tags
from smspartner_pipelines.plan_report import print_plan
from smspartner_pipelines.sandbox import Campaign, Fault

CAMPAIGNS = [Campaign("big", 25, sent_at=0), Campaign("empty", 0, sent_at=0), Campaign("bad", 1, sent_at=0)]
TAGS = ("big", "empty", "gone", "bad")


def test_plan(start_sandbox: Any, connect: Any) -> None:
    """Each tag's first page is asked for, and tells rows and requests; trouble is said and ends nothing."""
    sandbox = start_sandbox(CAMPAIGNS, page_size=10, faults=[Fault("not_found", tag="bad")])
    assert [
        TagPlan("big", 25, 3),
        TagPlan("empty", 0, 1),
        TagPlan("gone", pages=1, trouble='the API answered code 4 (message not found), "Message introuvable"'),
        TagPlan("bad", pages=1, trouble="HTTP 404 without an answer that can be read", known=False),
    ] == plan_tags(TAGS, connect(sandbox))
    assert sorted((tag, None) for tag in TAGS) == sorted((record.tag, record.page) for record in sandbox.requests)


def test_refused(start_sandbox: Any, connect: Any) -> None:
    """A refused key ends the planning at once, however many tags are left."""
    sandbox = start_sandbox(CAMPAIGNS, api_key="another")
    with pytest.raises(AccessRefused):
        plan_tags([f"tag{number}" for number in range(500)], connect(sandbox, concurrency=2))
    assert len(sandbox.requests) < 400


def told(plan: Plan, width: int = 80) -> list[str]:
    """Give the lines of a plan."""
    console = Console(file=io.StringIO(), width=width, highlight=False)
    print_plan(plan, console)
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


PLANS = (
    TagPlan("big", 25_000, 25, seconds=0.2),
    TagPlan("done", trouble="settled: nothing waiting", skipped=True),
    TagPlan("gone", pages=1, trouble='the API answered code 4 (message not found), "Message introuvable"', seconds=0.4),
)


@pytest.mark.parametrize(
    ("options", "closing"),
    [
        ({"concurrency": 2}, "at least 3.9 s for the requests at 0.300 s each, as measured, 2 at once"),
        ({"rate": 0.1}, "at least 0:04:20 for the requests at the allowed 0.1 a second"),
        ({"rate": 1000.0}, "at least 1.0 s for the requests at 0.300 s each, as measured, 8 at once"),
    ],
    ids=["measured", "rate", "rate beyond what is measured"],
)
def test_time(start_sandbox: Any, connect: Any, options: dict[str, Any], closing: str) -> None:
    """How long a run takes at the least is told from the allowed pace, or from how fast the API answers."""
    plan = Plan(PLANS, connect(start_sandbox([]), **options))
    assert told(plan)[-2:] == ["3 tags (1 skipped), 25,000 rows, 26 requests", closing]


def test_verify(start_sandbox: Any, connect: Any) -> None:
    """With `--verify` each tag that has rows is read twice."""
    plan = Plan(PLANS, connect(start_sandbox([]), verify=True))
    assert (plan.requests, plan.rows, plan.exit_code) == (51, 25_000, ExitCode.OK)
    assert told(plan)[-2].endswith("51 requests, each tag read 2 times")


def test_table(start_sandbox: Any, connect: Any) -> None:
    """The plan fits 80 columns, and says of each tag what it takes, or why nothing."""
    assert told(Plan(PLANS, connect(start_sandbox([]))))[:-2] == [
        "tag     rows  pages  requests  note",
        "big   25,000     25        25",
        "done                        0  skipped: settled: nothing waiting",
        "gone       0      1         1  the API answered code 4 (message not found),",
        '                               "Message introuvable"',
    ]


def test_nothing_to_ask(start_sandbox: Any, connect: Any) -> None:
    """Where all is skipped, there is no time to tell."""
    assert told(Plan(PLANS[1:2], connect(start_sandbox([]))))[-1] == "1 tags (1 skipped), 0 rows, 0 requests"
