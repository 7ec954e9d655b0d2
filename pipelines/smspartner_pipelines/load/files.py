"""Local files: written beside, synced and moved into place, so that a reader finds the old file or the new one."""

from __future__ import annotations

import errno
import glob
import hashlib
import os
import secrets
import stat
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from smspartner.errors import DestinationError, SettingsError, raise_alone

from smspartner_pipelines.load.destination import WrittenFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from _typeshed import ReadableBuffer

_SETTINGS: dict[int, tuple[str, str]] = {
    errno.EACCES: ("permission is denied", "allow this user to write there, or load elsewhere"),
    errno.EPERM: ("permission is denied", "allow this user to write there, or load elsewhere"),
    errno.EROFS: ("the file system is read-only", "make it writable, or load elsewhere"),
    errno.ENOENT: ("a directory of the path does not exist", "create it, or name another one"),
    errno.ENOTDIR: ("a part of the path is a file, not a directory", "correct the path"),
    errno.EEXIST: ("a file stands where a directory is needed", "correct the path"),
    errno.EISDIR: ("a directory stands where a file is needed", "correct the path"),
    errno.ENAMETOOLONG: ("the name is too long", "choose a shorter one"),
    errno.ELOOP: ("a symbolic link stands in the way", "correct the path"),
    errno.EXDEV: ("its folders are on different file systems", "keep all of them on one"),
}
_FAILURES: dict[int, tuple[str, str]] = {
    errno.ENOSPC: ("the disk is full", "free some space and run again"),
    errno.EDQUOT: ("the disk quota is used up", "free some space and run again"),
    errno.EFBIG: ("the file is larger than this system allows", "raise the limit, or load elsewhere"),
    errno.EIO: ("the disk reports an error", "check the disk, or load elsewhere"),
    errno.EPIPE: ("the program that reads it has stopped", "let it read to the end"),
}
"""What failed and what to do about it, by error number."""


@contextmanager
def os_errors(doing: str, *, starting: bool = False) -> Iterator[None]:
    """Say in our words what the operating system refuses in the block; `doing` names the act and the path.

    Raises:
        DestinationError: it refused. With `starting`, when nothing was loaded yet: SettingsError for rights and names.
    """
    try:
        yield
    except OSError as error:
        number = error.errno or 0
        cause, remedy = (_SETTINGS | _FAILURES).get(
            number, (error.strerror or type(error).__name__, "correct this and run again")
        )
        kind = SettingsError if starting and number in _SETTINGS else DestinationError
        raise_alone(kind(f"{doing} failed: {cause}", remedy=remedy))


