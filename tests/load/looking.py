"""Destinations as tests load them, look at what is loaded, and are refused."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from smspartner.errors import DestinationError, SettingsError
from smspartner.snapshot import Snapshot
from smspartner_pipelines.load import open_destination
from smspartner_pipelines.load.destination import Damage, LoadedTag, WrittenFile, loaded_tags
from smspartner_schemas.contract import Table

RUN_ID = "20261123T180000Z-ab12cd34"
LATER = "20261124T180000Z-ef56ab78"
READ_AT = datetime(2026, 11, 23, 18, 0, 0, 123456, tzinfo=UTC)

HOSTILE = [
    *("../../x", "..", ".", "a/b", "a\\b", "A", "a", "con", "NUL", "%00", "~", "-rf", "_hidden", ".hidden", "*", "?"),
    *("'", '"', "$HOME", "été", "e\u0301te\u0301", "\U0001f600" * 20, "x.parquet", "tag=1", "+33612345678", "a" * 20),
    *("a%2Fb", "01", "1", "null", "true", "2026-01-01", "<>|:&#{}[]", "__HIVE_DEFAULT", '{"contract_version":9'),
    *("O'Brien", 'say"so"', "100%_done", "{a,b}", "NULL", "$1", "--x", "''", "[]"),
]
"""Tags that a path, a pattern, SQL or a format could take for something else."""


def load(uri: object, *snapshots: Snapshot) -> list[list[WrittenFile]]:
    """Load snapshots in one run."""
    destination = open_destination(str(uri))
    with destination.open(for_loading=True):
        return list(destination.replace(snapshots))


def read(uri: object, table: Table, columns: list[str] | None = None) -> list[pa.Table | Damage]:
    """Give the pieces of a table, as somebody who does not lock finds them."""
    destination = open_destination(str(uri))
    with destination.open(for_loading=False):
        return list(destination.scan(table, columns or table.column_names))


def scan(uri: object, table: Table, columns: list[str] | None = None) -> tuple[list[dict[str, Any]], list[Damage]]:
    """Give the rows of a table, sorted, and what is damaged."""
    parts = read(uri, table, columns)
    return rows_of(*(part for part in parts if isinstance(part, pa.Table))), [
        part for part in parts if isinstance(part, Damage)
    ]


def rows_of(*tables: pa.Table) -> list[dict[str, Any]]:
    """Give the rows of tables as `scan` does."""
    return sorted((row for table in tables for row in table.to_pylist()), key=str)


def states_and_damages(uri: object) -> tuple[dict[str, LoadedTag], list[Damage]]:
    """Give what is loaded, by tag, and what is damaged, to somebody who does not lock."""
    destination = open_destination(str(uri))
    with destination.open(for_loading=False):
        return loaded_tags(destination)


def loaded(uri: object) -> dict[str, LoadedTag]:
    """Give what is loaded, by tag; nothing is damaged."""
    states, damages = states_and_damages(uri)
    assert damages == []
    return states


def refused(uri: object, kind: type[DestinationError | SettingsError] = SettingsError) -> str:
    """Give what `check` says of a destination that can't be loaded; settings at fault are said to be that."""
    with pytest.raises(kind) as caught:
        open_destination(str(uri)).check()
    assert (isinstance(caught.value, SettingsError), caught.value.__context__) == (kind is SettingsError, None)
    return str(caught.value)
