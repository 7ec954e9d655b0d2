"""Two runs on one place in an object store exclude each other, by a lease: object stores know no locks.

Each holder has a numbered object, made by a request that creates and never overwrites, so that one of two runs wins a
number. The highest number holds. It counts until it is released, or was not renewed for the seconds it names, by the
store's clock. Numbers only rise: the highest object stays when its holder leaves.
"""

from __future__ import annotations

import json
import logging
import secrets
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from smspartner.errors import DestinationBusy, DestinationError
from smspartner_pipelines.load.object_errors import code_of, guarded_store, is_missing

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS = 60.0
FOLDER = ".lock"

_USABLE = 0.75
"""The part of a lease in which its holder writes: a request may take a while, and clocks may differ a little."""

_CLOCK_STEP = 1.0
"""Stores tell the times of objects in whole seconds."""

_CREATING: dict[str, dict[str, Any]] = {key: {"overwrite": False} for key in ("az", "abfs", "abfss")}
"""How a request says that it must not overwrite, by scheme; elsewhere as fsspec has it."""

_EXISTS = {"PreconditionFailed", "ConditionalRequestConflict"}

log = logging.getLogger(__name__)


def _clock() -> float:
    """Give seconds that also pass while the machine sleeps, where the system counts them."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


class Lease:
    """The lease of one run on `root`, entered once; `where` names the place in messages."""

    def __init__(self, fs: Any, root: str, where: str, *, protocol: str, seconds: float = SECONDS) -> None:
        self._fs = fs
        self._folder = f"{root}/{FOLDER}"
        self._where = where
        self._protocol = protocol
        self._seconds = seconds
        self._owner = secrets.token_hex(8)
        self._number = 0
        self._renewed = 0.0
        self._lost = False
        self._left = threading.Event()
        self._renewing = threading.Thread(target=self._renew_until_left, name="lease", daemon=True)

    def __enter__(self) -> Self:
        """Take the lease, and renew it from now on.

        Raises:
            DestinationBusy: another run holds it.
            DestinationError: the store fails.
        """
        highest = max(self._numbers(), default=0)
        if highest:
            self._refuse_if_held(highest)
        self._number = highest + 1
        self._renewed = _clock()
        if not self._doing(self._take_number) or max(self._numbers()) != self._number:
            raise self._busy(self._seconds)
        self._doing(self._warn_if_nothing_excludes)
        for number in self._numbers():
            if number < self._number:
                self._doing(lambda: self._remove(self._path(number)))  # noqa: B023
        self._renewing.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Release it; where that can't be told to the store, it runs out."""
        self._left.set()
        self._renewing.join()
        if not self._lost:
            with suppress(DestinationError):
                self._doing(lambda: self._fs.pipe_file(self._path(self._number), self._record(released=True)))

    def check(self) -> None:
        """Make sure that the lease is held.

        Raises:
            DestinationError: it could not be renewed in time, or another run has taken it.
        """
        if self._lost or _clock() - self._renewed > self._seconds * _USABLE:
            raise DestinationError(
                f"the lock on {self._where} was lost: it could not be renewed in time, and another run may be at work "
                "there; run again"
            )

    def _refuse_if_held(self, number: int) -> None:
        seconds_left = self._doing(lambda: self._seconds_left(number))
        if seconds_left > 0:
            raise self._busy(seconds_left)

    def _busy(self, seconds: float) -> DestinationBusy:
        return DestinationBusy(
            f"{self._where} is in use by another run; wait until it has ended, or load elsewhere "
            f"(if it was killed, its lock runs out in {max(seconds, 1):.0f} s)"
        )

    def _seconds_left(self, number: int) -> float:
        """Return how long a lease still lasts, by the store's own clock: the time it gives to an object made now."""
        clock = f"{self._folder}/clock-{self._owner}"
        try:
            record = self._read(number)
            if record.get("released"):
                return 0
            self._fs.pipe_file(clock, b"")
            age = self._fs.modified(clock) - self._fs.modified(self._path(number))
            return float(record.get("seconds", SECONDS)) + _CLOCK_STEP - float(age.total_seconds())
        except FileNotFoundError as error:
            if not is_missing(error):
                raise
            return self._seconds  # a later one was taken just now
        finally:
            self._remove(clock)

    def _take_number(self) -> bool:
        """Make the object of our number; return whether it is ours."""
        # An answer that was lost makes the library ask again, and what stands there is our own.
        return self._create() or self._read(self._number).get("owner") == self._owner

    def _create(self) -> bool:
        """Make the object of our number, unless there is one."""
        how = _CREATING.get(self._protocol, {"mode": "create"})
        try:
            self._fs.pipe_file(self._path(self._number), self._record(), **how)
        except Exception as error:
            exists = isinstance(error, FileExistsError) or type(error).__name__ == "ResourceExistsError"
            if not exists and code_of(error) not in _EXISTS:
                raise
            return False
        return True

    def _warn_if_nothing_excludes(self) -> None:
        """Try to create once more what is there: a store that lets us ignores the condition."""
        if self._create():
            log.warning(
                "%s can't create objects without overwriting: two runs that begin at the same moment may both load "
                "there; let a scheduler keep them apart",
                self._where,
            )

    def _renew_until_left(self) -> None:
        pause = self._seconds / 3
        while not self._left.wait(pause):
            began = _clock()
            try:
                self._fs.pipe_file(self._path(self._number), self._record())
                self._lost = max(self._numbers()) != self._number
            except Exception as error:  # noqa: BLE001 - whatever it is: `check` ends the run when the time is up
                log.warning("the lock on %s could not be renewed (%s)", self._where, type(error).__name__)
                pause = self._seconds / 10
                continue
            if self._lost:
                return
            self._renewed, pause = began, self._seconds / 3

    def _numbers(self) -> list[int]:
        def act() -> list[int]:
            try:
                found = self._fs.ls(self._folder, detail=False)
            except FileNotFoundError as error:
                if is_missing(error):
                    return []
                raise
            names = [path.rsplit("/", 1)[-1] for path in found]
            return [int(name) for name in names if name.isdecimal()]

        numbers: list[int] = self._doing(act)
        return numbers

    def _read(self, number: int) -> dict[str, Any]:
        try:
            record = json.loads(self._fs.cat_file(self._path(number)))
        except ValueError:
            return {}
        return record if isinstance(record, dict) else {}

    def _remove(self, path: str) -> None:
        with suppress(FileNotFoundError):
            self._fs.rm_file(path)

    def _path(self, number: int) -> str:
        return f"{self._folder}/{number:08}"

    def _record(self, *, released: bool = False) -> bytes:
        return json.dumps({"owner": self._owner, "seconds": self._seconds, "released": released}).encode()

    def _doing(self, act: Callable[[], Any]) -> Any:
        return guarded_store(f"locking {self._where}", act)
