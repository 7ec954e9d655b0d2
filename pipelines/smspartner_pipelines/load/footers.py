"""What a Parquet footer says of a tag: the state that a later run judges by, read without reading rows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from smspartner_schemas.contract import CONTRACT_VERSION

from smspartner.errors import DestinationError
from smspartner_pipelines.load.destination import LoadedTag
from smspartner_pipelines.load.parquet_format import footer_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from smspartner_pipelines.load.files import FileStore
    from smspartner_pipelines.load.footer_index import FooterIndex

KEY = "smspartner"
"""The footer's key; its value is JSON."""

_MARK = b"\x18" + bytes([len(KEY)]) + KEY.encode() + b"\x18"
"""The key as it stands in a footer (Thrift's compact encoding), up to the length of its value."""

_FIRST_READ = 16 * 1024
"""Bytes from the end of a file: more than the footer of one row group takes."""


@dataclass(frozen=True)
class TagFile:
    """One tag's Parquet file, by its footer."""

    name: str
    state: LoadedTag


def footer_of(state: LoadedTag) -> dict[str, str]:
    """Return the key-value metadata for the files of a tag."""
    return {KEY: json.dumps({"contract_version": CONTRACT_VERSION, **facts_of(state)})}


def facts_of(state: LoadedTag) -> dict[str, Any]:
    """Return what a footer says of a tag, as JSON takes it."""
    facts = dict(vars(state))
    del facts["consistent"]  # a judgement on two files, not a fact of one
    for name in ("newest_status_at", "extracted_at"):
        facts[name] = facts[name] and facts[name].isoformat()
    return facts


def state_from(facts: dict[str, Any]) -> LoadedTag:
    """Return the state that `facts_of` gave."""
    newest = facts["newest_status_at"]
    return LoadedTag(
        **facts
        | {
            "newest_status_at": None if newest is None else datetime.fromisoformat(newest),
            "extracted_at": datetime.fromisoformat(facts["extracted_at"]),
            "erased_places": tuple(facts.get("erased_places", ())),
        }
    )


def read_tag_files(
    files: FileStore, folder: str, stamps: Mapping[str, str], index: FooterIndex, *, skip_unreadable: bool = False
) -> Iterator[TagFile]:
    """Yield what the footers of files in `folder` say; `stamps` are the files and their stamps.

    What the index says of a file counts if its stamp is still the same.

    Raises:
        DestinationError: a file can't be read, is damaged, is not of this product, or is of a newer version of it;
            with `skip_unreadable`, only that it can't be read.
    """
    known = {name: index.footer(f"{folder}/{name}", stamp) for name, stamp in stamps.items()}
    unknown = [name for name, footer in known.items() if footer is None]
    for name, footer in known.items():
        if footer is not None:
            yield TagFile(name, footer)
    for name, end in zip(unknown, files.ends(folder, unknown, _FIRST_READ), strict=True):
        if end is None:  # removed since it was listed
            continue
        found = _tag_file(files.place(f"{folder}/{name}"), name, end)
        if isinstance(found, TagFile):
            index.note(f"{folder}/{name}", stamps[name], found.state)
            yield found
        elif not skip_unreadable:
            raise found


def _tag_file(place: str, name: str, end: bytes) -> TagFile | DestinationError:
    try:
        facts = json.loads(_value(end))
        newer = facts.pop("contract_version") > CONTRACT_VERSION
        state = None if newer else state_from(facts)
    except (pa.ArrowException, OSError, LookupError, TypeError, ValueError, AttributeError):
        problem = "is damaged, or no file of this product; move it away (its tag is then read again) and run again"
    else:
        if state is not None:
            return TagFile(name, state)
        problem = "was written by a newer version of this product; update this installation"
    return DestinationError(f"{place} {problem}")


def _value(end: bytes) -> bytes:
    """Return the value of our key in the footer at the end of a Parquet file.

    It is found by its mark, which takes a microsecond; PyArrow, which takes 70 to parse a whole footer, has the last
    word on whatever does not look as it writes it today.
    """
    size = footer_size(end)
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
