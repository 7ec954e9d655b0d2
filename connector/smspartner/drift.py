"""Drift: what the API sends that its documentation does not show, named so that a report can count it.

It fails nothing by itself: a field may be new and harmless. But a field that is renamed shows up here as one that is
missing and one that is unknown, while its column quietly turns empty. No name holds a phone number.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from smspartner.redaction import plain_text

STOP_MISSING = "row without stopSMS"
DATE_MISSING = "delivered row without date"

MOST_NAMES = 20
"""Kept of one tag: a field that holds free text in the place of a status word would make a name a row."""

_LONGEST_NAME = 40
_TYPES = {bool: "boolean", int: "number", float: "number", str: "string", list: "array", dict: "object"}
_TYPE_BY_FIRST_BYTE = {b'"': "string", b"t": "boolean", b"f": "boolean", b"n": "null", b"[": "array", b"{": "object"}


def unknown_field(name: str) -> str:
    """Name a field of a row that no documentation shows."""
    return f"row field {_shown(name)}"


def retyped_field(name: str, kind: str) -> str:
    """Name a documented field of a row whose value has another JSON type."""
    return f"row field {name} as {kind}"


def unknown_word(word: str) -> str:
    """Name a status word that no documentation shows."""
    return f"status word {_shown(word)!r}"


def envelope_field(name: str, kind: str | None = None) -> str:
    """Name a field around the rows that is unknown, or has another JSON type than documented."""
    return f"envelope field {_shown(name)}" + (f" as {kind}" if kind else "")


def json_type(value: object) -> str:
    """Name the JSON type of a decoded value."""
    return _TYPES.get(type(value), "null")


def raw_json_type(raw: Any) -> str:
    """Name the JSON type of a value that is not decoded, and sound JSON."""
    return _TYPE_BY_FIRST_BYTE.get(bytes(memoryview(raw)[:1]), "number")


def bounded(drift: Counter[str]) -> tuple[tuple[str, int], ...]:
    """Give the counts by name, sorted; of very many names the most frequent, and the others together."""
    kept = dict(drift.most_common(MOST_NAMES))
    others = drift.total() - sum(kept.values())
    return (*sorted(kept.items()), *([("other drift", others)] if others else []))


def _shown(name: str) -> str:
    return plain_text(name, _LONGEST_NAME)
