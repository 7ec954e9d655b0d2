"""The contract for people and programs: as a Markdown table, and as JSON."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import datetime
from typing import TYPE_CHECKING, Any

from smspartner_schemas.contract import CONTRACT_VERSION, PHONE_PATTERNS, STATE_TABLES, TABLES

if TYPE_CHECKING:
    from smspartner_schemas.contract import Column, ColumnType, Table

_ARROW_NAMES: dict[ColumnType, str] = {"timestamp": "timestamp[us, UTC]", "strings": "list of string"}

_ALWAYS = frozenset({"name", "type", "meaning", "nullable"})


def as_table(table: Table) -> str:
    """Return the columns of `table` as a Markdown table, one line each, without a line break at the end.

    Of a column that is limited to some words, these stand for its meaning.
    """
    lines = ["| column | Arrow type | null | meaning |", "|---|---|---|---|"]
    for column in table.columns:
        meaning = ", ".join(f"`{word}`" for word in column.allowed) or column.meaning.replace("|", "\\|")
        kind, null = _ARROW_NAMES.get(column.type, column.type), "yes" if column.nullable else "no"
        lines.append(f"| `{column.name}` | {kind} | {null} | {meaning} |")
    return "\n".join(lines)


def as_json() -> str:
    """Return the whole contract as JSON: version, tables, columns with everything that is stated of them.

    What is not stated of a column is left out. Dates are ISO 8601 with their offset. `phone_patterns` gives the
    pattern of `phone_number` for each form it may be kept in.
    """
    contract = {
        "contract_version": CONTRACT_VERSION,
        "phone_patterns": PHONE_PATTERNS,
        "tables": [_table(table) for table in TABLES],
        "state_tables": [_table(table) for table in STATE_TABLES],
    }
    return json.dumps(contract, indent=2, ensure_ascii=False)


def _table(table: Table) -> dict[str, Any]:
    return {
        "name": table.name,
        "meaning": table.meaning,
        "primary_key": list(table.primary_key),
        "columns": [_stated(column) for column in table.columns],
    }


def _stated(column: Column) -> dict[str, Any]:
    """Return the facts of `column` that say something; its name, type and nullability always do."""
    facts = {one.name: getattr(column, one.name) for one in fields(column)}
    said = [one.name for one in fields(column) if one.name in _ALWAYS or facts[one.name] is not one.default]
    return {name: facts[name].isoformat() if isinstance(facts[name], datetime) else facts[name] for name in said}