class StagedFile:
    """A file that is being written beside its target; nothing is seen of it until `move`.

    It counts and hashes what is written. Its name is random and hidden, and is made by a call that follows no link.
    A file that is replaced hands its mode on, and its group where this user may give it. Methods raise OSError. What is
    written after `close` goes nowhere, so that a format's writer can still be closed.
    """

    closed = False
    """PyArrow asks every file whether it is; this one takes writes to the end."""

    def __init__(self, target: Path, folder: Path | None = None) -> None:
        self.target = target
        self._staged = (folder or target.parent) / f".{target.name}.{secrets.token_hex(8)}.partial"
        self._size = 0
        self._sha256 = hashlib.sha256()
        self._file = self._staged.open("xb")
        with suppress(OSError):
            _keep_rights(self._file.fileno(), target.lstat())

    def write(self, data: ReadableBuffer) -> int:
        """Append `data`; return its number of bytes."""
        size = memoryview(data).nbytes
        if not self._file.closed:
            self._file.write(data)
            self._sha256.update(data)
            self._size += size
        return size

    def flush(self) -> None:
        """Hand what is buffered to the operating system."""
        if not self._file.closed:
            self._file.flush()

    def begin_sync(self) -> None:
        """Let the system begin to write it to the disk while others are made: this halves the time of many files."""
        self._file.flush()
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(self._file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    def sync(self) -> None:
        """Make what was written durable."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def move(self) -> WrittenFile:
        """Move it onto the target; the caller syncs the directory."""
        self._staged.replace(self.target)
        return WrittenFile(str(self.target), self._size, self._sha256.hexdigest())

    def close(self) -> None:
        """Remove it, unless it was moved; never raises OSError."""
        with suppress(OSError):
            self._file.close()
        with suppress(OSError):
            self._staged.unlink(missing_ok=True)


def staged_for(target: Path) -> Iterator[Path]:
    """Find the staged files for `target`, and for no other target."""
    return target.parent.glob(f".{glob.escape(target.name)}.{'[0-9a-f]' * 16}.partial")


def _keep_rights(descriptor: int, old: os.stat_result) -> None:
    """Give a new file the group and mode of the one it replaces."""
    if not stat.S_ISREG(old.st_mode):
        return
    mode = stat.S_IMODE(old.st_mode) & 0o777
    if os.fstat(descriptor).st_gid != old.st_gid:
        try:
            os.fchown(descriptor, -1, old.st_gid)
        except OSError:
            mode &= ~stat.S_IRWXG  # what its group was allowed must not go to another group
    os.fchmod(descriptor, mode)


def replace_files(contents: Mapping[Path, bytes], *, staging: Path | None = None) -> list[WrittenFile]:
    """Put contents in the place of their targets, each in one step for readers; durable when this returns.

    Many together take half the time of one by one, and each directory is synced once. Staged files are made in
    `staging`, or beside their targets.

    Raises:
        DestinationError: one can't be written; all old files are untouched, unless it was their moving that failed.
    """
    with ExitStack() as held:
        staged, written = [], []
        for target, content in contents.items():
            with os_errors(f"writing {target}"):
                file = StagedFile(target, staging)
                held.callback(file.close)
                file.write(content)
                file.begin_sync()
                staged.append(file)
        for file in staged:
            with os_errors(f"writing {file.target}"):
                file.sync()
        for file in staged:
            with os_errors(f"writing {file.target}"):
                written.append(file.move())
        held.pop_all()
    sync_directories(target.parent for target in contents)
    return written


def sync_directories(folders: Iterable[Path]) -> None:
    """Make the names in folders durable.

    Raises:
        DestinationError: one can't be synced.
    """
    for folder in dict.fromkeys(folders) if os.name != "nt" else ():  # Windows writes the names through by itself
        with os_errors(f"writing into {folder}"):
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            except OSError as error:
                if error.errno != errno.EINVAL:  # some network file systems have nothing to sync
                    raise
            finally:
                os.close(descriptor)


def make_directory(path: Path) -> None:
    """Make the directory `path` and what is missing above it, durably.

    Raises:
        SettingsError: it can't be made.
    """
    with os_errors(f"creating {path}", starting=True):
        missing = [folder for folder in (path, *path.parents) if not folder.exists()]
        path.mkdir(parents=True, exist_ok=True)
    with suppress(DestinationError):  # a directory that may be written need not be readable, which syncing takes
        sync_directories(folder.parent for folder in missing)


def try_writing(target: Path) -> None:
    """Write a few bytes into a staged file beside `target` and remove it; `target` is not touched.

    Raises:
        SettingsError: this user may not, or the path is wrong.
        DestinationError: nothing can be written there, as on a full disk.
    """
    with os_errors(f"writing into {target.parent}", starting=True), closing(StagedFile(target)) as staged:
        staged.write(b"can this be written?")
        staged.flush()


def refuse_planted_link(path: Path) -> None:
    """Make sure that `path` follows no link which another user has put into a folder that everybody may write.

    Raises:
        SettingsError: it does: rows would land where that user wants them.
    """
    trusted = {0, os.geteuid()} if os.name != "nt" else set()
    with os_errors(f"reading {path}", starting=True):
        for part in (path.absolute(), *path.absolute().parents):
            if part.is_symlink() and part.lstat().st_uid not in trusted and part.parent.stat().st_mode & stat.S_IWOTH:
                raise SettingsError(
                    f"{part} is a link that another user has put there", remedy="remove it, or load elsewhere"
                )
