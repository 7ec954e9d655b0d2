"""SQL that creates the tables and the view: types, NOT NULL, allowed words, primary key, comments, index."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from smspartner_schemas.contract import CONTRACT_VERSION, STATE_TABLES, STATUS_WORDS, TABLES

if TYPE_CHECKING:
    from smspartner_schemas.contract import Column, ColumnType, Table

Dialect = Literal["duckdb", "postgresql"]

WAREHOUSE_TABLES = (*TABLES, *STATE_TABLES)
"""What a database holds, in the order in which it is made."""

_TYPES: dict[ColumnType, dict[Dialect, str]] = {
    "string": {"duckdb": "VARCHAR", "postgresql": "text"},
    "int32": {"duckdb": "INTEGER", "postgresql": "integer"},
    "int64": {"duckdb": "BIGINT", "postgresql": "bigint"},
    "float64": {"duckdb": "DOUBLE", "postgresql": "double precision"},
    "bool": {"duckdb": "BOOLEAN", "postgresql": "boolean"},
    "timestamp": {"duckdb": "TIMESTAMPTZ", "postgresql": "timestamptz"},
    "strings": {"duckdb": "VARCHAR[]", "postgresql": "text[]"},
}

CAMPAIGNS_NAME = "campaigns"
CAMPAIGNS_MEANING = "One row per tag that is loaded: how the campaign went, and whether it still goes on."

CAMPAIGNS: tuple[tuple[str, str, str], ...] = (
    ("tag", "l.tag", "the tag"),
    ("messages", "coalesce(s.messages, 0)", "rows loaded"),
    *((word, f"coalesce(s.{word}, 0)", f"rows loaded as {word.replace('_', ' ')}") for word in STATUS_WORDS),
    (
        "delivered_share",
        "CAST(s.delivered AS float8) / nullif(s.messages - s.waiting, 0)",
        "delivered among the rows that do not wait, from 0 to 1; null where there are none",
    ),
    ("opt_outs", "coalesce(s.opt_outs, 0)", "rows loaded of recipients who opted out"),
    ("rows_quarantined", "l.rows_quarantined", "rows in quarantine, which count in no other column"),
    ("first_delivery_at", "s.first_delivery_at", "the earliest `status_at` of a delivered message"),
    ("last_delivery_at", "s.last_delivery_at", "the latest `status_at` of a delivered message"),
    ("read_at", "l.extracted_at", "when the tag was read"),
    ("still_waiting", "l.waiting > 0", "whether messages wait for their final status"),
)
"""Each column of the view: name, expression, meaning; `l` is what is loaded of a tag, `s` what is counted."""

_COUNTS = ",\n".join(f"        count(*) FILTER (WHERE status = '{word}') AS {word}" for word in STATUS_WORDS)

_CAMPAIGNS_FROM = f"""\
FROM "loaded_tags" AS l LEFT JOIN (
    SELECT tag,
        count(*) AS messages,
{_COUNTS},
        count(*) FILTER (WHERE stop_sms) AS opt_outs,
        min(status_at) FILTER (WHERE status = 'delivered') AS first_delivery_at,
        max(status_at) FILTER (WHERE status = 'delivered') AS last_delivery_at
    FROM "statuses" GROUP BY tag
) AS s ON s.tag = l.tag"""  # noqa: S608  # words of the contract
"""Counted first and joined then, so that a question about one tag reads the rows of no other."""


def ddl(dialect: Dialect) -> str:
    """Return the statements that create all tables of a warehouse and its view; see `table_statements`."""
    scripts = [*(table_statements(table, dialect) for table in WAREHOUSE_TABLES), view_statements()]
    return "\n".join("".join(f"{statement};\n" for statement in script) for script in scripts)


def table_statements(table: Table, dialect: Dialect) -> list[str]:
    """List the statements that create `table` where it does not exist, with comments and, if need be, an index.

    Timestamps are kept in microseconds and UTC. In DuckDB the columns of the primary key are only NOT NULL: the key's
    index makes a file six times as large, and a loader that replaces whole tags in a transaction keeps it unique
    anyway. A key that begins with the tag is an index of it; DuckDB skips row groups by their smallest and largest tag.
    """
    lines = [_column(column, dialect) for column in table.columns]
    if dialect == "postgresql":
        lines.append(f"PRIMARY KEY ({', '.join(map(quoted, table.primary_key))})")
    body = ",\n".join(f"    {line}" for line in lines)
    name = quoted(table.name)
    statements = [f"CREATE TABLE IF NOT EXISTS {name} (\n{body}\n)"]
    if dialect == "postgresql" and "tag" in table.column_names and table.primary_key[0] != "tag":
        statements.append(f"CREATE INDEX IF NOT EXISTS {quoted(f'{table.name}_tag')} ON {name} ({quoted('tag')})")
    meaning = _text(f"{table.meaning} Contract version {CONTRACT_VERSION}.")
    comments = [_comment_on_column(table.name, column.name, column.meaning) for column in table.columns]
    return [*statements, f"COMMENT ON TABLE {name} IS {meaning}", *comments]


def view_statements() -> list[str]:
    """List the statements that create the view `campaigns`, with comments."""
    columns = ",\n".join(f"    {expression} AS {quoted(name)}" for name, expression, _ in CAMPAIGNS)
    view = quoted(CAMPAIGNS_NAME)
    return [
        f"CREATE OR REPLACE VIEW {view} AS SELECT\n{columns}\n{_CAMPAIGNS_FROM}",
        f"COMMENT ON VIEW {view} IS {_text(f'{CAMPAIGNS_MEANING} Contract version {CONTRACT_VERSION}.')}",
        *(_comment_on_column(CAMPAIGNS_NAME, name, meaning) for name, _, meaning in CAMPAIGNS),
    ]


def version_in(comment: str) -> int:
    """Read the version of the contract from the comment of a table or the view; 0 if it names none."""
    named = re.search(r"\bContract version (\d+)\.", comment)
    return int(named[1]) if named else 0


def quoted(identifier: str) -> str:
    """Return a name as SQL takes it, with any characters."""
    return '"' + identifier.replace('"', '""') + '"'


def _comment_on_column(table: str, column: str, meaning: str) -> str:
    return f"COMMENT ON COLUMN {quoted(table)}.{quoted(column)} IS {_text(meaning)}"


def _column(column: Column, dialect: Dialect) -> str:
    words = [quoted(column.name), _TYPES[column.type][dialect]]
    if not column.nullable:
        words.append("NOT NULL")
    if column.allowed:
        words.append(f"CHECK ({quoted(column.name)} IN ({', '.join(map(_text, column.allowed))}))")
    return " ".join(words)


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
