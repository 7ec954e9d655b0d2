"""Files that a user names and that are read whole: what has no end, or never begins, is refused."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO


def read_small_file(path: str | Path, most: int) -> bytes:
    """Read a file of at most `most` bytes.

    Raises:
        OSError: it can't be read, is larger (as `/dev/zero` is), or is a pipe that nobody writes into; `strerror` says
            which.
        ValueError: its name holds a NUL.
    """
    with open(path, "rb", opener=_open_at_once) as file:
        content = read_bounded(file, most)
        if not content and stat.S_ISFIFO(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.ENODATA, "it is a pipe that nobody writes into")
        return content


def read_bounded(file: BinaryIO, most: int) -> bytes:
    """Read an open file of at most `most` bytes.

    Raises:
        OSError: it can't be read, or is larger; `strerror` says which.
    """
    content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"it is larger than {most // 1024:,} KB")
    return content


def _open_at_once(path: str, flags: int) -> int:
    """Open a file; a pipe, too, without waiting for somebody who writes."""
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    if hasattr(os, "O_NONBLOCK"):
        os.set_blocking(descriptor, True)
    return descriptor
