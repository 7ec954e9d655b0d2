"""The boundary of the command line: whatever is written as text, by whomever, leaves the process redacted.

Tracebacks, warnings, log lines, what `http.client` prints when someone debugs it, and our own words all go through the
two streams below, which hide secrets line by line. A console hides them before it wraps and colours.
"""

from __future__ import annotations

import codecs
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import RLock
from typing import TYPE_CHECKING, Any, TextIO, cast

from smspartner.redaction import REDACT

if TYPE_CHECKING:
    from rich.console import Console


class _RedactingStream:
    """A text stream that passes on whole lines without secrets; bytes written to its `buffer` are data, and pass as is.

    A line that is not ended yet is held back, since a secret may be written in pieces, until it ends or is flushed.
    """

    def __init__(self, stream: TextIO) -> None:
        if codecs.lookup(stream.encoding or "utf-8").name == "ascii" and hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8")  # click would do so, on the bytes below this stream
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


def redact_output_for_good() -> None:
    """Redact standard output and standard error to the very end, when the interpreter falls back to its own names."""
    for name in ("stdout", "stderr"):
        stream = redacting(getattr(sys, name))
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def make_console(*, quiet: bool = False, stderr: bool = True) -> Console:
    """Make a console that hides secrets before it wraps a text, colours it, or reads markup."""
    from rich.console import Console
    from rich.text import Text

    class RedactingConsole(Console):
        def render_str(self, text: str, **options: Any) -> Text:
            return super().render_str(REDACT(text), **options)

    return RedactingConsole(stderr=stderr, quiet=quiet, highlight=False)
