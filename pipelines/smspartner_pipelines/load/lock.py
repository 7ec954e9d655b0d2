"""Two runs on one local destination exclude each other; a lock goes with the process that holds it."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from smspartner.errors import DestinationBusy, DestinationError, SettingsError

from smspartner_pipelines.load.files import os_errors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class HeldLock:
    """A lock that is held for as long as its file stands where it was locked."""

    def __init__(self, lock_file: Path, where: str) -> None:
        self._lock_file, self._where = lock_file, where
        self._identity = self._identify()

    def check(self) -> None:
        """Make sure that nobody removed or moved the destination, and its lock with it: another run may be there.

        Raises:
            DestinationError: somebody did.
        """
        if not self.stands():
            raise DestinationError(
                f"{self._where} was removed, moved or replaced while the run went on", remedy="run again"
            )

    def stands(self) -> bool:
        """Return whether the file is still the one that was locked."""
        return self._identity is not None and self._identify() == self._identity

    def _identify(self) -> tuple[int, int] | None:
        try:
            found = self._lock_file.lstat()
        except OSError:
            return None
        return found.st_dev, found.st_ino  # not given to another file while this one is open


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

    busy = False
    lock = FileLock(lock_file, thread_local=False)  # it may be released by another thread than the one that took it
    with os_errors(f"locking {where}", starting=True):
        os.stat(f"{lock_file.parent}/")  # noqa: PTH116 - a file there is no directory, and `filelock` would make a directory that is missing
        if lock_file.is_symlink():
            raise SettingsError(f"{lock_file} is a link, not a lock of this product", remedy="remove it and run again")
        try:
            lock.acquire(blocking=False)
        except Timeout:
            busy = True
    if busy:
        raise DestinationBusy(
            f"{where} is in use by another run", remedy="wait until it has ended, or load somewhere else"
        )
    held = HeldLock(lock_file, where)
    try:
        yield held
    finally:
        with suppress(OSError):  # a lock that can't be released ends with the process
            if remove and held.stands():
                lock_file.unlink()
        with suppress(OSError):
            lock.release()
