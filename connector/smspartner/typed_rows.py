"""Populations typed in one pass: what of their rows is valid, in quarantine, or left out since it was erased."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from smspartner_schemas.arrow import arrow_schema
from smspartner_schemas.contract import DELIVERED, STATUSES
from smspartner_schemas.rules import broken_rules, column_rules

from smspartner import first_page
from smspartner.page import rows_at
from smspartner.phone_numbers import countries
from smspartner.privacy import ErasedNumbers, PhonePrivacy
from smspartner.reading import Population
from smspartner.rows import TIMESTAMP, Indices, Reasons, indices_of, read_rows
from smspartner.snapshot import Origin, Snapshot, occurrences
from smspartner.values import DATE_IN_FUTURE, FUTURE_ALLOWED


def type_populations(
    populations: Sequence[Population], run_id: str, privacy: PhonePrivacy, erased: ErasedNumbers
) -> list[Snapshot]:
    """Turn populations into snapshots, in their order; those that are not complete have no rows.

    A row that breaks a rule of the contract is not valid; rows of erased numbers are left out altogether.

    Raises:
        CountMismatch: rows are lost or made up, which would be a bug.
    """
    complete = [one for one in populations if one.verdict == "complete"]
    typed = iter(_Rows(complete, privacy).snapshots(run_id, erased) if complete else ())
    return [next(typed) if one.verdict == "complete" else Snapshot(**_facts(one), run_id=run_id) for one in populations]


_DATE_MISSING = "delivered row without date"
_MOST_NAMES = 20
"""Of drift, kept of one tag: a field that holds free text in place of a status word would make a name a row."""


def bounded(drift: Counter[str]) -> tuple[tuple[str, int], ...]:
    """Give the counts by name, sorted; of very many names the most frequent, and the others together."""
    kept = dict(drift.most_common(_MOST_NAMES))
    others = drift.total() - sum(kept.values())
    return (*sorted(kept.items()), *([("other drift", others)] if others else []))


def _facts(population: Population) -> dict[str, Any]:
    return {
        "tag": population.tag,
        "verdict": population.verdict,
        "reason": population.reason,
        "extracted_at": population.extracted_at,
        "asked_at": population.asked_at,
        "rows_declared": population.rows_declared,
        "rows_received": population.rows_received,
        "pages": population.pages_read,
        "requests": population.requests,
        "retries": population.retries,
        "seconds": population.seconds,
    }


class _Rows:
    """The rows of populations, one after the other.

    `owner` numbers the population of each row, `reasons` say, by its index, why it is not valid, and `starts` has the
    index of each population's first row, and the number of all rows at its end.
    """

    def __init__(self, populations: Sequence[Population], privacy: PhonePrivacy) -> None:
        self.populations = populations
        self.privacy = privacy
        self.pages = [page for one in populations for page in one.pages]
        counts = [sum(page.row_count for page in one.pages) for one in populations]
        self.owner = np.repeat(np.arange(len(populations)), counts)
        self.starts = np.cumsum([0, *counts])
        self.columns = read_rows([page.rows_json for page in self.pages])
        self.extracted_at = pa.array([one.extracted_at for one in populations], TIMESTAMP)
        self.reasons = dict(self.columns.reasons)
        latest = pc.add(self.extracted_at, pa.scalar(FUTURE_ALLOWED)).take(pa.array(self.owner))
        self._add_reasons({DATE_IN_FUTURE: indices_of(pc.greater(self.columns.status_at, latest))})

    def _add_reasons(self, broken: dict[str, Indices]) -> None:
        for reason, indices in broken.items():
            for index in indices.tolist():
                self.reasons[index] = (*self.reasons.get(index, ()), reason)

    def snapshots(self, run_id: str, erased: ErasedNumbers) -> list[Snapshot]:
        """Type the rows, and give them population by population."""
        out = set(np.flatnonzero(erased.mask(self.columns.phone_number)).tolist()) if erased else set()
        table, kept = self._statuses(run_id, out)
        # That the primary key is unique follows from how `occurrences` counts, and is not looked at once more.
        broken = broken_rules(table, column_rules(phone_form=self.privacy.form))
        if broken:
            self._add_reasons({name: kept[rows] for name, rows in broken.items()})
            table, kept = self._statuses(run_id, out)
        if erased:
            rows = rows_at(self.pages, self.reasons)
            out |= {index for index, (_, _, raw) in zip(self.reasons, rows, strict=True) if erased.named_in(raw)}
        for index in out & self.reasons.keys():
            del self.reasons[index]
        return self._apart(table, kept, np.array(sorted(out), dtype=np.int64), run_id)

    def _statuses(self, run_id: str, out: set[int]) -> tuple[pa.Table, Indices]:
        """Give the valid rows but those left out as a table with the schema of `statuses`, and their indices."""
        columns, kept = self.columns, np.arange(len(self.owner))
        number, status, stop, date = (columns.phone_number, columns.status, columns.stop_sms, columns.status_at)
        if self.reasons or out:
            kept = np.delete(kept, [*self.reasons, *out])
            number, status, stop, date = (column.take(pa.array(kept)) for column in (number, status, stop, date))
        owner = self.owner[kept]
        protected = self.privacy.protect_all(number)
        values = {
            "tag": _named(owner, [one.tag for one in self.populations]),
            "phone_number": protected,
            "occurrence": occurrences(protected, owner),
            "country": countries(number),
            "status": status.dictionary_encode(),
            "stop_sms": stop,
            "status_at": date,
            "extracted_at": self.extracted_at.take(pa.array(owner)),
            "run_id": _named(np.zeros(len(owner), np.int64), [run_id]),
        }
        table = pa.table([values[name] for name in STATUSES.column_names], names=STATUSES.column_names)
        return table.cast(arrow_schema(STATUSES)), kept

    def _apart(self, table: pa.Table, kept: Indices, out: Indices, run_id: str) -> list[Snapshot]:
        """Give the rows population by population, with indices from 0 in each, and count them."""
        bounds, left_out = np.searchsorted(kept, self.starts), np.diff(np.searchsorted(out, self.starts))
        first_rows = [one.pages[0].row_count if one.pages else 0 for one in self.populations]
        first_ends = np.searchsorted(kept, self.starts[:-1] + first_rows)
        digests = first_page.digests(table, zip(bounds[:-1].tolist(), first_ends.tolist(), strict=True))
        reasons, drift = self._reasons_apart(), self._drift_apart(table, kept)
        snapshots = []
        for number, one in enumerate(self.populations):
            begin, end = bounds[number], bounds[number + 1]
            valid = all(index >= first_rows[number] for index in reasons[number])
            snapshot = Snapshot(
                **_facts(one),
                run_id=run_id,
                table=_rows_of_tag(table.slice(begin, end - begin), one.tag),
                rows_erased=int(left_out[number]),
                drift=bounded(drift[number]),
                phone_numbers=self.privacy.label,
                first_page=digests[number] if valid else "",
                origin=Origin(one.pages, self.privacy, kept[begin:end] - self.starts[number]),
            ).with_quarantine(reasons[number])
            snapshot.check_counts()
            snapshots.append(snapshot)
        return snapshots

    def _reasons_apart(self) -> list[Reasons]:
        reasons: list[Reasons] = [{} for _ in self.populations]
        for index, why in self.reasons.items():
            number = self.owner[index]
            reasons[number][int(index - self.starts[number])] = why
        return reasons

    def _drift_apart(self, table: pa.Table, kept: Indices) -> list[Counter[str]]:
        undated = pc.and_(pc.equal(table["status"], DELIVERED), pc.is_null(table["status_at"]))
        drift = [Counter(name for page in one.pages for name in page.drift) for one in self.populations]
        for name, indices in {**self.columns.drift, _DATE_MISSING: kept[indices_of(undated)]}.items():
            counts = np.bincount(self.owner[indices], minlength=len(drift))
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
