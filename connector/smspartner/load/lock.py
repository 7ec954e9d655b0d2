"""Two runs on one destination exclude each other; a lock goes with the process that holds it."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from smspartner.errors import DestinationBusy
from smspartner.load.atomic import guarded

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def exclusive(lock_file: Path, where: str, *, remove: bool = False) -> Iterator[None]:
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
    try:
        yield
    finally:
        if remove:
            with suppress(OSError):  # Windows removes it on release instead
                lock_file.unlink()
        with suppress(OSError):  # a lock that can't be released ends with the process
            lock.release()


def _acquired(lock: FileLock, lock_file: Path) -> bool:
    lock_file.parent.stat()  # `filelock` would make a directory that is missing
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return False
    return True
