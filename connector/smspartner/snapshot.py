"""What was read of one tag: the verdict with its facts, the typed rows, and the rows in quarantine."""

from __future__ import annotations

import hashlib
import secrets
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from smspartner_schemas.arrow import arrow_schema, empty_table
from smspartner_schemas.contract import QUARANTINE, STATUS_WORDS, STATUSES

from smspartner.errors import CountMismatch
from smspartner.page import Page, rows_at
from smspartner.privacy import PhonePrivacy

Indices = npt.NDArray[np.int64]

_NO_DATE = np.iinfo(np.int64).min

_MOST_DRIFT = 20
"""Names kept of one tag: a field that holds free text in place of a status word would make a name a row."""


@dataclass(frozen=True, repr=False)
class Origin:
    """Where the rows of a snapshot came from: its pages, and the index (from 0) in them of each row of the table."""

    pages: tuple[Page, ...]
    privacy: PhonePrivacy
    indices: Indices


@dataclass(frozen=True, repr=False)
class Snapshot:
    """One tag's population, read at `extracted_at` (aware, UTC; None where nothing was read), with its proof.

    `table` has the schema of `statuses` and `quarantine` that of `quarantine` (`smspartner_schemas.contract`); both are
    empty unless the verdict is `complete`. `rows_declared` is the API's `total` (None where no page was read), and
    `rows_erased` counts rows left out since their numbers were erased. `asked_at` (aware, UTC) is when this run first
    asked for the tag; `seconds` runs from the tag's first request to its last answer. `drift` counts, by name, what the
    API sent that the documentation does not show. `pages`, `requests` and `retries` count the last pass, all passes,
    and all passes. `phone_numbers` names the form of the numbers (`PhonePrivacy.label`), and `first_page` is the digest
    of page 1 (`transform.first_page_digest`).
    """

    tag: str
    verdict: str
    reason: str
    run_id: str
    table: pa.Table = field(default_factory=lambda: empty_table(STATUSES))
    quarantine: pa.Table = field(default_factory=lambda: empty_table(QUARANTINE))
    extracted_at: datetime | None = None
    asked_at: datetime | None = None
    rows_declared: int | None = None
    rows_received: int = 0
    rows_erased: int = 0
    pages: int = 0
    requests: int = 0
    retries: int = 0
    seconds: float = 0.0
    drift: tuple[tuple[str, int], ...] = ()
    phone_numbers: str = "plain"
    first_page: str = ""
    origin: Origin | None = field(default=None, compare=False)

    def __repr__(self) -> str:
        """Give verdict and facts in a line: this is what a notebook shows, so no row is in it."""
        counts = f"rows={self.table.num_rows}, quarantined={self.quarantine.num_rows}"
        read = f"extracted_at='{self.extracted_at:%Y-%m-%dT%H:%M:%SZ}'" if self.extracted_at else "extracted_at=None"
        return f"Snapshot(tag={self.tag!r}, verdict={self.verdict!r}, {counts}, {read}, reason={self.reason!r})"

    @property
    def complete(self) -> bool:
        """Whether the population is proved complete."""
        return self.verdict == "complete"

    @cached_property
    def row_counts(self) -> dict[str, int]:
        """The counts that this reading comes to, by the names of the contract's `ROW_COUNTS`."""
        words: Counter[str] = Counter()
        for chunk in self.table["status"].chunks:
            by_code = np.bincount(chunk.indices.to_numpy(), minlength=len(chunk.dictionary)).tolist()
            words.update(dict(zip(chunk.dictionary.to_pylist(), by_code, strict=True)))
        return {
            "rows_received": self.rows_received,
            "rows_loaded": self.table.num_rows,
            "rows_quarantined": self.quarantine.num_rows,
            "rows_erased": self.rows_erased,
            **{word: words[word] for word in STATUS_WORDS},
            "stop_sms": pc.sum(self.table["stop_sms"]).as_py() or 0,
        }

    def quarantined_rows(self, rows: Mapping[int, tuple[str, ...]]) -> Snapshot:
        """Return the snapshot with rows of `table` (by index from 0, with reasons) moved to quarantine.

        The occurrences of the rows that stay are counted anew: they count rows as loaded.

        Raises:
            CountMismatch: rows are lost or made up, which would be a bug.
        """
        if self.origin is None or not rows:
            return self
        origin = self.origin
        moved = {int(origin.indices[row]): reasons for row, reasons in rows.items()}
        keep = np.delete(np.arange(self.table.num_rows), list(rows))
        table = self.table.take(pa.array(keep))
        at = table.schema.get_field_index("occurrence")
        counted = occurrences(table["phone_number"].combine_chunks())
        quarantined = replace(
            self,
            table=table.set_column(at, table.schema.field(at), counted),
            first_page="" if min(moved) < origin.pages[0].row_count else self.first_page,
            origin=replace(origin, indices=origin.indices[keep]),
        ).with_quarantine(moved)
        quarantined.check_counts()
        return quarantined

    def with_quarantine(self, reasons: Mapping[int, tuple[str, ...]]) -> Snapshot:
        """Return the snapshot with rows of its pages (by their index in them, with reasons) added to `quarantine`."""
        if self.origin is None or not reasons:
            return self
        rows = [
            {
                "tag": self.tag,
                "page": page,
                "position": position,
                "reasons": reasons[index],
                "raw": self.origin.privacy.protect_raw(raw),
                "extracted_at": self.extracted_at,
                "run_id": self.run_id,
            }
            for index, (page, position, raw) in zip(reasons, rows_at(self.origin.pages, reasons), strict=True)
        ]
        both = pa.concat_tables([self.quarantine, pa.Table.from_pylist(rows, arrow_schema(QUARANTINE))])
        in_order = both.unify_dictionaries().sort_by([("page", "ascending"), ("position", "ascending")])
        return replace(self, quarantine=in_order)

    def refused(self, verdict: str, reason: str) -> Snapshot:
        """Return the snapshot with another verdict than `complete`, and therefore without rows, loaded or erased."""
        tables = {"table": empty_table(STATUSES), "quarantine": empty_table(QUARANTINE)}
        return replace(self, verdict=verdict, reason=reason, **tables, rows_erased=0, first_page="", origin=None)

    def check_counts(self) -> None:
        """Check that rows loaded + quarantined + erased = received = declared.

        Raises:
            CountMismatch: they do not add up.
        """
        loaded, quarantined = self.table.num_rows, self.quarantine.num_rows
        if not loaded + quarantined + self.rows_erased == self.rows_received == self.rows_declared:
            raise CountMismatch(
                f"tag {self.tag}: {loaded} rows loaded, {quarantined} in quarantine and {self.rows_erased} erased do "
                f"not add up to {self.rows_received} received and {self.rows_declared} declared",
                remedy="report this bug",
            )


