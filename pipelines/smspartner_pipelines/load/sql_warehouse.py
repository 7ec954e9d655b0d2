"""A warehouse in an SQL database: tables made where they are missing, else checked, and replaced in transactions."""

from __future__ import annotations

import json
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from smspartner.errors import DestinationBusy, DestinationError
from smspartner_schemas.arrow import plain_schema
from smspartner_schemas.contract import CONTRACT_VERSION, LOADED_TAGS, STATUSES
from smspartner_schemas.sql import (
    CAMPAIGNS_NAME,
    WAREHOUSE_TABLES,
    quoted,
    table_statements,
    version_in,
    view_statements,
)

from smspartner_pipelines.load.destination import NothingLoaded
from smspartner_pipelines.load.sql_session import ELSEWHERE, ConnectionLost, NotUsable
from smspartner_pipelines.load.warehouse import Warehouse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pyarrow as pa
    from smspartner_schemas.contract import Table

    from smspartner_pipelines.load.sql_session import Session
    from smspartner_pipelines.load.warehouse import Change

T = TypeVar("T")

_FOUND = (
    "SELECT CAST({name} AS text) AS name, CAST(t.table_type AS text) AS kind, {comment} AS comment "
    "FROM information_schema.tables AS t "
    "WHERE t.table_schema = current_schema() AND t.table_catalog = current_database()"
)

_CHANGED_BY = "SELECT run_id AS id FROM loaded_tags UNION SELECT number_hash AS id FROM erasures"
"""Names every run and every erasure that has changed what is loaded."""

_MISFITS = """
SELECT DISTINCT tag FROM (
    SELECT tag, run_id FROM (
        SELECT tag, run_id, count(*) AS loaded, 0 AS quarantined FROM statuses GROUP BY tag, run_id
        UNION ALL SELECT tag, run_id, 0, count(*) FROM quarantine GROUP BY tag, run_id
        UNION ALL SELECT tag, run_id, -rows_loaded, -rows_quarantined FROM loaded_tags
    ) AS counted GROUP BY tag, run_id HAVING sum(loaded) <> 0 OR sum(quarantined) <> 0
) AS misfits ORDER BY tag"""
"""What is held and what is said to be held cancel each other out, as all is at one moment."""


class SqlWarehouse(Warehouse):
    """See `Warehouse`: a batch is one transaction."""

    batch_rows = 250_000

    def __init__(self, session: Session) -> None:
        super().__init__(session.where)
        self._session = session
        self._for_loading = False
        self._changed_by: set[str] = set()

    def check(self) -> None:
        """See `Destination.check`: everything is made and tried in a transaction that is rolled back."""
        try:
            if self._session.exists(for_loading=True):
                self._connect(for_loading=True)
                with self._transaction("ROLLBACK"):
                    _prepare_tables(self._session)
                    _try_writing(self._session)
        finally:
            self._session.close()

    @contextmanager
    def open(self, *, for_loading: bool) -> Iterator[None]:
        """See `Destination.open`."""
        try:
            found = self._session.exists(for_loading=for_loading) or for_loading
            if found:
                self._connect(for_loading=for_loading)
            if for_loading:
                with self._transaction():
                    _prepare_tables(self._session)
            elif not found or LOADED_TAGS.name not in _checked_tables(self._session):
                raise NothingLoaded(f"nothing was ever loaded into {self.uri}")
            yield
        finally:
            self._session.close()

    def misfits(self) -> list[str]:
        """See `Warehouse.misfits`."""
        return self._query(_MISFITS)["tag"].to_pylist()  # type: ignore[no-any-return]

    def count(self, table: Table) -> dict[str, int]:
        """See `Warehouse.count`."""
        name = quoted(table.name)
        found = self._query(f"SELECT tag, count(*) AS held FROM {name} GROUP BY tag ORDER BY tag")  # noqa: S608 - ours
        return dict(zip(found["tag"].to_pylist(), found["held"].to_pylist(), strict=True))

    def select(self, table: Table, columns: Sequence[str], tags: Sequence[str] | None = None) -> pa.Table:
        """See `Warehouse.select`."""
        statement = f"SELECT {', '.join(map(quoted, columns))} FROM {quoted(table.name)}"  # noqa: S608 - ours
        return self._query(statement) if tags is None else self._query(*self._of(statement, "tag", tags))

    def change(self, changes: Sequence[Change]) -> None:
        """See `Warehouse.change`: it may be repeated, which changes nothing more."""
        self._on_a_connection(lambda: self._change(changes))

    def purge(self) -> None:
        """See `Destination.purge`."""
        self._session.purge()

    def _query(self, statement: str, *values: object) -> pa.Table:
        return self._on_a_connection(lambda: self._session.run(statement, *values))

    def _on_a_connection(self, act: Callable[[], T]) -> T:
        """Act; where the connection was cut, connect and lock, and act once more, if nobody else loaded in between."""
        with suppress(ConnectionLost):
            return act()
        self._session.close()
        try:
            self._connect(for_loading=self._for_loading)
            others = self._read_changed_by() - self._changed_by if self._for_loading else set()
        except BaseException:
            self._session.close()  # without its lock it must not be used
            raise
        if others:
            self._session.close()
            raise DestinationBusy(
                f"{self.uri}: the connection was lost, and another run has loaded there since", remedy="run again"
            )
        return act()

    def _connect(self, *, for_loading: bool) -> None:
        self._for_loading = for_loading
        self._session.connect(for_loading=for_loading)
        if for_loading:
            self._session.lock()

    def _read_changed_by(self) -> set[str]:
        return set(self._session.run(_CHANGED_BY)["id"].to_pylist())

    def _change(self, changes: Sequence[Change]) -> None:
        with self._transaction():
            for change in changes:
                name = quoted(change.table.name)
                self._session.run(*self._of(f"DELETE FROM {name}", change.key, change.values))  # noqa: S608 - ours
                if change.rows.num_rows:
                    self._session.insert(change.table.name, change.rows)
                counted = self._of(f"SELECT count(*) AS held FROM {name}", change.key, change.values)  # noqa: S608
                held = self._session.run(*counted)["held"][0].as_py()
                if held != change.rows.num_rows:
                    raise DestinationError(
                        f"{self.uri}: {name} holds {held} rows where {change.rows.num_rows} were loaded; "
                        "nothing was changed",
                        remedy="remove the trigger or the rule that keeps rows out, puts some in or alters them",
                    )

    def _of(self, statement: str, key: str, values: Sequence[str]) -> tuple[str, str]:
        """Add the condition that a key is one of some values, which is one parameter however many they are."""
        condition = f" WHERE {quoted(key)} IN ({self._session.in_list})"
        return statement + condition, json.dumps(list(values), ensure_ascii=False)

    @contextmanager
    def _transaction(self, end: str = "COMMIT") -> Iterator[None]:
        self._session.run("BEGIN")
        try:
            self._session.lock()  # a pooler may have handed the transaction to another connection
            yield
            self._changed_by |= self._read_changed_by()
            self._session.run(end)
        except BaseException:
            with suppress(DestinationError):
                self._session.run("ROLLBACK")
            raise


