"""A session of an SQL database: calls of its library that no signal tears, and what they raise, in our words."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from smspartner.errors import DestinationError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa
    from smspartner_schemas.sql import Dialect

T = TypeVar("T")

ELSEWHERE = "move it away, or load elsewhere"


class NotUsable(SettingsError, DestinationError):
    """Rights, a schema or foreign tables are in the way: settings before a run, a failed destination while it loads."""


class ConnectionLost(DestinationError):
    """The connection was cut: on a new one the same may succeed."""


class Session(ABC):
    """One session. Parameters are `$1` in statements; a statement outside a transaction is one by itself.

    Calls run in a thread of their own. In the main thread ADBC takes Ctrl-C for itself and cancels a statement at the
    first one, and DuckDB turns what a signal handler raises into an error of its own.
    """

    dialect: ClassVar[Dialect]
    name: ClassVar[str]
    """The name of table `t`, as an expression; in lower case where the database takes names in any case."""

    comment: ClassVar[str]
    """The comment on table `t`, as an expression."""

    in_list: ClassVar[str]
    """The texts in the JSON list `$1`, as rows."""

    errors: ClassVar[type[Exception]]
    """What the library raises."""

    def __init__(self, where: str) -> None:
        self.where = where
        """The place in messages, with any secret masked."""

        self.connection: Any = None

    @abstractmethod
    def exists(self, *, for_loading: bool) -> bool:
        """Whether there is a database to connect to; to load, make sure that there can be one.

        Raises NotUsable, SettingsError or DestinationError where there can't.
        """

    @abstractmethod
    def connect(self, *, for_loading: bool) -> None:
        """Connect; see `exists` for what it raises."""

    @abstractmethod
    def lock(self) -> None:
        """Take the lock of a run that loads, or make sure that it is held; raises DestinationBusy."""

    @abstractmethod
    def run(self, statement: str, *values: object) -> pa.Table:
        """Run a statement; give the rows of a query."""

    @abstractmethod
    def insert(self, table: str, rows: pa.Table) -> None:
        """Insert rows by the names of their columns, in bulk."""

    @abstractmethod
    def purge(self) -> None:
        """See `Destination.purge`."""

    @abstractmethod
    def failure(self, error: Any) -> DestinationError:
        """Classify an error of the library by class or code: its words may repeat rows."""

    def close(self) -> None:
        """Disconnect, if connected: what was not committed is dropped, and the lock given up."""
        connection, self.connection = self.connection, None
        if connection is not None:
            with suppress(self.errors):
                self.undisturbed(connection.close)

    def call(self, act: Callable[[Any], T]) -> T:
        """Return what `act` returns of the connection; raises ConnectionLost without one."""
        connection = self.connection
        if connection is None:
            raise ConnectionLost(f"{self.where}: the connection was lost", remedy="run again")
        try:
            return self.undisturbed(lambda: act(connection))
        except self.errors as error:
            failure = self.failure(error)
        raise failure

    def undisturbed(self, act: Callable[[], T]) -> T:
        """Return what `act` returns in a thread of its own; who is interrupted all the same leaves it alone."""
        outcome: Future[T] = Future()

        def work() -> None:
            try:
                outcome.set_result(act())
            except BaseException as error:  # noqa: BLE001 - it is raised where the result is waited for
                outcome.set_exception(error)

        threading.Thread(target=work, name="undisturbed", daemon=True).start()
        try:
            return outcome.result()
        except KeyboardInterrupt:
            self.connection = None  # which is in use, and not to be touched any more
            raise
