"""The files of a dataset in a directory: written beside, fsynced, moved into place, under the system's own lock."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING

from smspartner.errors import DestinationError
from smspartner_pipelines.load.atomic import (
    guarded,
    make_directory,
    remove_file,
    replace_file,
    replace_files,
    sync_directory,
    try_writing,
)
from smspartner_pipelines.load.files import STAGING
from smspartner_pipelines.load.lock import HeldLock, exclusive
from smspartner_pipelines.load.nesting import FOLDERS, NOT_FOREIGN, refuse_inside_dataset
from smspartner_pipelines.load.parquet_format import footer_size
from smspartner_pipelines.load.together import replace_together

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from smspartner_pipelines.load.destination import WrittenFile
    from smspartner_pipelines.load.files import Content, TagFiles


_FILES_AT_ONCE = 256
_WRITTEN_AT_ONCE = 64
"""Open files; more gain nothing."""
_READERS = 8


class LocalFiles:
    """A directory of a file system; see `FileStore`."""

    batch_rows = 0
    keeps_index = False

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._staging = self._path / STAGING
        self._lock: HeldLock | None = None

    def place(self, name: str = "") -> str:
        """Give a path."""
        return str(self._path / name)

    def check(self) -> None:
        """Make sure that it can be written; creates the directory if there is none."""
        self.prepare()
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

    def prepare(self) -> None:
        """Make the directory."""
        refuse_inside_dataset(self._path)
        make_directory(self._path)
        names = set(guarded(f"reading {self._path}", lambda: [path.name for path in self._path.iterdir()]))
        if "statuses" not in names and names - NOT_FOREIGN:
            raise DestinationError(
                f"{self._path} holds other files and is no dataset of this product; name a new or an empty directory"
            )

    @contextmanager
    def locked(self, where: str) -> Iterator[None]:
        """Hold the system's lock."""
        with exclusive(self._path / ".lock", where) as self._lock:
            guarded(f"preparing {self._path}", self._make_folders)
            yield

    def check_lock(self) -> None:
        """Make sure that the lock file still stands where it was locked."""
        if self._lock:
            self._lock.check()

    def stamps(self, folder: str) -> dict[str, str]:
        """List the files of a folder."""

        def act() -> list[str]:
            try:
                found = os.scandir(self._path / folder)
                return [entry.name for entry in found if folder != STAGING or entry.is_file()]
            except FileNotFoundError:
                return []

        return dict.fromkeys(sorted(guarded(f"reading {self._path / folder}", act)), "")

    def stamp(self, name: str) -> str:  # noqa: ARG002 - footers are read in no time
        """Tell nothing."""
        return ""

    def has(self, name: str) -> bool:
        """Whether there is such a file."""
        return (self._path / name).exists()

    def read(self, name: str) -> bytes:
        """Read a whole file."""
        path = self._path / name
        return guarded(f"reading {path}", path.read_bytes)

    def source(self, name: str) -> Path:
        """Give a path."""
        return self._path / name

    def ends(self, folder: str, names: Sequence[str], size: int) -> Iterator[bytes]:
        """Read the ends of files; threads read, since a network file system answers slowly."""
        batches = [names[start : start + _FILES_AT_ONCE] for start in range(0, len(names), _FILES_AT_ONCE)]

        def read(batch: Sequence[str]) -> list[bytes]:
            return [_read_end(self._path / folder / name, size) for name in batch]

        with ThreadPoolExecutor(min(_READERS, len(batches)) or 1) as readers:
            for ends in readers.map(read, batches):
                yield from ends

    def make_folder(self, folder: str) -> None:
        """Make a folder of the dataset."""
        make_directory(self._path / folder)

    def replace(self, name: str, content: Content) -> WrittenFile:
        """Put a file in place, by way of a staged one."""
        return replace_file(self._path / name, content, staging=self._staging)

    def replace_tags(self, tags: Iterable[TagFiles]) -> Iterator[list[WrittenFile]]:
        """Put the files of tags that have a single one in place some at a time."""
        for single, some in groupby(tags, key=lambda tag: len(tag.contents) == 1):
            if not single:
                yield from (replace_together(self, tag.name, tag.contents) for tag in some)
                continue
            while together := list(islice(some, _WRITTEN_AT_ONCE)):
                files = [
                    (self._path / folder / tag.name, content)
                    for tag in together
                    for folder, content in tag.contents.items()
                    if content is not None
                ]
                yield from ([file] for file in replace_files(files, staging=self._staging))

    def move(self, name: str, target: str) -> None:
        """Rename a file, durably."""

        def act() -> None:
            if moved.exists():
                moved.replace(onto)
                sync_directory(onto.parent)

        moved, onto = self._path / name, self._path / target
        guarded(f"writing {onto}", act)

    def remove(self, name: str) -> None:
        """Remove a file, durably."""
        remove_file(self._path / name)

    def _make_folders(self) -> None:
        for name in FOLDERS:
            (self._path / name).mkdir(exist_ok=True)
        sync_directory(self._path)


def _read_end(path: Path, size: int) -> bytes:
    def act() -> bytes:
        with path.open("rb", buffering=0) as file:
            whole = file.seek(0, 2)
            file.seek(max(0, whole - size))
            end = file.read()
            footer = footer_size(end)
            if len(end) < footer <= whole:
                file.seek(whole - footer)
                end = file.read()
            return end

    return guarded(f"reading {path}", act)
