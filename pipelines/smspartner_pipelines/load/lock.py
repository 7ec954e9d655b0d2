"""Two runs on one destination exclude each other; a lock goes with the process that holds it."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from smspartner.errors import DestinationBusy, DestinationError
from smspartner_pipelines.load.atomic import guarded

if TYPE_CHECKING:
    from collections.abc import Iterator


class HeldLock:
    """A lock that is held for as long as its file stands where it was locked."""

    def __init__(self, lock_file: Path, where: str) -> None:
        self._lock_file = lock_file
        self._where = where
        self._identity = self._identify()

    def check(self) -> None:
        """Make sure that the file is still the one that was locked.

        Whoever removes a destination, or moves it away, takes the lock with it: another run may lock and load at the
        same place, and this one must not write there any more.

        Raises:
            DestinationError: it is gone, or another file.
        """
        if not self.stands():
            raise DestinationError(f"{self._where} was removed, moved or replaced while the run went on; run again")

    def stands(self) -> bool:
        """Whether the file is still the one that was locked."""
        return self._identity is not None and self._identify() == self._identity

    def _identify(self) -> tuple[int, int] | None:
        try:
            found = self._lock_file.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino  # not given to another file while this one is open


@contextmanager
def exclusive(lock_file: Path, where: str, *, remove: bool = False) -> Iterator[HeldLock]:
    """Hold `lock_file` while the block runs, or fail at once; `where` names the destination in messages.

    The operating system releases it when the process dies, so that a leftover file locks nothing. With `remove` the
    file is gone afterwards. It is unlinked while the lock is still held: whoever opened it before gets a lock on a file
    without a name, which `filelock` notices and does not take for the lock.

    Raises:
        DestinationBusy: another run, or another destination of this run, holds it.
        DestinationError: the lock file can't be made.
    """
    # Not per thread: a destination may be left by another thread than the one that entered it.
    lock = FileLock(lock_file, thread_local=False)
    busy = guarded(f"locking {where}", lambda: not _acquired(lock, lock_file))
    if busy:
        raise DestinationBusy(f"{where} is in use by another run; wait until it has ended, or load elsewhere")
    held = HeldLock(lock_file, where)
    try:
        yield held
    finally:
        if remove and held.stands():
            with suppress(OSError):  # Windows removes it on release instead
                lock_file.unlink()
        with suppress(OSError):  # a lock that can't be released ends with the process
            lock.release()


def is_held(lock_file: Path) -> bool:
    """Whether a process holds the lock now; a file that nobody holds is no lock."""
    if not lock_file.exists():
        return False
    try:
        with exclusive(lock_file, str(lock_file)):
            return False
    except DestinationBusy:
        return True
    except DestinationError:  # it can't be opened, which is told where it is needed
        return False


def holder(lock_file: Path) -> int | None:
    """Give the id of the process that holds the lock, where the system tells: on Linux, of this machine."""
    try:
        number = lock_file.stat().st_ino
        locks = Path("/proc/locks").read_text(encoding="ascii")
    except OSError:
        return None
    held = (line.split() for line in locks.splitlines() if "->" not in line)  # an arrow marks who waits for it
    return next((int(facts[4]) for facts in held if facts[5].endswith(f":{number}") and int(facts[4]) > 0), None)


def _acquired(lock: FileLock, lock_file: Path) -> bool:
    lock_file.parent.stat()  # `filelock` would make a directory that is missing
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return False
    return True
