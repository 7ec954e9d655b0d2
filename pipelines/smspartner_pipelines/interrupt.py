"""Ctrl-C, SIGTERM and SIGHUP: a run that waits stops reading at once, and loads the tags that it has read whole.

A signal that was ignored when the process began stays ignored: `nohup` and background jobs mean it.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from types import FrameType
from typing import Any, NoReturn, Self, TypeVar

from smspartner_pipelines.exit_codes import ExitCode

Item = TypeVar("Item")
Handler = Callable[[int, FrameType | None], Any]

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""What ends a run: the user, a scheduler, the terminal that went away (which Windows does not signal)."""


_SOON = 0.005
_ending = threading.Lock()


def end_at_once_on_signals() -> None:
    """From here on a signal ends the process, with the exit code and the word for it.

    This is for the time in which nothing is held that would have to be released. An exception would not do: raised in
    the middle of an import, it comes out as another one, or as a traceback that a library prints.
    """
    for number in _listened():
        signal.signal(number, _end_at_once)


def _end_at_once(_number: int, _frame: FrameType | None) -> None:
    if not _ending.acquire(blocking=False):
        return  # a second signal while the first is being answered: that goes on
    with suppress(OSError):
        os.write(2, b"error: interrupted\n")
    os._exit(ExitCode.INTERRUPTED)


@contextmanager
def raised() -> Iterator[None]:
    """Within the block, a signal raises KeyboardInterrupt."""

    def handler(_number: int, _frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    with _handled_by(handler):
        yield


@contextmanager
def _handled_by(handler: Handler) -> Iterator[None]:
    """Hand signals to `handler` within the block; outside the main thread (a scheduler's worker) they are not ours."""
    in_main_thread = threading.current_thread() is threading.main_thread()
    before = {number: signal.signal(number, handler) for number in _listened() if in_main_thread}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)


def _listened() -> list[signal.Signals]:
    return [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]


class Interrupt:
    """While entered, signals ask the run to end; nothing is torn from what must be released or written to its end.

    One signal ends the run where it waits, or else before it waits next. A second one also ends the work in hand,
    within `work`; whatever then cleans up and reports is left in peace by all that follow.
    """

    def __init__(self) -> None:
        self._requested = False
        self._working = False
        self._waiting = False
        self._before: tuple[int, bool, bool] | None = None
        self._former_hook = sys.unraisablehook
        self._handling: AbstractContextManager[None] = _handled_by(self._on_signal)

    def __enter__(self) -> Self:
        self._handling.__enter__()
        self._former_hook, sys.unraisablehook = sys.unraisablehook, self._on_unraisable
        return self

    def __exit__(self, *exc_info: object) -> None:
        sys.unraisablehook = self._former_hook
        self._handling.__exit__(None, None, None)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._before = (number, self._requested, self._working)
        again, self._requested = self._requested, True
        if again and self._working:
            self._working = False
            raise KeyboardInterrupt
        if self._waiting and not again:
            raise KeyboardInterrupt

    def _on_unraisable(self, unraisable: sys.UnraisableHookArgs) -> None:
        """Send a signal once more whose exception was lost: raised where Python tidies up, it goes no further."""
        if not issubclass(unraisable.exc_type, KeyboardInterrupt) or self._before is None:
            self._former_hook(unraisable)
            return
        number, self._requested, self._working = self._before
        main = threading.main_thread().ident
        if main is not None:  # not from here: it would be lost once more
            threading.Timer(_SOON, signal.pthread_kill, (main, number)).start()

    @contextmanager
    def work(self) -> Iterator[None]:
        """Mark the part of a run that a second signal may end anywhere."""
        self._working = True
        try:
            yield
        finally:
            self._working = False

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
            try:
                self._waiting = True  # before the check: a signal between the two must not be waited out
                self.check()
                item = next(iterator)
            except StopIteration:
                return
            finally:
                self._waiting = False
            yield item
