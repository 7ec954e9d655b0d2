"""Populations become snapshots: typed rows, and in quarantine what is not valid, in a thread beside the loading."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from queue import Queue
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from smspartner_schemas.arrow import arrow_schema
from smspartner_schemas.contract import DELIVERED, STATUSES
from smspartner_schemas.rules import broken_rules, column_rules

from smspartner.page import Page, rows_at
from smspartner.phone_numbers import countries
from smspartner.privacy import NOBODY, ErasedNumbers, PhonePrivacy
from smspartner.reading import Population
from smspartner.rows import TIMESTAMP, Indices, indices_of, read_rows
from smspartner.snapshot import Origin, Snapshot, bounded_drift, first_page_digests, occurrences
from smspartner.values import DATE_IN_FUTURE, FUTURE_ALLOWED

READY_ROWS = 32 * 1024
"""Rows typed at a time, about: a pass costs some milliseconds however few it has, and these are a few megabytes."""

_GATHERING = 0.25
"""Seconds that populations may wait for others while these come."""

_Pass = list[Snapshot] | None
"""The snapshots of populations that were typed together, or a tick."""


def transform(
    populations: Iterable[Population | None], run_id: str, privacy: PhonePrivacy, erased: ErasedNumbers = NOBODY
) -> Generator[Snapshot | None]:
    """Type the rows of populations; those of erased numbers are left out, those that are not valid in quarantine.

    Snapshots come in the order of their populations, and at the latest with the next tick (None), which passes through.
    A population that is not complete gives a snapshot without rows. One thread reads `populations` and types, at most
    two passes ahead of the consumer; closing the generator closes `populations`, too.

    Raises:
        CountMismatch: rows are lost or made up, which would be a bug.
        Exception: anything that `populations` raises, after the snapshots of what came before.
    """
    with closing(_ahead(_typed(populations, run_id, privacy, erased))) as passes:
        for snapshots in passes:
            yield from [None] if snapshots is None else snapshots


def _ahead(source: Generator[_Pass]) -> Generator[_Pass]:
    """Give what a generator gives, which runs in a thread and works ahead of the consumer."""
    output: Queue[_Pass | BaseException] = Queue(maxsize=1)
    left = threading.Event()

    def work() -> None:
        end: BaseException = StopIteration()
        try:
            with closing(source):
                for item in source:
                    output.put(item)
                    if left.is_set():
                        break
        except BaseException as exc:  # noqa: BLE001  # anything that ends this thread must reach the consumer
            end = exc
        output.put(end)

    thread = threading.Thread(target=work, name="smspartner-transform", daemon=True)
    thread.start()
    got: _Pass | BaseException = None
    try:
        while not isinstance(got := output.get(), BaseException):
            yield got
        if not isinstance(got, StopIteration):
            raise got
    finally:
        left.set()
        while not isinstance(got, BaseException):  # the thread may wait for room
            got = output.get()
        thread.join()


def _typed(
    populations: Iterable[Population | None], run_id: str, privacy: PhonePrivacy, erased: ErasedNumbers
) -> Generator[_Pass]:
    """Type `READY_ROWS` at a time, or what came in a short time; a tick, the end or an error ends that, too."""
    ready: list[Population] = []
    rows, began = 0, 0.0
    with closing(_with_end(populations)) as items:
        for got in items:
            if isinstance(got, Population):
                began = began if ready else time.monotonic()
                ready.append(got)
                rows += got.rows_received
                if rows < READY_ROWS and time.monotonic() - began < _GATHERING:
                    continue
            if ready:
                yield type_populations(ready, run_id, privacy, erased)
                ready, rows = [], 0
            if got is None:
                yield None
            elif isinstance(got, Exception) and not isinstance(got, StopIteration):
                raise got


def _with_end(populations: Iterable[Population | None]) -> Generator[Population | Exception | None]:
    """Give what ends populations as the last item, so that what came before is typed first; closing closes them."""
    try:
        yield from populations
        yield StopIteration()
    except Exception as exc:  # noqa: BLE001  # raised again
        yield exc


def first_page_digest(page: Page, privacy: PhonePrivacy, erased: ErasedNumbers = NOBODY) -> str:
    """Give the digest of a first page as `Snapshot.first_page` has it; "" if any of its rows is not valid."""
    now, rows = datetime.now(UTC), page.row_count
    population = Population("-", "complete", "", (page,), now, now, rows, rows, 1, 1, 0, 0.0)
    (snapshot,) = type_populations([population], "-", privacy, erased)
    return snapshot.first_page


def type_populations(
    populations: Sequence[Population], run_id: str, privacy: PhonePrivacy, erased: ErasedNumbers
) -> list[Snapshot]:
    """Turn populations into snapshots, in their order; those that are not complete have no rows.

    A row that breaks a rule of the contract is not valid; rows of erased numbers are left out altogether.

    Raises:
        CountMismatch: rows are lost or made up, which would be a bug.
    """
    complete = [one for one in populations if one.verdict == "complete"]
    typed = _Rows(complete, run_id, privacy).snapshots(erased) if complete else iter(())
    return [next(typed) if one.verdict == "complete" else Snapshot(**_facts(one, run_id)) for one in populations]


def _facts(population: Population, run_id: str) -> dict[str, Any]:
    """Give what a snapshot says of a population, by the names of its fields."""
    facts = {name: value for name, value in vars(population).items() if name != "pages_read"}
    return {**facts, "pages": population.pages_read, "run_id": run_id}


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

    def snapshots(self, erased: ErasedNumbers) -> Iterator[Snapshot]:
        """Type the rows, and give them population by population."""
        out = set(np.flatnonzero(erased.mask(self.columns.phone_number)).tolist()) if erased else set()
        table, kept = self._statuses(out)
        # That the primary key is unique follows from how `occurrences` counts, and is not looked at once more.
        broken = broken_rules(table, column_rules(phone_form=self.privacy.form))
        if broken:
            for name, rows in broken.items():
                self._add_reason(name, kept[rows])
            table, kept = self._statuses(out)
        if erased:
            raw_rows = zip(self.reasons, rows_at(self.pages, self.reasons), strict=True)
            out |= {index for index, (_, _, raw) in raw_rows if erased.named_in(raw)}
        self.reasons = {index: why for index, why in self.reasons.items() if index not in out}
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
        return pa.table(values).select(STATUSES.column_names).cast(arrow_schema(STATUSES)), kept

    def _apart(self, table: pa.Table, kept: Indices, out: Indices) -> Iterator[Snapshot]:
        """Give the rows population by population, with indices from 0 in each, and count them."""
        bounds, left_out = np.searchsorted(kept, self.starts), np.diff(np.searchsorted(out, self.starts))
        first_rows = [one.pages[0].row_count if one.pages else 0 for one in self.populations]
        first_ends = np.searchsorted(kept, self.starts[:-1] + first_rows)
        digests = first_page_digests(table, zip(bounds[:-1].tolist(), first_ends.tolist(), strict=True))
        reasons: list[dict[int, tuple[str, ...]]] = [{} for _ in self.populations]
        for index, why in self.reasons.items():
            number = self.owner[index]
            reasons[number][int(index - self.starts[number])] = why
        for number, (one, drift) in enumerate(zip(self.populations, self._drift(table, kept), strict=True)):
            begin, end = bounds[number], bounds[number + 1]
            own_tag = _named(np.zeros(end - begin, np.int64), [one.tag])  # a dictionary that holds no other
            snapshot = Snapshot(
                **_facts(one, self.run_id),
                table=table.slice(begin, end - begin).set_column(0, table.schema.field("tag"), own_tag),
                rows_erased=int(left_out[number]),
                drift=bounded_drift(drift),
                phone_numbers=self.privacy.label,
                first_page=digests[number] if all(index >= first_rows[number] for index in reasons[number]) else "",
                origin=Origin(one.pages, self.privacy, kept[begin:end] - self.starts[number]),
            ).with_quarantine(reasons[number])
            snapshot.check_counts()
            yield snapshot

    def _drift(self, table: pa.Table, kept: Indices) -> list[Counter[str]]:
        """Count drift population by population; that of envelopes by page."""
        undated = pc.and_(pc.equal(table["status"], DELIVERED), pc.is_null(table["status_at"]))
        drift = [Counter(name for page in one.pages for name in page.drift) for one in self.populations]
        for name, indices in {**self.columns.drift, "delivered row without date": kept[indices_of(undated)]}.items():
            counts = np.bincount(self.owner[indices], minlength=len(drift))
            for number in np.flatnonzero(counts).tolist():
                drift[number][name] = int(counts[number])
        return drift


def _named(codes: Indices, names: list[str]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(names, pa.string()))
