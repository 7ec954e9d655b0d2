"""What a run would ask for, from each tag's first page."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from rich.console import Console
from smspartner.client import Client
from smspartner.connection import Connection
from smspartner.errors import AccessRefused, RequestError, UnknownTag
from smspartner.pace import Pace
from smspartner.retry import RetryPolicy

from smspartner_pipelines.exit_codes import ExitCode
from smspartner_pipelines.tables import Column, print_table

_COLUMNS = (Column("tag"), Column("rows", right=True), Column("requests", right=True), Column("note", fold=True))


@dataclass(frozen=True)
class TagPlan:
    """What one tag would take; `trouble` says why there is nothing to read, `known` whether that is an answer."""

    tag: str
    rows: int = 0
    pages: int = 0
    trouble: str = ""
    known: bool = True


def plan_tags(tags: tuple[str, ...], connection: Connection) -> list[TagPlan]:
    """Ask for the first page of each tag.

    Raises:
        AccessRefused: the API refuses the key or the account.
    """
    stop = threading.Event()
    client, policy = Client(connection), RetryPolicy(connection, Pace(connection.rate, stop), stop)
    try:
        with ThreadPoolExecutor(connection.concurrency) as pool:
            return list(pool.map(lambda tag: _plan(tag, client, policy), tags))
    finally:
        stop.set()
        client.close()


def _plan(tag: str, client: Client, policy: RetryPolicy) -> TagPlan:
    try:
        first = policy.call(lambda: client.fetch_page(tag, 1), _count_nothing)
    except AccessRefused:
        raise
    except RequestError as exc:
        return TagPlan(tag, pages=1, trouble=str(exc), known=isinstance(exc, UnknownTag))
    return TagPlan(tag, first.total, first.page_count)


_count_nothing: Callable[[], None] = lambda: None  # noqa: E731


def print_plan(tags: tuple[str, ...], connection: Connection, console: Console) -> ExitCode:
    """Print what each tag would take, and all together; the exit code says whether that could be told of each."""
    plans = plan_tags(tags, connection)
    print_table(console, _COLUMNS, [(plan.tag, f"{plan.rows:,}", f"{plan.pages:,}", plan.trouble) for plan in plans])
    requests = sum(plan.pages for plan in plans)
    pace = f"at {connection.rate:g} a second: at least {requests / connection.rate:,.0f} s" if connection.rate else ""
    console.print(
        f"{len(plans):,} tags, {sum(plan.rows for plan in plans):,} rows, {requests:,} requests {pace}".rstrip()
    )
    return ExitCode.OK if all(plan.known for plan in plans) else ExitCode.TAGS_NOT_COMPLETE
