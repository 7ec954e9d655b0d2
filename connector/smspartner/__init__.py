"""SMS Partner delivery statuses: complete or reported, typed, and ready for analytics.

    read_statuses    all rows of tags as one typed pandas frame
    iter_snapshots   one tag at a time, with verdict, rows and quarantine as pyarrow tables
    Connection       how to reach the API: key, base URL, pace, limits
    Rate             requests in a stretch of time, at most
    PhonePrivacy     phone numbers plain, masked or hashed
    Secret           a key that prints as `***`
    errors           the exceptions, with their facts as fields
    __version__      the version that is installed

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
    from smspartner.privacy import PhonePrivacy
    from smspartner.redaction import Secret
    from smspartner.snapshot import Snapshot

    __version__: str
    """The version that is installed, such as `0.2.0`."""

__all__ = [
    "Connection",
    "PhonePrivacy",
    "Rate",
    "Secret",
    "Snapshot",
    "__version__",
    "errors",
    "iter_snapshots",
    "parse_rate",
    "read_api_key",
    "read_statuses",
]

_HOMES = {
    "api": ("iter_snapshots", "read_statuses"),
    "api_key": ("read_api_key",),
    "connection": ("Connection", "Rate", "parse_rate"),
    "privacy": ("PhonePrivacy",),
    "redaction": ("Secret",),
    "snapshot": ("Snapshot",),
}


if not TYPE_CHECKING:  # else a type checker takes any name for one of ours

    def __getattr__(name: str) -> Any:
        for home, names in _HOMES.items():
            if name in names:
                return getattr(importlib.import_module(f"smspartner.{home}"), name)
        if name == "__version__":
            from importlib.metadata import version

            return version("smspartner-connector")
        if name == "errors":
            return importlib.import_module("smspartner.errors")
        raise AttributeError(f"module 'smspartner' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
