"""What a run would ask for."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console
from smspartner.errors import AccessRefused
from smspartner_pipelines.plan import TagPlan, plan_tags, print_plan
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
    """A refused key ends the planning."""
    with pytest.raises(AccessRefused):
        plan_tags(TAGS, connect(start_sandbox(CAMPAIGNS, api_key="another")))


@pytest.mark.parametrize(("rate", "pace"), [(None, ""), (100.0, " at 100 a second: at least 0 s")])
def test_print(start_sandbox: Any, connect: Any, rate: float | None, pace: str) -> None:
    """The plan is shown by tag and in all, with the time that the rate allows at best."""
    console = Console(file=io.StringIO(), width=160, highlight=False)
    print_plan(("big", "empty"), connect(start_sandbox(CAMPAIGNS, page_size=10), rate=rate), console)
    lines = [" ".join(line.split()) for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]
    assert ["tag rows requests note", "big 25 3", "empty 0 1", f"2 tags, 25 rows, 4 requests{pace}"] == lines
