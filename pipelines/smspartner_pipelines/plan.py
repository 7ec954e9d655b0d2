"""What a run would ask for, from each tag's first page: nothing is loaded, and what is loaded is only looked at."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from smspartner.extract import extract
from smspartner.reading import SILENT, Progress
from smspartner_schemas.contract import ExitCode

from smspartner_pipelines.load import open_destination
from smspartner_pipelines.load.destination import NothingLoaded, erasures, loaded_tags
from smspartner_pipelines.outcome import Target
from smspartner_pipelines.output import counted, text_table
from smspartner_pipelines.selection import select_tags

if TYPE_CHECKING:
    from smspartner.connection import Rate
    from smspartner.page import Page

    from smspartner_pipelines.settings import RunSettings


@dataclass(frozen=True)
class TagPlan:
    """What one tag would take; `note` says why there is nothing to read, `answered` is False without an answer."""

    tag: str
    rows: int = 0
    requests: int = 0
    note: str = ""
    answered: bool = True


@dataclass(frozen=True)
class Plan:
    """What all tags would take, in the order they were asked for; `rate` bounds how fast."""

    tags: tuple[TagPlan, ...]
    rate: Rate | None

    def facts(self) -> dict[str, Any]:
        """Give the plan for programs; `seconds` is what the requests take at the least, if none has to be repeated."""
        requests = sum(tag.requests for tag in self.tags)
        return {
            "exit_code": int(self.exit_code),
            "rows": sum(tag.rows for tag in self.tags),
            "requests": requests,
            "seconds": round(requests / self.rate.per_second, 3) if self.rate else 0.0,
            "rate": str(self.rate) if self.rate else None,
            "tags": list(map(asdict, self.tags)),
        }

    @property
    def exit_code(self) -> ExitCode:
        """Whether the API answered for every tag."""
        return ExitCode.OK if all(tag.answered for tag in self.tags) else ExitCode.TAGS_NOT_COMPLETE

    def lines(self) -> Iterator[str]:
        """Give the plan for people: a line a tag, and the total."""
        rows = [(tag.tag, f"{tag.rows:,}", f"{tag.requests:,}", tag.note) for tag in self.tags]
        yield from text_table(("tag", "rows", "requests", "note"), rows, ("rows", "requests"))
        facts = self.facts()
        seconds = facts["seconds"]
        took = f"{seconds:.1f} s" if seconds < 60 else str(timedelta(seconds=round(seconds)))  # noqa: PLR2004
        counts = (counted(len(self.tags), "tag"), counted(facts["rows"], "row"), counted(facts["requests"], "request"))
        yield ", ".join(counts) + (f", at least {took}" if self.rate else "")


def plan_run(settings: RunSettings, progress: Progress = SILENT) -> Plan:
    """Plan a run: a tag is skipped by the same rule as in the run itself.

    Raises:
        AccessRefused: the API refuses the key or the account.
        SettingsError, DestinationError: a destination can't be read.
    """
    with ExitStack() as stack:
        selection = select_tags(settings, [_target(uri, stack) for uri in settings.to])
    plans = {tag: TagPlan(tag, note=f"skipped: {reason}") for tag, (reason, _) in selection.skipped.items()}
    passes = 2 if settings.connection.verify else 1  # at the least: a tag that moves takes more

    def plan(tag: str, first: Page) -> bool:
        unchanged = selection.is_unchanged(tag, first)
        plans[tag] = TagPlan(tag, 0, 1, "skipped: unchanged") if unchanged else _plan(tag, first, passes)
        return True  # nothing more is asked for

    once = replace(settings.connection, passes=1, verify=False)
    for one in extract(selection.to_ask, once, threading.Event(), progress, is_unchanged=plan):
        if one is not None and one.tag not in plans:
            plans[one.tag] = TagPlan(one.tag, 0, 1, one.reason, one.verdict == "unknown")
    return Plan(tuple(plans[tag] for tag in settings.tags), settings.connection.rate)


def _target(uri: str, stack: ExitStack) -> Target:
    destination = open_destination(uri)
    target = Target(destination)
    if destination.keeps_tags:
        with suppress(NothingLoaded):
            stack.enter_context(destination.open(for_loading=False))
            target.loaded, target.erasures = loaded_tags(destination)[0], erasures(destination)
    return target


def _plan(tag: str, first: Page, passes: int) -> TagPlan:
    full = first.row_count > 0 and first.total % first.row_count == 0
    pages = first.page_count + (full and first.page_count > 1)  # and the look behind a last page that is full
    return TagPlan(tag, first.total, max(pages, 1) * passes)
