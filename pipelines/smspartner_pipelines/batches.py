"""Snapshots gathered into batches: validation is cheap by the row and dear by the call."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from smspartner.snapshot import Snapshot

BATCH_ROWS = 250_000
"""Half as many would take 50 MB less, and 0.2 s more for a million."""
BATCH_SECONDS = 30.0
"""A slow run loads what it has after this long, so that little is lost if it dies."""


def gather(
    groups: Iterable[Iterable[Snapshot]], rows: int = BATCH_ROWS, seconds: float = BATCH_SECONDS
) -> Iterator[list[Snapshot]]:
    """Give the snapshots in lists of whole groups with about `rows` rows; none is empty.

    When the run is interrupted, what was gathered is given first: those tags are read, and only wait to be loaded.
    """
    batch: list[Snapshot] = []
    held, began = 0, 0.0
    try:
        for group in groups:
            if not batch:
                held, began = 0, time.monotonic()
            for snapshot in group:
                batch.append(snapshot)
                held += snapshot.table.num_rows
            if held >= rows or time.monotonic() - began >= seconds:
                yield batch
                batch = []
    except KeyboardInterrupt:
        if batch:
            yield batch
        raise
    if batch:
        yield batch
