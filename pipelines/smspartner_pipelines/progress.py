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
    bar = bar_on_terminal()
    if bar is None:
        yield destination
    else:
        with bar:
            yield cast("Destination", _Watched(destination, bar))


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
