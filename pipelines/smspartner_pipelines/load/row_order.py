"""The API's order of a tag's rows, kept beside tables that have no order.

A replay puts quarantined rows among the loaded ones in API order, and counts the occurrences of numbers by it. The key
(`phone_number`, `occurrence`) orders a tag's rows in one way only, so that their ranks in that order are enough to have
the other one back, whatever the database does to its tables. A tag without quarantine has no replay: nothing is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from smspartner_schemas.arrow import arrow_schema
from smspartner_schemas.contract import ROW_ORDER

if TYPE_CHECKING:
    from collections.abc import Iterable

    from smspartner.snapshot import Snapshot

_KEY = [("phone_number", "ascending"), ("occurrence", "ascending")]


def order_table(snapshots: Iterable[Snapshot]) -> pa.Table:
    """Give the rows of `row_order` for those of the snapshots that need one."""
    doubted = [snapshot for snapshot in snapshots if snapshot.quarantine.num_rows]
    ranks = [np.argsort(pc.sort_indices(snapshot.table, sort_keys=_KEY)) for snapshot in doubted]
    columns = {"tag": [snapshot.tag for snapshot in doubted], "ranks": ranks}
    return pa.table(columns, schema=arrow_schema(ROW_ORDER))


def in_api_order(rows: pa.Table, order: pa.Table) -> pa.Table:
    """Give a tag's rows in API order; by their key where no order is kept, or one of other rows."""
    by_key = rows.sort_by(_KEY)
    ranks = order["ranks"].combine_chunks().flatten()
    return by_key.take(ranks) if len(ranks) == by_key.num_rows else by_key
