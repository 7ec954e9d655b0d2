"""What a run would ask for, from each tag's first page: nothing is loaded, and what is loaded is only looked at."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from smspartner.client import Client
from smspartner.errors import AccessRefused, RequestError, UnknownTag
from smspartner.reading import SILENT, FirstPage, Progress
from smspartner.retry import Pace, RetryPolicy

from smspartner_pipelines.exit_codes import ExitCode
from smspartner_pipelines.load import open_destination
from smspartner_pipelines.load.destination import NothingLoaded, erasures, loaded_tags
from smspartner_pipelines.outcome import DestinationOutcome
from smspartner_pipelines.output import counted, text_table
from smspartner_pipelines.selection import Selection, Target, select_tags

if TYPE_CHECKING:
    from smspartner.connection import Connection
    from smspartner.page import Page

    from smspartner_pipelines.settings import RunSettings

_PASSES_TO_VERIFY = 2
"""Passes over a tag that holds still; one that moves takes more."""

_MINUTE = 60
_SHOWN = 0.05
"""Seconds from which on a duration is not written as 0.0."""

_NAMES = ("tag", "rows", "requests", "note")


@dataclass(frozen=True)
class TagPlan:
    """What one tag would take.

    `note` says why there is nothing to read, if so; `answered` is False where the API gave no answer. `seconds` is how
    long it took for the first page, None where it was not asked for.
    """

    tag: str
    rows: int = 0
    requests: int = 0
    note: str = ""
    answered: bool = True
    seconds: float | None = None


@dataclass(frozen=True)
class Plan:
    """What all tags would take, in the order they were asked for."""

    tags: tuple[TagPlan, ...]
    connection: Connection

    @property
    def requests(self) -> int:
        """How many requests a run would send, if nothing has to be tried again."""
        return sum(tag.requests for tag in self.tags)

    @property
    def latency(self) -> float | None:
        """Seconds that a first page took on average; None where none was asked for."""
        taken = [tag.seconds for tag in self.tags if tag.seconds is not None]
        return sum(taken) / len(taken) if taken else None

    @property
    def seconds(self) -> float:
        """How long the requests of a run take at the least: at the allowed rate, and at the API's own speed."""
        rate = self.connection.rate
        at_rate = self.requests / rate.per_second if rate else 0.0
        return max(at_rate, self.requests * (self.latency or 0.0) / self.connection.concurrency)

    @property
    def exit_code(self) -> ExitCode:
        """Whether the API answered for every tag."""
        return ExitCode.OK if all(tag.answered for tag in self.tags) else ExitCode.TAGS_NOT_COMPLETE

    def lines(self) -> Iterator[str]:
        """Give the plan for people: a line a tag, and the total."""
        rows = [(tag.tag, f"{tag.rows:,}", f"{tag.requests:,}", tag.note) for tag in self.tags]
        yield from text_table(_NAMES, rows, ("rows", "requests"))
        counts = (len(self.tags), "tag"), (sum(tag.rows for tag in self.tags), "row"), (self.requests, "request")
        total = ", ".join(counted(*count) for count in counts)
        took = f"{self.seconds:.1f} s" if self.seconds < _MINUTE else str(timedelta(seconds=round(self.seconds)))
        yield f"{total}, at least {took}" if self.seconds >= _SHOWN else total

    def facts(self) -> dict[str, Any]:
        """Give the plan for programs; durations in seconds."""
        names = ("tag", "rows", "requests", "note", "answered")
        return {
            "exit_code": int(self.exit_code),
            "rows": sum(tag.rows for tag in self.tags),
            "requests": self.requests,
            "seconds": round(self.seconds, 3),
            "rate": str(self.connection.rate) if self.connection.rate else None,
            "latency_seconds": None if self.latency is None else round(self.latency, 6),
            "concurrency": self.connection.concurrency,
            "tags": [{name: getattr(tag, name) for name in names} for tag in self.tags],
        }


def plan_run(settings: RunSettings, progress: Progress = SILENT) -> Plan:
    """Plan a run: a tag is skipped by the same rule as in the run itself.

    Raises:
        AccessRefused: the API refuses the key or the account.
        SettingsError, DestinationError: a destination can't be read.
    """
    with ExitStack() as stack:
        selection = select_tags(settings, [_target(uri, stack) for uri in settings.to])
    asked = {plan.tag: plan for plan in _ask(selection, settings.connection, progress)}
    skipped = {tag: TagPlan(tag, note=f"skipped: {reason}") for tag, (reason, _) in selection.skipped.items()}
    return Plan(tuple((asked | skipped)[tag] for tag in settings.tags), settings.connection)


def _target(uri: str, stack: ExitStack) -> Target:
    destination = open_destination(uri)
    target = Target(destination, DestinationOutcome(destination.uri))
    if destination.keeps_tags:
        try:
            stack.enter_context(destination.open(for_loading=False))
            target.loaded, target.erasures = loaded_tags(destination)[0], erasures(destination)
        except NothingLoaded:
            pass
    return target


def _ask(selection: Selection, connection: Connection, progress: Progress) -> Sequence[TagPlan]:
    """Ask for the first page of each tag, side by side."""
    stop = threading.Event()
    client, policy = Client(connection), RetryPolicy(connection, Pace(connection.rate, stop), stop)

    def plan(tag: str) -> TagPlan:
        made = _plan(tag, client, policy, selection, _PASSES_TO_VERIFY if connection.verify else 1)
        progress.tag(tag, "planned")
        return made

    pool = ThreadPoolExecutor(connection.concurrency)
    progress.start(len(selection.to_ask))
    try:
        return list(pool.map(plan, selection.to_ask))
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)
        progress.stop()
        client.close()


def _plan(tag: str, client: Client, policy: RetryPolicy, selection: Selection, passes: int) -> TagPlan:
    began = 0.0

    def attempt() -> None:
        nonlocal began
        began = time.monotonic()  # the turn has come: what the pace takes is another matter

    try:
        first = policy.call(lambda: client.fetch_page(tag, 1), attempt)
    except AccessRefused:
        raise
    except RequestError as exc:
        return TagPlan(tag, 0, 1, exc.what, isinstance(exc, UnknownTag), time.monotonic() - began)
    took = time.monotonic() - began
    settled = selection.settled.get(tag)
    if settled is not None and settled == FirstPage(first.total, selection.digest(first)):
        return TagPlan(tag, 0, 1, "skipped: unchanged", seconds=took)
    return TagPlan(tag, first.total, _pages(first) * passes, seconds=took)


def _pages(first: Page) -> int:
    """Count the pages of a tag, and the look behind its last page where that is full."""
    if not first.row_count:
        return 1
    pages = math.ceil(first.total / first.row_count)
    return pages + (pages > 1 and first.total % first.row_count == 0)
