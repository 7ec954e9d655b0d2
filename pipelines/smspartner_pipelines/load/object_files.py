"""The files of a dataset in an object store (S3, Google Cloud Storage, Azure), by obstore."""

from __future__ import annotations

import hashlib
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING

from smspartner.errors import SettingsError

from smspartner_pipelines.load.destination import WrittenFile
from smspartner_pipelines.load.layout import FOLDERS, NOT_FOREIGN, STAGING
from smspartner_pipelines.load.lease import FOLDER as LOCK
from smspartner_pipelines.load.lease import SECONDS, Lease
from smspartner_pipelines.load.object_errors import store_errors
from smspartner_pipelines.load.object_store import open_store
from smspartner_pipelines.load.parquet import TAIL, footer_size
from smspartner_pipelines.load.side_by_side import in_order

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

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
        self._locked = False
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
        self._lease.refuse_if_held()

    def exists(self) -> bool:
        """See `LocalFiles.exists`."""
        return bool(self._children() & {*FOLDERS} - {STAGING})

    @contextmanager
    def locked(self) -> Iterator[None]:
        """See `LocalFiles.locked`."""
        self._refuse_what_is_not_ours()
        with self._lease.held():
            self._locked = True
            yield

    def check_lock(self) -> None:
        """See `LocalFiles.check_lock`."""
        if self._locked:
            self._lease.check()

    def names(self, folder: str) -> list[str]:
        """See `LocalFiles.names`."""
        found: dict[str, None] = {}
        with store_errors(f"reading {self._uri}"):
            for chunk in self._store.list(f"{folder}/"):
                for one in chunk:
                    self._sizes[one["path"]] = one["size"]
                    found[one["path"].removeprefix(f"{folder}/").partition("/")[0]] = None
        return sorted(found)

    def read(self, name: str) -> bytes | None:
        """See `LocalFiles.read`."""
        with store_errors(f"reading {self.place(name)}"):
            try:
                return bytes(self._store.get(name).bytes())
            except FileNotFoundError:
                return None

    def tail(self, name: str) -> bytes | None:
        """See `LocalFiles.tail`; where the object was replaced since it was listed, it is read whole."""
        size = self._sizes.get(name)
        if size and size > TAIL:
            with store_errors(f"reading {self.place(name)}"):
                try:
                    end = bytes(self._store.get_range(name, start=size - TAIL, end=size))
                except FileNotFoundError:
                    return None
            if end[-4:] == b"PAR1" and footer_size(end) <= len(end):
                return end
        return self.read(name)

    def write(self, contents: Mapping[str, bytes]) -> list[WrittenFile]:
        """See `LocalFiles.write`: each is put there by one request."""

        def put(item: tuple[str, bytes]) -> WrittenFile:
            name, content = item
            self.check_lock()
            self._sizes.pop(name, None)
            with store_errors(f"writing {self.place(name)}"):
                self._store.put(name, content, use_multipart=False)
            return WrittenFile(self.place(name), len(content), hashlib.sha256(content).hexdigest())

        return list(in_order(put, contents.items(), at_once=_REQUESTS_AT_ONCE))

    def move(self, moves: Mapping[str, str]) -> None:
        """See `LocalFiles.move`: objects are copied within the store, then removed."""

        def copy(item: tuple[str, str]) -> None:
            name, target = item
            self.check_lock()
            self._sizes.pop(target, None)
            with store_errors(f"writing {self.place(target)}"):
                self._store.copy(name, target, overwrite=True)

        list(in_order(copy, moves.items(), at_once=_REQUESTS_AT_ONCE))
        self.remove(moves)

    def remove(self, names: Iterable[str]) -> None:
        """See `LocalFiles.remove`."""

        def delete(name: str) -> None:
            self.check_lock()
            with store_errors(f"removing {self.place(name)}"):
                try:
                    self._store.delete(name)
                except FileNotFoundError:
                    return

        list(in_order(delete, names, at_once=_REQUESTS_AT_ONCE))

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
