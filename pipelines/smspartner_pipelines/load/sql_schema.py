"""The tables of a warehouse in an SQL database: made where they are missing, else checked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from smspartner.errors import DestinationError, raise_alone
from smspartner_schemas.arrow import plain_schema
from smspartner_schemas.contract import CONTRACT_VERSION, STATUSES
from smspartner_schemas.sql import (
    CAMPAIGNS_NAME,
    WAREHOUSE_TABLES,
    quoted,
    table_statements,
    version_in,
    view_statements,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pyarrow as pa
    from smspartner_schemas.contract import Table
    from smspartner_schemas.sql import Dialect

_FOUND = (
    "SELECT CAST(t.table_name AS text) AS name, CAST(t.table_type AS text) AS kind, "
    "CAST(c.column_name AS text) AS column_name, c.is_nullable = 'NO' AS required, "
    "c.column_default IS NOT NULL OR c.is_identity = 'YES' AS filled, {comment} AS comment "
    "FROM information_schema.tables AS t LEFT JOIN information_schema.columns AS c "
    "ON c.table_schema = t.table_schema AND c.table_name = t.table_name AND c.table_catalog = t.table_catalog "
    "WHERE t.table_schema = current_schema() AND t.table_catalog = current_database() ORDER BY c.ordinal_position"
)
ELSEWHERE = "move it away, or load elsewhere"


class NotUsable(DestinationError):
    """Rights, a schema or foreign tables are in the way: before a run loads, that is a SettingsError."""


class SqlSession(ABC):
    """What making and checking tables needs of a database. Parameters are `$1` in statements.

    A statement outside a transaction is one by itself.
    """

    dialect: ClassVar[Dialect]
    primary_key: ClassVar[bool]
    comment: ClassVar[str]
    """The comment on table `t`, as an expression."""

    def __init__(self, where: str) -> None:
        self.where = where

    @abstractmethod
    def run(self, statement: str, *values: object) -> None:
        """Run a statement that gives no rows; raises ConnectionLost without a connection."""

    @abstractmethod
    def fetch(self, statement: str, *values: object) -> pa.Table:
        """Give the rows of a query; raises ConnectionLost without a connection."""


def prepare_tables(database: SqlSession) -> None:
    """Make tables that are missing, and the view with the first: afterwards it is the user's.

    Raises:
        NotUsable: something else stands there.
    """
    found = checked_tables(database)
    statements: list[str] = []
    for table in WAREHOUSE_TABLES:
        if table.name not in found:
            statements += table_statements(table, database.dialect, primary_key=database.primary_key)
    if STATUSES.name not in found and CAMPAIGNS_NAME not in found:
        statements += view_statements()
    for statement in statements:
        database.run(statement)


def try_writing(database: SqlSession) -> None:
    """Make sure that all tables may be read and written.

    Raises:
        NotUsable: a right is missing.
    """
    for table in WAREHOUSE_TABLES:
        name, columns = quoted(table.name), ", ".join(map(quoted, table.column_names))
        try:
            database.run(f"DELETE FROM {name} WHERE false")  # noqa: S608 - names of the contract, as below
            database.run(f"INSERT INTO {name} ({columns}) SELECT {columns} FROM {name} WHERE false")  # noqa: S608
        except NotUsable as error:
            raise_alone(NotUsable(f"{error.what} (table {name})", remedy=error.remedy))


def checked_tables(database: SqlSession) -> set[str]:
    """Give the names of what stands in the schema; what has a name of ours must be ours.

    Raises:
        NotUsable: it is not, or of a newer version.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for row in database.fetch(_FOUND.format(comment=database.comment)).to_pylist():
        found.setdefault(row["name"], []).append(row)
    for table in WAREHOUSE_TABLES:
        problems = _problems(table, found[table.name]) if table.name in found else iter(())
        for problem, remedy in problems:
            raise NotUsable(f"{database.where}: {quoted(table.name)} {problem}", remedy=remedy)
        if table.name in found:
            _check_types(database, table)
    return set(found)


def _problems(table: Table, columns: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    if columns[0]["kind"] != "BASE TABLE":
        yield f"is a {columns[0]['kind'].lower()}, where this product keeps a table", ELSEWHERE
    if version_in(columns[0]["comment"] or "") > CONTRACT_VERSION:
        yield "was made by a newer version of this product", "upgrade this one"
    required = {column["column_name"]: column["required"] for column in columns}
    for column in table.columns:
        if column.name not in required:
            yield f"has no column {quoted(column.name)}, so it is not of this version of this product", ELSEWHERE
        elif required[column.name] and column.nullable:
            yield f"does not let {quoted(column.name)} be null", "drop its NOT NULL"
    for one in columns:
        if one["column_name"] not in table.column_names and one["required"] and not one["filled"]:
            yield f"has a column {quoted(one['column_name'])} of yours that must not be null", "give it a default"


def _check_types(database: SqlSession, table: Table) -> None:
    names = ", ".join(map(quoted, table.column_names))
    where = f"{database.where}: {quoted(table.name)}"
    held = database.fetch(f"SELECT {names} FROM {quoted(table.name)} WHERE false").schema  # noqa: S608 - ours
    for field in plain_schema(table):
        kind = held.field(field.name).type
        if kind != field.type:
            raise NotUsable(f"{where} has {quoted(field.name)} as {kind}, not {field.type}", remedy=ELSEWHERE)
