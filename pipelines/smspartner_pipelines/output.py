"""Standard output and standard error: the one is the result, the other is talk and log, and neither shows a secret.

All text of the process, also of others (tracebacks, warnings, libraries), goes through streams that hide secrets line
by line, before `rich` or a terminal breaks the line. What an encoding lacks is written escaped.
"""

from __future__ import annotations

import codecs
import logging
import os
import sys
import textwrap
import unicodedata
from contextlib import contextmanager
from datetime import UTC, datetime
from shutil import get_terminal_size
from threading import RLock
from typing import TYPE_CHECKING, Any, TextIO, cast

import click
from smspartner.redaction import REDACT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_LEVELS = ("warning", "info", "debug")
_LEVEL_OF_STYLE = {"yellow": logging.WARNING, "red": logging.ERROR}


class RedactingStream:
    """A text stream that passes on whole lines without secrets.

    A line that is not ended yet is held back, since a secret may be written in pieces, until it ends or is flushed.
    `may_fail` is for talk: what a full disk or a reader that has gone does not take is lost, and nothing is raised.
    """

    def __init__(self, stream: TextIO, *, may_fail: bool = False) -> None:
        self._stream = stream
        self._may_fail = may_fail
        self.failure: OSError | None = None
        """The last error of a write."""
        self._held = ""
        self._lock = RLock()

    def write(self, text: str) -> int:
        """Write the lines that end with this text."""
        with self._writing():
            lines, end, self._held = (self._held + text).rpartition("\n")
            if end:
                self._stream.write(REDACT(lines) + end)
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write texts, one after the other."""
        self.write("".join(lines))

    def flush(self) -> None:
        """Write also what is no whole line yet."""
        with self._writing():
            held, self._held = self._held, ""
            if held:
                self._stream.write(REDACT(held))
            self._stream.flush()

    def write_data(self, data: bytes) -> None:
        """Write bytes as they are."""
        with self._writing():
            self._stream.flush()
            self._stream.buffer.write(data)
            self._stream.buffer.flush()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._lock:
            try:
                yield
            except OSError as exc:
                self.failure = exc
                if not self._may_fail:
                    raise

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def prepare_standard_streams() -> None:
    """Make the streams of a process ready, to its very end: closed, broken, full, or of any encoding.

    Where standard error is closed, the next file to be opened would get its number, and what a library says to the user
    would be written into it. Where standard output is closed, writing to it fails. Both are buffered also under
    PYTHONUNBUFFERED: a write that the system takes in part is then completed.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    for descriptor, name, buffering in ((1, "stdout", -1), (2, "stderr", 1)):
        before = getattr(sys, name)
        encoding = "ascii" if before is None else before.encoding  # it is None where the stream is closed
        if codecs.lookup(encoding).name == "ascii":  # which click would replace, below the redaction
            encoding = "utf-8"
        mode = "r" if before is None and name == "stdout" else "w"
        opened: Any = os.fdopen(descriptor, mode, buffering, encoding, "backslashreplace", closefd=False)
        stream = RedactingStream(opened, may_fail=name == "stderr")
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def say(text: str, *, to_stdout: bool = False, style: str | None = None) -> None:
    """Write a line for people, on standard error unless it is the result; a terminal gets it wrapped between words.

    `style` is a colour of click's, for terminals that have not asked for none (NO_COLOR). A log in JSON gets the line
    as a record, whatever its level: yellow is a warning, red an error.
    """
    if not to_stdout and any(isinstance(one.formatter, _JsonFormatter) for one in logging.root.handlers):
        level = _LEVEL_OF_STYLE.get(style or "", logging.INFO)
        logging.root.handle(logging.root.makeRecord(__name__, level, __file__, 0, text, (), None))
        return
    stream = sys.stdout if to_stdout else sys.stderr
    if stream.isatty():
        wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)  # which take two columns
        wrap = textwrap.TextWrapper(max(get_terminal_size().columns - wide, 20), subsequent_indent="  ")
        wrap.break_long_words = wrap.break_on_hyphens = False
        text = wrap.fill(REDACT(text))
    if style and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb":
        text = click.style(text, fg=style)
    click.echo(text, err=not to_stdout)


def write_result(data: bytes) -> None:
    """Write bytes to standard output, as they are."""
    cast("RedactingStream", sys.stdout).write_data(data)


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


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """Write one record as a JSON object."""
        fields = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info or record.exc_text:  # a traceback that held a secret is text by now
            fields["exception"] = record.exc_text or self.formatException(record.exc_info)  # type: ignore[arg-type]
        return REDACT.json(fields, ensure_ascii=False)


def start_logging(verbose: int, level: str | None, style: str) -> None:
    """Send all log records of the process to stderr, from a level on that is named, or counted by `verbose`."""
    handler = logging.StreamHandler()
    text = logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    handler.setFormatter(_JsonFormatter() if style == "json" else text)
    logging.basicConfig(handlers=[handler], level=(level or _LEVELS[min(verbose, 2)]).upper(), force=True)
    logging.captureWarnings(capture=True)
