"""The pages of complete populations as typed rows and quarantine, for many tags in one pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from smspartner_schemas.arrow import arrow_schema
from smspartner_schemas.contract import DELIVERED, STATUSES
from smspartner_schemas.rules import broken_rules, column_rules

from smspartner import first_page
from smspartner.drift import DATE_MISSING
from smspartner.erasure import ErasedNumbers
from smspartner.numbering import countries
from smspartner.page import Page
from smspartner.phone_numbers import PhonePrivacy
from smspartner.rows import TIMESTAMP, Columns, Indices, Reasons, indices_of, read_rows
from smspartner.snapshot import Origin, occurrences
from smspartner.values import DATE_IN_FUTURE, FUTURE_ALLOWED


@dataclass(frozen=True)
class Sent:
    """What the API sent of one tag: the pages of its whole population, and when the pass that read them began."""

    tag: str
    pages: tuple[Page, ...]
    extracted_at: datetime | None


@dataclass(frozen=True)
class TypedRows:
    """The rows of one tag: valid ones, those in quarantine, and how many were left out since they were erased."""

    table: pa.Table
    quarantine: pa.Table
    erased: int
    drift: Counter[str]
    first_page: str
    origin: Origin


def type_rows(sent: Sequence[Sent], run_id: str, privacy: PhonePrivacy, erased: ErasedNumbers) -> list[TypedRows]:
    """Type the rows of tags in one pass: what breaks a rule is not valid, rows of erased numbers are left out."""
    if not sent:
        return []
    rows = _Rows(sent, run_id, privacy)
    out = set(np.flatnonzero(erased.mask(rows.columns.phone_number)).tolist()) if erased else set()
    rows.reasons = {index: why for index, why in rows.reasons.items() if index not in out}
    table, indices = rows.statuses(out)
    broken = _broken(table, privacy)
    if broken:
        rows.reasons |= {int(indices[row]): why for row, why in broken.items()}
        table, indices = rows.statuses(out)
    if erased:
        origin = Origin(rows.pages, privacy, indices)
        named = {index for index in rows.reasons if erased.named_in(origin.raw(index)[2])}
        rows.reasons = {index: why for index, why in rows.reasons.items() if index not in named}
        out |= named
    return rows.apart(table, indices, np.array(sorted(out), dtype=np.int64))


def _broken(table: pa.Table, privacy: PhonePrivacy) -> Reasons:
    """Name, for each row that breaks a rule of the contract, the rules it breaks.

    That the primary key is unique follows from how `occurrences` counts, and is not looked at once more.
    """
    reasons: Reasons = {}
    for name, rows in broken_rules(table, column_rules(phone_form=privacy.form)).items():
        for row in rows.tolist():
            reasons[row] = (*reasons.get(row, ()), name)
    return reasons


@dataclass
class _Rows:
    """The rows of tags, one after the other; `owner` numbers the tag of each, `reasons` those that are not valid."""

    sent: Sequence[Sent]
    run_id: str
    privacy: PhonePrivacy
    pages: tuple[Page, ...] = field(init=False)
    owner: Indices = field(init=False)
    columns: Columns = field(init=False)
    extracted_at: pa.Array = field(init=False)
    reasons: Reasons = field(init=False)

    def __post_init__(self) -> None:
        self.pages = tuple(chain.from_iterable(one.pages for one in self.sent))
        counts = [sum(page.row_count for page in one.pages) for one in self.sent]
        self.owner = np.repeat(np.arange(len(self.sent)), counts)
        self.columns = read_rows([page.rows_json for page in self.pages])
        self.extracted_at = pa.array([one.extracted_at for one in self.sent], TIMESTAMP)
        self.reasons = dict(self.columns.reasons)
        latest = pc.add(self.extracted_at, pa.scalar(FUTURE_ALLOWED)).take(pa.array(self.owner))
        for index in indices_of(pc.greater(self.columns.status_at, latest)).tolist():
            self.reasons[index] = (*self.reasons.get(index, ()), DATE_IN_FUTURE)

    def statuses(self, out: set[int]) -> tuple[pa.Table, Indices]:
        """Give the valid rows but those left out as a table with the schema of `statuses`, and their indices."""
        columns, kept = self.columns, np.arange(len(self.owner))
        number, status, stop, date = (columns.phone_number, columns.status, columns.stop_sms, columns.status_at)
        if self.reasons or out:
            kept = np.delete(kept, [*self.reasons, *out])
            number, status, stop, date = (column.take(pa.array(kept)) for column in (number, status, stop, date))
        owner = self.owner[kept]
        protected = self.privacy.protect_all(number)
        values = {
            "tag": _named(owner, [one.tag for one in self.sent]),
            "phone_number": protected,
            "occurrence": occurrences(protected, owner),
            "country": countries(number),
            "status": status.dictionary_encode(),
            "stop_sms": stop,
            "status_at": date,
            "extracted_at": self.extracted_at.take(pa.array(owner)),
            "run_id": _named(np.zeros(len(owner), np.int64), [self.run_id]),
        }
        table = pa.table([values[name] for name in STATUSES.column_names], names=STATUSES.column_names)
        return table.cast(arrow_schema(STATUSES)), kept

    def apart(self, table: pa.Table, kept: Indices, out: Indices) -> list[TypedRows]:
        """Give the rows tag by tag, with indices from 0 in each."""
        tags = np.arange(len(self.sent) + 1)
        starts = np.searchsorted(self.owner, tags)
        bounds, left_out = np.searchsorted(kept, starts), np.diff(np.searchsorted(out, starts))
        first_rows = [one.pages[0].row_count if one.pages else 0 for one in self.sent]
        first_ends = np.searchsorted(kept, starts[:-1] + first_rows)
        digests = first_page.digests(table, zip(bounds[:-1].tolist(), first_ends.tolist(), strict=True))
        reasons, drift = self._reasons_by_tag(starts), self._drift_by_tag(table, kept)
        typed = []
        for number, one in enumerate(self.sent):
            begin, end = bounds[number], bounds[number + 1]
            origin = Origin(one.pages, self.privacy, kept[begin:end] - starts[number])
            valid = all(index >= first_rows[number] for index in reasons[number])
            typed.append(
                TypedRows(
                    table=_rows_of_tag(table.slice(begin, end - begin), one.tag),
                    quarantine=origin.quarantine(reasons[number], self._common(number)),
                    erased=int(left_out[number]),
                    drift=drift[number],
                    first_page=digests[number] if valid else "",
                    origin=origin,
                )
            )
        return typed

    def _common(self, number: int) -> dict[str, pa.Array]:
        """Give what all rows of a tag have in common, as columns of one value."""
        zero = np.zeros(1, np.int64)
        return {
            "tag": _named(zero, [self.sent[number].tag]),
            "extracted_at": self.extracted_at.slice(number, 1),
            "run_id": _named(zero, [self.run_id]),
        }

    def _reasons_by_tag(self, starts: Indices) -> list[Reasons]:
        reasons: list[Reasons] = [{} for _ in self.sent]
        for index, why in self.reasons.items():
            number = self.owner[index]
            reasons[number][int(index - starts[number])] = why
        return reasons

    def _drift_by_tag(self, table: pa.Table, kept: Indices) -> list[Counter[str]]:
        undated = pc.and_(pc.equal(table["status"], DELIVERED), pc.is_null(table["status_at"]))
        drift = [Counter(name for page in one.pages for name in page.drift) for one in self.sent]
        for name, indices in {**self.columns.drift, DATE_MISSING: kept[indices_of(undated)]}.items():
            counts = np.bincount(self.owner[indices], minlength=len(self.sent))
            for number in np.flatnonzero(counts).tolist():
                drift[number][name] = int(counts[number])
        return drift


def _named(codes: Indices, names: list[str]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(names, pa.string()))


def _rows_of_tag(rows: pa.Table, tag: str) -> pa.Table:
    """Give rows of one tag a dictionary of tags that holds no other."""
    own = {"tag": _named(np.zeros(rows.num_rows, dtype=np.int64), [tag])}
    arrays = [own.get(name, column) for name, column in zip(rows.column_names, rows.columns, strict=True)]
    return pa.Table.from_arrays(arrays, schema=rows.schema)
