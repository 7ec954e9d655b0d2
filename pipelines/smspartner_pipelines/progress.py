"""The progress display: on a terminal only, and never in the way of results."""

from __future__ import annotations

import logging
from typing import Protocol

from rich.console import Console

_LOG = logging.getLogger(__name__)


class Progress(Protocol):
    """Told how far the reading is; called from several threads."""

    def start(self, tags: int) -> None:
        """So many tags will be read."""

    def page(self, tag: str, arrived: int, pages: int) -> None:
        """A page arrived: so many of so many of this tag."""

    def tag(self, tag: str, verdict: str) -> None:
        """A tag is read."""

    def stop(self) -> None:
        """Nothing more will be read."""


class Silent:
    """Shows nothing, and logs what became of each tag."""

    def start(self, tags: int) -> None:
        """Log how many tags will be read."""
        _LOG.info("reading %d tags", tags)

    def page(self, tag: str, arrived: int, pages: int) -> None:
        """Log the page, at debug level."""
        _LOG.debug("tag %s: page %d of %d arrived", tag, arrived, pages)

    def tag(self, tag: str, verdict: str) -> None:
        """Log that the tag is read."""
        _LOG.info("tag %s: %s", tag, verdict)

    def stop(self) -> None:
        """Do nothing."""


class Bar(Silent):
    """Shows a bar of tags, with the rate of pages and the time left."""

    def __init__(self, console: Console) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        self._progress = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("tags, {task.fields[pages]} pages"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._pages = 0

    def start(self, tags: int) -> None:
        """Show the bar."""
        super().start(tags)
        self._task = self._progress.add_task("reading", total=tags, pages=0)
        self._progress.start()

    def page(self, tag: str, arrived: int, pages: int) -> None:
        """Count the page."""
        super().page(tag, arrived, pages)
        self._pages += 1
        self._progress.update(self._task, pages=self._pages)

    def tag(self, tag: str, verdict: str) -> None:
        """Advance the bar."""
        super().tag(tag, verdict)
        self._progress.advance(self._task)

    def stop(self) -> None:
        """Take the bar away."""
        self._progress.stop()
