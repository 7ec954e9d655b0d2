"""SQL that creates the tables and the view: types, NOT NULL, allowed words, primary key, comments, index."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from smspartner_schemas.campaigns import CAMPAIGNS, CAMPAIGNS_FROM, CAMPAIGNS_MEANING, CAMPAIGNS_NAME
from smspartner_schemas.contract import CONTRACT_VERSION, STATE_TABLES, TABLES

if TYPE_CHECKING:
    from smspartner_schemas.contract import Column, ColumnType, Table

Dialect = Literal["duckdb", "postgresql"]

WAREHOUSE_TABLES = (*TABLES, *STATE_TABLES)
"""What a database holds, in the order in which it is made."""

_TYPES: dict[Dialect, dict[ColumnType, str]] = {
    "duckdb": {
        "string": "VARCHAR",
        "int32": "INTEGER",
        "int64": "BIGINT",
        "float64": "DOUBLE",
        "bool": "BOOLEAN",
        "timestamp": "TIMESTAMPTZ",
        "strings": "VARCHAR[]",
    },
    "postgresql": {
        "string": "text",
        "int32": "integer",
        "int64": "bigint",
        "float64": "double precision",
        "bool": "boolean",
        "timestamp": "timestamptz",
        "strings": "text[]",
    },
}


def create_table(table: Table, dialect: Dialect, *, primary_key: bool = True) -> str:
    """Return the statements that create `table` where it does not exist; see `table_statements`."""
    return _script(table_statements(table, dialect, primary_key=primary_key))


def ddl(dialect: Dialect, *, primary_key: bool = True) -> str:
    """Return the statements that create all tables of a warehouse and its view; see `table_statements`."""
    scripts = [create_table(table, dialect, primary_key=primary_key) for table in WAREHOUSE_TABLES]
    return "\n".join([*scripts, _script(view_statements())])


def table_statements(table: Table, dialect: Dialect, *, primary_key: bool = True) -> list[str]:
    """List the statements that create `table` where it does not exist, with comments and, if need be, an index.

    Timestamps are kept in microseconds and UTC. Without `primary_key` its columns are only NOT NULL: in DuckDB the
    key's index makes a file six times as large, and a loader that replaces whole tags in a transaction keeps it unique
    anyway.
    """
    lines = [_column(column, dialect) for column in table.columns]
    if primary_key:
        lines.append(f"PRIMARY KEY ({', '.join(map(quoted, table.primary_key))})")
    body = ",\n".join(f"    {line}" for line in lines)
    statements = [f"CREATE TABLE IF NOT EXISTS {quoted(table.name)} (\n{body}\n)"]
    if _needs_tag_index(table, dialect, primary_key=primary_key):
        index = quoted(f"{table.name}_tag")
        statements.append(f"CREATE INDEX IF NOT EXISTS {index} ON {quoted(table.name)} ({quoted('tag')})")
    comments = [_comment_on_column(table.name, column.name, column.meaning) for column in table.columns]
    return [*statements, _comment_on_table(table), *comments]


def view_statements() -> list[str]:
    """List the statements that create the view `campaigns`, with comments."""
    columns = ",\n".join(f"    {column.expression} AS {quoted(column.name)}" for column in CAMPAIGNS)
    name = quoted(CAMPAIGNS_NAME)
    return [
        f"CREATE OR REPLACE VIEW {name} AS SELECT\n{columns}\n{CAMPAIGNS_FROM}",
        f"COMMENT ON VIEW {name} IS {_text(CAMPAIGNS_MEANING)}",
        *(_comment_on_column(CAMPAIGNS_NAME, column.name, column.meaning) for column in CAMPAIGNS),
    ]


def version_in(comment: str) -> int:
    """Read the version of the contract from a table's comment; 0 if it names none."""
    named = re.search(r"\bContract version (\d+)\.", comment)
    return int(named[1]) if named else 0


def quoted(identifier: str) -> str:
    """Return a name as SQL takes it, with any characters."""
    return '"' + identifier.replace('"', '""') + '"'


def _script(statements: list[str]) -> str:
    return "".join(f"{statement};\n" for statement in statements)


def _comment_on_table(table: Table) -> str:
    """Return the statement that says what a table is, and by which version of the contract."""
    return f"COMMENT ON TABLE {quoted(table.name)} IS {_text(f'{table.meaning} Contract version {CONTRACT_VERSION}.')}"


def _comment_on_column(table: str, column: str, meaning: str) -> str:
    return f"COMMENT ON COLUMN {quoted(table)}.{quoted(column)} IS {_text(meaning)}"


def _column(column: Column, dialect: Dialect) -> str:
    words = [quoted(column.name), _TYPES[dialect][column.type]]
    if not column.nullable:
        words.append("NOT NULL")
    if column.allowed:
        words.append(f"CHECK ({quoted(column.name)} IN ({', '.join(map(_text, column.allowed))}))")
    return " ".join(words)


def _needs_tag_index(table: Table, dialect: Dialect, *, primary_key: bool) -> bool:
    """Whether looking up a tag needs an index of its own.

    A key that begins with the tag is one; DuckDB skips row groups by their smallest and largest tag instead.
    """
    keyed = primary_key and table.primary_key[0] == "tag"
    return dialect == "postgresql" and "tag" in table.column_names and not keyed


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
