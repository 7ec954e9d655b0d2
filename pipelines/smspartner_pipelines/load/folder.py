"""The files of a dataset in a directory of this machine, under the system's own lock."""

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
    """See `Files`."""

    batch_rows = 20_000
    at_once = 8

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._lock: HeldLock | None = None

    def place(self, name: str = "") -> str:
        """See `Files.place`."""
        return str(self._path / name)

    def check(self) -> None:
        """See `Files.check`."""
        self._refuse_what_is_not_ours()
        existing = next(folder for folder in (self._path.absolute(), *self._path.absolute().parents) if folder.exists())
        staging = self._path / STAGING
        try_writing((staging if staging.is_dir() else existing) / "check")
        for folder in (self._path / name for name in FOLDERS):
            if folder.is_dir() and not os.access(folder, os.W_OK | os.X_OK):
                raise SettingsError(
                    f"{folder} can't be written", remedy="allow this user to write there, or load elsewhere"
                )

    def exists(self) -> bool:
        """See `Files.exists`."""
        with os_errors(f"reading {self._path}", starting=True):
            return (self._path / FOLDERS[0]).is_dir()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """See `Files.locked`."""
        self._refuse_what_is_not_ours()
        make_directory(self._path)
        with exclusive(self._path / ".lock", str(self._path)) as self._lock:
            with os_errors(f"preparing {self._path}", starting=True):
                for name in FOLDERS:
                    (self._path / name).mkdir(exist_ok=True)
            sync_directories([self._path])
            yield

    def check_lock(self) -> None:
        """See `Files.check_lock`."""
        if self._lock:
            self._lock.check()

    def names(self, folder: str) -> list[str]:
        """See `Files.names`."""
        with os_errors(f"reading {self._path / folder}"), suppress(FileNotFoundError):
            return sorted(os.listdir(self._path / folder))  # noqa: PTH208 - twice as fast, for thousands of files
        return []

    def read(self, name: str) -> bytes | None:
        """See `Files.read`."""
        with suppress(FileNotFoundError):
            return (self._path / name).read_bytes()
        return None

    def tail(self, name: str) -> bytes | None:
        """See `Files.tail`."""
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
        """See `Files.write`."""
        targets = {self._path / name: content for name, content in contents.items()}
        return replace_files(targets, staging=self._path / STAGING)

    def move(self, moves: Mapping[str, str]) -> None:
        """See `Files.move`."""
        for name, target in moves.items():
            with os_errors(f"writing {self._path / target}"):
                (self._path / name).replace(self._path / target)
        sync_directories((self._path / target).parent for target in moves.values())

    def remove(self, names: Iterable[str]) -> None:
        """See `Files.remove`."""
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
