"""Reading what a destination holds: opened without its lock, rows in large pieces; what can't be read is noted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import pyarrow as pa
from smspartner.errors import SettingsError
from smspartner_schemas.contract import Table

from smspartner_pipelines.load import open_destination
from smspartner_pipelines.load.destination import Damage, Destination

AT_LEAST = 500_000
"""Rows of a piece: a pass over few of them costs as much as one over thousands."""

_MOST_PARTS = 2_000
"""Parts of a piece: one of a few rows takes as much memory as one of a thousand."""


@contextmanager
def open_loaded(uri: str, *, shown: bool = False) -> Iterator[Destination]:
    """Open a destination to read what is loaded there; `shown`: a terminal says so meanwhile.

    Raises:
        SettingsError: it is an export, which keeps no tags, or nothing was ever loaded there (NothingLoaded).
        DestinationError: it can't be reached.
    """
    destination = open_destination(uri)
    if not destination.keeps_tags:
        raise SettingsError(
            f"{destination.uri} is an export, which keeps no tags", remedy="name a dataset or a database"
        )
    with ExitStack() as stack:
        stack.enter_context(destination.open(for_loading=False))
        if shown:
            from smspartner_pipelines.progress import reading

            stack.enter_context(reading(destination.uri))
        yield destination


def rows_in(
    destination: Destination, table: Table, columns: Sequence[str], damages: list[Damage]
) -> Iterator[pa.Table]:
    """Give these columns of a table of the contract, whole tags at a time, in pieces of one chunk a column.

    `damages` is added to.

    Raises:
        DestinationError: the destination can't be read at all.
    """
    parts: list[pa.Table] = []
    rows = 0
    for part in destination.scan(table, columns):
        if isinstance(part, Damage):
            damages.append(part)
            continue
        parts.append(part)
        rows += part.num_rows
        if rows >= AT_LEAST or len(parts) == _MOST_PARTS:
            yield pa.concat_tables(parts).combine_chunks()
            parts, rows = [], 0
    if rows:
        yield pa.concat_tables(parts).combine_chunks()
