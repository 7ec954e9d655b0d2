"""The progress display, on a terminal only, and the log of what became of each tag."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING

from smspartner.reading import Progress

from smspartner_pipelines.output import counted

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as RichProgress

_LOG = logging.getLogger(__name__)


class RunProgress(Progress):
    """Logs tags (`-v`) and pages (`-vv`); a bar counts tags, each by its pages, and names the one at hand."""

    def __init__(self, bar: RichProgress | None = None) -> None:
        self._bar = bar
        self._lock = Lock()
        self._shares: dict[str, float] = {}
        self._done = self._tags = 0

    def start(self, tags: int) -> None:
        """Log how many tags will be read, and show the bar."""
        _LOG.info("reading %s", counted(tags, "tag"))
        self._tags = tags
        if self._bar is not None:
            self._bar.add_task("", total=tags, counts="")
            self._bar.start()

    def page(self, tag: str, arrived: int, pages: int) -> None:
        """Advance by a page; a second pass begins a tag anew."""
        _LOG.debug("tag %s: page %d of %d arrived", tag, arrived, pages)
        with self._lock:
            self._shares[tag] = min(arrived / max(pages, 1), 1.0)
            self._show(f"{tag}, page {arrived:,} of {pages:,}")

    def tag(self, tag: str, verdict: str) -> None:
        """Count the tag."""
        _LOG.info("tag %s: %s", tag, verdict)
        with self._lock:
            self._shares.pop(tag, None)
            self._done += 1
            self._show(tag)

    def _show(self, at_hand: str) -> None:
        if self._bar is not None:
            completed = self._done + sum(self._shares.values())
            counts = f"{self._done:,}/{self._tags:,} tags"
            self._bar.update(self._bar.task_ids[0], completed=completed, counts=counts, description=at_hand)

    def stop(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()


@contextmanager
def reading(uri: str) -> Iterator[None]:
    """Show on a terminal that a destination is read."""
    bar = bar_on_terminal()
    if bar is None:
        yield
    else:
        bar.add_task(f"reading {uri}", total=None, counts="")
        with bar:
            yield


def progress_on_terminal(*, quiet: bool) -> RunProgress:
    """Give the progress of a run, with a bar where there is a terminal for it."""
    return RunProgress(None if quiet else bar_on_terminal())


def bar_on_terminal() -> RichProgress | None:
    """Give a bar for a terminal that can move its cursor."""
    if sys.stderr is None or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        return None
    from rich.console import Console

    return bar_on(Console(stderr=True))


def bar_on(console: Console) -> RichProgress:
    """Give a bar with counts, the time left and what is at hand."""
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress
    from rich.table import Column

    return RichProgress(
        BarColumn(20),
        TextColumn("{task.fields[counts]}"),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis")),
        console=console,
        transient=True,
    )
