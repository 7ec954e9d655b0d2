"""Exports: one Parquet or CSV file of a run, replaced as a whole, or CSV on standard output."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol, Self

from smspartner_schemas.arrow import empty_table
from smspartner_schemas.contract import STATUSES

from smspartner.errors import DestinationError
from smspartner_pipelines.load.atomic import StagedFile, guarded, is_staged, remove_file, try_writing
from smspartner_pipelines.load.csv_format import CsvRows
from smspartner_pipelines.load.lock import HeldLock, exclusive
from smspartner_pipelines.load.nesting import refuse_inside_dataset
from smspartner_pipelines.load.parquet_format import ParquetRows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import pyarrow as pa
    from _typeshed import ReadableBuffer

    from smspartner.erasure import Erasure
    from smspartner_pipelines.load.destination import CsvDialect, LoadedTag, WrittenFile
    from smspartner.snapshot import Snapshot


class Rows(Protocol):
    """Rows on their way into one file of some format."""

    def write(self, rows: pa.Table) -> None:
        """Take the rows of one tag."""

    def close(self) -> None:
        """Write all that is still to come; the file is then whole."""


class FileExport:
    """One file that holds the rows of one run; it appears when the run has finished, and then as a whole.

    While the run lasts, a hidden staged file and a hidden lock file stand beside it; both are gone afterwards. A
    symbolic link stays a link: the file it leads to is replaced.
    """

    keeps_tags = False
    batch_rows = 0

    def __init__(self, path: str, rows_into: Callable[[StagedFile], Rows]) -> None:
        self.uri = path
        self._target = Path(path).resolve() if Path(path).is_symlink() else Path(path)
        self._rows_into = rows_into
        self._held = ExitStack()
        self._lock: HeldLock | None = None
        self._staged: StagedFile | None = None
        self._rows: Rows | None = None
        self._whole = True

    def check(self) -> None:
        """Make sure that the file can be written; it is not touched.

        Raises:
            DestinationError: it can't, or a directory has its name.
        """
        if self._target.is_dir():
            raise DestinationError(
                f"{self._target} is a directory; write parquet:{self._target} to load a dataset there"
            )
        refuse_inside_dataset(self._target)
        try_writing(self._target, staging=self._target.parent)

    def exists(self) -> bool:
        """Whether there is such a file."""
        return self._target.exists()

    def __enter__(self) -> Self:
        """Lock it, clear away what dead runs left, and begin the staged file.

        Raises:
            DestinationBusy: another run holds it.
            DestinationError: it can't be written.
        """
        folder = self._target.parent
        with ExitStack() as held:
            refuse_inside_dataset(self._target)
            self._lock = held.enter_context(exclusive(folder / f".{self._target.name}.lock", self.uri, remove=True))
            self._clear_leftovers()
            self._staged = guarded(f"writing {self._target}", lambda: StagedFile(self._target, folder))
            held.callback(self._drop)
            self._rows = guarded(f"writing {self._target}", partial(self._rows_into, self._staged))
            self._held = held.pop_all()
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Release it; without `finish`, what was written is dropped and the old file stays."""
        self._held.close()

    def loaded_tags(self) -> Mapping[str, LoadedTag]:
        """Return nothing: an export always holds exactly its own run."""
        return {}

    def erasures(self) -> Sequence[Erasure]:
        """Return nothing: an export has no place for records."""
        return ()

    def replace_tags(self, snapshots: Sequence[Snapshot], run_id: str) -> Iterator[list[WrittenFile]]:
        """Append the rows of tags, one by one; see `replace_tag`."""
        return (self.replace_tag(snapshot, run_id) for snapshot in snapshots)

    def replace_tag(self, snapshot: Snapshot, run_id: str) -> list[WrittenFile]:  # noqa: ARG002 - rows name their run
        """Append the rows of a complete snapshot; nothing is published yet.

        Raises:
            CountMismatch: its counts do not add up.
            DestinationError: they can't be written.
        """
        snapshot.check_books()
        rows = self._still_whole()[0]
        self._whole = False  # until all rows are taken, whatever ends this before
        guarded(f"writing {self._target}", lambda: rows.write(snapshot.table))
        self._whole = True
        return []

    def finish(self, tag_runs: pa.Table, run_id: str) -> list[WrittenFile]:  # noqa: ARG002 - an export holds rows only
        """Move the file into place, and return it.

        Raises:
            DestinationError: it can't be written, or a tag could not before; the old file stays.
        """
        rows, staged = self._still_whole()
        if self._lock:
            self._lock.check()

        def act() -> WrittenFile:
            rows.close()
            return staged.commit()

        self._whole = False  # it is written once
        return [guarded(f"writing {self._target}", act)]

    def save_report(self, report: bytes, run_id: str) -> None:
        """Keep nothing: an export has no place for reports."""

    def _still_whole(self) -> tuple[Rows, StagedFile]:
        if self._rows is None or self._staged is None:
            raise RuntimeError("an export is written inside its `with` block")
        if not self._whole:
            raise DestinationError(f"{self._target} is not written: an earlier write to it failed; run again")
        return self._rows, self._staged

    def _clear_leftovers(self) -> None:
        folder = self._target.parent
        for path in guarded(f"reading {folder}", lambda: list(folder.iterdir())):
            if is_staged(path, self._target):
                remove_file(path)

    def _drop(self) -> None:
        if self._staged:
            self._staged.discard()
        if self._rows:
            with suppress(Exception):  # its file is gone already; this only lets go of it
                self._rows.close()
        self._rows = self._staged = None


