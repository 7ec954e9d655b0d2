"""A database as destination: whole tags are replaced in one transaction; a table says what is loaded."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Self

import pyarrow as pa
from smspartner_schemas.arrow import arrow_schema
from smspartner_schemas.contract import ERASURES, LOADED_TAGS, QUARANTINE, ROW_ORDER, RUNS, STATUSES, TAG_RUNS
from smspartner_schemas.sql import quoted

from smspartner.errors import DestinationBusy, DestinationError
from smspartner_pipelines.load.counting import count_statement
from smspartner_pipelines.load.destination import StoredTag
from smspartner_pipelines.load.erasure_rows import erasures_of, erasures_table
from smspartner_pipelines.load.row_order import in_api_order, order_table
from smspartner_pipelines.load.state import state_of, states_of, states_table
from smspartner_pipelines.load.warehouse_tables import check_tables, find_tables, prepare_tables, try_loading
from smspartner.stored_rows import tags_without

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from smspartner_schemas.contract import Table

    from smspartner.erasure import Erasure, Person
    from smspartner_pipelines.load.database import Database, Session
    from smspartner_pipelines.load.destination import LoadedTag, WrittenFile
    from smspartner.snapshot import Snapshot

_OF_TAGS = "tag IN (SELECT unnest($1::text[]))"
_OF_TAG = "tag = $1"
_MAY_HOLD = (
    "SELECT tag FROM statuses WHERE phone_number IN (SELECT unnest($1::text[])) "
    "UNION SELECT tag FROM loaded_tags WHERE rows_quarantined > 0"
)
"""Tags that can hold a person: by a spelling of the number, or anywhere in a raw row."""


class Warehouse:
    """Tables in a database, of which `loaded_tags` is the state: it changes in one transaction with the rows."""

    keeps_tags = True
    batch_rows = 250_000

    def __init__(self, database: Database) -> None:
        self.uri = database.where
        self._database = database
        self._session: Session | None = None
        self._held = ExitStack()

    def check(self) -> None:
        """Make sure that it can be written, by making and trying everything in a transaction that is not kept.

        While another run holds it that is left out: entering will say so.

        Raises:
            DestinationError: it can't.
        """
        if not self._database.check_place():
            return
        with suppress(DestinationBusy), self._opened(locked=True) as session, session.transaction(keep=False):
            prepare_tables(self._database, session)
            try_loading(session)

    def exists(self) -> bool:
        """Whether there are tables of this product."""
        if not self._database.present():
            return False
        with self._connected() as session:
            return LOADED_TAGS.name in find_tables(self._database, session)

    def __enter__(self) -> Self:
        """Connect, lock it, and make or complete the tables.

        Raises:
            DestinationBusy: another run holds it.
            DestinationError: it can't be written.
        """
        with ExitStack() as held:
            session = held.enter_context(self._opened(locked=True))
            with session.transaction():
                prepare_tables(self._database, session)
            self._session = session
            self._held = held.pop_all()
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Disconnect, which releases it; tags that are loaded stay."""
        self._session = None
        self._held.close()

    def loaded_tags(self) -> Mapping[str, LoadedTag]:
        """Return what is loaded, by tag, from the table `loaded_tags` alone; nothing if there is none yet.

        Raises:
            DestinationError: it can't be read, or is not of this product or version.
        """
        if self._session is None and not self._database.present():
            return {}
        with self._connected() as session:
            found = find_tables(self._database, session)
            check_tables(self._database, found)
            return states_of(_select(session, LOADED_TAGS)) if LOADED_TAGS.name in found else {}

    def erasures(self) -> Sequence[Erasure]:
        """Read the records of the people whose rows must not be loaded.

        Raises:
            DestinationError: they can't be read.
        """
        with self._connected() as session:
            return erasures_of(_select(session, ERASURES))

    def replace_tags(self, snapshots: Sequence[Snapshot], run_id: str) -> Iterator[list[WrittenFile]]:
        """Replace the tags of all snapshots in one transaction, then tell of each.

        Raises:
            CountMismatch: the counts of one do not add up.
            DestinationError: they can't be loaded; what was there stays, for all of them.
        """
        for snapshot in snapshots:
            snapshot.check_books()
        with self._connected() as session:
            _replace(session, snapshots, [state_of(snapshot, run_id) for snapshot in snapshots])
        for _ in snapshots:
            yield []

    def stored_tag(self, state: LoadedTag) -> StoredTag:
        """Read the rows and the quarantine of a loaded tag; rows are in API order where the quarantine holds some.

        Raises:
            DestinationError: they can't be read.
        """
        with self._connected() as session:
            rows, quarantine, order = (
                _select(session, table, _OF_TAG, state.tag) for table in (STATUSES, QUARANTINE, ROW_ORDER)
            )
        by_place = quarantine.sort_by([("page", "ascending"), ("position", "ascending")])
        return StoredTag(state, in_api_order(rows, order).combine_chunks(), by_place.combine_chunks())

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Keep one session for all that is read within the block: opening one for each tag takes longer than reading.

        Raises:
            DestinationError: it can't be opened.
        """
        with self._opened(locked=False) as session:
            self._session = session
            try:
                yield
            finally:
                self._session = None

    def count_rows(self, table: Table, groupings: Sequence[Sequence[str]]) -> list[pa.Table]:
        """Count rows by columns, in the database.

        Raises:
            DestinationError: they can't be read.
        """
        with self._connected() as session:
            return [session.query(count_statement(table, names)) for names in groupings]

    def tag_runs(self) -> pa.Table:
        """Read the table `tag_runs`.

        Raises:
            DestinationError: it can't be read.
        """
        with self._connected() as session:
            return _select(session, TAG_RUNS)

    def erase(self, person: Person, at: datetime) -> Erasure:
        """Record a person's erasure, then remove their rows, each tag's in one step for readers.

        Raises:
            DestinationError: something can't be read or written; repeat it then.
        """
        erasure = person.erasure(at)
        with self._connected() as session:
            _record(session, erasure)
            held_in = session.query(_MAY_HOLD, list(person.spellings))["tag"].to_pylist()
            loaded = self.loaded_tags()
            removed = Counter({"tags": 0, "rows": 0, "quarantined": 0})
            states = (loaded[tag] for tag in sorted(held_in) if tag in loaded)
            for kept, state in tags_without(states, self.stored_tag, person, removed):
                _replace(session, [kept], [state_of(kept, state.run_id)])
            done = replace(erasure, removed=dict(removed))
            _record(session, done)
        return done

    def finish(self, tag_runs: pa.Table, run_id: str) -> list[WrittenFile]:
        """Add the rows of `tag_runs`.

        Raises:
            DestinationError: they can't be written.
        """
        with self._connected() as session, session.transaction():
            _put(session, TAG_RUNS, tag_runs, "run_id = $1", run_id)
        return []

    def save_report(self, report: bytes, run_id: str) -> None:
        """Keep the run report in `runs`.

        Raises:
            DestinationError: it can't be written.
        """
        row = pa.table({"run_id": [run_id], "report": [report.decode()]}, schema=arrow_schema(RUNS))
        with self._connected() as session, session.transaction():
            _put(session, RUNS, row, "run_id = $1", run_id)

    @contextmanager
    def _connected(self) -> Iterator[Session]:
        """Give the session of the run that has entered, or one that only reads."""
        if self._session is not None:
            yield self._session
        else:
            with self._opened(locked=False) as session:
                yield session

    @contextmanager
    def _opened(self, *, locked: bool) -> Iterator[Session]:
        session = self._database.open(locked=locked)
        try:
            yield session
        finally:
            session.close()


def _replace(session: Session, snapshots: Sequence[Snapshot], states: Sequence[LoadedTag]) -> None:
    """Put snapshots in the places of what is loaded for their tags, in one transaction."""
    tags = [state.tag for state in states]
    with session.transaction():
        _put(session, STATUSES, _together(snapshot.table for snapshot in snapshots), _OF_TAGS, tags)
        _put(session, QUARANTINE, _together(snapshot.quarantine for snapshot in snapshots), _OF_TAGS, tags)
        _put(session, LOADED_TAGS, states_table(states), _OF_TAGS, tags)
        _put(session, ROW_ORDER, order_table(snapshots), _OF_TAGS, tags)


def _record(session: Session, erasure: Erasure) -> None:
    with session.transaction():
        key = (erasure.key_id, erasure.number_hash)
        _put(session, ERASURES, erasures_table([erasure]), "key_id = $1 AND number_hash = $2", *key)


def _put(session: Session, table: Table, rows: pa.Table, where: str, *values: object) -> None:
    """Put rows in the places of those of a condition, and count them: a trigger or a rule may leave some out."""
    name = quoted(table.name)
    session.run(f"DELETE FROM {name} WHERE {where}", *values)  # noqa: S608  # names of the contract, as below
    if rows.num_rows:
        session.insert(table.name, rows)
    held = session.query(f"SELECT count(*) AS held FROM {name} WHERE {where}", *values)["held"][0].as_py()  # noqa: S608
    if held != rows.num_rows:
        raise DestinationError(
            f"{name} holds {held} rows where {rows.num_rows} were loaded; nothing was changed; "
            "remove the trigger or the rule that keeps rows in or out"
        )


def _together(tables: Iterable[pa.Table]) -> pa.Table:
    """Give tables as one in a single chunk: what databases take in bulk costs them by the chunk, too."""
    return pa.concat_tables(tables).unify_dictionaries().combine_chunks()


def _select(session: Session, table: Table, where: str = "true", *values: object) -> pa.Table:
    """Read rows in the contract's schema."""
    names = ", ".join(map(quoted, table.column_names))
    found = session.query(f"SELECT {names} FROM {quoted(table.name)} WHERE {where}", *values)  # noqa: S608
    schema = arrow_schema(table)
    columns = [
        column.dictionary_encode() if pa.types.is_dictionary(field.type) else column
        for field, column in zip(schema, found.columns, strict=True)
    ]
    return pa.table(columns, names=schema.names).cast(schema)
