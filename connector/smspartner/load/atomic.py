"""Write beside, fsync, move into place: a reader finds the old file or the new one, whatever dies when."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

from smspartner.errors import DestinationError
from smspartner.load.destinations import WrittenFile

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed import ReadableBuffer

    from smspartner.load.files import Sink

T = TypeVar("T")

_CAUSES: dict[int, tuple[str, str]] = {
    errno.ENOSPC: ("the disk is full", "free some space and run again"),
    errno.EDQUOT: ("the disk quota is used up", "free some space and run again"),
    errno.EFBIG: ("the file is larger than this system allows", "raise the limit or load elsewhere"),
    errno.EROFS: ("the file system is read-only", "make it writable or load elsewhere"),
    errno.EACCES: ("permission is denied", "allow this user to write there or load elsewhere"),
    errno.EPERM: ("permission is denied", "allow this user to write there or load elsewhere"),
    errno.ENOENT: ("a directory of the path does not exist", "create it and run again"),
    errno.ENOTDIR: ("a part of the path is a file, not a directory", "correct the path"),
    errno.EEXIST: ("a file stands where a directory is needed", "correct the path"),
    errno.EISDIR: ("a directory stands where a file is needed", "correct the path"),
    errno.ENAMETOOLONG: ("the name is too long", "choose a shorter one"),
    errno.ELOOP: ("a symbolic link stands in the way", "correct the path"),
    errno.EXDEV: ("its folders are on different file systems", "keep all of them on one"),
    errno.EIO: ("the disk reports an error", "check the disk or load elsewhere"),
    errno.EPIPE: ("whoever was reading it has stopped", "let it read to the end"),
}
"""What failed and what to do about it, in words, by error number."""


def destination_error(error: OSError, doing: str) -> DestinationError:
    """Say in one sentence what failed, where and what to do; `doing` names the act and the place."""
    cause, remedy = _CAUSES.get(error.errno or 0, (error.strerror or type(error).__name__, "mend this and run again"))
    return DestinationError(f"{doing} failed: {cause}; {remedy}")


def guarded(doing: str, act: Callable[[], T]) -> T:
    """Return what `act` returns.

    Raises:
        DestinationError: the operating system refused; raised outside the `except` block, which cuts the chain.
    """
    try:
        return act()
    except OSError as error:
        failure = destination_error(error, doing)
    raise failure


class StagedFile:
    """A file being written beside its target, on the same file system; nothing is seen of it until `commit`.

    It counts and hashes what is written. Its name is unique, so that two writers never share one, and hidden. A file
    that is replaced hands its permissions on. Its methods raise OSError; see `guarded`. What is written after `discard`
    goes nowhere, so that a format's writer can still be closed.
    """

    def __init__(self, target: Path, staging: Path) -> None:
        self._target = target
        self._staged = staging / f".{target.name}.{secrets.token_hex(8)}.partial"
        self._size = 0
        self._discarded = False
        self._sha256 = hashlib.sha256()
        self._file = self._staged.open("xb")
        with suppress(OSError):
            self._staged.chmod(target.stat().st_mode & 0o777)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.discard()

    closed = False
    """PyArrow asks every file whether it is; this one takes writes to the end."""

    def write(self, data: ReadableBuffer) -> int:
        """Append `data`; return its number of bytes."""
        if self._discarded:
            return memoryview(data).nbytes
        written = self._file.write(data)
        self._sha256.update(data)
        self._size += written
        return written

    def flush(self) -> None:
        """Hand what is buffered to the operating system."""
        if not self._discarded:
            self._file.flush()

    def commit(self) -> WrittenFile:
        """Make it durable, move it onto the target, and make the move durable."""
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._staged.replace(self._target)
            sync_directory(self._target.parent)
        except BaseException:
            self.discard()
            raise
        return WrittenFile(str(self._target), self._size, self._sha256.hexdigest())

    def discard(self) -> None:
        """Remove it, unless it was moved into place; never raises OSError."""
        self._discarded = True
        with suppress(OSError):
            self._file.close()
        with suppress(OSError):
            self._staged.unlink(missing_ok=True)


def is_staged(path: Path, target: Path) -> bool:
    """Return whether `path` is a staged file for `target`, and for no other target."""
    return re.fullmatch(rf"\.{re.escape(target.name)}\.[0-9a-f]{{16}}\.partial", path.name) is not None


def replace_file(target: Path, content: bytes | Callable[[Sink], object], *, staging: Path) -> WrittenFile:
    """Put `content`, or what the callback writes, in the place of `target`, by way of a file in `staging`.

    Raises:
        DestinationError: it can't be written; the old target is untouched and nothing is left in `staging`.
    """

    def act() -> WrittenFile:
        with StagedFile(target, staging) as staged:
            if isinstance(content, bytes):
                staged.write(content)
            else:
                content(staged)
            return staged.commit()

    return guarded(f"writing {target}", act)


def remove_file(target: Path) -> None:
    """Remove `target`, durably; that it is not there is no error.

    Raises:
        DestinationError: it can't be removed.
    """

    def act() -> None:
        with suppress(FileNotFoundError):
            target.unlink()
            sync_directory(target.parent)

    guarded(f"removing {target}", act)


def try_writing(target: Path, *, staging: Path) -> None:
    """Write a few bytes into a staged file for `target` and remove it; `target` is not touched.

    Raises:
        DestinationError: nothing can be written there.
    """

    def act() -> None:
        with StagedFile(target, staging) as staged:
            staged.write(b"can this be written?")
            staged.flush()

    guarded(f"writing into {staging}", act)


def make_directory(path: Path) -> None:
    """Make the directory `path` and what is missing above it, durably.

    Raises:
        DestinationError: it can't be made.
    """

    def act() -> None:
        missing = [folder for folder in (path, *path.parents) if not folder.exists()]
        path.mkdir(parents=True, exist_ok=True)
        for made in missing:
            with suppress(PermissionError):  # what may be written need not be readable, which syncing takes
                sync_directory(made.parent)

    guarded(f"creating {path}", act)


def sync_directory(directory: Path) -> None:
    """Make the names in `directory` durable."""
    if os.name == "nt":
        return  # Windows opens no directories and writes their entries through
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network file systems have nothing to sync
            raise
    finally:
        os.close(descriptor)
