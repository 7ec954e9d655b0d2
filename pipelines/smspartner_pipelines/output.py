"""Standard output and standard error: the one is the result, the other is talk, and neither ever shows a secret.

All text of the process, also of others (tracebacks, warnings, libraries), goes through the two streams below, which
hide secrets line by line, before `rich` or a terminal breaks the line. What an encoding lacks is written escaped.
"""

from __future__ import annotations

import codecs
import io
import os
import sys
import textwrap
from contextlib import contextmanager
from shutil import get_terminal_size
from threading import RLock
from typing import TYPE_CHECKING, Any, TextIO, cast

import click
from smspartner.redaction import REDACT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from _typeshed import ReadableBuffer


class OutputFailed(OSError):
    """Standard output did not take what was written to it."""


class _Result(io.FileIO):
    """Standard output, whose failure to take data is another error than the failures of other files."""

    def write(self, data: ReadableBuffer) -> int:
        try:
            return super().write(data)
        except OSError as error:
            number, why = error.errno, error.strerror
        raise OutputFailed(number, why)


class _Talk(io.FileIO):
    """Standard error, which may be full or have lost its reader: what it does not take is lost."""

    def write(self, data: ReadableBuffer) -> int:
        size = memoryview(data).nbytes
        try:
            return super().write(data) or size
        except OSError:
            return size


class _RedactingStream:
    """A text stream that passes on whole lines without secrets; bytes written to its `buffer` are data, and pass as is.

    A line that is not ended yet is held back, since a secret may be written in pieces, until it ends or is flushed.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._held = ""
        self._lock = RLock()

    def write(self, text: str) -> int:
        """Write the lines that end with this text."""
        with self._lock:
            lines, end, rest = (self._held + text).rpartition("\n")
            self._held = rest
            if end:
                self._stream.write(REDACT(lines) + end)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write texts, one after the other."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Write also what is no whole line yet."""
        with self._lock:
            held, self._held = self._held, ""
            if held:
                self._stream.write(REDACT(held))
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def prepare_standard_streams() -> None:
    """Make the streams of a process ready, to its very end: closed, broken, full, or of any encoding.

    Where standard error is closed, the next file to be opened would get its number, and what a library says to the user
    would be written into it.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    for name, file in (("stdout", _Result(1, "wb", closefd=False)), ("stderr", _Talk(2, "wb", closefd=False))):
        stream = redacting(_through(file, getattr(sys, name)))
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _through(file: io.FileIO, stream: TextIO) -> TextIO:
    """Return `stream` with `file` beneath it, unless it is closed (then there is none) or a Windows console.

    It is buffered also where Python was asked to leave that out (PYTHONUNBUFFERED): a write that the system takes in
    part is then completed. Who prints flushes.
    """
    buffer = getattr(stream, "buffer", None)
    if not isinstance(stream, io.TextIOWrapper) or not isinstance(getattr(buffer, "raw", buffer), io.FileIO):
        return stream
    ascii_only = codecs.lookup(stream.encoding).name == "ascii"  # which click would replace, below the redaction
    line_by_line = stream.line_buffering or stream.write_through
    encoding = "utf-8" if ascii_only else stream.encoding
    return io.TextIOWrapper(io.BufferedWriter(file), encoding, "backslashreplace", line_buffering=line_by_line)


def redacting(stream: TextIO) -> TextIO:
    """Give the stream that redacts for this one; none for none, and a stream that redacts is its own."""
    if stream is None or isinstance(stream, _RedactingStream):
        return stream
    return cast("TextIO", _RedactingStream(stream))


@contextmanager
def redacted_output() -> Iterator[None]:
    """Redact standard output and standard error while entered."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = map(redacting, before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def say(text: str, *, to_stdout: bool = False, style: str | None = None) -> None:
    """Write a line for people, on standard error unless it is the result; a terminal gets it wrapped between words.

    `style` is a colour of click's, for terminals that have not asked for none (NO_COLOR).
    """
    stream = sys.stdout if to_stdout else sys.stderr
    if stream is None:
        return
    if stream.isatty():
        width = get_terminal_size().columns
        wrap = textwrap.TextWrapper(width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
        text = "\n".join(wrap.wrap(REDACT(text))) if len(text) > width else text
        plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        text = click.style(text, fg=style) if style and not plain else text
    click.echo(text, err=not to_stdout)


def text_table(names: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[str] = ()) -> Iterator[str]:
    """Give rows under the names of their columns, one line each at any width; `numbers` are columns set to the right.

    `rich` lays out a table of 20,000 rows in 5 s, this in 0.1 s; and a line that is never broken can be searched.
    """
    from rich.cells import cell_len

    lines = [tuple(names), *(tuple(map(_printable, row)) for row in rows)]
    widths = [max(map(cell_len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = []
        for name, text, width in zip(names, line, widths, strict=True):
            space = " " * (width - cell_len(text))
            cells.append(space + text if name in numbers else text + space)
        yield "  ".join(cells).rstrip()


def _printable(text: str) -> str:
    """Hide secrets, before they make a column wide, and what would move the cursor."""
    return "".join(sign if sign.isprintable() else "?" for sign in REDACT(text))


def counted(number: int, noun: str) -> str:
    """Give a number with its noun: `1 tag`, `2,000 rows`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def delivered_share(delivered: int, not_delivered: int, ko: int) -> str:
    """Give the delivered share of the messages whose status is final, in percent; empty where there are none."""
    final = delivered + not_delivered + ko
    return f"{100 * delivered / final:.1f} %" if final else ""
