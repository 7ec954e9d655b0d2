"""Rows of a destination, read in large pieces to be counted or judged; what can't be read is noted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa
from smspartner_schemas.contract import Table

from smspartner_pipelines.load.destination import Damage, Destination

AT_LEAST = 500_000
"""Rows of a piece: a pass over few of them costs as much as one over thousands."""


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
        if rows >= AT_LEAST:
            yield pa.concat_tables(parts).combine_chunks()
            parts, rows = [], 0
    if rows:
        yield pa.concat_tables(parts).combine_chunks()
