"""The files of a dataset in an object store, over fsspec: each made in memory, and put there by one request."""

from __future__ import annotations

import hashlib
import io
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from smspartner.errors import DestinationError
from smspartner_pipelines.load.destination import WrittenFile
from smspartner_pipelines.load.files import STAGING
from smspartner_pipelines.load.lease import FOLDER as LOCK
from smspartner_pipelines.load.lease import SECONDS, Lease
from smspartner_pipelines.load.nesting import FOLDERS, NOT_FOREIGN
from smspartner_pipelines.load.object_errors import code_of, guarded_store, is_missing
from smspartner_pipelines.load.object_store import open_file_system
from smspartner_pipelines.load.parquet_format import footer_size
from smspartner_pipelines.load.side_by_side import in_order
from smspartner_pipelines.load.together import replace_together

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from smspartner_pipelines.load.files import Content, TagFiles

_FILES_AT_ONCE = 256
_TAGS_AT_ONCE = 8
_OURS = {*FOLDERS, LOCK}


class ObjectFiles:
    """A prefix of a bucket; see `FileStore`. There are no folders: an object's key begins with its folder's name."""

    batch_rows = 100_000
    keeps_index = True

    def __init__(self, uri: str, *, lease_seconds: float = SECONDS) -> None:
        self._uri = uri.rstrip("/")
        self._protocol = uri.partition("://")[0].lower()
        self._fs: Any = open_file_system(uri)
        self._root = self._fs._strip_protocol(self._uri).rstrip("/")
        self._lease_seconds = lease_seconds
        self._lease: Lease | None = None
        self._sizes: dict[str, int] = {}
        self._stamps: dict[str, str] = {}
        self._listed: dict[str, dict[str, str]] = {}

    def place(self, name: str = "") -> str:
        """Give a URI."""
        return f"{self._uri}/{name}" if name else self._uri

    def check(self) -> None:
        """Make sure that objects can be listed, written, read and removed."""
        self.prepare()
        probe = self._path(f"{STAGING}/check-{secrets.token_hex(8)}")

        def act() -> None:
            self._fs.pipe_file(probe, b"can this be written?")
            self._fs.cat_file(probe)
            self._fs.rm_file(probe)

        # That it is missing by the time it is read or removed: a run that began meanwhile has cleared it away.
        guarded_store(f"writing into {self._uri}", lambda: _unless_missing(act))

    def exists(self) -> bool:
        """Whether there is a dataset under the prefix."""
        return bool(self._children("") & _OURS)

    def prepare(self) -> None:
        """Make sure that the place is one for a dataset; nothing needs to be made."""
        parts = self._root.strip("/").split("/")
        for depth, part in enumerate(parts):
            parent = "/".join(parts[:depth])
            if depth and part in FOLDERS and self._children(LOCK, below=parent):
                raise DestinationError(f"{self._uri} lies inside the dataset {parent}; load into another place")
        found = self._children("")
        if not found & _OURS and found - NOT_FOREIGN:
            raise DestinationError(
                f"{self._uri} holds other objects and is no dataset of this product; name a new or an empty prefix"
            )

    @contextmanager
    def locked(self, where: str) -> Iterator[None]:
        """Hold a lease."""
        lease = Lease(self._fs, self._root, where, protocol=self._protocol, seconds=self._lease_seconds)
        with lease as self._lease:
            try:
                yield
            finally:
                self._listed.clear()

    def check_lock(self) -> None:
        """Make sure that the lease is still held."""
        if self._lease:
            self._lease.check()

    def stamps(self, folder: str) -> dict[str, str]:
        """List the objects of a folder with their ETags and sizes; who holds the lock lists each folder once."""
        if folder in self._listed:
            return dict(self._listed[folder])
        found = {}
        for info in self._list(self._path(folder)):
            name = info["name"].rsplit("/", 1)[-1]
            if info["type"] == "file" and name:
                found[name] = _stamp(info.get("ETag") or info.get("etag"), info["size"])
                self._sizes[f"{folder}/{name}"] = info["size"]
        if self._lease and folder != STAGING:
            self._listed[folder] = dict(found)
        return found

    def stamp(self, name: str) -> str:
        """Give the ETag and size of an object that was written."""
        return self._stamps.get(name, "")

    def has(self, name: str) -> bool:
        """Whether there is such an object."""
        folder, _, file = name.rpartition("/")
        if folder in self._listed:
            return file in self._listed[folder]

        def act() -> bool:
            return _unless_missing(lambda: self._fs.info(self._path(name))) is not None

        return guarded_store(f"reading {self.place(name)}", act)

    def read(self, name: str) -> bytes:
        """Read a whole object."""
        content: bytes = guarded_store(f"reading {self.place(name)}", lambda: self._fs.cat_file(self._path(name)))
        return content

    def source(self, name: str) -> pa.BufferReader:
        """Give an object's content."""
        return pa.BufferReader(self.read(name))

    def ends(self, folder: str, names: Sequence[str], size: int) -> Iterator[bytes | None]:
        """Read the ends of objects, many at once."""
        for start in range(0, len(names), _FILES_AT_ONCE):
            batch = [f"{folder}/{name}" for name in names[start : start + _FILES_AT_ONCE]]
            paths = [self._path(name) for name in batch]
            until = [self._sizes.get(name) or size for name in batch]
            ends = guarded_store(
                f"reading {self.place(folder)}",
                lambda: self._fs.cat_ranges(paths, [max(0, end - size) for end in until], until, on_error="return"),  # noqa: B023
            )
            for name, end in zip(batch, ends, strict=True):
                yield self._whole_footer(name, end)

    def make_folder(self, folder: str) -> None:
        """Make nothing: there are no folders."""

    def replace(self, name: str, content: Content) -> WrittenFile:
        """Put an object in place; what breaks while its content is made, or on the way, puts nothing there."""
        if not isinstance(content, bytes):
            sink = io.BytesIO()
            content(sink)
            content = sink.getvalue()
        self.check_lock()
        answer = guarded_store(f"writing {self.place(name)}", lambda: self._fs.pipe_file(self._path(name), content))
        etag = answer.get("ETag") if isinstance(answer, dict) else None
        self._note(name, _stamp(etag, len(content)))
        return WrittenFile(self.place(name), len(content), hashlib.sha256(content).hexdigest())

    def replace_tags(self, tags: Iterable[TagFiles]) -> Iterator[list[WrittenFile]]:
        """Put the files of a few tags in place side by side."""
        yield from in_order(lambda tag: replace_together(self, tag.name, tag.contents), tags, at_once=_TAGS_AT_ONCE)

    def move(self, name: str, target: str) -> None:
        """Copy an object within the store, then remove it."""
        self.check_lock()

        def act() -> None:
            self._fs.cp_file(self._path(name), self._path(target))
            self._note(target, self._stamps.get(name, ""))

        guarded_store(f"writing {self.place(target)}", lambda: _unless_missing(act))
        self.remove(name)

    def remove(self, name: str) -> None:
        """Remove an object."""
        self.check_lock()
        guarded_store(
            f"removing {self.place(name)}", lambda: _unless_missing(lambda: self._fs.rm_file(self._path(name)))
        )
        self._stamps.pop(name, None)
        folder, _, file = name.rpartition("/")
        self._listed.get(folder, {}).pop(file, None)

    def _note(self, name: str, stamp: str) -> None:
        folder, _, file = name.rpartition("/")
        self._stamps[name] = stamp
        self._sizes.pop(name, None)
        if folder in self._listed:
            self._listed[folder][file] = stamp

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root

    def _children(self, folder: str, *, below: str | None = None) -> set[str]:
        path = self._path(folder) if below is None else f"{below}/{folder}"
        names = {info["name"].rstrip("/") for info in self._list(path)}
        return {name.rsplit("/", 1)[-1] for name in names if name != path.rstrip("/")}

    def _list(self, path: str) -> list[dict[str, Any]]:
        def act() -> list[dict[str, Any]]:
            self._fs.invalidate_cache(path)
            return _unless_missing(lambda: self._fs.ls(path, detail=True)) or []

        return guarded_store(f"reading {self._uri}", act)

    def _whole_footer(self, name: str, end: bytes | Exception) -> bytes | None:
        """Return an end that holds the whole footer; where the object was replaced meanwhile, that of the new one."""
        if isinstance(end, bytes) and end[-4:] == b"PAR1" and len(end) >= footer_size(end):
            return end

        def act() -> bytes | None:
            if isinstance(end, Exception) and not is_missing(end) and code_of(end) != "InvalidRange":
                raise end
            content: bytes | None = _unless_missing(lambda: self._fs.cat_file(self._path(name)))
            return content

        return guarded_store(f"reading {self.place(name)}", act)


def _stamp(etag: object, size: int) -> str:
    return f"{str(etag).strip(chr(34))}-{size}" if etag else ""


def _unless_missing(act: Callable[[], Any]) -> Any:
    try:
        return act()
    except FileNotFoundError as error:
        if is_missing(error):
            return None
        raise
