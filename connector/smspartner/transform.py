"""Populations become snapshots: typed rows and quarantine, in a thread beside the loading.

A pass costs some milliseconds however few rows it has: populations that are ready together are typed together.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from queue import SimpleQueue

from smspartner.page import Page
from smspartner.privacy import NOBODY, ErasedNumbers, PhonePrivacy
from smspartner.reading import Population
from smspartner.snapshot import Snapshot
from smspartner.typed_rows import type_populations

READY_ROWS = 32 * 1024
"""Rows typed at a time, about: enough to make the cost of a pass nothing, and a few megabytes."""

_WAITED = 0.005
"""Seconds: a population that was waited for did not come together with others."""

_GATHERING = 0.25
"""Seconds that populations may wait for others, however fast these come."""


def transform(
    populations: Iterable[Population | None], run_id: str, privacy: PhonePrivacy, erased: ErasedNumbers = NOBODY
) -> Generator[Snapshot | None]:
    """Type the rows of populations; those of erased numbers are left out, those that are not valid in quarantine.

    Snapshots come in the order of their populations, and at the latest with the next tick (None), which passes through.
    A population that is not complete gives a snapshot without rows. One thread reads `populations` and types, at most
    two passes ahead of the consumer; closing the generator closes `populations`, too.

    Raises:
        CountMismatch: rows are lost or made up, which would be a bug.
        Exception: anything that `populations` raises, after the snapshots of what came before.
    """
    work = _Work(populations, run_id, privacy, erased)
    thread = threading.Thread(target=work.run, name="smspartner-transform", daemon=True)
    thread.start()
    try:
        while not isinstance(got := work.output.get(), _End):
            if got is None:
                yield None
            else:
                work.room.release()
                yield from got
        if got.failure is not None:
            raise got.failure
    finally:
        work.left.set()
        work.room.release()
        thread.join()


def first_page_digest(page: Page, privacy: PhonePrivacy, erased: ErasedNumbers = NOBODY) -> str:
    """Give the digest of a first page as `Snapshot.first_page` has it; "" if any of its rows is not valid."""
    now, rows = datetime.now(UTC), page.row_count
    population = Population("-", "complete", "", (page,), now, now, rows, rows, 1, 1, 0, 0.0)
    (snapshot,) = type_populations([population], "-", privacy, erased)
    return snapshot.first_page


@dataclass(frozen=True)
class _End:
    """Nothing more comes: all is typed, or something ended it."""

    failure: BaseException | None = None


@dataclass
class _Work:
    """What the thread does, and the ways in which it and the consumer reach each other."""

    populations: Iterable[Population | None]
    run_id: str
    privacy: PhonePrivacy
    erased: ErasedNumbers
    output: SimpleQueue[list[Snapshot] | _End | None] = field(default_factory=SimpleQueue)
    room: threading.Semaphore = field(default_factory=threading.Semaphore)
    left: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Type until the source ends or the consumer leaves."""
        end = _End()
        try:
            for ready in _ready_together(self.populations):
                if ready is not None:
                    snapshots = type_populations(ready, self.run_id, self.privacy, self.erased)
                    self.room.acquire()
                    self.output.put(snapshots)
                else:
                    self.output.put(None)
                if self.left.is_set():
                    break
        except BaseException as exc:  # noqa: BLE001  # anything that ends this thread must reach the consumer
            end = _End(exc)
        with suppress(Exception):
            close = getattr(self.populations, "close", None)
            if close is not None:
                close()
        self.output.put(end)


def _ready_together(populations: Iterable[Population | None]) -> Iterator[list[Population] | None]:
    """Gather populations that come at once, up to `READY_ROWS`; one that was waited for, or a tick, ends that."""
    source = iter(populations)
    ready: list[Population] = []
    rows = 0
    failure: BaseException | None = None
    began = 0.0
    while failure is None:
        asked = time.monotonic()
        try:
            population = next(source)
        except BaseException as exc:  # noqa: BLE001  # raised below, after what came before it
            failure = exc
            break
        came = time.monotonic()
        if population is not None:
            began = began if ready else came
            ready.append(population)
            rows += population.rows_received
        enough = rows >= READY_ROWS or came - began > _GATHERING
        if ready and (population is None or enough or came - asked > _WAITED):
            yield ready
            ready, rows = [], 0
        if population is None:
            yield None
    if ready:
        yield ready
    if not isinstance(failure, StopIteration):
        raise failure
