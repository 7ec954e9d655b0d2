"""The tags of a destination, read one by one to be judged, whatever runs load there meanwhile."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import pyarrow as pa
from smspartner.errors import DestinationError
from smspartner_pipelines.load.destination import LoadedTag, ReadsTogether, StoredTag, TagStore
from smspartner_schemas.arrow import empty_table
from smspartner_schemas.contract import STATUSES

from smspartner_pipelines.tag_checks import READABLE, troubles_of


@dataclass(frozen=True)
class ReadTag:
    """A tag as it was read: `rows` in the contract's schema (none where they can't be judged), and what is wrong.

    `troubles` are the rules of whole tags that it breaks, each with what was found.
    """

    state: LoadedTag
    rows: pa.Table
    troubles: dict[str, str]


def read_together(store: TagStore) -> AbstractContextManager[object]:
    """Give a context in which many tags are read quickly."""
    return store.reading() if isinstance(store, ReadsTogether) else nullcontext()


def read_tags(store: TagStore, states: Mapping[str, LoadedTag]) -> Iterator[ReadTag]:
    """Read every tag of `states`, what the store says that it holds, in order; those in which something is wrong last.

    Such a tag is read twice: a run may have replaced it between its state and its rows, which is nobody's fault.

    Raises:
        DestinationError: the destination can't be read at all; a tag that can't is a finding.
    """
    doubted: dict[str, ReadTag] = {}
    for tag, state in sorted(states.items()):
        read = _read(store, state)
        if read.troubles:
            doubted[tag] = _without_rows(read)
        else:
            yield read
    now = store.loaded_tags() if doubted else {}
    for tag in doubted:
        if tag in now:
            yield _read(store, now[tag])


def _read(store: TagStore, state: LoadedTag) -> ReadTag:
    try:
        stored = store.stored_tag(state)
    except DestinationError as failure:
        if not store.exists():
            raise
        return ReadTag(state, empty_table(STATUSES), {READABLE: str(failure)})
    return _checked(stored)


def _checked(stored: StoredTag) -> ReadTag:
    troubles = troubles_of(stored)
    rows = stored.rows if stored.rows.schema.equals(empty_table(STATUSES).schema) else empty_table(STATUSES)
    return ReadTag(stored.state, rows, troubles)


def _without_rows(read: ReadTag) -> ReadTag:
    return ReadTag(read.state, empty_table(STATUSES), read.troubles)
