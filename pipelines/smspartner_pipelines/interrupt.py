"""Ctrl-C, SIGTERM and SIGHUP: a run stops reading at once, and loads the tags that it has read completely.

A signal that was ignored when the process began stays ignored: `nohup` and background jobs mean it.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from smspartner_schemas.contract import ExitCode

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""What ends a run: the user, a scheduler, the terminal that went away (which Windows does not signal)."""

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
        return  # a second signal while the first is being answered
    with suppress(OSError):
        os.write(2, b"error: interrupted\n")
    os._exit(ExitCode.INTERRUPTED)


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """Give the event that stops the run; a signal within the block sets it, and further ones change nothing.

    Outside the main thread (a scheduler's worker) signals are left alone.
    """
    stop = threading.Event()
    in_main_thread = threading.current_thread() is threading.main_thread()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in _listened() if in_main_thread}
    try:
        yield stop
    finally:
        for number, former in before.items():
            signal.signal(number, former)


def _listened() -> list[signal.Signals]:
    return [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
