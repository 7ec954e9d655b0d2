"""What a destination can do. Each kind of destination is one file beside this one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal, Protocol, Self, get_args, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    import pyarrow as pa
    from smspartner_schemas.contract import Table

    from smspartner.erasure import Erasure, Person
    from smspartner.snapshot import Snapshot

CsvDialect = Literal["rfc4180", "excel"]
CSV_DIALECTS: tuple[CsvDialect, ...] = get_args(CsvDialect)


@dataclass(frozen=True)
class LoadedTag:
    """What a destination holds of one tag: enough to judge whether it must be read again.

    Times are aware, UTC. `newest_status_at` is None where no row has a `status_at`. `phone_numbers` names the form of
    the numbers (`PhonePrivacy.label`). `page_rows` is how many rows a full page had, and `erased_places` are the places
    (from 0, in API order) of rows left out since their numbers were erased: with both, the quarantine's rows find their
    places among the others. `consistent` is False where a run died between the tag's quarantine and its rows: the tag
    must be read again, whatever the other facts say.
    """

    tag: str
    rows_received: int
    rows_loaded: int
    rows_quarantined: int
    waiting: int
    newest_status_at: datetime | None
    extracted_at: datetime
    run_id: str
    phone_numbers: str = "plain"
    page_rows: int = 0
    erased_places: tuple[int, ...] = ()
    consistent: bool = True


@dataclass(frozen=True)
class StoredTag:
    """All that a destination holds of one tag: `rows` in the schema of `statuses`, `quarantine` in that of its own."""

    state: LoadedTag
    rows: pa.Table
    quarantine: pa.Table


@dataclass(frozen=True)
class WrittenFile:
    """A file as it was moved into place; `sha256` is hexadecimal."""

    path: str
    size: int
    sha256: str


class Destination(Protocol):
    """Where a run loads: entered once per run (which locks it), left in every case.

    All methods raise DestinationError (what, where, what to do; never a secret) when the destination fails, and
    DestinationBusy on entering while another run holds it.
    """

    uri: str
    """The destination as the user named it, with any secret masked."""

    keeps_tags: bool
    """Whether tags of former runs stay, so that settled ones need not be read again."""

    batch_rows: int
    """About how many rows are best loaded at once; 0 where tags are loaded one by one anyway."""

    def check(self) -> None:
        """Make sure that it can be written, changing nothing a reader sees."""

    def exists(self) -> bool:
        """Whether anything was ever loaded there."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc_info: object) -> None:
        """Release it; whatever was not finished is dropped, what was there before stays."""

    def loaded_tags(self) -> Mapping[str, LoadedTag]:
        """Return what is loaded, by tag; read from footers or by a query, never from the data."""

    def erasures(self) -> Sequence[Erasure]:
        """Return the records of the people whose rows must not be loaded there."""

    def replace_tags(self, snapshots: Sequence[Snapshot], run_id: str) -> Iterator[list[WrittenFile]]:
        """Put complete snapshots in the places of what is loaded for their tags, each in one step for readers.

        Yields once for each, in order, when it is loaded for good: the files that were written for it. A database may
        load all of them in one transaction, and yields afterwards.
        """

    def finish(self, tag_runs: pa.Table, run_id: str) -> list[WrittenFile]:
        """Publish what only a finished run may show: an export as a whole, the rows of `tag_runs`."""

    def save_report(self, report: bytes, run_id: str) -> None:
        """Keep the run report (JSON), where the destination keeps reports."""


class TagStore(Destination, Protocol):
    """A destination that keeps tags from run to run, and can therefore be asked for them and mended."""

    def stored_tag(self, state: LoadedTag) -> StoredTag:
        """Return all that is held of a tag that is loaded."""

    def count_rows(self, table: Table, groupings: Sequence[Sequence[str]]) -> list[pa.Table]:
        """Count the rows of `statuses` or `quarantine` by columns; see `smspartner.load.counting`.

        One table for each grouping, in no order: its columns, and `rows`. No other column is read.
        """

    def tag_runs(self) -> pa.Table:
        """Return all rows of `tag_runs`, in no order; none if no run has finished."""

    def erase(self, person: Person, at: datetime) -> Erasure:
        """Record a person's erasure, then remove their rows, loaded and quarantined; it may die and be repeated."""


@runtime_checkable
class ReadsTogether(Protocol):
    """A destination of which many tags are read quicker together."""

    def reading(self) -> AbstractContextManager[None]:
        """Keep open what all that is read within the block needs; loading excludes others, reading does not."""


@runtime_checkable
class Compactable(Protocol):
    """A destination where versions, or room, pile up: entered first, as for a run."""

    def compact(self, retain: timedelta) -> Sequence[str]:
        """Reclaim what readers of the last `retain` do not need, and make reading quick; say what was done."""
