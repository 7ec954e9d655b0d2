"""A plan, told: as a table for people, as JSON for programs."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from smspartner.redaction import REDACT

from smspartner_pipelines.tables import Cell, Column, print_table

if TYPE_CHECKING:
    from rich.console import Console

    from smspartner_pipelines.plan import Plan, TagPlan

_COLUMNS = (
    *(Column("tag"), Column("rows", right=True), Column("pages", right=True), Column("requests", right=True)),
    Column("note", fold=True),
)


def print_plan(plan: Plan, console: Console) -> None:
    """Print what each tag would take, and all together."""
    print_table(console, _COLUMNS, [_row(tag, plan) for tag in plan.tags])
    for line in _closing_lines(plan):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _row(tag: TagPlan, plan: Plan) -> tuple[str | Cell, ...]:
    requests = f"{plan.requests_of(tag):,}"
    if tag.skipped:
        return tag.tag, "", "", requests, f"skipped: {tag.trouble}"
    return tag.tag, f"{tag.rows:,}", f"{tag.pages:,}", requests, tag.trouble


def _closing_lines(plan: Plan) -> list[str]:
    skipped = sum(tag.skipped for tag in plan.tags)
    several = f", each tag read {plan.passes} times" if plan.passes > 1 else ""
    counts = f"{len(plan.tags):,} tags ({skipped:,} skipped), {plan.rows:,} rows, {plan.requests:,} requests{several}"
    return [counts, f"at least {_duration(plan.seconds)} for the requests {_pace(plan)}"] if plan.requests else [counts]


def _pace(plan: Plan) -> str:
    """Say what decides how long it takes: the pace that is allowed, or how fast the API answers."""
    rate, latency = plan.connection.rate, plan.latency or 0.0
    if rate is not None and plan.requests / rate >= plan.seconds:
        return f"at the allowed {rate:.3g} a second"
    return f"at {latency:.3f} s each, as measured, {plan.connection.concurrency} at once"


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else str(timedelta(seconds=round(seconds)))  # noqa: PLR2004  # a minute


def plan_json(plan: Plan) -> str:
    """Give the plan as a JSON object; durations in seconds."""
    document = {
        "exit_code": int(plan.exit_code),
        "rows": plan.rows,
        "requests": plan.requests,
        "passes": plan.passes,
        "seconds": round(plan.seconds, 3),
        "rate_per_second": plan.connection.rate,
        "latency_seconds": None if plan.latency is None else round(plan.latency, 6),
        "concurrency": plan.connection.concurrency,
        "tags": [
            {
                "tag": tag.tag,
                "skipped": tag.skipped,
                "known": tag.known,
                "rows": tag.rows,
                "pages": tag.pages,
                "requests": plan.requests_of(tag),
                "note": tag.trouble or None,
            }
            for tag in plan.tags
        ],
    }
    return REDACT.json(document, ensure_ascii=False, indent=2)
