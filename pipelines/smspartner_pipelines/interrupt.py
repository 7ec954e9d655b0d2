"""Ctrl-C and SIGTERM: a run that waits stops reading at once, and loads the tags that it has read whole."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable, Iterator
from types import FrameType
from typing import Any, Self, TypeVar

Item = TypeVar("Item")

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupt:
    """While entered, signals ask the run to end; a second one ends it wherever it is.

    Outside the main thread (a scheduler's worker, say) signals are not ours, and entering changes nothing.
    """

    def __init__(self) -> None:
        self._requested = False
        self._waiting = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._on_signal) for number in _SIGNALS}
        return self

    def __exit__(self, *exc_info: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if self._requested or self._waiting:
            raise KeyboardInterrupt
        self._requested = True

    def check(self) -> None:
        """End here, if that was asked for.

        Raises:
            KeyboardInterrupt: a signal came in.
        """
        if self._requested:
            raise KeyboardInterrupt

    def between(self, items: Iterable[Item]) -> Iterator[Item]:
        """Give the items; a signal ends the run while it waits for the next, or before it does."""
        iterator = iter(items)
        while True:
            self.check()
            self._waiting = True
            try:
                item = next(iterator)
            except StopIteration:
                return
            finally:
                self._waiting = False
            yield item