def new_run_id() -> str:
    """Name a run: sortable by its start (UTC; after the seconds, their 256th parts), with a random end of 24 bits."""
    now = datetime.now(UTC)
    return f"{now:%Y%m%dT%H%M%SZ}-{now.microsecond * 256 // 1_000_000:02x}{secrets.token_hex(3)}"


def occurrences(numbers: pa.Array, owner: Indices | None = None) -> pa.Array:
    """Count the rows of each phone number (of each tag, which `owner` numbers) from 1, in order, as int32."""
    codes = numbers.dictionary_encode().indices.to_numpy(zero_copy_only=False)
    ids = codes if owner is None or not len(owner) else codes.astype(np.int64) * (owner[-1] + 1) + owner
    ascending = np.sort(ids)
    if not (ascending[1:] == ascending[:-1]).any():  # each number once, as is usual: sorting is faster than hashing
        return pa.array(np.ones(len(ids), dtype=np.int32))
    order = np.argsort(ids, kind="stable")
    ordered = ids[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    ranks = np.empty(len(ids), dtype=np.int32)
    ranks[order] = np.arange(len(ids)) - np.repeat(starts, np.diff(np.r_[starts, len(ids)])) + 1
    return pa.array(ranks)


def first_page_digests(rows: pa.Table, ranges: Iterable[tuple[int, int]]) -> list[str]:
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


def bounded_drift(drift: Counter[str]) -> tuple[tuple[str, int], ...]:
    """Give counts of drift by name, sorted; of very many names the most frequent, and the others together."""
    kept = dict(drift.most_common(_MOST_DRIFT))
    others = drift.total() - sum(kept.values())
    return (*sorted(kept.items()), *([("other drift", others)] if others else []))
