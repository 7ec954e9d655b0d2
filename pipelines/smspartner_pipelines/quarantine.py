"""What is in quarantine, counted by tag and reason: no number, and no raw row, is shown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Console
from smspartner.values import REASONS
from smspartner_pipelines.load.destination import LoadedTag, TagStore
from smspartner_schemas.rules import row_rules

from smspartner_pipelines.tables import Column, print_table

_COLUMNS = (
    *(Column("tag"), Column("reason"), Column("rows", right=True)),
    *(Column("first at"), Column("meaning", fold=True)),
)


@dataclass(frozen=True)
class Doubt:
    """One reason in one tag: how many rows it doubts, and where the first of them stood (page and position from 1)."""

    tag: str
    reason: str
    meaning: str
    rows: int
    page: int
    position: int


def doubts_in(store: TagStore) -> list[Doubt]:
    """List the reasons for which rows are in quarantine, by tag and reason.

    Raises:
        DestinationError: the quarantine can't be read.
    """
    doubted = doubted_tags(store).values()
    return [doubt for state in doubted for doubt in _of_tag(state.tag, store.stored_tag(state).quarantine)]


def doubted_tags(store: TagStore) -> dict[str, LoadedTag]:
    """Give the tags that have rows in quarantine, or may have: what is held of them is not known for certain."""
    tags = sorted(store.loaded_tags().items())
    return {tag: state for tag, state in tags if state.rows_quarantined or not state.consistent}


def _of_tag(tag: str, quarantine: pa.Table) -> Iterator[Doubt]:
    rows = pc.list_parent_indices(quarantine["reasons"].combine_chunks())
    each = pa.table(
        {
            "reason": pc.list_flatten(quarantine["reasons"].combine_chunks()),
            "page": quarantine["page"].combine_chunks().take(rows),
            "position": quarantine["position"].combine_chunks().take(rows),
        }
    ).sort_by([("page", "ascending"), ("position", "ascending")])
    counted = each.group_by("reason", use_threads=False).aggregate(
        [([], "count_all"), ("page", "first"), ("position", "first")]
    )
    for row in counted.sort_by("reason").to_pylist():
        reason = row["reason"]
        yield Doubt(tag, reason, meaning_of(reason), row["count_all"], row["page_first"], row["position_first"])


def meaning_of(reason: str) -> str:
    """Say in words what a reason means."""
    if reason in REASONS:
        return REASONS[reason]
    of_contract = {rule.name for rule in row_rules()}
    return "breaks a rule of the contract" if reason in of_contract else "fails an expectation of your suite"


def print_doubts(doubts: list[Doubt], console: Console) -> None:
    """Print the reasons tag by tag."""
    if not doubts:
        console.print("nothing is in quarantine")
        return
    print_table(console, _COLUMNS, map(_row, doubts))


def _row(doubt: Doubt) -> tuple[str, ...]:
    place = f"page {doubt.page}, row {doubt.position}"
    return doubt.tag, doubt.reason, f"{doubt.rows:,}", place, doubt.meaning


def doubts_json(doubts: list[Doubt]) -> str:
    """Give the reasons as a JSON array."""
    return json.dumps([asdict(doubt) for doubt in doubts], ensure_ascii=False, indent=2)
