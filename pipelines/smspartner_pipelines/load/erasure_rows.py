"""The records of erasures as rows of the table `erasures`, for destinations that are databases."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

import pyarrow as pa
from smspartner_schemas.arrow import arrow_schema
from smspartner_schemas.contract import ERASURES

from smspartner.erasure import Erasure

if TYPE_CHECKING:
    from collections.abc import Iterable

COUNTED = ("tags", "rows", "quarantined")
"""What is counted of an erasure once it is done."""


def erasures_table(erasures: Iterable[Erasure]) -> pa.Table:
    """Give records as rows; counts are null while an erasure goes on."""
    rows = [
        {"key_id": erasure.key_id, "number_hash": erasure.number_hash, "erased_at": erasure.erased_at}
        | {f"removed_{name}": erasure.removed.get(name) for name in COUNTED}
        for erasure in erasures
    ]
    return pa.Table.from_pylist(rows, schema=arrow_schema(ERASURES))


def erasures_of(rows: pa.Table) -> list[Erasure]:
    """Read records from rows."""
    return [
        Erasure(
            row["key_id"],
            row["number_hash"],
            row["erased_at"].astimezone(UTC),
            {name: row[f"removed_{name}"] for name in COUNTED if row[f"removed_{name}"] is not None},
        )
        for row in rows.to_pylist()
    ]
