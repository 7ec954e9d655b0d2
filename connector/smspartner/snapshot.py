"""What was read of one tag: the verdict with its facts, the typed rows, and the rows in quarantine."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property

import numpy as np
import pyarrow as pa
from smspartner_schemas.arrow import empty_table
from smspartner_schemas.contract import QUARANTINE, STATUSES

from smspartner.drift import bounded
from smspartner.erasure import NOBODY, ErasedNumbers
from smspartner.errors import CountMismatch
from smspartner.phone_numbers import PhonePrivacy
from smspartner.transform import Sent, type_tags
from smspartner.typed_rows import Stamp, TypedRows
from smspartner.reading import Population


@dataclass(frozen=True, repr=False)
class Snapshot:
    """One tag's population, read at `extracted_at` (aware, UTC), with its proof.

    `table` has the schema of `statuses` and `quarantine` that of `quarantine` (`smspartner_schemas.contract`); both are
    empty unless the verdict is `complete`. `rows_declared` is the API's `total` (None where no page was read);
    `seconds` runs from the tag's first request to its last answer. `drift` counts, by name, what the API sent that
    the documentation does not show. `pages`, `requests` and `retries` count the last pass, all passes, and all passes.
    `phone_numbers` names the form of the numbers (`PhonePrivacy.label`), `page_rows` is how many rows a full page has,
    and `erased_places` are the places (from 0) of rows left out since their numbers were erased.
    """

    tag: str
    verdict: str
    reason: str
    table: pa.Table
    quarantine: pa.Table
    extracted_at: datetime
    rows_declared: int | None = None
    rows_received: int = 0
    pages: int = 0
    requests: int = 0
    retries: int = 0
    seconds: float = 0.0
    drift: tuple[tuple[str, int], ...] = ()
    phone_numbers: str = "plain"
    page_rows: int = 0
    erased_places: tuple[int, ...] = ()
    typed: TypedRows | None = field(default=None, compare=False)

    def __repr__(self) -> str:
        """Tell the verdict and the facts in a line: this is what a notebook shows, so no row is in it."""
        counts = f"rows={self.table.num_rows}, quarantined={self.quarantine.num_rows}"
        read = f"extracted_at='{self.extracted_at:%Y-%m-%dT%H:%M:%SZ}'"
        return f"Snapshot(tag={self.tag!r}, verdict={self.verdict!r}, {counts}, {read}, reason={self.reason!r})"

    def doubting(self, rows: Mapping[int, tuple[str, ...]]) -> Snapshot:
        """Return the snapshot with rows of `table` (by index, with reasons) moved to quarantine.

        Raises:
            RawRowMissing: one of them was loaded before, and its JSON is not kept.
        """
        return self if self.typed is None or not rows else self.holding(self.typed.doubting(rows))

    def holding(self, typed: TypedRows) -> Snapshot:
        """Return the snapshot with these rows, its books balanced.

        Raises:
            CountMismatch: rows are lost or made up, which would be a bug.
            RawRowMissing: a doubted row was loaded before, and its JSON is not kept.
        """
        held = replace(
            self,
            typed=typed,
            table=typed.table,
            quarantine=typed.quarantine(),
            drift=bounded(typed.drift),
            erased_places=typed.erased,
        )
        held.check_books()
        return held

    def refused(self, verdict: str, reason: str) -> Snapshot:
        """Return the snapshot with another verdict than `complete`, and therefore without rows."""
        return replace(
            self,
            verdict=verdict,
            reason=reason,
            table=empty_table(STATUSES),
            quarantine=empty_table(QUARANTINE),
            erased_places=(),
            typed=None,
        )

    @cached_property
    def statuses(self) -> dict[str, int]:
        """How many rows of `table` have which status; words that none has may be left out."""
        counts: Counter[str] = Counter()
        for chunk in self.table["status"].chunks:
            by_code = np.bincount(chunk.indices.to_numpy(), minlength=len(chunk.dictionary)).tolist()
            counts.update(dict(zip(chunk.dictionary.to_pylist(), by_code, strict=True)))
        return dict(counts)

    @property
    def complete(self) -> bool:
        """Whether the population is proved complete."""
        return self.verdict == "complete"

    def check_books(self) -> None:
        """Check that rows loaded + rows quarantined (+ rows of erased numbers) = rows received = declared total.

        Raises:
            CountMismatch: they do not add up.
        """
        believed, doubted, erased = self.table.num_rows, self.quarantine.num_rows, len(self.erased_places)
        if not believed + doubted + erased == self.rows_received == self.rows_declared:
            left_out = f" and {erased} of erased numbers" if erased else ""
            raise CountMismatch(
                f"tag {self.tag}: {believed} rows believed and {doubted} in quarantine{left_out} do not add up to "
                f"{self.rows_received} received and {self.rows_declared} declared; please report this bug"
            )


def new_run_id() -> str:
    """Name a run: sortable by its start (UTC; after the seconds, their 256th parts), with a random end of 24 bits."""
    now = datetime.now(UTC)
    return f"{now:%Y%m%dT%H%M%SZ}-{now.microsecond * 256 // 1_000_000:02x}{secrets.token_hex(3)}"


def take_snapshot(
    population: Population, run_id: str, privacy: PhonePrivacy, erased: ErasedNumbers = NOBODY
) -> Snapshot:
    """Type the rows of one population; see `take_snapshots`."""
    return next(take_snapshots([population], run_id, privacy, erased))


def take_snapshots(
    populations: Sequence[Population], run_id: str, privacy: PhonePrivacy, erased: ErasedNumbers = NOBODY
) -> Iterator[Snapshot]:
    """Type the rows of populations in one pass, leave out those of erased numbers, and check that no other is lost.

    Raises:
        CountMismatch: rows are lost or made up, which would be a bug.
    """
    complete = [one for one in populations if one.verdict == "complete"]
    sent = [Sent(one.pages, Stamp(one.tag, run_id, one.extracted_at)) for one in complete]
    typed = iter(type_tags(sent, privacy, erased))
    for one in populations:
        facts = _facts_of(one)
        if one.verdict == "complete":
            sized = replace(facts, page_rows=one.pages[0].row_count, phone_numbers=privacy.label)
            yield sized.holding(next(typed))
        else:
            yield facts


def _facts_of(population: Population) -> Snapshot:
    return Snapshot(
        tag=population.tag,
        verdict=population.verdict,
        reason=population.reason,
        table=empty_table(STATUSES),
        quarantine=empty_table(QUARANTINE),
        extracted_at=population.extracted_at,
        rows_declared=population.rows_declared,
        rows_received=population.rows_received,
        pages=population.pages_read,
        requests=population.requests,
        retries=population.retries,
        seconds=population.seconds,
    )
