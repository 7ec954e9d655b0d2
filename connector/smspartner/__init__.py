"""SMS Partner delivery statuses: complete or reported, typed, and ready for analytics.

    read_statuses    all rows of tags as one typed pandas frame
    iter_snapshots   one tag at a time, with verdict, rows and quarantine as pyarrow tables
    Connection       how to reach the API: key, base URL, pace, limits
    Rate             requests in a stretch of time, at most
    PhonePrivacy     phone numbers plain, masked or hashed
    Secret           a key that prints as `***`
    errors           the exceptions, with their facts as fields

Names are imported when they are first used, so that `import smspartner` is quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from smspartner import errors
    from smspartner.api import iter_snapshots, read_statuses
    from smspartner.api_key import read_api_key
    from smspartner.connection import Connection, Rate, parse_rate
    from smspartner.phone_numbers import PhonePrivacy
    from smspartner.redaction import Secret
    from smspartner.snapshot import Snapshot

__all__ = [
    "Connection",
    "PhonePrivacy",
    "Rate",
    "Secret",
    "Snapshot",
    "errors",
    "iter_snapshots",
    "parse_rate",
    "read_api_key",
    "read_statuses",
]

_HOMES = {
    "Connection": "connection",
    "PhonePrivacy": "phone_numbers",
    "Rate": "connection",
    "Secret": "redaction",
    "Snapshot": "snapshot",
    "iter_snapshots": "api",
    "parse_rate": "connection",
    "read_api_key": "api_key",
    "read_statuses": "api",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"smspartner.{_HOMES[name]}"), name)
    if name == "errors":
        return importlib.import_module("smspartner.errors")
    raise AttributeError(f"module 'smspartner' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
