"""The contract in the formats that people and programs ask for."""

from __future__ import annotations

import json

from smspartner_schemas.contract import TABLES, PhoneForm
from smspartner_schemas.sql import Dialect, ddl


def contract_as(style: str, dialect: Dialect, phone_form: PhoneForm) -> str:
    """Give the contract as `table` (Markdown), `json`, `sql` (of a dialect) or `gx` (a suite in its JSON format)."""
    if style == "sql":
        return ddl(dialect)
    if style == "gx":
        from smspartner_schemas.rules import suite

        return json.dumps(suite(phone_form), ensure_ascii=False, indent=2)
    from smspartner_schemas.describe import as_json, as_table

    if style == "json":
        return as_json()
    return "\n\n".join(f"## {table.name}\n\n{table.meaning}\n\n{as_table(table)}" for table in TABLES)
