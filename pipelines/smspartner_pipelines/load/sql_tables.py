"""The tables of a warehouse in an SQL database: made where they are missing, replaced in transactions, counted."""

from __future__ import annotations

import json
from abc import abstractmethod
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, ClassVar

from smspartner.errors import DestinationBusy, DestinationError, SettingsError, raise_alone
from smspartner_schemas.contract import ERASURES, LOADED_TAGS
from smspartner_schemas.sql import quoted

from smspartner_pipelines.load.destination import NothingLoaded
from smspartner_pipelines.load.sql_schema import NotUsable, SqlSession, checked_tables, prepare_tables, try_writing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa
    from smspartner_schemas.contract import Table

    from smspartner_pipelines.load.destination import Damage
    from smspartner_pipelines.load.warehouse import Change

_STANDING = "SELECT run_id AS id FROM loaded_tags UNION SELECT number_hash AS id FROM erasures"
"""Names every run and every erasure that has changed what is loaded."""

_MISFITS = """
SELECT DISTINCT coalesce(f.tag, l.tag) AS tag FROM (
    SELECT tag, run_id, sum(loaded) AS loaded, sum(quarantined) AS quarantined FROM (
        SELECT tag, run_id, count(*) AS loaded, 0 AS quarantined FROM statuses GROUP BY tag, run_id
        UNION ALL SELECT tag, run_id, 0 AS loaded, count(*) AS quarantined FROM quarantine GROUP BY tag, run_id
    ) AS counted GROUP BY tag, run_id
) AS f FULL JOIN loaded_tags AS l ON l.tag = f.tag AND l.run_id = f.run_id
WHERE l.tag IS NULL OR coalesce(f.loaded, 0) <> l.rows_loaded OR coalesce(f.quarantined, 0) <> l.rows_quarantined
ORDER BY tag"""


class ConnectionLost(DestinationError):
    """The connection was cut: on a new one the same may succeed."""


