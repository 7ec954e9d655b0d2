"""The progress display: on a terminal only, and never in the way of results."""

from __future__ import annotations

import logging
from datetime import timedelta
from threading import Lock
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import ProgressColumn, Task

_FAST = 10
"""Pages a second from which fractions of one tell nothing."""

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


class PageCount:
    """How many pages there are: what first pages have told, and the mean of that for each other tag."""

    def __init__(self, tags: int) -> None:
        self._tags = tags
        self._by_tag: dict[str, tuple[int, int]] = {}
        self._told = 0
        self.arrived = 0
        self.tags_read = 0

    def page(self, tag: str, arrived: int, pages: int) -> None:
        """So many of so many pages of a tag have arrived."""
        arrived_before, pages_before = self._by_tag.get(tag, (0, 0))
        self._by_tag[tag] = arrived, pages
        self.arrived += arrived - arrived_before  # sums, since there may be many thousand tags
        self._told += pages - pages_before

    def tag(self, tag: str) -> None:
        """A tag is read: it has no more pages than have arrived, and one that failed or is unknown may have none."""
        self.tags_read += 1
        arrived, _ = self._by_tag.get(tag, (0, 0))
        self.page(tag, arrived, arrived)

    @property
    def is_known(self) -> bool:
        """Whether every tag has told its pages."""
        return len(self._by_tag) >= self._tags

    @property
    def total(self) -> int | None:
        """How many pages there are, as far as can be told; None before the first."""
        begun = len(self._by_tag)
        return self._told + round(self._told / begun * max(0, self._tags - begun)) if begun else None


class Bar(Silent):
    """Shows a bar of pages, with their rate, the tags that are read, and the time left; fits 80 columns."""

    def __init__(self, console: Console) -> None:
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as RichProgress
        from rich.table import Column

        whole = Column(no_wrap=True)
        self._progress = RichProgress(
            BarColumn(bar_width=None, table_column=Column(ratio=1, min_width=4)),
            TextColumn("{task.fields[pages]}", table_column=whole),
            TextColumn("{task.fields[tags]}", table_column=whole),
            _rate_column(),
            _time_column(),
            console=console,
            transient=True,
            expand=True,
        )
        self._lock = Lock()

    def start(self, tags: int) -> None:
        """Show the bar."""
        super().start(tags)
        self._tags, self._count = tags, PageCount(tags)
        self._task = self._progress.add_task("reading", total=None, pages="", tags="")
        self._show()
        self._progress.start()

    def page(self, tag: str, arrived: int, pages: int) -> None:
        """Advance the bar."""
        super().page(tag, arrived, pages)
        with self._lock:
            self._count.page(tag, arrived, pages)
            self._show()

    def tag(self, tag: str, verdict: str) -> None:
        """Count the tag."""
        super().tag(tag, verdict)
        with self._lock:
            self._count.tag(tag)
            self._show()

    def _show(self) -> None:
        count = self._count
        about = "" if count.is_known else "~"
        total = "?" if count.total is None else f"{about}{count.total:,}"
        self._progress.update(
            self._task,
            completed=count.arrived,
            total=count.total or None,
            pages=f"{count.arrived:,}/{total} pages",
            tags=f"{count.tags_read:,}/{self._tags:,} tags",
        )

    def stop(self) -> None:
        """Take the bar away."""
        self._progress.stop()


def progress_on(console: Console) -> Progress:
    """Give the bar for a terminal that can move its cursor, else silence."""
    return Bar(console) if console.is_terminal and not console.is_dumb_terminal and not console.quiet else Silent()


def _rate_column() -> ProgressColumn:
    from rich.progress import ProgressColumn
    from rich.table import Column
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text("" if speed is None else f"{speed:,.0f} pages/s" if speed >= _FAST else f"{speed:.1f} pages/s")

    return Rate(table_column=Column(no_wrap=True))


def _time_column() -> ProgressColumn:
    from rich.progress import ProgressColumn
    from rich.table import Column
    from rich.text import Text

    class TimeLeft(ProgressColumn):
        max_refresh = 0.5

        def render(self, task: Task) -> Text:
            left = task.time_remaining
            return Text("" if left is None else f"{timedelta(seconds=round(left))} left")

    return TimeLeft(table_column=Column(no_wrap=True))
