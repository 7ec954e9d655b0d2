"""The files of a dataset in an object store (S3, Google Cloud Storage, Azure), by obstore."""

from __future__ import annotations

import hashlib
import secrets
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

from obstore.exceptions import BaseError
from smspartner.errors import SettingsError

from smspartner_pipelines.load.destination import WrittenFile
from smspartner_pipelines.load.folder import FOLDERS, NOT_FOREIGN, STAGING
from smspartner_pipelines.load.lease import LOCK, SECONDS, Lease
from smspartner_pipelines.load.object_store import open_store, store_errors
from smspartner_pipelines.load.parquet import TAIL, holds_footer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

Given = TypeVar("Given")
Made = TypeVar("Made")

_REQUESTS_AT_ONCE = 16
_OURS = {*FOLDERS, LOCK}


class ObjectFiles:
    """A prefix of a bucket; see `LocalFiles`. There are no folders: an object's key begins with its folder's name."""

    batch_rows = 100_000
    at_once = 32

    def __init__(self, uri: str, *, lease_seconds: float = SECONDS) -> None:
        self._uri = uri.rstrip("/")
        self._store = open_store(self._uri)
        self._lease = Lease(self._store, self._uri, seconds=lease_seconds)
        self._sizes: dict[str, int] = {}

    def place(self, name: str = "") -> str:
        """See `LocalFiles.place`."""
        return f"{self._uri}/{name}" if name else self._uri

    def check(self) -> None:
        """See `LocalFiles.check`."""
        probe = f"{STAGING}/check-{secrets.token_hex(8)}"
        with store_errors(f"writing into {self._uri}", starting=True):
            self._store.put(probe, b"can this be written?", use_multipart=False)
            self._store.get(probe)
            self._store.delete(probe)
        self._refuse_what_is_not_ours()
        with store_errors(f"reading {self._uri}", starting=True):
            self._lease.free_version()

    def exists(self) -> bool:
        """See `LocalFiles.exists`."""
        return bool(self._children() & {*FOLDERS} - {STAGING})

    @contextmanager
    def locked(self) -> Iterator[None]:
        """See `LocalFiles.locked`."""
        self._refuse_what_is_not_ours()
        with self._lease.held():
            yield

    def check_lock(self) -> None:
        """See `LocalFiles.check_lock`."""
        self._lease.check()

    def names(self, folder: str) -> list[str]:
        """See `LocalFiles.names`."""
        with store_errors(f"reading {self._uri}"):
            found = {one["path"]: one["size"] for chunk in self._store.list(f"{folder}/") for one in chunk}
        self._sizes |= found
        return sorted({path.removeprefix(f"{folder}/").partition("/")[0] for path in found})

    def read(self, name: str) -> bytes | None:
        """See `LocalFiles.read`."""
        with store_errors(f"reading {self.place(name)}"), suppress(FileNotFoundError):
            return bytes(self._store.get(name).bytes())
        return None

    def tail(self, name: str) -> bytes | None:
        """See `LocalFiles.tail`; where the object was replaced since it was listed, it is read whole."""
        size = self._sizes.get(name, 0)
        if size > TAIL:
            with suppress(BaseError, OSError):  # reading the whole says what failed, if it still does
                end = bytes(self._store.get_range(name, start=size - TAIL, end=size))
                if holds_footer(end):
                    return end
        return self.read(name)

    def write(self, contents: Mapping[str, bytes]) -> list[WrittenFile]:
        """See `LocalFiles.write`: each is put there by one request."""

        def put(name: str) -> WrittenFile:
            self.check_lock()
            with store_errors(f"writing {self.place(name)}"):
                self._store.put(name, contents[name], use_multipart=False)
            return WrittenFile(self.place(name), len(contents[name]), hashlib.sha256(contents[name]).hexdigest())

        return _side_by_side(put, contents)

    def move(self, moves: Mapping[str, str]) -> None:
        """See `LocalFiles.move`: objects are copied within the store, then removed."""

        def copy(name: str) -> None:
            self.check_lock()
            with store_errors(f"writing {self.place(moves[name])}"):
                self._store.copy(name, moves[name], overwrite=True)

        _side_by_side(copy, moves)
        self.remove(moves)

    def remove(self, names: Iterable[str]) -> None:
        """See `LocalFiles.remove`."""

        def delete(name: str) -> None:
            self.check_lock()
            with store_errors(f"removing {self.place(name)}"), suppress(FileNotFoundError):
                self._store.delete(name)

        _side_by_side(delete, names)

    def _children(self) -> set[str]:
        with store_errors(f"reading {self._uri}", starting=True):
            found = self._store.list_with_delimiter()
        paths = [*found["common_prefixes"], *(one["path"] for one in found["objects"])]
        return {path.rstrip("/").rpartition("/")[2] for path in paths}

    def _refuse_what_is_not_ours(self) -> None:
        scheme, _, path = self._uri.partition("://")
        parts = path.split("/")
        for depth, part in enumerate(parts):
            above = f"{scheme}://{'/'.join(parts[:depth])}"
            if depth and part in FOLDERS and ObjectFiles(above)._children() & {LOCK}:
                raise SettingsError(f"{self._uri} lies inside the dataset {above}", remedy="load into another prefix")
        found = self._children()
        if not found & _OURS and found - NOT_FOREIGN:
            raise SettingsError(
                f"{self._uri} holds other objects and is no dataset of this product",
                remedy="name a new or an empty prefix",
            )


def _side_by_side(act: Callable[[Given], Made], given: Iterable[Given]) -> list[Made]:
    """Give `act` of each thing given; once one has failed, no more are begun."""
    with ThreadPoolExecutor(_REQUESTS_AT_ONCE, thread_name_prefix="load") as workers:
        return list(workers.map(act, given))
