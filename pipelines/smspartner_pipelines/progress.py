"""The progress display, on a terminal only, and the log of what became of each tag."""

from __future__ import annotations

import logging
import os
import sys
from threading import Lock
from typing import TYPE_CHECKING

from smspartner.reading import Progress

from smspartner_pipelines.output import counted

if TYPE_CHECKING:
    from rich.console import Console

_LOG = logging.getLogger(__name__)


class LoggedProgress(Progress):
    """Shows nothing, and logs the tags (`-v`) and pages (`-vv`)."""

    def start(self, tags: int) -> None:
        """Log how many tags will be read."""
        _LOG.info("reading %s", counted(tags, "tag"))

    def page(self, tag: str, arrived: int, pages: int) -> None:
        """Log the page."""
        _LOG.debug("tag %s: page %d of %d arrived", tag, arrived, pages)

    def tag(self, tag: str, verdict: str) -> None:
        """Log that the tag is read."""
        _LOG.info("tag %s: %s", tag, verdict)


class Bar(LoggedProgress):
    """A bar of tags, each counted by the share of its pages that has arrived, with pages and the time left."""

    def __init__(self, console: Console) -> None:
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        self._bar = RichProgress(
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[tags_read]:,}/{task.total:,} tags"),
            TextColumn("{task.fields[pages]:,} pages"),
            TimeRemainingColumn(compact=True),
            console=console,
            transient=True,
        )
        self._lock = Lock()
        self._under_way: dict[str, tuple[int, float]] = {}
        self._tags_read = self._pages = 0

    def start(self, tags: int) -> None:
        """Show the bar."""
        super().start(tags)
        self._task = self._bar.add_task("reading", total=tags, tags_read=0, pages=0)
        self._bar.start()

    def page(self, tag: str, arrived: int, pages: int) -> None:
        """Advance by a page; a second pass begins a tag anew."""
        super().page(tag, arrived, pages)
        with self._lock:
            before, _ = self._under_way.get(tag, (0, 0.0))
            self._pages += max(arrived - before, 0)
            self._under_way[tag] = arrived, min(arrived / max(pages, 1), 1.0)
            self._show()

    def tag(self, tag: str, verdict: str) -> None:
        """Count the tag."""
        super().tag(tag, verdict)
        with self._lock:
            self._under_way.pop(tag, None)
            self._tags_read += 1
            self._show()

    def _show(self) -> None:
        under_way = sum(share for _, share in self._under_way.values())
        completed = self._tags_read + under_way
        self._bar.update(self._task, completed=completed, tags_read=self._tags_read, pages=self._pages)

    def stop(self) -> None:
        """Take the bar away."""
        self._bar.stop()


def progress_on_terminal(*, quiet: bool) -> Progress:
    """Give the bar for a terminal that can move its cursor, else only the log."""
    if quiet or sys.stderr is None or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        return LoggedProgress()
    from rich.console import Console

    return Bar(Console(stderr=True))
