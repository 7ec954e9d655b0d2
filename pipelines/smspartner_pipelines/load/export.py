"""Exports: one Parquet or CSV file of a run, or CSV on standard output; it appears only if the run came to its end."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from smspartner.errors import DestinationError, SettingsError
from smspartner_schemas.contract import STATUSES

from smspartner_pipelines.load.csv import CsvWriter
from smspartner_pipelines.load.destination import state_of
from smspartner_pipelines.load.files import (
    StagedFile,
    os_errors,
    refuse_planted_link,
    staged_for,
    sync_directories,
    try_writing,
)
from smspartner_pipelines.load.folder import HeldLock, exclusive, refuse_inside_dataset
from smspartner_pipelines.load.parquet import ROW_GROUP_ROWS, open_writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from smspartner.privacy import Erasure
    from smspartner.snapshot import Snapshot
    from smspartner_schemas.contract import Table

    from smspartner_pipelines.load.destination import Damage, WrittenFile

_IN_MEMORY = 32 * 1024 * 1024

_FORMATS: dict[str, Callable[[Any], Any]] = {
    ".parquet": partial(open_writer, table=STATUSES),
    ".csv": partial(CsvWriter, table=STATUSES),
    ".csv.gz": partial(CsvWriter, table=STATUSES, compressed=True),
}
"""What writes into a file, by how its name ends: `write(rows)` takes up to `ROW_GROUP_ROWS` rows, `close()` ends it."""


class Export:
    """One file that holds the rows of one run, replaced as a whole.

    While the run lasts, a hidden staged file and a hidden lock file stand beside it; both are gone afterwards. A
    symbolic link stays a link: the file it leads to is replaced.
    """

    keeps_tags = False
    batch_rows = 0
    formats = _FORMATS

    def __init__(self, path: str, uri: str) -> None:
        self.uri = self._named = uri
        self._path = Path(path)
        is_link = os.path.islink(path)  # noqa: PTH114 - False where it may not be seen, which `check` says
        self._target = self._path.resolve() if is_link else self._path
        self._lock_file = self._target.with_name(f".{self._target.name}.lock")
        self._format = next(form for ending, form in self.formats.items() if path.lower().endswith(ending))
        self._lock: HeldLock | None = None
        self._staged: Any = None
        self._writer: Any = None
        self._gathered: list[pa.Table] = []
        self._rows = 0
        self._is_whole = True

    def check(self) -> None:
        """See `Destination.check`."""
        self._refuse_wrong_path()
        try_writing(self._target)
        if self._lock_file.exists():
            with exclusive(self._lock_file, self.uri):
                pass

    @contextmanager
    def open(self, *, for_loading: bool) -> Iterator[None]:
        """See `Destination.open`; an export can only be loaded. What was not finished is dropped."""
        if not for_loading:
            raise SettingsError(
                f"{self.uri} is an export, which keeps no tags", remedy="name a dataset, a database or a Delta lake"
            )
        with self._place() as self._staged:
            with os_errors(f"writing {self._named}"):
                self._writer = self._format(self._staged)
            try:
                yield
            finally:
                self._staged.close()
                with suppress(Exception):  # its file is gone already; this only lets go of it
                    self._writer.close()

    @contextmanager
    def _place(self) -> Iterator[Any]:
        """Lock the target, and give a file beside it."""
        self._refuse_wrong_path()
        with exclusive(self._lock_file, self.uri, remove=True) as self._lock:
            with os_errors(f"writing {self._target}", starting=True):
                for path in staged_for(self._target):
                    path.unlink(missing_ok=True)
                staged = StagedFile(self._target)
            with closing(staged):
                yield staged

    def replace(self, snapshots: Sequence[Snapshot]) -> Iterator[list[WrittenFile]]:
        """See `Destination.replace`: the rows are appended, and nothing is seen of them yet.

        They are gathered until they fill a row group: a tag may be a handful of rows.
        """
        for snapshot in snapshots:
            state_of(snapshot)
            with self._writing():
                self._gathered.append(snapshot.table)
                self._rows += snapshot.table.num_rows
                if self._rows >= ROW_GROUP_ROWS:
                    self._write_gathered(ROW_GROUP_ROWS)
            yield []

    def _write_gathered(self, at_least: int) -> None:
        """Write row groups, and keep what is left if it is fewer rows than `at_least`."""
        # Each tag brings its own dictionaries; what changes dictionary within a row group is written without one.
        rows = pa.concat_tables(self._gathered).unify_dictionaries()
        while len(rows) >= at_least:
            self._writer.write(rows.slice(0, ROW_GROUP_ROWS))
            rows = rows.slice(ROW_GROUP_ROWS)
        self._gathered, self._rows = [rows], len(rows)

    def finish(self, tag_runs: pa.Table, run_id: str, *, complete: bool) -> list[WrittenFile]:  # noqa: ARG002
        """See `Destination.finish`: the file is moved into place."""
        if not complete:
            return []
        with self._writing():
            if self._gathered:
                self._write_gathered(1)
            self._writer.close()
            return self._publish()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """What fails in the block leaves the file without rows: nothing is published after that."""
        if not self._is_whole:
            raise DestinationError(f"{self._named} is not whole: an earlier write to it failed", remedy="run again")
        self._is_whole = False
        with os_errors(f"writing {self._named}"):
            yield
        self._is_whole = True

    def _publish(self) -> list[WrittenFile]:
        if self._lock:
            self._lock.check()
        self._staged.sync()
        written = self._staged.move()
        sync_directories([self._target.parent])
        return [written]

    def save_report(self, report: bytes, run_id: str) -> None:
        """See `Destination.save_report`: an export keeps none."""

    def scan(self, table: Table, columns: Sequence[str]) -> Iterator[pa.Table | Damage]:  # noqa: ARG002
        """See `Destination.scan`: an export always holds exactly its own run."""
        return iter(())

    def record_erasure(self, erasure: Erasure) -> None:
        """See `Destination.record_erasure`: an export keeps none."""

    def purge(self) -> None:
        """See `Destination.purge`: a replaced file is gone."""

    def _refuse_wrong_path(self) -> None:
        refuse_planted_link(self._path)
        refuse_inside_dataset(self._target)
        with os_errors(f"reading {self._target}", starting=True):
            if self._target.is_dir():
                remedy = f"write parquet:{self._target} to load a dataset there"
                raise SettingsError(f"{self._target} is a directory", remedy=remedy)


class StdoutExport(Export):
    """CSV on standard output: kept in memory, or in a nameless temporary file, until the run came to its end."""

    def __init__(self) -> None:
        super().__init__("-.csv", "-")
        self._named = "standard output"

    def check(self) -> None:
        """See `Destination.check`."""
        stdout_descriptor()

    @contextmanager
    def _place(self) -> Iterator[Any]:
        """Give a file that nobody sees."""
        stdout_descriptor()
        with SpooledTemporaryFile(max_size=_IN_MEMORY) as file:
            yield file

    def _publish(self) -> list[WrittenFile]:
        # Python's own standard output is left alone: unbuffered, it may take less than it is given; buffered, it would
        # complain at the end of the process about what it could not write.
        self._staged.seek(0)
        with open(stdout_descriptor(), "wb", closefd=False) as output:
            shutil.copyfileobj(self._staged, output, _IN_MEMORY)
        return []


def stdout_descriptor() -> int:
    """Return the descriptor of standard output.

    Raises:
        SettingsError: it is closed, or replaced by something that is no file.
    """
    with suppress(AttributeError, OSError, ValueError):
        if sys.stdout.writable():
            return sys.stdout.fileno()
    raise SettingsError("standard output takes no bytes here", remedy="name a file to load into")
