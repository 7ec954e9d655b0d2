"""The folder of a Delta table's log: made durable after each commit, and mended after a power failure."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

from smspartner_pipelines.load.atomic import guarded, remove_file, sync_directory

if TYPE_CHECKING:
    from pathlib import Path

_STALE_SECONDS = 3600


class LogFolder:
    """The folder `path`, of which it is known what was made durable."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._synced: set[str] = set()

    def sync(self) -> None:
        """Make everything in it durable; the library that writes it leaves that to the system.

        Raises:
            DestinationError: the disk refused.
        """
        guarded(f"syncing {self.path}", self._sync)

    def _sync(self) -> None:
        with os.scandir(self.path) as entries:
            new = [entry.name for entry in entries if entry.name not in self._synced and entry.is_file()]
        for name in new:
            _sync_file(self.path / name)
        sync_directory(self.path)
        self._synced.update(name for name in new if name != "_last_checkpoint")  # the one that is replaced

    def drop_torn(self) -> None:
        """Remove the newest commit, or checkpoint, if its bytes never reached the disk when the power failed.

        Such a commit was not told to be made yet; without the checkpoint the log is read from the one before.

        Raises:
            DestinationError: it can't be read or removed.
        """
        commit = max(self.path.glob("*.json"), default=None)
        if commit is not None and not _is_whole(guarded(f"reading {commit}", commit.read_bytes)):
            remove_file(commit)
        checkpoint = max(self.path.glob("*.checkpoint.parquet"), default=None)
        if checkpoint is not None and not guarded(f"reading {checkpoint}", lambda: _is_parquet(checkpoint)):
            remove_file(self.path / "_last_checkpoint")
            remove_file(checkpoint)

    def remove_stale(self) -> None:
        """Remove what the library had half-written when its process died.

        Raises:
            DestinationError: it can't be removed.
        """
        for path in self.path.glob("*#*"):
            if time.time() - guarded(f"reading {path}", path.stat).st_mtime > _STALE_SECONDS:  # nobody's any more
                remove_file(path)


def _is_whole(content: bytes) -> bool:
    last = content.strip().rpartition(b"\n")[2]
    try:
        return isinstance(json.loads(last), dict)
    except ValueError:
        return False


def _is_parquet(path: Path) -> bool:
    """Tell whether a file begins and ends as one of Parquet does."""
    with path.open("rb") as file:
        first = file.read(4)
        file.seek(-min(4, path.stat().st_size), os.SEEK_END)
        return first == file.read(4) == b"PAR1"


def _sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
