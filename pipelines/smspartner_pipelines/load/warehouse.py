"""Tables of the contract as a destination: DuckDB, PostgreSQL and Delta Lake differ only in how they keep them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from smspartner_schemas.arrow import arrow_schema
from smspartner_schemas.contract import ERASURES, LOADED_TAGS, QUARANTINE, RUNS, STATUSES, TAG_RUNS

from smspartner_pipelines.load.destination import Damage, erasures_table, loaded_tags_table, state_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from smspartner.privacy import Erasure
    from smspartner.snapshot import Snapshot
    from smspartner_schemas.contract import Table

    from smspartner_pipelines.load.destination import WrittenFile

_PIECE_ROWS = 500_000
"""About how many rows are read at once."""


class Change(NamedTuple):
    """Rows that take the place of those of `table` whose `key` is one of `values`."""

    table: Table
    key: str
    values: Sequence[str]
    rows: pa.Table


class Warehouse(ABC):
    """Six tables, of which `loaded_tags` says what is loaded; it changes together with the rows.

    See `Destination`; a kind of warehouse adds `batch_rows`, `check`, `open`, `purge` and what is abstract here, all of
    which raise DestinationError.
    """

    keeps_tags = True

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.damages: dict[str, Damage] = {}
        """What could not be read, and was left out, since it was opened, by place."""

    @abstractmethod
    def misfits(self) -> list[str]:
        """List tags of which other rows, or rows of another run, are held than `loaded_tags` says."""

    @abstractmethod
    def count(self, table: Table) -> dict[str, int]:
        """Count the rows of a table by tag, in the order of tags."""

    @abstractmethod
    def select(self, table: Table, columns: Sequence[str], tags: Sequence[str] | None = None) -> pa.Table:
        """Give the rows of a table, or those of some tags that follow each other in the order of `count`."""

    @abstractmethod
    def change(self, changes: Sequence[Change]) -> None:
        """Make all changes as a whole or not at all; where there is no such way, one after the other."""

    def replace(self, snapshots: Sequence[Snapshot]) -> Iterator[list[WrittenFile]]:
        """See `Destination.replace`: all of them are loaded together."""
        ordered = sorted(snapshots, key=lambda snapshot: snapshot.tag)  # so that a reader of one tag skips the others
        states = loaded_tags_table(map(state_of, ordered))
        tags = [snapshot.tag for snapshot in ordered]
        if snapshots:
            self.change(
                [
                    Change(QUARANTINE, "tag", tags, _together(snapshot.quarantine for snapshot in ordered)),
                    Change(STATUSES, "tag", tags, _together(snapshot.table for snapshot in ordered)),
                    Change(LOADED_TAGS, "tag", tags, states),
                ]
            )
        for _ in snapshots:
            yield []

    def finish(self, tag_runs: pa.Table, run_id: str, *, complete: bool) -> list[WrittenFile]:  # noqa: ARG002
        """See `Destination.finish`."""
        self.change([Change(TAG_RUNS, "run_id", [run_id], tag_runs)])
        return []

    def save_report(self, report: bytes, run_id: str) -> None:
        """See `Destination.save_report`: it is a row of `runs`."""
        row = pa.table({"run_id": [run_id], "report": [report.decode()]}, schema=arrow_schema(RUNS))
        self.change([Change(RUNS, "run_id", [run_id], row)])

    def record_erasure(self, erasure: Erasure) -> None:
        """See `Destination.record_erasure`."""
        self.change([Change(ERASURES, "number_hash", [erasure.number_hash], erasures_table([erasure]))])

    def scan(self, table: Table, columns: Sequence[str]) -> Iterator[pa.Table | Damage]:
        """See `Destination.scan`: a tag is damaged where other rows are held than `loaded_tags` says."""
        known = len(self.damages)
        if table is LOADED_TAGS:
            misfits = self.misfits()
            yield from (Damage(f"{self.uri}: tag {tag}", "holds other rows than were loaded", tag) for tag in misfits)
            rows = _typed(self.select(table, list(dict.fromkeys(("tag", *columns)))), table)
            fits = pc.invert(pc.is_in(rows["tag"].cast(pa.string()), pa.array(misfits, pa.string())))
            yield rows.filter(fits).select(list(columns))
        else:
            for tags in self._pieces(table) if "tag" in table.column_names else [None]:
                yield _typed(self.select(table, columns, tags), table)
        yield from list(self.damages.values())[known:]

    def _pieces(self, table: Table) -> Iterator[list[str] | None]:
        """Give tags in groups of about `_PIECE_ROWS` rows; None means all at once."""
        counted = self.count(table)
        if sum(counted.values()) <= _PIECE_ROWS:
            yield from [None] * bool(counted)
            return
        tags: list[str] = []
        rows = 0
        for tag, held in counted.items():
            if tags and rows + held > _PIECE_ROWS:
                yield tags
                tags, rows = [], 0
            tags.append(tag)
            rows += held
        yield tags


def _together(tables: Iterable[pa.Table]) -> pa.Table:
    """Give tables as one in a single chunk: loading in bulk costs by the chunk, too."""
    return pa.concat_tables(tables).unify_dictionaries().combine_chunks()


def _typed(rows: pa.Table, table: Table) -> pa.Table:
    """Give rows in the contract's types."""
    schema = pa.schema([arrow_schema(table).field(name) for name in rows.column_names])
    columns = [
        column.dictionary_encode() if pa.types.is_dictionary(field.type) else column
        for field, column in zip(schema, rows.columns, strict=True)
    ]
    return pa.table(columns, names=schema.names).cast(schema)
