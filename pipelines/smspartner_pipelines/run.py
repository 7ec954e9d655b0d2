"""The pipeline on one screen: select, extract, transform, validate, load, report."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from itertools import chain

from smspartner.client import Client
from smspartner.connection import Connection
from smspartner.erasure import ErasedNumbers
from smspartner.errors import DestinationError, SettingsError
from smspartner.extract import extract
from smspartner_pipelines.load import open_destination
from smspartner_pipelines.load.destination import Destination
from smspartner.snapshot import Snapshot, new_run_id, take_snapshots
from smspartner.walker import Population

from smspartner_pipelines.acceptance import make_acceptance
from smspartner_pipelines.batches import gather
from smspartner_pipelines.incremental import select_tags
from smspartner_pipelines.interrupt import Interrupt
from smspartner_pipelines.loading import Loading
from smspartner_pipelines.outcomes import RunOutcome
from smspartner_pipelines.progress import Progress, Silent
from smspartner_pipelines.settings import LoadSettings, RunSettings
from smspartner_pipelines.shrinking import guard_against_shrinking


def run(settings: RunSettings, progress: Progress | None = None) -> RunOutcome:
    """Read the tags that need it, and load them into every destination.

    Whatever happens to a tag is in the outcome, which is also kept beside what was loaded.

    Raises:
        SettingsError: a destination can't be written, the user's expectations can't be evaluated, or people were erased
            from a destination under a phone key that is not given.
        DestinationBusy: another run holds a destination.
        DestinationError: what is loaded can't be read. After any of these, nothing was requested.
    """

    def read(wanted: Wanted) -> Generator[list[Snapshot]]:
        take = partial(take_snapshots, run_id=wanted.run_id, privacy=settings.privacy, erased=wanted.erased)
        return read_snapshots(settings.connection, wanted.tags, take, wanted.expect_rows, progress or Silent())

    return run_reading(settings, read)


@dataclass(frozen=True)
class Wanted:
    """What a run wants read: these tags, without the erased numbers, in its name.

    `expect_rows` may be called as soon as it is known that there will be rows.
    """

    tags: Sequence[str]
    run_id: str
    erased: ErasedNumbers
    expect_rows: Callable[[], None]


def run_reading(settings: LoadSettings, read: Callable[[Wanted], Generator[list[Snapshot]]]) -> RunOutcome:
    """Be the run, whoever reads: `read` gives the snapshots of the tags that need it, some at a time.

    Raises:
        SettingsError, DestinationBusy, DestinationError: as `run`.
    """
    acceptance = make_acceptance(settings)
    outcome = RunOutcome(new_run_id(), settings.tags, settings.allow_quarantined)
    with Interrupt() as interrupt, ExitStack() as held:
        destinations = [held.enter_context(destination) for destination in checked_destinations(settings)]
        loaded = [destination.loaded_tags() if destination.keeps_tags else None for destination in destinations]
        selection = select_tags(settings, loaded)
        outcome.note_skipped(selection.skipped)
        erased = ErasedNumbers(chain.from_iterable(one.erasures() for one in destinations), settings.privacy)
        loading = Loading(destinations, selection, outcome)
        snapshots = read(Wanted(selection.to_read, outcome.run_id, erased, acceptance.expect_rows))
        guarded = (guard_against_shrinking(some, loaded, allow=settings.allow_shrink) for some in snapshots)
        batch_rows = max(acceptance.batch_rows, *(destination.batch_rows for destination in destinations))
        with outcome.ending_early(), interrupt.work(), closing(snapshots):
            for batch in gather(interrupt.between(guarded), batch_rows):
                loading.load(list(acceptance.judge(batch)))
        outcome.validation = acceptance.results()
        loading.finish(settings)
    return outcome


def checked_destinations(settings: LoadSettings) -> list[Destination]:
    """Open every destination, and make sure that it can be written before anything is requested.

    Raises:
        SettingsError: one can't be.
    """
    destinations = [open_destination(uri, csv_dialect=settings.csv_dialect) for uri in settings.to]
    trouble = None
    try:
        for destination in destinations:
            destination.check()
    except DestinationError as exc:
        trouble = str(exc)
    if trouble is not None:
        raise SettingsError(trouble)
    return destinations


def read_snapshots(
    connection: Connection,
    tags: Sequence[str],
    take: Callable[[list[Population]], Iterator[Snapshot]],
    expect_rows: Callable[[], None],
    progress: Progress,
) -> Generator[list[Snapshot]]:
    """Read tags, some snapshots at a time, as `take` makes them; `expect_rows` is told when there will be rows."""
    if not tags:
        return

    def watch(tag: str, arrived: int, pages: int) -> None:
        expect_rows()
        progress.page(tag, arrived, pages)

    client = Client(connection)
    progress.start(len(tags))
    try:
        with closing(extract(tags, client, connection, threading.Event(), take, watch)) as groups:
            for snapshots in groups:
                yield snapshots
                for snapshot in snapshots:  # told once they are taken: what is told is not dropped by an interrupt
                    progress.tag(snapshot.tag, snapshot.verdict)
    finally:
        progress.stop()
        client.close()
