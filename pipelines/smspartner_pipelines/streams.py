"""Standard output and standard error, where the one is a result and the other only talk."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TextIO

    from _typeshed import ReadableBuffer


class OutputFailed(OSError):
    """Standard output did not take what was written to it."""


class _Result(io.FileIO):
    """A file whose failure to take data is told apart from the failures of other files."""

    def write(self, data: ReadableBuffer) -> int:
        try:
            return super().write(data)
        except OSError as error:
            number, why = error.errno, error.strerror
        raise OutputFailed(number, why)


class _Talk(io.FileIO):
    """A file that may be full or have lost its reader: what it does not take is lost."""

    def write(self, data: ReadableBuffer) -> int:
        size = memoryview(data).nbytes
        try:
            return super().write(data) or size
        except OSError:
            return size


def prepare_standard_streams() -> None:
    """Let no run fail because nobody hears it, nor write its files where a closed stream was.

    Where standard error is closed, the next file to be opened would get its number, and whatever a library says to the
    user would be written into it.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    sys.stdout = _through(_Result(1, "wb", closefd=False), sys.stdout)
    sys.stderr = _through(_Talk(2, "wb", closefd=False), sys.stderr)


def _through(file: io.FileIO, stream: TextIO) -> TextIO:
    """Return `stream` with `file` beneath it, unless it is closed (then there is none) or a Windows console.

    It is buffered also where Python was told to leave that out (PYTHONUNBUFFERED): a write that the system takes in
    part is then completed. Whoever prints flushes.
    """
    buffer = getattr(stream, "buffer", None)
    if not isinstance(stream, io.TextIOWrapper) or not isinstance(getattr(buffer, "raw", buffer), io.FileIO):
        return stream
    line_by_line = stream.line_buffering or stream.write_through
    return io.TextIOWrapper(io.BufferedWriter(file), stream.encoding, stream.errors, line_buffering=line_by_line)
