"""Calls of libraries that a signal would tear, in a thread of their own.

In the main thread ADBC takes Ctrl-C for itself and cancels a statement at the first one, and DuckDB turns what a signal
handler raises into an error of its own.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, wait
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_AGAIN = 0.2
_LONGEST = 5.0
"""Seconds after which a call that goes on in spite of an interruption is cancelled again, and after which it is left
alone: a server that is silent does not hear of a cancellation either."""


class Undisturbed:
    """Makes calls, one after the other."""

    left_alone = False
    """Whether a call was left alone: what it used is not to be touched any more."""

    def call(self, act: Callable[[], T], cancel: Callable[[], object]) -> T:
        """Return what `act` returns; an interruption cancels it and waits for its end, but not for ever."""
        outcome: Future[T] = Future()

        def work() -> None:
            try:
                outcome.set_result(act())
            except BaseException as error:  # noqa: BLE001 - it is raised where the result is waited for
                outcome.set_exception(error)

        threading.Thread(target=work, name="undisturbed", daemon=True).start()
        try:
            return outcome.result()
        except KeyboardInterrupt:
            self._end(outcome, cancel)
            raise

    def _end(self, outcome: Future[T], cancel: Callable[[], object]) -> None:
        self.left_alone = True
        latest = time.monotonic() + _LONGEST
        while not outcome.done() and time.monotonic() < latest:
            with suppress(KeyboardInterrupt):  # one more changes nothing
                threading.Thread(target=cancel, name="cancel", daemon=True).start()  # a silent server holds it up
                wait([outcome], timeout=_AGAIN)
        self.left_alone = not outcome.done()
