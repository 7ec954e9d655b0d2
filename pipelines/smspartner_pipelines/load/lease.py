"""Two runs on one place in an object store exclude each other by a lease: object stores know no locks.

The lease is one object, made by a request that creates and never overwrites, and changed by requests that name the
version they replace: of two runs one wins. It counts until it is released, or was not renewed for the seconds it names,
by the store's clock.
"""

from __future__ import annotations

import json
import logging
import secrets
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from obstore.exceptions import AlreadyExistsError, PreconditionError
from smspartner.errors import DestinationBusy, DestinationError

from smspartner_pipelines.load.object_store import store_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = 60.0
LOCK = ".lock"

_HOLDER = f"{LOCK}/holder.json"
_USABLE = 0.75
"""The part of a lease in which its holder writes: a request may take a while, and clocks may differ a little."""

_CLOCK_STEP = 1.0
"""Stores give the times of objects in whole seconds."""

log = logging.getLogger(__name__)


class Lease:
    """The lease of one run on what `store` holds; `where` names it in messages."""

    def __init__(self, store: Any, where: str, *, seconds: float = SECONDS) -> None:
        self._store, self._where, self._seconds = store, where, seconds
        self._owner = secrets.token_hex(8)
        self._counter = 0
        self._record = b""
        self._version: Any = "create"
        self._renewed: float | None = None
        self._lost = False
        self._left = threading.Event()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Take the lease, renew it while the block runs, and release it; a lease that can't be released runs out.

        Raises:
            DestinationBusy: another run holds it.
            SettingsError: the credentials do not allow it, or there is no such bucket.
            DestinationError: the store fails.
        """
        with store_errors(f"locking {self._where}", starting=True):
            self._version = self.free_version()
            if not self._put():
                raise self._busy(self._seconds)
            self._warn_if_nothing_excludes()
        renewing = threading.Thread(target=self._renew_until_left, name="lease", daemon=True)
        renewing.start()
        try:
            yield
        finally:
            self._left.set()
            renewing.join()
            if not self._lost:
                with suppress(DestinationError), store_errors("unlocking"):
                    self._put(released=True)

    def check(self) -> None:
        """Make sure that the lease is still held, if it ever was.

        Raises:
            DestinationError: it could not be renewed in time, or another run has taken it.
        """
        if self._lost or (self._renewed is not None and _clock() - self._renewed > self._seconds * _USABLE):
            raise DestinationError(
                f"the lock on {self._where} was lost: it could not be renewed in time, and another run may be there",
                remedy="run again",
            )

    def free_version(self) -> Any:
        """Return what a request must name to take the lease; the store's errors are not mapped yet.

        Raises:
            DestinationBusy: another run holds it.
        """
        record, version = self._read()
        left = 0 if version == "create" or record.get("released") else self._seconds_left(record)
        if left > 0:
            raise self._busy(left)
        return version

    def _busy(self, seconds: float) -> DestinationBusy:
        return DestinationBusy(
            f"{self._where} is in use by another run",
            remedy="wait until it has ended, or load somewhere else "
            f"(if it was killed, its lock runs out in {max(seconds, 1):.0f} s)",
        )

    def _seconds_left(self, record: dict[str, Any]) -> float:
        """Return how long a lease still lasts, by the time that the store gives to an object made now."""
        clock = f"{LOCK}/clock-{self._owner}"
        self._store.put(clock, b"", use_multipart=False)
        try:
            age = self._store.head(clock)["last_modified"] - self._store.head(_HOLDER)["last_modified"]
        finally:
            self._store.delete(clock)
        return float(record.get("seconds", SECONDS)) + _CLOCK_STEP - float(age.total_seconds())

    def _put(self, *, released: bool = False) -> bool:
        """Write our record over the version we know; return whether it stands there now."""
        began = _clock()
        self._counter += 1  # a version is a hash of the content: it must change
        ours = {"owner": self._owner, "counter": self._counter, "seconds": self._seconds, "released": released}
        self._record = json.dumps(ours).encode()
        try:
            version = _version_of(self._store.put(_HOLDER, self._record, mode=self._version, use_multipart=False))
        except (AlreadyExistsError, PreconditionError):
            # An answer that was lost makes the library ask again, and what stands there is our own.
            found, version = self._read()
            if found != ours:
                return False
        self._version, self._renewed = version, began
        return True

    def _read(self) -> tuple[dict[str, Any], Any]:
        """Read the record and its version: `create` where there is none."""
        try:
            found = self._store.get(_HOLDER)
            return dict(json.loads(bytes(found.bytes()))), _version_of(found.meta)
        except FileNotFoundError:
            return {}, "create"

    def _warn_if_nothing_excludes(self) -> None:
        """Try to create once more what is there: a store that lets us ignores the condition."""
        with suppress(AlreadyExistsError):
            self._store.put(_HOLDER, self._record, mode="create", use_multipart=False)
            log.warning(
                "%s can't create objects without overwriting: two runs that begin at the same moment may both load "
                "there; let a scheduler keep them apart",
                self._where,
            )

    def _renew_until_left(self) -> None:
        pause = self._seconds / 3
        while not self._lost and not self._left.wait(pause):
            try:
                with store_errors("renewing the lock"):
                    self._lost = not self._put()
                pause = self._seconds / 3
            except DestinationError as error:
                log.warning("the lock on %s could not be renewed: %s", self._where, error.what)
                pause = self._seconds / 10


def _version_of(found: Any) -> dict[str, Any]:
    return {name: found[name] for name in ("e_tag", "version") if found.get(name) is not None}


def _clock() -> float:
    """Give seconds that also pass while the machine sleeps, where the system counts them."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)
