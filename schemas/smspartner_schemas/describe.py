"""The contract for people and programs: as a Markdown table, as JSON, and as sources of dbt."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import datetime
from typing import TYPE_CHECKING, Any

from smspartner_schemas.contract import ACCEPTED, CONTRACT_VERSION, PHONE_PATTERNS, STATE_TABLES, TABLES, TAG_RUNS
from smspartner_schemas.sql import CAMPAIGNS, CAMPAIGNS_MEANING, CAMPAIGNS_NAME, WAREHOUSE_TABLES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from smspartner_schemas.contract import Column, ColumnType, Table

_ARROW_NAMES: dict[ColumnType, str] = {"timestamp": "timestamp[us, UTC]", "strings": "list of string"}

_DBT_HEAD = f"""\
# The tables that `smspartner run` loads into DuckDB and PostgreSQL, as sources of dbt 1.10.6 or later.
# Written by `smspartner schema --format dbt`, contract version {CONTRACT_VERSION}. Write it anew rather than change it.
version: 2

sources:
  - name: smspartner
    description: "Delivery statuses of SMS Partner, replaced by tag."
    # PostgreSQL: the first schema of the search path. If it is not `public`, name it in dbt_project.yml:
    # vars: {{smspartner_schema: sms}}
    schema: "{{{{ var('smspartner_schema', 'main' if target.type == 'duckdb' else 'public') | as_text }}}}"
    tables:"""

_DBT_FRESHNESS = f"""\
        config:
          # When a run last asked for a tag, and got an answer that counts. `extracted_at` would be wrong: in the row
          # of a skipped tag it is that of an older reading. The limits fit a run a day; for one an hour, say
          # `vars: {{smspartner_warn_after: 3, smspartner_error_after: 6}}` in dbt_project.yml.
          loaded_at_field: asked_at
          freshness:
            filter: "verdict in {tuple(sorted(ACCEPTED))}"
            warn_after: {{count: "{{{{ var('smspartner_warn_after', 26) }}}}", period: hour}}
            error_after: {{count: "{{{{ var('smspartner_error_after', 50) }}}}", period: hour}}"""

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


def as_dbt_sources() -> str:
    """Return what a database holds as a file of sources for dbt (YAML): tables, the view, their tests and freshness.

    Tests are those that dbt has without a package: not_null, accepted_values and unique, also of a key of several
    columns. Every text is in double quotes, as JSON writes it, which is YAML, too.
    """
    lines = [_DBT_HEAD]
    for table in WAREHOUSE_TABLES:
        lines += _dbt_table(table.name, table.meaning, table.primary_key)
        lines += [_DBT_FRESHNESS] * (table is TAG_RUNS) + ["        columns:"]
        for column in table.columns:
            lines += _dbt_column(column.name, column.meaning, required=not column.nullable, allowed=column.allowed)
    lines += [*_dbt_table(CAMPAIGNS_NAME, CAMPAIGNS_MEANING, ("tag",)), "        columns:"]
    for name, _, meaning in CAMPAIGNS:
        lines += _dbt_column(name, meaning, required=name == "tag")
    return "\n".join(lines)


def _dbt_table(name: str, meaning: str, key: Iterable[str]) -> list[str]:
    expression = " || ' ' || ".join(key)
    return [
        f"      - name: {name}",
        f"        description: {_quoted(meaning)}",
        "        data_tests:",
        "          - unique:",
        f"              name: smspartner_{name}_key",
        f"              arguments: {{column_name: {_quoted(expression)}}}",
    ]


def _dbt_column(name: str, meaning: str, *, required: bool, allowed: Iterable[str] = ()) -> list[str]:
    tests = ["              - not_null"] * required
    if allowed:
        values = ", ".join(map(_quoted, allowed))
        tests += ["              - accepted_values:", f"                  arguments: {{values: [{values}]}}"]
    heading = ["            data_tests:"] if tests else []
    return [f"          - name: {name}", f"            description: {_quoted(meaning)}", *heading, *tests]


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
