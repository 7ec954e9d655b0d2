"""The progress display, on a terminal only, and the log of what became of each tag."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any, cast

from smspartner.reading import Progress
from smspartner_schemas.contract import LOADED_TAGS, STATUSES, Table

from smspartner_pipelines.load.destination import Damage, Destination
from smspartner_pipelines.output import counted

if TYPE_CHECKING:
    import pyarrow as pa
    from rich.console import Console
    from rich.progress import Progress as RichProgress

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
    """A bar of tags, each counted by the share of its pages that has arrived; and the tag at hand."""

    def __init__(self, console: Console) -> None:
        self._bar = _bar(console)
        self._lock = Lock()
        self._shares: dict[str, float] = {}
        self._done = self._tags = 0

    def start(self, tags: int) -> None:
        """Show the bar."""
        super().start(tags)
        self._tags = tags
        self._task = self._bar.add_task("", total=tags, counts="")
        self._bar.start()

    def page(self, tag: str, arrived: int, pages: int) -> None:
        """Advance by a page; a second pass begins a tag anew."""
        super().page(tag, arrived, pages)
        with self._lock:
            self._shares[tag] = min(arrived / max(pages, 1), 1.0)
            self._show(f"{tag}, page {arrived:,} of {pages:,}")

    def tag(self, tag: str, verdict: str) -> None:
        """Count the tag."""
        super().tag(tag, verdict)
        with self._lock:
            self._shares.pop(tag, None)
            self._done += 1
            self._show(tag)

    def _show(self, at_hand: str) -> None:
        completed = self._done + sum(self._shares.values())
        counts = f"{self._done:,}/{self._tags:,} tags"
        self._bar.update(self._task, completed=completed, counts=counts, description=at_hand)

    def stop(self) -> None:
        """Take the bar away."""
        self._bar.stop()


class _Watched:
    """A destination whose bar advances by the rows of `statuses` as they are read; `loaded_tags` says how many."""

    def __init__(self, destination: Destination, bar: RichProgress) -> None:
        self._destination, self._bar = destination, bar
        self._task = bar.add_task(destination.uri, total=None, counts="")
        self._total = self._done = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._destination, name)

    def scan(self, table: Table, columns: Sequence[str]) -> Iterator[pa.Table | Damage]:
        """See `Destination.scan`."""
        for piece in self._destination.scan(table, columns):
            yield piece
            if table is LOADED_TAGS and not self._done and not isinstance(piece, Damage):
                self._total += sum(piece["rows_loaded"].to_pylist())
            elif table is STATUSES and not isinstance(piece, Damage):
                self._done += piece.num_rows
            counts = f"{self._done:,}/{self._total:,} rows"
            self._bar.update(self._task, total=self._total, completed=self._done, counts=counts)


@contextmanager
def watched(destination: Destination) -> Iterator[Destination]:
    """Give a destination whose rows are shown as they are read, on a terminal."""
    if not _moves_cursor():
        yield destination
        return
    from rich.console import Console

    with _bar(Console(stderr=True)) as bar:
        yield cast("Destination", _Watched(destination, bar))


def progress_on_terminal(*, quiet: bool) -> Progress:
    """Give the bar for a terminal that can move its cursor, else only the log."""
    if quiet or not _moves_cursor():
        return LoggedProgress()
    from rich.console import Console

    return Bar(Console(stderr=True))


def _moves_cursor() -> bool:
    return sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def _bar(console: Console) -> RichProgress:
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress
    from rich.table import Column

    at_hand = Column(no_wrap=True, overflow="ellipsis")
    return RichProgress(
        BarColumn(20),
        TextColumn("{task.fields[counts]}"),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.description}", markup=False, table_column=at_hand),
        console=console,
        transient=True,
    )
