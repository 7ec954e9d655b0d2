"""SQL that creates the tables: types, NOT NULL, allowed words, primary key, comments, index."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from smspartner_schemas.contract import BOOKKEEPING, TABLES

if TYPE_CHECKING:
    from smspartner_schemas.contract import Column, ColumnType, Table

Dialect = Literal["duckdb", "postgresql"]

_TYPES: dict[Dialect, dict[ColumnType, str]] = {
    "duckdb": {
        "string": "VARCHAR",
        "int32": "INTEGER",
        "int64": "BIGINT",
        "float64": "DOUBLE",
        "bool": "BOOLEAN",
        "timestamp": "TIMESTAMPTZ",
        "strings": "VARCHAR[]",
        "integers": "BIGINT[]",
    },
    "postgresql": {
        "string": "text",
        "int32": "integer",
        "int64": "bigint",
        "float64": "double precision",
        "bool": "boolean",
        "timestamp": "timestamptz",
        "strings": "text[]",
        "integers": "bigint[]",
    },
}


def create_table(table: Table, dialect: Dialect, *, primary_key: bool = True) -> str:
    """Return the statements that create `table` where it does not exist, with comments and, if need be, an index.

    Statements end with `;`, one or more lines each. Timestamps are kept in microseconds and UTC. Without
    `primary_key` its columns are only NOT NULL: in DuckDB the key's index makes a file six times as large, and a
    loader that replaces whole tags in a transaction keeps it unique anyway.
    """
    lines = [_column(column, dialect) for column in table.columns]
    if primary_key:
        lines.append(f"PRIMARY KEY ({', '.join(map(_name, table.primary_key))})")
    body = ",\n".join(f"    {line}" for line in lines)
    statements = [f"CREATE TABLE IF NOT EXISTS {_name(table.name)} (\n{body}\n)"]
    if _needs_tag_index(table, dialect, primary_key=primary_key):
        index = _name(f"{table.name}_tag")
        statements.append(f"CREATE INDEX IF NOT EXISTS {index} ON {_name(table.name)} ({_name('tag')})")
    statements.append(f"COMMENT ON TABLE {_name(table.name)} IS {_text(table.meaning)}")
    for column in table.columns:
        place = f"{_name(table.name)}.{_name(column.name)}"
        statements.append(f"COMMENT ON COLUMN {place} IS {_text(column.meaning)}")
    return "".join(f"{statement};\n" for statement in statements)


def ddl(dialect: Dialect, *, primary_key: bool = True) -> str:
    """Return the statements that create all tables of a warehouse; see `create_table`."""
    return "\n".join(create_table(table, dialect, primary_key=primary_key) for table in (*TABLES, *BOOKKEEPING))


def _column(column: Column, dialect: Dialect) -> str:
    words = [_name(column.name), _TYPES[dialect][column.type]]
    if not column.nullable:
        words.append("NOT NULL")
    if column.allowed:
        words.append(f"CHECK ({_name(column.name)} IN ({', '.join(map(_text, column.allowed))}))")
    return " ".join(words)


def _needs_tag_index(table: Table, dialect: Dialect, *, primary_key: bool) -> bool:
    """Whether looking up a tag needs an index of its own.

    A key that begins with the tag is one; DuckDB skips row groups by their smallest and largest tag instead.
    """
    keyed = primary_key and table.primary_key[0] == "tag"
    return dialect == "postgresql" and "tag" in table.column_names and not keyed


def _name(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
