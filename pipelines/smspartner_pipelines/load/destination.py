"""What a destination can do. Each kind of destination is one file beside this one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from smspartner.errors import DestinationError, SettingsError
from smspartner_schemas.contract import ERASURES, LOADED_TAGS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    import pyarrow as pa
    from smspartner.privacy import Erasure
    from smspartner.snapshot import Snapshot
    from smspartner_schemas.contract import Table


class NothingLoaded(SettingsError):
    """A destination is to be read, and nothing was ever loaded there."""

    remedy = "name the destination of a run"


@dataclass(frozen=True)
class LoadedTag:
    """What a destination holds of one tag: a row of `loaded_tags`, by which a run decides whether to read it again.

    Times are aware, UTC. `newest_status_at` is None where no row has a `status_at`. `phone_numbers` names the form of
    the numbers (`PhonePrivacy.label`). `first_page` is the digest of the rows of page 1 as they were loaded
    (`Snapshot.first_page`), empty where it is not known.
    """

    tag: str
    rows_received: int
    rows_loaded: int
    rows_quarantined: int
    rows_erased: int
    delivered: int
    not_delivered: int
    waiting: int
    ko: int
    stop_sms: int
    newest_status_at: datetime | None
    extracted_at: datetime
    run_id: str
    phone_numbers: str
    first_page: str


@dataclass(frozen=True)
class WrittenFile:
    """A file as it was moved into place; `sha256` is hexadecimal."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Damage:
    """Something that a destination holds and that can't be read, or does not fit together: `what` says it in words.

    `tag` names the tag it belongs to, if that is known: it is not loaded, and must be read again.
    """

    place: str
    what: str
    tag: str | None = None


class Destination(Protocol):
    """Where a run loads. Every method raises DestinationError (what, where, what to do; never a secret or a number).

    Readers never need the run's lock.
    """

    uri: str
    """As the user named it, with any secret masked."""

    keeps_tags: bool
    """False for an export of one run, which has no state: `scan` gives nothing there."""

    batch_rows: int
    """About how many rows are best loaded at once; 0 where tags are loaded one by one anyway."""

    def check(self) -> None:
        """Make sure that it can be written, changing nothing a reader sees.

        Raises SettingsError where rights, schema or foreign files are in the way, DestinationBusy while another run
        holds it, DestinationError where it is down or full.
        """

    def open(self, *, for_loading: bool) -> AbstractContextManager[None]:
        """Connect; to load, also lock and clear away what dead runs left. Left in every case, what was there stays.

        Raises NothingLoaded where it is to be read and nothing was ever loaded, DestinationBusy while another run
        holds it.
        """

    def replace(self, snapshots: Sequence[Snapshot]) -> Iterator[list[WrittenFile]]:
        """Put complete snapshots in the places of what is loaded for their tags, each in one step for readers.

        Yields once for each, in order, when it is loaded for good: the files that were written for it. A database
        loads all of them in one transaction, and yields afterwards. Checks the counts of each first.
        """

    def finish(self, tag_runs: pa.Table, run_id: str, *, complete: bool) -> list[WrittenFile]:
        """Add the run's rows of `tag_runs`; an export appears here, if the run came to its end (`complete`)."""

    def save_report(self, report: bytes, run_id: str) -> None:
        """Keep the run report (JSON), where the destination keeps reports."""

    def scan(self, table: Table, columns: Sequence[str]) -> Iterator[pa.Table | Damage]:
        """Give the rows of a table of the contract in pieces, with these columns in the contract's types.

        Pieces are whole tags where the table has tags. What can't be read is given as Damage, and the others follow.
        Any table of the contract can be asked for; `loaded_tags` is the state (from footers, where there are files).
        """

    def record_erasure(self, erasure: Erasure) -> None:
        """Add the record of an erased person to `erasures`, or replace the one of the same key and hash."""

    def purge(self) -> None:
        """Remove old versions that still hold replaced rows, for an erasure; nothing to do where there are none."""


def state_of(snapshot: Snapshot) -> LoadedTag:
    """Return what a destination keeps of a complete snapshot, as soon as it is loaded.

    Raises:
        CountMismatch: its counts do not add up.
    """
    import pyarrow.compute as pc

    snapshot.check_counts()
    if snapshot.extracted_at is None:
        raise ValueError("only a complete snapshot is loaded")
    newest = pc.max(snapshot.table["status_at"]).as_py()
    return LoadedTag(
        tag=snapshot.tag,
        **snapshot.row_counts,
        newest_status_at=newest and newest.astimezone(UTC),
        extracted_at=snapshot.extracted_at.astimezone(UTC),
        run_id=snapshot.run_id,
        phone_numbers=snapshot.phone_numbers,
        first_page=snapshot.first_page,
    )


def loaded_tags_table(states: Iterable[LoadedTag]) -> pa.Table:
    """Give states as rows of `loaded_tags`."""
    return _rows(states, LOADED_TAGS)


def erasures_table(erasures: Iterable[Erasure]) -> pa.Table:
    """Give records as rows of `erasures`."""
    return _rows(erasures, ERASURES)


def _rows(facts: Iterable[LoadedTag | Erasure], table: Table) -> pa.Table:
    import pyarrow as pa
    from smspartner_schemas.arrow import arrow_schema

    return pa.Table.from_pylist([vars(one) for one in facts], schema=arrow_schema(table))


def loaded_tags(destination: Destination) -> tuple[dict[str, LoadedTag], list[Damage]]:
    """Give what is loaded, by tag, and what can't be read of it; nothing where no tags are kept."""
    tags: dict[str, LoadedTag] = {}
    damages = []
    for part in destination.scan(LOADED_TAGS, LOADED_TAGS.column_names) if destination.keeps_tags else ():
        if isinstance(part, Damage):
            damages.append(part)
        else:
            for rows in part.to_batches(max_chunksize=1_000):  # all at once would take twice the memory
                tags |= {row["tag"]: LoadedTag(**row) for row in rows.to_pylist()}
    return tags, damages


def erasures(destination: Destination) -> list[Erasure]:
    """Give the records of the people whose rows must not be loaded there.

    Raises:
        DestinationError: a record can't be read; without it, the person's rows would come back.
    """
    from smspartner.privacy import Erasure

    found: list[Erasure] = []
    for part in destination.scan(ERASURES, ERASURES.column_names) if destination.keeps_tags else ():
        if isinstance(part, Damage):
            raise DestinationError(
                f"{part.place} {part.what}, and without it an erased person's rows would come back",
                remedy="restore it from a backup, or erase the person again with `smspartner forget`, then delete it",
            )
        found += [Erasure(**row | {"erased_at": row["erased_at"].astimezone(UTC)}) for row in part.to_pylist()]
    return found
