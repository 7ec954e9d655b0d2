"""Tables of `statuses` for the tests of what is derived from the contract."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from smspartner_schemas.arrow import arrow_schema
from smspartner_schemas.contract import STATUSES

READ_AT = datetime(2024, 11, 29, 8, 30, tzinfo=UTC)

GOOD = {
    "tag": "promo-nov",
    "phone_number": "+33639980001",
    "occurrence": 1,
    "country": "FR",
    "status": "delivered",
    "stop_sms": False,
    "status_at": datetime(2024, 11, 28, 9, 0, 0, 123456, tzinfo=UTC),
    "extracted_at": READ_AT,
    "run_id": "20241129T083000Z-0a1b",
}

Statuses = Callable[..., pa.Table]


@pytest.fixture
def statuses() -> Statuses:
    """Build a table: each argument is a row, given as what differs from a good one."""

    def build(*rows: dict[str, Any]) -> pa.Table:
        return pa.Table.from_pylist([GOOD | row for row in rows], schema=arrow_schema(STATUSES))

    return build
