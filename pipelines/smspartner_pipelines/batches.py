"""Snapshots in batches: large enough for what validates and loads them, and never older than the clock allows."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from smspartner.errors import AccessRefused, Interrupted

if TYPE_CHECKING:
    from smspartner.snapshot import Snapshot

    from smspartner_pipelines.selection import Target

BATCH_SECONDS = 15.0
"""A batch is not held longer: with validating and loading, a tag is loaded within 30 s of its last page."""


def in_batches(
    snapshots: Iterable[Snapshot | None], rows: int, targets: Sequence[Target] = (), seconds: float = BATCH_SECONDS
) -> Iterator[list[Snapshot]]:
    """Give snapshots in lists of about as many rows as validation or a destination wants at once; none is empty.

    A None among the snapshots is a tick: nothing came, but time went by. Where the key is refused or the run is
    interrupted, what was gathered is given first: those tags are read, and only wait to be loaded.
    """
    wanted = max([rows, *(target.destination.batch_rows for target in targets if target.usable)])
    batch: list[Snapshot] = []
    held, began = 0, 0.0
    try:
        for snapshot in snapshots:
            if snapshot is not None:
                began = began if batch else time.monotonic()
                batch.append(snapshot)
                held += snapshot.table.num_rows
            if batch and (held >= wanted or time.monotonic() - began >= seconds):
                yield batch
                batch, held = [], 0
    except (AccessRefused, Interrupted):
        if batch:
            yield batch
        raise
    if batch:
        yield batch
