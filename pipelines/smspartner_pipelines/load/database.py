"""What a database must be able to do to be a warehouse. Each kind is one file beside this one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    import pyarrow as pa
    from smspartner_schemas.sql import Dialect


class Session(Protocol):
    """A connection. Everything that goes wrong is a DestinationError without SQL, values or secrets.

    Parameters are `$1`, `$2` in statements. A query outside a transaction is one by itself.
    """

    def run(self, statement: str, *values: object) -> None:
        """Run a statement that gives no rows."""

    def query(self, statement: str, *values: object) -> pa.Table:
        """Return the rows of a query."""

    def insert(self, table: str, rows: pa.Table) -> None:
        """Insert rows by the names of their columns, in bulk."""

    def transaction(self, *, keep: bool = True) -> AbstractContextManager[None]:
        """Do what the block does as a whole, or not at all; without `keep` not at all in any case.

        Raises:
            DestinationError: also if the session was locked and is no more: somebody else may load by now.
        """

    def close(self) -> None:
        """End it, with its lock and whatever was not committed."""


class Database(Protocol):
    """A place with tables."""

    dialect: Dialect
    where: str
    """The place as messages name it, with any secret masked."""

    primary_key: bool
    """Whether tables get their primary key."""

    tables_found: str
    """A query that lists tables, views and the like in the schema that is loaded, a row per column: `table_name`,
    `kind` (`table`, or a word for what else it is), `column_name`, `data_type`, `not_null`, `has_default`, and the
    table's `comment`."""

    def check_place(self) -> bool:
        """Tell whether there is a database to open; where there is none yet, make sure that there can be one."""

    def present(self) -> bool:
        """Whether there is a database to open."""

    def open(self, *, locked: bool) -> Session:
        """Connect; `locked` is for loading, and excludes all others who load there.

        Raises:
            DestinationBusy: somebody else has the lock.
        """
