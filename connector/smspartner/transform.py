"""Populations become snapshots: typed rows, and in quarantine what is not valid, in a thread beside the loading.

A pass costs some milliseconds however few rows it has: populations that come shortly after another are typed together.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from queue import Queue

from smspartner.page import Page
from smspartner.privacy import NOBODY, ErasedNumbers, PhonePrivacy
from smspartner.reading import Population
from smspartner.snapshot import Snapshot
from smspartner.typed_rows import type_populations

READY_ROWS = 32 * 1024
"""Rows typed at a time, about: enough to make the cost of a pass nothing, and a few megabytes."""

_GATHERING = 0.25
"""Seconds that populations may wait for others while these come."""

_Pass = list[Snapshot] | None
"""The snapshots of populations that were typed together, or a tick."""


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
    with closing(_ahead(_typed(populations, run_id, privacy, erased))) as passes:
        for snapshots in passes:
            yield from [None] if snapshots is None else snapshots


def _ahead(source: Generator[_Pass]) -> Generator[_Pass]:
    """Give what a generator gives, which runs in a thread and works ahead of the consumer."""
    output: Queue[_Pass | BaseException] = Queue(maxsize=1)
    left = threading.Event()

    def work() -> None:
        end: BaseException = StopIteration()
        try:
            with closing(source):
                for item in source:
                    output.put(item)
                    if left.is_set():
                        break
        except BaseException as exc:  # noqa: BLE001  # anything that ends this thread must reach the consumer
            end = exc
        output.put(end)

    thread = threading.Thread(target=work, name="smspartner-transform", daemon=True)
    thread.start()
    got: _Pass | BaseException = None
    try:
        while not isinstance(got := output.get(), BaseException):
            yield got
        if not isinstance(got, StopIteration):
            raise got
    finally:
        left.set()
        while not isinstance(got, BaseException):  # the thread may wait for room
            got = output.get()
        thread.join()


def _typed(
    populations: Iterable[Population | None], run_id: str, privacy: PhonePrivacy, erased: ErasedNumbers
) -> Generator[_Pass]:
    try:
        for ready in _ready_together(populations):
            yield None if ready is None else type_populations(ready, run_id, privacy, erased)
    finally:
        if isinstance(populations, Generator):
            with suppress(Exception):
                populations.close()


def _ready_together(populations: Iterable[Population | None]) -> Iterator[list[Population] | None]:
    """Gather populations up to `READY_ROWS`, or for a short time; a tick, the end or an error ends that, too."""
    ready: list[Population] = []
    rows, began = 0, 0.0
    for got in _errors_as_items(populations):
        if isinstance(got, Population):
            began = began if ready else time.monotonic()
            ready.append(got)
            rows += got.rows_received
            if rows < READY_ROWS and time.monotonic() - began < _GATHERING:
                continue
        if ready:
            yield ready
            ready, rows = [], 0
        if isinstance(got, Exception):
            raise got
        if got is None:
            yield None
    if ready:
        yield ready


def _errors_as_items(populations: Iterable[Population | None]) -> Iterator[Population | Exception | None]:
    try:
        yield from populations
    except Exception as exc:  # noqa: BLE001  # raised again, after what came before it
        yield exc


def first_page_digest(page: Page, privacy: PhonePrivacy, erased: ErasedNumbers = NOBODY) -> str:
    """Give the digest of a first page as `Snapshot.first_page` has it; "" if any of its rows is not valid."""
    now, rows = datetime.now(UTC), page.row_count
    population = Population("-", "complete", "", (page,), now, now, rows, rows, 1, 1, 0, 0.0)
    (snapshot,) = type_populations([population], "-", privacy, erased)
    return snapshot.first_page
