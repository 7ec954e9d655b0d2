"""What a run would ask for, from each tag's first page: nothing is loaded, and what is loaded is only looked at."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from smspartner.client import Client
from smspartner.connection import Connection
from smspartner.errors import AccessRefused, RequestError, UnknownTag
from smspartner.pace import Pace
from smspartner.retry import RetryPolicy

from smspartner_pipelines.exit_codes import ExitCode
from smspartner_pipelines.incremental import select_tags
from smspartner_pipelines.load import open_destination
from smspartner_pipelines.load.destination import Destination, LoadedTag
from smspartner_pipelines.progress import Progress, Silent

if TYPE_CHECKING:
    from smspartner_pipelines.settings import RunSettings

_PASSES_TO_VERIFY = 2
"""Passes over a tag that holds still; one that moves takes more."""


@dataclass(frozen=True)
class TagPlan:
    """What one tag would take.

    `trouble` says why there is nothing to read, `known` whether that is an answer; `seconds` is how long the API took
    for the first page. A tag that is `skipped` would not be asked for.
    """

    tag: str
    rows: int = 0
    pages: int = 0
    trouble: str = ""
    known: bool = True
    skipped: bool = False
    seconds: float = field(default=0.0, compare=False)


@dataclass(frozen=True)
class Plan:
    """What all tags would take, in the order they were asked for; `passes` is how often each is read at the least."""

    tags: tuple[TagPlan, ...]
    connection: Connection

    @property
    def passes(self) -> int:
        """How often a tag is read, if it holds still."""
        return _PASSES_TO_VERIFY if self.connection.verify else 1

    def requests_of(self, tag: TagPlan) -> int:
        """Count the requests a tag would take; one without rows to read takes one."""
        return 0 if tag.skipped else 1 if tag.trouble else tag.pages * self.passes

    @property
    def requests(self) -> int:
        """How many requests a run would send."""
        return sum(map(self.requests_of, self.tags))

    @property
    def rows(self) -> int:
        """How many rows it would read, each once."""
        return sum(tag.rows for tag in self.tags)

    @property
    def latency(self) -> float | None:
        """Seconds that a first page took on the average; None where none was asked for."""
        taken = [tag.seconds for tag in self.tags if not tag.skipped]
        return sum(taken) / len(taken) if taken else None

    @property
    def seconds(self) -> float:
        """How long the requests of a run take at the least: at the allowed pace, and at the API's own."""
        at_rate = self.requests / self.connection.rate if self.connection.rate else 0.0
        return max(at_rate, self.requests * (self.latency or 0.0) / self.connection.concurrency)

    @property
    def exit_code(self) -> ExitCode:
        """Whether it could be told of each tag what it takes."""
        return ExitCode.OK if all(tag.known for tag in self.tags) else ExitCode.TAGS_NOT_COMPLETE


def plan_run(settings: RunSettings, progress: Progress | None = None) -> Plan:
    """Plan a run: a tag is skipped by the same rule as in the run itself.

    Raises:
        AccessRefused: the API refuses the key or the account.
        SettingsError, DestinationError: a destination can't be read.
    """
    destinations = [open_destination(uri, csv_dialect=settings.csv_dialect) for uri in settings.to]
    selection = select_tags(settings, list(map(_loaded, destinations)))
    asked = {plan.tag: plan for plan in plan_tags(selection.to_read, settings.connection, progress)}
    skipped = {tag: TagPlan(tag, trouble=reason, skipped=True) for tag, reason in selection.skipped.items()}
    return Plan(tuple((asked | skipped)[tag] for tag in settings.tags), settings.connection)


def _loaded(destination: Destination) -> Mapping[str, LoadedTag] | None:
    if not destination.keeps_tags:
        return None
    return destination.loaded_tags() if destination.exists() else {}


def plan_tags(tags: Sequence[str], connection: Connection, progress: Progress | None = None) -> list[TagPlan]:
    """Ask for the first page of each tag.

    Raises:
        AccessRefused: the API refuses the key or the account; no further tag is asked for.
    """
    told = progress or Silent()
    stop = threading.Event()
    client, policy = Client(connection), RetryPolicy(connection, Pace(connection.rate, stop), stop)

    def plan(tag: str) -> TagPlan:
        made = _plan(tag, client, policy)
        told.page(tag, 1, 1)
        told.tag(tag, "planned")
        return made

    pool = ThreadPoolExecutor(connection.concurrency)
    told.start(len(tags))
    try:
        return list(pool.map(plan, tags))
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)
        told.stop()
        client.close()


def _plan(tag: str, client: Client, policy: RetryPolicy) -> TagPlan:
    began = 0.0

    def attempt() -> None:
        nonlocal began
        began = time.monotonic()  # the turn has come: what the pace takes is another matter

    try:
        first = policy.call(lambda: client.fetch_page(tag, 1), attempt)
    except AccessRefused:
        raise
    except RequestError as exc:
        taken = time.monotonic() - began
        return TagPlan(tag, pages=1, trouble=exc.what, known=isinstance(exc, UnknownTag), seconds=taken)
    return TagPlan(tag, first.total, first.page_count, seconds=time.monotonic() - began)
