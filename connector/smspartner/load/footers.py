"""What a Parquet footer says of a tag: the state that a later run judges by, read without reading rows."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from smspartner_schemas.contract import CONTRACT_VERSION

from smspartner.errors import DestinationError
from smspartner.load.atomic import guarded
from smspartner.load.destinations import LoadedTag

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

KEY = "smspartner"
"""The footer's key; its value is JSON."""

_MARK = b"\x18" + bytes([len(KEY)]) + KEY.encode() + b"\x18"
"""The key as it stands in a footer (Thrift's compact encoding), up to the length of its value."""

_FIRST_READ = 16 * 1024
"""Bytes from the end of a file: more than the footer of one row group takes."""

_FILES_AT_ONCE = 256
_READERS = 8


@dataclass(frozen=True)
class TagFile:
    """One tag's Parquet file, by its footer."""

    name: str
    state: LoadedTag


def footer_of(state: LoadedTag) -> dict[str, str]:
    """Return the key-value metadata for the files of a tag."""
    facts: dict[str, Any] = {"contract_version": CONTRACT_VERSION, **asdict(state)}
    del facts["consistent"]  # a judgement on two files, not a fact of one
    return {KEY: json.dumps(facts, default=datetime.isoformat)}


def read_tag_files(folder: Path, names: Sequence[str], *, skip_unreadable: bool = False) -> Iterator[TagFile]:
    """Yield what the footers of the files `names` in `folder` say.

    Threads read, since a network file system answers slowly.

    Raises:
        DestinationError: a file can't be read, is damaged, is not of this product, or is of a newer version of it;
            with `skip_unreadable`, only that it can't be read.
    """
    batches = [names[start : start + _FILES_AT_ONCE] for start in range(0, len(names), _FILES_AT_ONCE)]

    def read(batch: Sequence[str]) -> list[bytes]:
        return [_read_end(folder / name) for name in batch]

    with ThreadPoolExecutor(min(_READERS, len(batches)) or 1) as readers:
        for batch, ends in zip(batches, readers.map(read, batches), strict=True):
            for name, end in zip(batch, ends, strict=True):
                found = _tag_file(folder, name, end)
                if isinstance(found, TagFile):
                    yield found
                elif not skip_unreadable:
                    raise found


def _read_end(path: Path) -> bytes:
    def act() -> bytes:
        with path.open("rb", buffering=0) as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _FIRST_READ))
            end = file.read()
            footer = int.from_bytes(end[-8:-4], "little") + 8
            if len(end) < footer <= size:
                file.seek(size - footer)
                end = file.read()
            return end

    return guarded(f"reading {path}", act)


def _tag_file(folder: Path, name: str, end: bytes) -> TagFile | DestinationError:
    try:
        facts = json.loads(_value(end))
        newer = facts.pop("contract_version") > CONTRACT_VERSION
        state = None if newer else _state(facts)
    except (pa.ArrowException, OSError, LookupError, TypeError, ValueError, AttributeError):
        problem = "is damaged, or no file of this product; move it away (its tag is then read again) and run again"
    else:
        if state is not None:
            return TagFile(name, state)
        problem = "was written by a newer version of this product; update this installation"
    return DestinationError(f"{folder / name} {problem}")


def _value(end: bytes) -> bytes:
    """Return the value of our key in the footer at the end of a Parquet file.

    It is found by its mark, which takes a microsecond; PyArrow, which takes 70 to parse a whole footer, has the last
    word on whatever does not look as it writes it today.
    """
    size = int.from_bytes(end[-8:-4], "little") + 8
    start = end.find(_MARK, len(end) - size) if end[-4:] == b"PAR1" and size <= len(end) else -1
    if start >= 0:
        length, at = _varint(end, start + len(_MARK))
        if end[at + length] == 0:  # the key-value pair ends here
            return end[at : at + length]
    found: bytes = pq.read_metadata(pa.BufferReader(end)).metadata[KEY.encode()]
    return found


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Read a number, seven bits a byte, lowest first; return it and where it ends."""
    value = shift = 0
    while data[at] & 0x80:
        value |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
    return value | data[at] << shift, at + 1


def _state(facts: dict[str, Any]) -> LoadedTag:
    newest = facts["newest_status_at"]
    return LoadedTag(
        **facts
        | {
            "newest_status_at": None if newest is None else datetime.fromisoformat(newest),
            "extracted_at": datetime.fromisoformat(facts["extracted_at"]),
            "erased_places": tuple(facts.get("erased_places", ())),
        }
    )
