"""A population as typed rows, and the rows that are doubted: nothing leaves the one without entering the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

import numpy as np
import pyarrow as pa
from smspartner_schemas.arrow import arrow_schema, empty_table
from smspartner_schemas.contract import QUARANTINE

from smspartner.errors import RawRowMissing
from smspartner.page import Page
from smspartner.phone_numbers import PhonePrivacy

TIMESTAMP = pa.timestamp("us", tz="UTC")

Reasons = dict[int, tuple[str, ...]]
"""Every reason not to believe a row, by the row's place in its population (from 0)."""


@dataclass(frozen=True)
class Stamp:
    """What every row of a tag and run has in common."""

    tag: str
    run_id: str
    extracted_at: datetime

    def columns(self, rows: int) -> dict[str, pa.Array]:
        """Give the columns that hold one value for the whole tag, in the types of the contract."""
        same = pa.array(np.zeros(rows, dtype=np.int32))
        return {
            "tag": pa.DictionaryArray.from_arrays(same, pa.array([self.tag], pa.string())),
            "run_id": pa.DictionaryArray.from_arrays(same, pa.array([self.run_id], pa.string())),
            "extracted_at": pa.repeat(pa.scalar(self.extracted_at, TIMESTAMP), rows),
        }


@dataclass(frozen=True)
class RawRow:
    """One row's JSON as the quarantine keeps it, with its page and its position there, both from 1."""

    page: int
    position: int
    raw: str = field(repr=False)


class RawRows(Protocol):
    """The raw rows of a population, by their places in it."""

    def at(self, place: int) -> RawRow | None:
        """Give the row at a place (from 0); None where its JSON is not kept any more."""


class PageRows:
    """The raw rows of the pages a population was read from, with phone numbers in the form asked for."""

    def __init__(self, pages: tuple[Page, ...], privacy: PhonePrivacy) -> None:
        self._pages = pages
        self._privacy = privacy
        self._starts = np.cumsum([0, *(page.row_count for page in pages)])

    def at(self, place: int) -> RawRow:
        """Give the row at a place."""
        page, position = self._find(place)
        return RawRow(page + 1, position + 1, self._privacy.protect_raw(self._pages[page].raw_rows[position]))

    def as_sent(self, place: int) -> bytes:
        """Give the JSON of the row at a place as the API sent it."""
        page, position = self._find(place)
        return self._pages[page].raw_rows[position]

    def _find(self, place: int) -> tuple[int, int]:
        page = int(np.searchsorted(self._starts, place, side="right")) - 1
        return page, place - int(self._starts[page])


@dataclass(frozen=True)
class TypedRows:
    """A population as typed rows.

    `table` has the schema of `statuses`, `places` the place of each of its rows in the population (from 0), `reasons`
    those of the doubted rows, `erased` those of rows that are left out since their numbers were erased; `drift` counts
    what the documentation does not show.
    """

    stamp: Stamp
    raw: RawRows = field(repr=False)
    table: pa.Table
    places: np.ndarray
    reasons: Reasons
    drift: Counter[str]
    erased: tuple[int, ...] = ()

    def doubting(self, more: Mapping[int, tuple[str, ...]]) -> TypedRows:
        """Return the same population with further rows (by their place in `table`) doubted."""
        if not more:
            return self
        keep = np.ones(self.table.num_rows, dtype=bool)
        keep[list(more)] = False
        added = {int(self.places[row]): reasons for row, reasons in more.items()}
        return replace(
            self, table=self.table.filter(pa.array(keep)), places=self.places[keep], reasons={**self.reasons, **added}
        )

    def quarantine(self) -> pa.Table:
        """Give the doubted rows, raw, with page, position and reasons: a table with the schema of `quarantine`.

        Raises:
            RawRowMissing: a row is doubted whose JSON is not kept any more.
        """
        if not self.reasons:
            return empty_table(QUARANTINE)
        places = sorted(self.reasons)
        found = [row for row in map(self.raw.at, places) if row is not None]
        if len(found) < len(places):
            raise RawRowMissing(f"{len(places) - len(found)} rows that are loaded already are doubted now")
        columns = {
            "page": pa.array([row.page for row in found], pa.int32()),
            "position": pa.array([row.position for row in found], pa.int32()),
            "reasons": pa.array([list(self.reasons[place]) for place in places], pa.list_(pa.string())),
            "raw": pa.array([row.raw for row in found], pa.string()),
            **self.stamp.columns(len(places)),
        }
        schema = arrow_schema(QUARANTINE)
        return pa.table([columns[name] for name in schema.names], schema=schema)
