"""The tables of a warehouse: made where they are missing, completed where they are older, else refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from smspartner_schemas.campaigns import CAMPAIGNS_NAME
from smspartner_schemas.contract import CONTRACT_VERSION, SQL_TABLES, STATUSES
from smspartner_schemas.sql import add_column, quoted, sql_type, table_statements, version_in, view_statements

from smspartner.errors import DestinationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from smspartner_schemas.contract import Column, Table
    from smspartner_schemas.sql import Dialect

    from smspartner_pipelines.load.database import Database, Session

_ELSEWHERE = "move it away, or load elsewhere"


@dataclass(frozen=True)
class FoundTable:
    """Something in the database under one of our names, with its columns as `Database.tables_found` gives them."""

    kind: str
    comment: str
    columns: Mapping[str, Mapping[str, Any]]


def find_tables(database: Database, session: Session) -> dict[str, FoundTable]:
    """Look at what stands under the names of tables, by name."""
    listed: dict[str, list[dict[str, Any]]] = {}
    for row in session.query(database.tables_found).to_pylist():
        listed.setdefault(row["table_name"], []).append(row)
    return {
        name: FoundTable(rows[0]["kind"], rows[0]["comment"] or "", {row["column_name"]: row for row in rows})
        for name, rows in listed.items()
    }


def check_tables(database: Database, found: Mapping[str, FoundTable]) -> None:
    """Make sure that what is found can be loaded into, now or once `prepare_tables` has completed it.

    Raises:
        DestinationError: it is not of this product, was changed, or is of a newer version.
    """
    for table in SQL_TABLES:
        if table.name in found:
            trouble = next(_troubles(table, found[table.name], database.dialect), None)
            if trouble:
                raise DestinationError(f"{database.where}: {quoted(table.name)} {trouble}")


def prepare_tables(database: Database, session: Session) -> None:
    """Make what is missing, within a transaction: tables, columns that may be null, the view with the first table.

    Raises:
        DestinationError: what stands there can't be loaded into; see `check_tables`.
    """
    found = find_tables(database, session)
    check_tables(database, found)
    statements: list[str] = []
    for table in SQL_TABLES:
        if table.name not in found:
            statements += table_statements(table, database.dialect, primary_key=database.primary_key)
            continue
        for column in table.columns:
            if column.name not in found[table.name].columns:
                statements += add_column(table, column, database.dialect)
    if STATUSES.name not in found and CAMPAIGNS_NAME not in found:  # afterwards it is the user's to change or drop
        statements += view_statements()
    for statement in statements:
        session.run(statement)


def try_loading(session: Session) -> None:
    """Make sure, within a transaction, that all tables may be read and written."""
    for table in SQL_TABLES:
        name, columns = quoted(table.name), ", ".join(map(quoted, table.column_names))
        session.run(f"DELETE FROM {name} WHERE false")  # noqa: S608  # names of the contract
        session.run(f"INSERT INTO {name} ({columns}) SELECT {columns} FROM {name} WHERE false")  # noqa: S608


def _troubles(table: Table, found: FoundTable, dialect: Dialect) -> Iterator[str]:
    if found.kind != "table":
        yield f"is a {found.kind}, where this product keeps a table; {_ELSEWHERE}"
        return
    if version_in(found.comment) > CONTRACT_VERSION:
        yield "was made by a newer version of this product; upgrade this one"
    for column in table.columns:
        if column.name in found.columns:
            yield from _troubles_of_column(column, found.columns[column.name], dialect)
        elif not column.nullable:
            yield f"has no column {quoted(column.name)}, so it is not of this product; {_ELSEWHERE}"
    for name, facts in found.columns.items():
        if name not in table.column_names and facts["not_null"] and not facts["has_default"]:
            yield f"has a column {quoted(name)} of yours that must not be null; give it a default or let it be null"


def _troubles_of_column(column: Column, facts: Mapping[str, Any], dialect: Dialect) -> Iterator[str]:
    expected = sql_type(column, dialect).lower()
    type_found = facts["data_type"].lower().replace("timestamp with time zone", "timestamptz")
    if type_found != expected:
        yield f"has {quoted(column.name)} as {type_found} where it must be {expected}; {_ELSEWHERE}"
    if facts["not_null"] and column.nullable:
        yield f"does not let {quoted(column.name)} be null, which it may be; drop its NOT NULL"
