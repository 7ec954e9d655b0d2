"""What a destination can do. Each kind of destination is one file beside this one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal, Protocol, Self, get_args

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from smspartner.snapshot import Snapshot

CsvDialect = Literal["rfc4180", "excel"]
CSV_DIALECTS: tuple[CsvDialect, ...] = get_args(CsvDialect)


@dataclass(frozen=True)
class LoadedTag:
    """What a destination holds of one tag: enough to judge whether it must be read again.

    Times are aware, UTC. `newest_status_at` is None where no row has a `status_at`. `consistent` is False where a run
    died between the tag's quarantine and its rows: the tag must be read again, whatever the other facts say.
    """

    tag: str
    rows_received: int
    rows_loaded: int
    rows_quarantined: int
    waiting: int
    newest_status_at: datetime | None
    extracted_at: datetime
    run_id: str
    consistent: bool = True


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

    def check(self) -> None:
        """Make sure that it can be written, changing nothing a reader sees."""

    def exists(self) -> bool:
        """Whether anything was ever loaded there."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc_info: object) -> None:
        """Release it; whatever was not finished is dropped, what was there before stays."""

    def loaded_tags(self) -> Mapping[str, LoadedTag]:
        """Return what is loaded, by tag; read from footers or by a query, never from the data."""

    def replace_tag(self, snapshot: Snapshot, run_id: str) -> list[WrittenFile]:
        """Put a complete snapshot in the place of what is loaded for its tag, in one step for readers."""

    def finish(self, tag_runs: pa.Table, run_id: str) -> list[WrittenFile]:
        """Publish what only a finished run may show: an export as a whole, the rows of `tag_runs`."""

    def save_report(self, report: bytes, run_id: str) -> None:
        """Keep the run report (JSON), where the destination keeps reports."""
