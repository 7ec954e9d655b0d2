"""Datasets as tests load them, and look at what is loaded."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from smspartner.snapshot import Snapshot
from smspartner_pipelines.load import open_destination
from smspartner_pipelines.load.destination import Damage, LoadedTag, WrittenFile, loaded_tags
from smspartner_schemas.contract import Table

RUN_ID = "20261123T180000Z-ab12cd34"
LATER = "20261124T180000Z-ef56ab78"
READ_AT = datetime(2026, 11, 23, 18, 0, 0, 123456, tzinfo=UTC)


def load(uri: object, *snapshots: Snapshot) -> list[list[WrittenFile]]:
    """Load snapshots in one run."""
    destination = open_destination(str(uri))
    with destination.open(for_loading=True):
        return list(destination.replace(snapshots))


def scan(uri: object, table: Table, columns: list[str] | None = None) -> tuple[list[dict[str, Any]], list[Damage]]:
    """Give the rows of a table, sorted, and what is damaged."""
    parts = list(open_destination(str(uri)).scan(table, columns or table.column_names))
    rows = [row for part in parts if not isinstance(part, Damage) for row in part.to_pylist()]
    return sorted(rows, key=str), [part for part in parts if isinstance(part, Damage)]


def rows_of(*tables: pa.Table) -> list[dict[str, Any]]:
    """Give the rows of tables as `scan` does."""
    return sorted((row for table in tables for row in table.to_pylist()), key=str)


def loaded(uri: object) -> dict[str, LoadedTag]:
    """Give what is loaded, by tag; nothing is damaged."""
    states, damages = loaded_tags(open_destination(str(uri)))
    assert damages == []
    return states