class ParquetExport(FileExport):
    """One Parquet file with the rows of one run."""

    def __init__(self, path: str) -> None:
        super().__init__(path, partial(ParquetRows, table=STATUSES))


class CsvExport(FileExport):
    """One CSV file with the rows of one run, compressed if its name ends in `.gz`."""

    def __init__(self, path: str, dialect: CsvDialect = "rfc4180") -> None:
        compressed = path.lower().endswith(".gz")
        super().__init__(path, partial(CsvRows, names=STATUSES.column_names, dialect=dialect, compressed=compressed))


class CsvStdout:
    """CSV on standard output, tag by tag as they are read; what is written can't be taken back."""

    keeps_tags = False
    batch_rows = 0

    def __init__(self, dialect: CsvDialect = "rfc4180", stream: BinaryIO | None = None) -> None:
        self.uri = "-"
        self._dialect = dialect
        self._stream = stream
        self._rows: CsvRows | None = None
        self._whole = True

    def check(self) -> None:
        """Make sure that standard output takes bytes; nothing is written.

        Raises:
            DestinationError: it does not.
        """
        self._output()

    def exists(self) -> bool:
        """Whether standard output keeps anything: no."""
        return False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Write nothing more."""
        self._rows = None

    def loaded_tags(self) -> Mapping[str, LoadedTag]:
        """Return nothing: standard output keeps nothing."""
        return {}

    def erasures(self) -> Sequence[Erasure]:
        """Return nothing: standard output keeps nothing."""
        return ()

    def replace_tags(self, snapshots: Sequence[Snapshot], run_id: str) -> Iterator[list[WrittenFile]]:
        """Write the rows of tags, one by one; see `replace_tag`."""
        return (self.replace_tag(snapshot, run_id) for snapshot in snapshots)

    def replace_tag(self, snapshot: Snapshot, run_id: str) -> list[WrittenFile]:  # noqa: ARG002 - rows name their run
        """Write the rows of a complete snapshot, after the header if they are the first.

        Raises:
            CountMismatch: its counts do not add up.
            DestinationError: nobody reads any more, or they can't be written.
        """
        snapshot.check_books()
        self._write(snapshot.table)
        return []

    def finish(self, tag_runs: pa.Table, run_id: str) -> list[WrittenFile]:  # noqa: ARG002 - an export holds rows only
        """Write what is still to come: the header, if there was no row.

        Raises:
            DestinationError: nobody reads any more, or it can't be written.
        """
        self._write(empty_table(STATUSES))
        return []

    def save_report(self, report: bytes, run_id: str) -> None:
        """Keep nothing: standard output has no place for reports."""

    def _write(self, rows: pa.Table) -> None:
        if not self._whole:
            raise DestinationError("standard output is not whole: an earlier write to it failed; run again")
        self._whole = False  # until all rows are written, whatever ends this before
        output = self._output()

        def act() -> None:
            self._rows = self._rows or CsvRows(_WholeWrites(output), STATUSES.column_names, self._dialect)
            self._rows.write(rows)
            self._rows.flush()
            output.flush()

        try:
            guarded("writing to standard output", act)
        except DestinationError:
            if self._stream is None:
                _silence(output)
            raise
        self._whole = True

    def _output(self) -> BinaryIO:
        output = self._stream or getattr(sys.stdout, "buffer", None)
        if output is None:
            raise DestinationError("standard output takes no bytes here; name a file to load into")
        return output


class _WholeWrites:
    """Writes everything to a stream that may take less at a time than it is given, as an unbuffered one does."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def write(self, data: ReadableBuffer) -> None:
        rest = memoryview(data).cast("B")
        while rest:
            rest = rest[self._stream.write(rest) :]


def _silence(output: BinaryIO) -> None:
    """Let what is still buffered go nowhere: Python would complain, when it ends, that it can't be written."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, output.fileno())
        os.close(nowhere)