class SqlTables(SqlSession):
    """See `Tables`. A database adds how to connect, to run a statement, to query, and to insert in bulk."""

    in_list: ClassVar[str]
    """The texts in the JSON list `$1`, as rows."""

    batch_rows = 250_000

    def __init__(self, where: str) -> None:
        super().__init__(where)
        self._for_loading = False
        self._seen: set[str] = set()

    @abstractmethod
    def exists(self) -> bool:
        """Whether there is a database to connect to; where there is none yet, one can be made.

        Raises NotUsable or DestinationError where there can't.
        """

    @abstractmethod
    def connect(self, *, for_loading: bool) -> None:
        """Connect; to load, also lock."""

    @abstractmethod
    def close(self) -> None:
        """Disconnect, if connected: what was not committed is dropped."""

    @abstractmethod
    def insert(self, table: str, rows: pa.Table) -> None:
        """Insert rows by the names of their columns, in bulk; raises ConnectionLost without a connection."""

    @abstractmethod
    def check_lock(self) -> None:
        """Raise ConnectionLost where the lock of a run that loads is held no more."""

    @abstractmethod
    def purge(self) -> None:
        """See `Destination.purge`."""

    def check(self) -> None:
        """See `Destination.check`: everything is made and tried in a transaction that is rolled back."""
        try:
            with _as_settings():
                if self.exists():
                    self.connect(for_loading=True)
                    with self._transaction(keep=False):
                        prepare_tables(self)
                        try_writing(self)
        finally:
            self.close()

    def open(self, *, for_loading: bool) -> None:
        """See `Destination.open`."""
        with _as_settings():
            found = self.exists() or for_loading
            if found:
                self.connect(for_loading=for_loading)
            if for_loading:
                with self._transaction():
                    prepare_tables(self)
                self._seen = self._standing()
            elif not found or LOADED_TAGS.name not in checked_tables(self):
                raise NothingLoaded(f"nothing was ever loaded into {self.where}")
        self._for_loading = for_loading

    def misfits(self) -> list[str]:
        """See `Tables.misfits`; all is looked at as it is at one moment."""
        return self._query(_MISFITS)["tag"].to_pylist()  # type: ignore[no-any-return]

    def count(self, table: Table) -> dict[str, int]:
        """See `Tables.count`."""
        name = quoted(table.name)
        found = self._query(f"SELECT tag, count(*) AS held FROM {name} GROUP BY tag ORDER BY tag")  # noqa: S608 - ours
        return dict(zip(found["tag"].to_pylist(), found["held"].to_pylist(), strict=True))

    def select(self, table: Table, columns: Sequence[str], tags: Sequence[str] | None = None) -> pa.Table:
        """See `Tables.select`."""
        statement = f"SELECT {', '.join(map(quoted, columns))} FROM {quoted(table.name)}"  # noqa: S608 - ours
        return self._query(statement) if tags is None else self._query(*self._of(statement, "tag", tags))

    def damages(self) -> list[Damage]:
        """See `Tables.damages`: a database gives all or fails."""
        return []

    def replace(self, changes: Sequence[Change]) -> None:
        """See `Tables.replace`. On a connection that was cut it is repeated: that changes nothing more."""
        for change in changes:
            if change.table is LOADED_TAGS:
                self._seen.update(change.rows["run_id"].to_pylist())
            if change.table is ERASURES:
                self._seen.update(change.values)
        with suppress(ConnectionLost):
            return self._replace(changes)
        self._connect_again()
        return self._replace(changes)

    def _query(self, statement: str, *values: object) -> pa.Table:
        with suppress(ConnectionLost):
            return self.fetch(statement, *values)
        self._connect_again()
        return self.fetch(statement, *values)

    def _connect_again(self) -> None:
        """Connect and lock once more; who loads goes on only if nobody else has loaded in between."""
        self.close()
        try:
            self.connect(for_loading=self._for_loading)
            others = self._standing() - self._seen if self._for_loading else set()
        except BaseException:
            self.close()  # without its lock it must not be used
            raise
        if others:
            self.close()
            raise DestinationBusy(
                f"{self.where}: the connection was lost, and another run has loaded there since", remedy="run again"
            )

    def _standing(self) -> set[str]:
        return set(self.fetch(_STANDING)["id"].to_pylist())

    def _replace(self, changes: Sequence[Change]) -> None:
        with self._transaction():
            for change in changes:
                name = quoted(change.table.name)
                self.run(*self._of(f"DELETE FROM {name}", change.key, change.values))  # noqa: S608 - ours
                if change.rows.num_rows:
                    self.insert(change.table.name, change.rows)
                self._check_counts(change)

    def _check_counts(self, change: Change) -> None:
        """Count what is held now: a trigger or a rule may have kept rows out, or put some in."""
        name, key = quoted(change.table.name), quoted(change.key)
        statement = f"SELECT {key} AS of_what, count(*) AS held FROM {name}"  # noqa: S608 - ours
        found = self.fetch(*self._of(statement, change.key, change.values, f" GROUP BY {key}"))
        held = dict(zip(found["of_what"].to_pylist(), found["held"].to_pylist(), strict=True))
        counted = change.rows[change.key].value_counts().to_pylist()
        loaded = {one["values"]: one["counts"] for one in counted}
        if held != loaded:
            raise DestinationError(
                f"{self.where}: {name} holds {sum(held.values())} rows where {change.rows.num_rows} were loaded; "
                "nothing was changed",
                remedy="remove the trigger or the rule that keeps rows out, puts some in or alters them",
            )

    def _of(self, statement: str, key: str, values: Sequence[str], rest: str = "") -> tuple[str, str]:
        """Add the condition that a key is one of some values, which is one parameter however many they are."""
        condition = f" WHERE {quoted(key)} IN ({self.in_list})"
        return statement + condition + rest, json.dumps(list(values), ensure_ascii=False)

    @contextmanager
    def _transaction(self, *, keep: bool = True) -> Iterator[None]:
        self.run("BEGIN")
        try:
            self.check_lock()
            yield
            self.run("COMMIT" if keep else "ROLLBACK")
        except BaseException:
            with suppress(DestinationError):
                self.run("ROLLBACK")
            raise


@contextmanager
def _as_settings() -> Iterator[None]:
    try:
        yield
    except NotUsable as error:
        raise_alone(SettingsError(error.what, remedy=error.remedy))
