"""The files of a dataset in a directory of this machine, under the system's own lock; what a dataset needs of them."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from smspartner.errors import SettingsError

from smspartner_pipelines.load.files import (
    make_directory,
    os_errors,
    refuse_planted_link,
    replace_files,
    sync_directories,
    try_writing,
)
from smspartner_pipelines.load.layout import FOLDERS, NOT_FOREIGN, STAGING, refuse_inside_dataset
from smspartner_pipelines.load.lock import HeldLock, exclusive
from smspartner_pipelines.load.parquet import TAIL, footer_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from smspartner_pipelines.load.destination import WrittenFile


class LocalFiles:
    """Files are named by their paths below the directory: `statuses/promo-nov-1234.parquet`.

    A reader finds a file old or new, whole. Methods raise DestinationError; `check` and `locked` raise SettingsError
    where rights or names are wrong.
    """

    batch_rows = 20_000
    """See `Destination.batch_rows`."""

    at_once = 8
    """How many files are best read side by side."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._lock_file = self._path / ".lock"
        self._lock: HeldLock | None = None

    def place(self, name: str = "") -> str:
        """Give the path of a file, or of the whole, as messages and reports name it."""
        return str(self._path / name)

    def check(self) -> None:
        """Make sure that files can be written and no run is at work, changing nothing a reader sees.

        Raises:
            SettingsError: rights, names, links or foreign files are in the way.
            DestinationBusy: another run is at work.
            DestinationError: nothing can be written, as on a full disk.
        """
        self._refuse_what_is_not_ours()
        with os_errors(f"reading {self._path}", starting=True):
            path, staging = self._path.absolute(), self._path / STAGING
            existing = next(folder for folder in (path, *path.parents) if folder.exists())
            folders = [path for path in (self._path / name for name in FOLDERS) if path.is_dir()]
        try_writing((staging if staging in folders else existing) / "check")
        for folder in folders:
            if not os.access(folder, os.W_OK | os.X_OK):
                raise SettingsError(
                    f"{folder} can't be written", remedy="allow this user to write there, or load elsewhere"
                )
        if self._lock_file.exists():
            with exclusive(self._lock_file, str(self._path)):
                pass

    def exists(self) -> bool:
        """Return whether a dataset is there."""
        with os_errors(f"reading {self._path}", starting=True):
            return (self._path / FOLDERS[0]).is_dir()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Exclude other runs while the block lasts, in which the folders of the dataset are there.

        Raises:
            As `check`.
        """
        self._refuse_what_is_not_ours()
        make_directory(self._path)
        with exclusive(self._lock_file, str(self._path)) as self._lock:
            with os_errors(f"preparing {self._path}", starting=True):
                for name in FOLDERS:
                    (self._path / name).mkdir(exist_ok=True)
            sync_directories([self._path])
            yield

    def check_lock(self) -> None:
        """Make sure that other runs are still excluded, if they ever were.

        Raises:
            DestinationError: they are not.
        """
        if self._lock:
            self._lock.check()

    def names(self, folder: str) -> list[str]:
        """List the files of a folder, sorted; nothing where it is missing."""
        with os_errors(f"reading {self._path / folder}"), suppress(FileNotFoundError):
            return sorted(os.listdir(self._path / folder))  # noqa: PTH208 - twice as fast, for thousands of files
        return []

    def read(self, name: str) -> bytes | None:
        """Read a whole file; None where it is gone.

        Raises:
            OSError: this one can't be read.
        """
        with suppress(FileNotFoundError):
            return (self._path / name).read_bytes()
        return None

    def tail(self, name: str) -> bytes | None:
        """Read the end of a file with its whole Parquet footer; None where it is gone.

        Raises:
            OSError: this one can't be read.
        """
        with suppress(FileNotFoundError), (self._path / name).open("rb", buffering=0) as file:
            whole = file.seek(0, os.SEEK_END)
            file.seek(max(0, whole - TAIL))
            end = file.read()
            if len(end) < footer_size(end) <= whole:
                file.seek(whole - footer_size(end))
                end = file.read()
            return end
        return None

    def write(self, contents: Mapping[str, bytes]) -> list[WrittenFile]:
        """Put files in place, each in one step for readers; durable when this returns."""
        targets = {self._path / name: content for name, content in contents.items()}
        return replace_files(targets, staging=self._path / STAGING)

    def move(self, moves: Mapping[str, str]) -> None:
        """Put files in the place of others, each in one step for readers; durable when this returns."""
        for name, target in moves.items():
            with os_errors(f"writing {self._path / target}"):
                (self._path / name).replace(self._path / target)
        sync_directories((self._path / target).parent for target in moves.values())

    def remove(self, names: Iterable[str]) -> None:
        """Remove files; that one is not there is no error."""
        paths = [self._path / name for name in names]
        for path in paths:
            with os_errors(f"removing {path}"):
                path.unlink(missing_ok=True)
        sync_directories(path.parent for path in paths)

    def _refuse_what_is_not_ours(self) -> None:
        refuse_planted_link(self._path)
        refuse_inside_dataset(self._path)
        with os_errors(f"reading {self._path}", starting=True), suppress(FileNotFoundError):
            names = set(os.listdir(self._path))  # noqa: PTH208
            if FOLDERS[0] not in names and names - NOT_FOREIGN:
                raise SettingsError(
                    f"{self._path} holds other files and is no dataset of this product",
                    remedy="name a new or an empty directory",
                )
            for folder in (self._path / name for name in FOLDERS if name in names):
                if folder.is_symlink() or not folder.is_dir():
                    raise SettingsError(
                        f"{folder} is not a folder of the dataset but a link or a file", remedy="move it away"
                    )
