"""Ctrl-C, SIGTERM and SIGHUP: a run stops reading at once, and loads the tags that it has read completely.

Who signals again gives a destination that hangs some seconds more.

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

_LONGEST = 10.0
"""Seconds that a run has for its end once a second signal came: a destination may hang."""

_ending = threading.Lock()


def end_at_once_on_signals() -> None:
    """From here on a signal ends the process, with the exit code and the word for it.

    This is for the time in which nothing is held that would have to be released. An exception would not do: raised in
    the middle of an import, it comes out as another one, or as a traceback that a library prints.
    """
    for number in _listened():
        signal.signal(number, _end_at_once)


def _end_at_once(_number: int = 0, _frame: FrameType | None = None) -> None:
    if not _ending.acquire(blocking=False):
        return  # a second signal while the first is being answered
    with suppress(OSError):
        os.write(2, b"error: interrupted\n")
    os._exit(ExitCode.INTERRUPTED)


@contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """Give the event that stops the run: a signal within the block sets it.

    A second one ends the process if the block is not left within some seconds, and further ones change nothing. Outside
    the main thread (a scheduler's worker) signals are left alone.
    """
    stop, again, over = (threading.Event() for _ in range(3))
    wanted = iter((stop, again))

    def answer(*_: object) -> None:
        if (event := next(wanted, None)) is not None:  # each is set once: the next signal may come while it is
            event.set()

    def end_what_hangs() -> None:
        again.wait()
        if not over.wait(_LONGEST):
            _end_at_once()

    in_main_thread = threading.current_thread() is threading.main_thread()
    before = {number: signal.signal(number, answer) for number in _listened() if in_main_thread}
    if before:
        threading.Thread(target=end_what_hangs, name="second signal", daemon=True).start()
    try:
        yield stop
    finally:
        over.set()
        again.set()
        for number, former in before.items():
            signal.signal(number, former)


def _listened() -> list[signal.Signals]:
    return [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