def _prepare_tables(session: Session) -> None:
    """Make tables that are missing, and the view with the first: who drops it may do without; raises NotUsable."""
    found = _checked_tables(session)
    view = found.get(CAMPAIGNS_NAME)
    if view and not (view["kind"] == "VIEW" and version_in(view["comment"] or "")):
        kind = {"BASE TABLE": "table", "FOREIGN": "foreign table"}.get(view["kind"], view["kind"].lower())
        raise NotUsable(
            f"{session.where}: {quoted(CAMPAIGNS_NAME)} is a {kind} of somebody else, where this product keeps a view",
            remedy="rename it, or load elsewhere",
        )
    statements: list[str] = []
    for table in WAREHOUSE_TABLES:
        if table.name not in found:
            statements += table_statements(table, session.dialect)
    if STATUSES.name not in found:
        statements += view_statements()
    for statement in statements:
        session.run(statement)


def _try_writing(session: Session) -> None:
    """Make sure that all tables may be read and written; raises NotUsable."""
    for table in WAREHOUSE_TABLES:
        name, columns = quoted(table.name), ", ".join(map(quoted, table.column_names))
        session.run(f"DELETE FROM {name} WHERE false")  # noqa: S608 - names of the contract, as below
        session.run(f"INSERT INTO {name} ({columns}) SELECT {columns} FROM {name} WHERE false")  # noqa: S608


def _checked_tables(session: Session) -> dict[str, dict[str, Any]]:
    """Give what stands in the schema, by name; raises NotUsable where a table's name is something else's."""
    rows = session.run(_FOUND.format(name=session.name, comment=session.comment)).to_pylist()
    found = {row["name"]: row for row in rows}
    for table in WAREHOUSE_TABLES:
        if table.name in found:
            _check_table(session, table, found[table.name])
    return found


def _check_table(session: Session, table: Table, found: dict[str, Any]) -> None:
    where = f"{session.where}: {quoted(table.name)}"
    if found["kind"] != "BASE TABLE":
        raise NotUsable(f"{where} is a {found['kind'].lower()}, where this product keeps a table", remedy=ELSEWHERE)
    if version_in(found["comment"] or "") > CONTRACT_VERSION:
        raise NotUsable(f"{where} was made by a newer version of this product", remedy="upgrade this one")
    held = session.run(f"SELECT * FROM {quoted(table.name)} WHERE false").schema  # noqa: S608 - ours
    for field in plain_schema(table):
        kind = held.field(field.name).type if field.name in held.names else "nothing"
        if kind != field.type:
            raise NotUsable(f"{where} has {quoted(field.name)} as {kind}, not {field.type}", remedy=ELSEWHERE)
