"""Populations typed in one pass: what of their rows is valid, in quarantine, or left out since it was erased."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from smspartner_schemas.arrow import arrow_schema
from smspartner_schemas.contract import DELIVERED, STATUS_WORDS, STATUSES
from smspartner_schemas.rules import broken_rules, column_rules

from smspartner.page import rows_at
from smspartner.phone_numbers import countries
from smspartner.privacy import ErasedNumbers, PhonePrivacy
from smspartner.reading import Population
from smspartner.rows import TIMESTAMP, Indices, indices_of, read_rows
from smspartner.snapshot import Origin, Snapshot, occurrences
from smspartner.values import DATE_IN_FUTURE, FUTURE_ALLOWED

_DATE_MISSING = "delivered row without date"
_MOST_DRIFT = 20
"""Names kept of one tag: a field that holds free text in place of a status word would make a name a row."""

_NO_DATE = np.iinfo(np.int64).min


def type_populations(
    populations: Sequence[Population], run_id: str, privacy: PhonePrivacy, erased: ErasedNumbers
) -> list[Snapshot]:
    """Turn populations into snapshots, in their order; those that are not complete have no rows.

    A row that breaks a rule of the contract is not valid; rows of erased numbers are left out altogether.

    Raises:
        CountMismatch: rows are lost or made up, which would be a bug.
    """
    complete = [one for one in populations if one.verdict == "complete"]
    typed = iter(_Rows(complete, run_id, privacy).snapshots(erased) if complete else ())
    return [next(typed) if one.verdict == "complete" else Snapshot(**_facts(one, run_id)) for one in populations]


def _facts(population: Population, run_id: str) -> dict[str, Any]:
    """Give what a snapshot says of a population, by the names of its fields."""
    facts = {**vars(population), "pages": population.pages_read, "run_id": run_id}
    del facts["pages_read"]
    return facts


class _Rows:
    """The rows of populations, one after the other.

    `owner` numbers the population of each row, `reasons` say, by its index, why it is not valid, and `starts` has the
    index of each population's first row, and the number of all rows at its end.
    """

    def __init__(self, populations: Sequence[Population], run_id: str, privacy: PhonePrivacy) -> None:
        self.populations = populations
        self.run_id = run_id
        self.privacy = privacy
        self.pages = [page for one in populations for page in one.pages]
        counts = [sum(page.row_count for page in one.pages) for one in populations]
        self.owner = np.repeat(np.arange(len(populations)), counts)
        self.starts = np.cumsum([0, *counts])
        self.columns = read_rows([page.rows_json for page in self.pages])
        self.reasons = dict(self.columns.reasons)
        self.extracted_at = pa.array([one.extracted_at for one in populations], TIMESTAMP)
        latest = pc.add(self.extracted_at, pa.scalar(FUTURE_ALLOWED)).take(pa.array(self.owner))
        self._add_reason(DATE_IN_FUTURE, indices_of(pc.greater(self.columns.status_at, latest)))

    def _add_reason(self, reason: str, indices: Indices) -> None:
        for index in indices.tolist():
            self.reasons[index] = (*self.reasons.get(index, ()), reason)

    def snapshots(self, erased: ErasedNumbers) -> list[Snapshot]:
        """Type the rows, and give them population by population."""
        out = set(np.flatnonzero(erased.mask(self.columns.phone_number)).tolist()) if erased else set()
        table, kept = self._statuses(out)
        # That the primary key is unique follows from how `occurrences` counts, and is not looked at once more.
        broken = broken_rules(table, column_rules(phone_form=self.privacy.form))
        for name, rows in broken.items():
            self._add_reason(name, kept[rows])
        if broken:
            table, kept = self._statuses(out)
        if erased:
            raw_rows = zip(self.reasons, rows_at(self.pages, self.reasons), strict=True)
            out |= {index for index, (_, _, raw) in raw_rows if erased.named_in(raw)}
        for index in out & self.reasons.keys():
            del self.reasons[index]
        return self._apart(table, kept, np.array(sorted(out), dtype=np.int64))

    def _statuses(self, out: set[int]) -> tuple[pa.Table, Indices]:
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
            "run_id": _named(np.zeros(len(owner), np.int64), [self.run_id]),
        }
        table = pa.table([values[name] for name in STATUSES.column_names], names=STATUSES.column_names)
        return table.cast(arrow_schema(STATUSES)), kept

    def _apart(self, table: pa.Table, kept: Indices, out: Indices) -> list[Snapshot]:
        """Give the rows population by population, with indices from 0 in each, and count them."""
        bounds, left_out = np.searchsorted(kept, self.starts), np.diff(np.searchsorted(out, self.starts))
        first_rows = [one.pages[0].row_count if one.pages else 0 for one in self.populations]
        first_ends = np.searchsorted(kept, self.starts[:-1] + first_rows)
        digests = _digests(table, zip(bounds[:-1].tolist(), first_ends.tolist(), strict=True))
        reasons: list[dict[int, tuple[str, ...]]] = [{} for _ in self.populations]
        for index, why in self.reasons.items():
            number = self.owner[index]
            reasons[number][int(index - self.starts[number])] = why
        snapshots = []
        for number, (one, drift) in enumerate(zip(self.populations, self._drift(table, kept), strict=True)):
            begin, end = bounds[number], bounds[number + 1]
            first_is_valid = all(index >= first_rows[number] for index in reasons[number])
            snapshot = Snapshot(
                **_facts(one, self.run_id),
                table=_rows_of_tag(table.slice(begin, end - begin), one.tag),
                rows_erased=int(left_out[number]),
                drift=bounded(drift),
                phone_numbers=self.privacy.label,
                first_page=digests[number] if first_is_valid else "",
                origin=Origin(one.pages, self.privacy, kept[begin:end] - self.starts[number]),
            ).with_quarantine(reasons[number])
            snapshot.check_counts()
            snapshots.append(snapshot)
        return snapshots

    def _drift(self, table: pa.Table, kept: Indices) -> list[Counter[str]]:
        """Count drift population by population; that of envelopes by page."""
        undated = pc.and_(pc.equal(table["status"], DELIVERED), pc.is_null(table["status_at"]))
        drift = [Counter(name for page in one.pages for name in page.drift) for one in self.populations]
        for name, indices in {**self.columns.drift, _DATE_MISSING: kept[indices_of(undated)]}.items():
            counts = np.bincount(self.owner[indices], minlength=len(drift))
            for number in np.flatnonzero(counts).tolist():
                drift[number][name] = int(counts[number])
        return drift


def bounded(drift: Counter[str]) -> tuple[tuple[str, int], ...]:
    """Give the counts by name, sorted; of very many names the most frequent, and the others together."""
    kept = dict(drift.most_common(_MOST_DRIFT))
    others = drift.total() - sum(kept.values())
    return (*sorted(kept.items()), *([("other drift", others)] if others else []))


def _named(codes: Indices, names: list[str]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(names, pa.string()))


def _rows_of_tag(rows: pa.Table, tag: str) -> pa.Table:
    """Give rows of one tag a dictionary of tags that holds no other."""
    at = rows.schema.get_field_index("tag")
    return rows.set_column(at, rows.schema.field(at), _named(np.zeros(rows.num_rows, dtype=np.int64), [tag]))


def _digests(rows: pa.Table, ranges: Iterable[tuple[int, int]]) -> list[str]:
    """Give the SHA-256 (hexadecimal) of each range of rows, from begin to before end, of a table of `statuses`.

    It is over phone_number, status, stop_sms and status_at, in API order, and says later whether the tag must be read
    again. The columns are hashed as they lie in memory (little-endian), since tags of few rows are many. Numbers need
    nothing between them: they begin with a plus, or have all one length.
    """
    names = ("phone_number", "status", "stop_sms", "status_at")
    number, status, stop, date = (rows[name].combine_chunks() for name in names)
    words = pc.index_in(status.dictionary, pa.array(STATUS_WORDS, pa.string()))
    columns = (
        np.asarray(words.take(status.indices), dtype="<i4"),
        np.asarray(stop).astype(np.uint8),
        np.asarray(pc.fill_null(date.cast(pa.int64()), _NO_DATE), dtype="<i8"),
    )
    ends = np.frombuffer(number.buffers()[1] or b"\0\0\0\0", np.int32)[number.offset :]
    text = memoryview(number.buffers()[2] or b"")
    found = []
    for begin, end in ranges:
        digest = hashlib.sha256(text[ends[begin] : ends[end]])
        for column in columns:
            digest.update(column[begin:end].data)
        found.append(digest.hexdigest())
    return found
