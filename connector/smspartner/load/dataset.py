"""The Parquet dataset: one file per tag, replaced as a whole; its footers are its state."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pyarrow as pa
import pyarrow.parquet as pq
from smspartner_schemas.arrow import arrow_schema, empty_table
from smspartner_schemas.contract import QUARANTINE, STATUSES, TAG_RUNS

from smspartner.errors import DestinationError
from smspartner.load.atomic import guarded, make_directory, remove_file, replace_file, sync_directory, try_writing
from smspartner.load.destinations import StoredTag
from smspartner.load.erasures import read_erasures, write_erasure
from smspartner.load.footers import TagFile, footer_of, read_tag_files
from smspartner.load.lock import HeldLock, exclusive
from smspartner.load.nesting import FOLDERS, refuse_inside_dataset
from smspartner.load.parquet_format import write_parquet
from smspartner.load.state import state_of
from smspartner.load.together import finish_replacements, replace_together
from smspartner.stored_rows import without

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from smspartner_schemas.contract import Table

    from smspartner.erasure import Erasure, Person
    from smspartner.load.destinations import LoadedTag, WrittenFile
    from smspartner.snapshot import Snapshot

ENDING = ".parquet"
ERASURES = "erasures"
"""The folder of the records of erasures; it is made with the first."""

_NOT_FOREIGN = {".lock", ".staging", ".gitignore", ".gitkeep", ".DS_Store", "lost+found"}
"""What a directory may hold and still count as empty: our own first traces, and what systems put into new folders."""

_OUR_NAME = re.compile(r"([a-z0-9-]+-)?[0-9a-f]{16}\.parquet")


def file_name(tag: str) -> str:
    """Return the name of the file that holds `tag`: a readable slug, then a hash of the tag.

    It is lower-case ASCII letters, digits and `-`, whatever the tag, so that no tag leaves the folder and none is
    another one on a file system that is blind to case.
    """
    ascii_tag = unicodedata.normalize("NFKD", tag).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", ascii_tag).strip("-")[:40]
    digest = hashlib.sha256(tag.encode()).hexdigest()[:16]
    return f"{slug}-{digest}{ENDING}" if slug else f"{digest}{ENDING}"


class ParquetDataset:
    """A directory with `statuses/` and `quarantine/` (one file per tag), `tag_runs/` and `runs/` (one file per run).

    A tag's rows and its quarantine are replaced together, and the footers of both say the same. Where they differ, a
    run died between the two, which whoever enters next finishes; or somebody else changed a file: then the tag is not
    consistent until it is loaded again.
    """

    keeps_tags = True
    batch_rows = 0

    def __init__(self, path: str) -> None:
        self.uri = path
        self._path = Path(path)
        self._staging = self._path / ".staging"
        self._held = ExitStack()
        self._lock: HeldLock | None = None

    def check(self) -> None:
        """Make sure that it can be written; creates the directory if there is none.

        Raises:
            DestinationError: it can't, or the directory holds something else than a dataset.
        """
        self._make_directory()
        folders = [self._path / name for name in FOLDERS]
        for folder in folders:
            if folder.exists() and not folder.is_dir():
                raise DestinationError(f"{folder} is a file, but must be a folder of the dataset; move it away")
        guarded(f"creating {self._staging}", lambda: self._staging.mkdir(exist_ok=True))
        try_writing(self._path / "statuses" / "check", staging=self._staging)
        for folder in folders:
            if folder.is_dir() and not os.access(folder, os.W_OK | os.X_OK):
                raise DestinationError(f"{folder} can't be written; allow this user to write there or load elsewhere")

    def exists(self) -> bool:
        """Whether the directory is a dataset."""
        return (self._path / FOLDERS[0]).is_dir()

    def __enter__(self) -> Self:
        """Lock it, and clear away what dead runs left.

        Raises:
            DestinationBusy: another run holds it.
            DestinationError: it can't be written.
        """
        self._make_directory()
        with ExitStack() as held:
            self._lock = held.enter_context(exclusive(self._path / ".lock", self.uri))
            guarded(f"preparing {self._path}", self._make_folders)
            self._clear_leftovers()
            held.callback(self._leave_nothing)
            self._held = held.pop_all()
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Release it; tags that are loaded stay."""
        self._held.close()

    def loaded_tags(self) -> Mapping[str, LoadedTag]:
        """Return what is loaded, by tag, from the footers alone; nothing if there is no dataset yet.

        Raises:
            DestinationError: a file can't be read, is damaged, is not of this product, or is of a newer version of it.
        """
        files = [self._checked(file) for file in read_tag_files(self._path / "statuses", self._names("statuses"))]
        agreed = self._names_agreeing(files)
        return {
            file.state.tag: file.state if file.name in agreed else replace(file.state, consistent=False)
            for file in files
        }

    def replace_tags(self, snapshots: Sequence[Snapshot], run_id: str) -> Iterator[list[WrittenFile]]:
        """Replace tags one by one; see `replace_tag`."""
        return (self.replace_tag(snapshot, run_id) for snapshot in snapshots)

    def replace_tag(self, snapshot: Snapshot, run_id: str) -> list[WrittenFile]:
        """Put a complete snapshot in the place of what is loaded for its tag; return the files written.

        Raises:
            CountMismatch: its counts do not add up.
            DestinationError: it can't be written; the rows that were loaded stay.
        """
        snapshot.check_books()
        footer = footer_of(state_of(snapshot, run_id))
        name = file_name(snapshot.tag)
        if not snapshot.quarantine.num_rows and not (self._path / QUARANTINE.name / name).exists():
            return [self._write(STATUSES, name, snapshot.table, footer)]
        self._check_lock()
        contents = {
            STATUSES.name: partial(write_parquet, rows=snapshot.table, table=STATUSES, footer=footer),
            QUARANTINE.name: partial(write_parquet, rows=snapshot.quarantine, table=QUARANTINE, footer=footer)
            if snapshot.quarantine.num_rows
            else None,
        }
        return replace_together(self._path, name, contents, staging=self._staging)

    def stored_tag(self, state: LoadedTag) -> StoredTag:
        """Read the rows and the quarantine of a loaded tag.

        Raises:
            DestinationError: they can't be read.
        """
        name = file_name(state.tag)
        return StoredTag(state, self._read(STATUSES, name), self._read(QUARANTINE, name))

    def erasures(self) -> list[Erasure]:
        """Read the records of the people whose rows must not be loaded.

        Raises:
            DestinationError: a record can't be read; without it, somebody would come back.
        """
        return read_erasures(self._path / ERASURES)

    def erase(self, person: Person, at: datetime) -> Erasure:
        """Record a person's erasure, then remove their rows tag by tag, each in one step for readers.

        A tag that is not consistent is left: it must be read again, and then the person is left out.

        Raises:
            DestinationError: something can't be read or written; repeat it then.
        """
        self._check_lock()
        erasure = person.erasure(at)
        write_erasure(self._path / ERASURES, erasure, staging=self._staging)
        removed = Counter({"tags": 0, "rows": 0, "quarantined": 0})
        for state in filter(attrgetter("consistent"), self.loaded_tags().values()):
            stored = self.stored_tag(state)
            kept = without(stored, person)
            if kept is not None:
                self.replace_tag(kept, state.run_id)
                rows = stored.rows.num_rows - kept.table.num_rows
                removed.update(tags=1, rows=rows, quarantined=stored.quarantine.num_rows - kept.quarantine.num_rows)
        done = replace(erasure, removed=dict(removed))
        write_erasure(self._path / ERASURES, done, staging=self._staging)
        return done

    def finish(self, tag_runs: pa.Table, run_id: str) -> list[WrittenFile]:
        """Add the rows of `tag_runs`, as a file of this run.

        Raises:
            DestinationError: it can't be written.
        """
        return [self._write(TAG_RUNS, f"{run_id}{ENDING}", tag_runs, {})]

    def save_report(self, report: bytes, run_id: str) -> None:
        """Keep the run report as `runs/RUN_ID.json`.

        Raises:
            DestinationError: it can't be written.
        """
        self._check_lock()
        replace_file(self._path / "runs" / f"{run_id}.json", report, staging=self._staging)

    def _make_directory(self) -> None:
        refuse_inside_dataset(self._path)
        make_directory(self._path)
        names = set(guarded(f"reading {self._path}", lambda: [path.name for path in self._path.iterdir()]))
        if "statuses" not in names and names - _NOT_FOREIGN:
            raise DestinationError(
                f"{self._path} holds other files and is no dataset of this product; name a new or an empty directory"
            )

    def _make_folders(self) -> None:
        for name in FOLDERS:
            (self._path / name).mkdir(exist_ok=True)
        sync_directory(self._path)

    def _check_lock(self) -> None:
        if self._lock:
            self._lock.check()

    def _leave_nothing(self) -> None:
        """Clear away what a write left that a second signal broke off, unless others are at work there by now."""
        with suppress(DestinationError):
            self._check_lock()
            self._clear_leftovers()

    def _clear_leftovers(self) -> None:
        finish_replacements(self._path, staging=self._staging)
        for leftover in guarded(f"reading {self._staging}", lambda: list(self._staging.iterdir())):
            if leftover.is_file():
                remove_file(leftover)
        # A first load that died after its quarantine: its tag is not loaded, so nothing would ever replace the file.
        for name in set(self._names("quarantine")).difference(self._names("statuses")):
            if _OUR_NAME.fullmatch(name):
                remove_file(self._path / "quarantine" / name)

    def _names(self, folder: str) -> list[str]:
        def act() -> list[str]:
            try:
                return [entry.name for entry in os.scandir(self._path / folder) if _is_table(entry.name)]
            except FileNotFoundError:
                return []

        return sorted(guarded(f"reading {self._path / folder}", act))

    def _checked(self, file: TagFile) -> TagFile:
        if file.name != file_name(file.state.tag):  # a copy would give its tag's rows twice
            path = self._path / "statuses" / file.name
            raise DestinationError(f"{path} was renamed or copied after it was loaded; move it away and run again")
        return file

    def _names_agreeing(self, files: list[TagFile]) -> set[str]:
        """Return the files whose quarantine agrees: it says the same, or there is none and should be none."""
        present = set(self._names("quarantine"))
        expected = {file.name: file.state for file in files if file.state.rows_quarantined}
        names = sorted(present & expected.keys())
        quarantined = read_tag_files(self._path / "quarantine", names, skip_unreadable=True)
        agreeing = {file.name for file in quarantined if file.state == expected[file.name]}
        return agreeing | {file.name for file in files}.difference(present, expected)

    def _read(self, table: Table, name: str) -> pa.Table:
        path = self._path / table.name / name
        if table is QUARANTINE and not path.exists():
            return empty_table(QUARANTINE)
        try:
            return guarded(f"reading {path}", lambda: pq.read_table(path, partitioning=None)).cast(arrow_schema(table))
        except (pa.ArrowException, KeyError, ValueError):
            pass
        raise DestinationError(f"{path} is damaged, or no file of this product; move it away and run its tag again")

    def _write(self, table: Table, name: str, rows: pa.Table, footer: dict[str, str]) -> WrittenFile:
        self._check_lock()
        write = partial(write_parquet, rows=rows, table=table, footer=footer)
        return replace_file(self._path / table.name / name, write, staging=self._staging)


def _is_table(name: str) -> bool:
    return name.endswith(ENDING) and not name.startswith((".", "_"))  # which readers of folders pass over, too
