"""Write beside, fsync, move into place: a reader finds the old file or the new one, whatever dies when."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

from smspartner.errors import DestinationError
from smspartner_pipelines.load.destination import WrittenFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from _typeshed import ReadableBuffer

    from smspartner_pipelines.load.files import Content

T = TypeVar("T")
Given = TypeVar("Given", "StagedFile", "tuple[Path, Content]")

_CAUSES: dict[int, tuple[str, str]] = {
    errno.ENOSPC: ("the disk is full", "free some space and run again"),
    errno.EDQUOT: ("the disk quota is used up", "free some space and run again"),
    errno.EFBIG: ("the file is larger than this system allows", "raise the limit or load elsewhere"),
    errno.EROFS: ("the file system is read-only", "make it writable or load elsewhere"),
    errno.EACCES: ("permission is denied", "allow this user to write there or load elsewhere"),
    errno.EPERM: ("permission is denied", "allow this user to write there or load elsewhere"),
    errno.ENOENT: ("a directory of the path does not exist", "create it, or name another place"),
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
        self.target = target
        self._staged = staging / f".{target.name}.{secrets.token_hex(8)}.partial"
        self._size = 0
        self._discarded = self._moved = False
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

    def begin_sync(self) -> None:
        """Let the system begin to write it to the disk, beside whatever else is done before `sync`."""
        self._file.flush()
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(self._file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    def sync(self) -> None:
        """Make what was written durable."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def move(self) -> WrittenFile:
        """Move it onto the target; whoever calls this syncs the directory."""
        self._staged.replace(self.target)
        self._moved = True
        return WrittenFile(str(self.target), self._size, self._sha256.hexdigest())

    def commit(self) -> WrittenFile:
        """Make it durable, move it onto the target, and make the move durable."""
        try:
            self.sync()
            written = self.move()
            sync_directory(self.target.parent)
        except BaseException:
            self.discard()
            raise
        return written

    def discard(self) -> None:
        """Remove it, unless it was moved into place; never raises OSError."""
        self._discarded = True
        with suppress(OSError):
            self._file.close()
        if not self._moved:
            with suppress(OSError):
                self._staged.unlink(missing_ok=True)


def is_staged(path: Path, target: Path) -> bool:
    """Return whether `path` is a staged file for `target`, and for no other target."""
    return re.fullmatch(rf"\.{re.escape(target.name)}\.[0-9a-f]{{16}}\.partial", path.name) is not None


def replace_file(target: Path, content: Content, *, staging: Path) -> WrittenFile:
    """Put `content`, or what the callback writes, in the place of `target`, by way of a file in `staging`.

    Raises:
        DestinationError: it can't be written; the old target is untouched and nothing is left in `staging`.
    """
    (written,) = replace_files([(target, content)], staging=staging)
    return written


def replace_files(contents: Iterable[tuple[Path, Content]], *, staging: Path) -> Iterator[WrittenFile]:
    """Put contents in the places of their targets, each in one step for readers; yield them once all are durable.

    Many take half the time of one by one: the disk is busy with one while the next is made, and each directory is
    synced once.

    Raises:
        DestinationError: one can't be written, after those before it were yielded; the other old targets are untouched.
            Nothing is left in `staging`.
    """
    with ExitStack() as held:

        def stage(content: tuple[Path, Content]) -> StagedFile:
            return held.enter_context(_staged(*content, staging))

        staged, unmade = _until_failure(stage, contents)
        synced, unsynced = _until_failure(StagedFile.sync, staged)
        moved, unmoved = _until_failure(StagedFile.move, staged[: len(synced)])
        for directory in {file.target.parent for file in staged[: len(moved)]}:
            guarded(f"writing into {directory}", lambda: sync_directory(directory))  # noqa: B023 - called at once
    yield from moved
    failure = unmoved or unsynced or unmade
    if failure is not None:
        raise failure


def _until_failure(act: Callable[[Given], T], given: Iterable[Given]) -> tuple[list[T], DestinationError | None]:
    """Act on what is given; return what came of it, and what ended it early."""
    done = []
    for one in given:
        target = one.target if isinstance(one, StagedFile) else one[0]
        try:
            done.append(guarded(f"writing {target}", lambda: act(one)))  # noqa: B023 - called at once
        except DestinationError as failure:
            return done, failure
    return done, None


def _staged(target: Path, content: Content, staging: Path) -> StagedFile:
    file = StagedFile(target, staging)
    try:
        if isinstance(content, bytes):
            file.write(content)
        else:
            content(file)
        file.begin_sync()
    except BaseException:
        file.discard()
        raise
    return file


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
