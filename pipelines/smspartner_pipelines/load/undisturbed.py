"""Calls of libraries that a signal would tear, in a thread of their own.

In the main thread, ADBC takes Ctrl-C for itself and cancels a statement at the first one, DuckDB turns what a handler
raises into an error of its own, and py4j is left in the middle of an answer.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_AGAIN = 0.2
"""Seconds after which what goes on in spite of being cancelled is cancelled again."""


class Undisturbed:
    """A thread that makes calls one after the other."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="undisturbed")

    def call(self, act: Callable[[], T], cancel: Callable[[], object]) -> T:
        """Return what `act` returns; an interruption cancels it, waits for its end and goes on."""
        begun = self._thread.submit(act)
        try:
            return begun.result()
        except KeyboardInterrupt:
            while not begun.done():  # a cancellation that comes between two statements of the act cancels neither
                cancel()
                wait([begun], timeout=_AGAIN)
            raise

    def end(self) -> None:
        """Let the thread end."""
        self._thread.shutdown()
