"""The files of a dataset in a directory of this machine: what they need of it, and the lock of the run that loads."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from smspartner.errors import DestinationBusy, DestinationError, SettingsError

from smspartner_pipelines.load.files import (
    make_directory,
    os_errors,
    refuse_planted_link,
    replace_files,
    sync_directories,
    try_writing,
)
from smspartner_pipelines.load.parquet import TAIL, holds_footer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from smspartner_pipelines.load.destination import WrittenFile

STAGING = ".staging"
"""The folder for what a dead process must not leave among what readers see."""

FOLDERS = ("statuses", "quarantine", "tag_runs", "runs", "erasures", STAGING)
"""The folders of a dataset: a directory that has the first is one."""

NOT_FOREIGN = {".lock", STAGING, ".gitignore", ".gitkeep", ".DS_Store", "lost+found"}
"""What a directory may hold and still count as empty: our own first traces, and what systems put into new folders."""


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
            staging = self._path.absolute() / STAGING
            existing = next(folder for folder in (staging, *staging.parents) if folder.exists())
        try_writing(existing / "check")
        for folder in (self._path / name for name in FOLDERS):
            if folder.is_dir() and not os.access(folder, os.W_OK | os.X_OK):
                raise SettingsError(f"{folder} can't be written", remedy="allow this user to write there")
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
        """Read the end of a file with its whole Parquet footer, be it all of the file; None where it is gone.

        Raises:
            OSError: this one can't be read.
        """
        with suppress(FileNotFoundError), (self._path / name).open("rb", buffering=0) as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL))
            end = file.read()
            return end if holds_footer(end) else self.read(name)
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


def refuse_inside_dataset(path: Path, *, is_lake: bool = False) -> None:
    """Make sure that `path` is not one of the folders of a dataset, and does not lie in one.

    A Delta lake has the same folders; `path` may be one only where that is meant.

    Raises:
        SettingsError: it does, and a reader of that dataset would find rows twice.
    """
    with os_errors(f"reading {path}", starting=True):
        found = path.resolve()
        if not is_lake and (found / FOLDERS[0] / "_delta_log").is_dir():
            raise SettingsError(f"{path} is a Delta lake", remedy=f"write delta:{path}")
        for folder in (found, *found.parents):
            if folder.name in FOLDERS and (folder.parent / STAGING).is_dir():
                raise SettingsError(
                    f"{path} lies inside the dataset {folder.parent}", remedy="load into another directory"
                )


class HeldLock:
    """A lock that is held for as long as its file stands where it was locked; made while the file is locked."""

    def __init__(self, lock_file: Path, where: str) -> None:
        self._lock_file, self._where = lock_file, where
        self._locked = lock_file.lstat()  # its number goes to no other file while this one is open

    def stands(self) -> bool:
        """Return whether the file is still the one that was locked."""
        with suppress(OSError):
            return os.path.samestat(self._lock_file.lstat(), self._locked)
        return False

    def check(self) -> None:
        """Make sure that nobody removed or moved the destination, and its lock with it: another run may be there.

        Raises:
            DestinationError: somebody did.
        """
        if not self.stands():
            raise DestinationError(
                f"{self._where} was removed, moved or replaced while the run went on", remedy="run again"
            )


@contextmanager
def exclusive(lock_file: Path, where: str, *, remove: bool = False) -> Iterator[HeldLock]:
    """Hold `lock_file` while the block runs, or fail at once; `where` names the destination in messages.

    The operating system releases it when the process dies, so a file that was left locks nothing. With `remove` the
    file is gone afterwards; it is unlinked while the lock is held, which those who opened it before notice.

    Raises:
        DestinationBusy: another run holds it.
        SettingsError: the lock file can't be made, or is a link.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(lock_file, thread_local=False)  # it may be released by another thread than the one that took it
    with os_errors(f"locking {where}", starting=True):
        os.stat(f"{lock_file.parent}/")  # noqa: PTH116 - a file there is no directory, and `filelock` would make a directory that is missing
        if lock_file.is_symlink():
            raise SettingsError(f"{lock_file} is a link, not a lock of this product", remedy="remove it and run again")
        with suppress(Timeout):
            lock.acquire(blocking=False)
        held = HeldLock(lock_file, where) if lock.is_locked else None
    if held is None:
        raise DestinationBusy(
            f"{where} is in use by another run", remedy="wait until it has ended, or load somewhere else"
        )
    try:
        yield held
    finally:
        with suppress(OSError):  # a lock that can't be released ends with the process
            if remove and held.stands():
                lock_file.unlink()
        with suppress(OSError):
            lock.release()
