"""Validation of rows: which go to quarantine, and which tags are refused.

The contract's row rules were checked on Arrow when the rows were typed. Here Great Expectations judges the typed frames
by the contract's suite and the user's. What an expectation means never depends on which tags share a batch: those that
judge each row by itself are judged on the batch, all others tag by tag.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from smspartner.errors import SettingsError
from smspartner.redaction import plain_text
from smspartner_schemas.arrow import arrow_schema
from smspartner_schemas.contract import EARLIEST_DATE, STATUS_WORDS, STATUSES, PhoneForm

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd
    from smspartner.snapshot import Snapshot

    from smspartner_pipelines.gx import Engine
    from smspartner_pipelines.suite import Expectation

BATCH_ROWS = 200_000
"""A run's batch: 250,000 rows at once would take 50 MB more, and no less time."""


@dataclass
class Judgement:
    """What became of one tag.

    `rows` gives each failing row, by its index in the tag's table, the names of what it breaks; `failed` names the
    expectations that the tag fails as a whole, each with what was found ("at least 1,000 rows; 780 found") or nothing.
    """

    rows: dict[int, tuple[str, ...]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


class Validator:
    """Judges rows of `statuses` whose phone numbers are in one form, and counts. For one thread at a time.

    `by` is `gx`, or `contract`, which leaves Great Expectations out.

    Raises:
        SettingsError: the user's suite can't be read or evaluated.
    """

    def __init__(self, phone_form: PhoneForm, expectations: Path | str | None = None, by: str = "gx") -> None:
        user: list[Expectation] = []
        self._all: list[Expectation] = []
        if by == "gx":
            from smspartner_pipelines.suite import contract_expectations, user_expectations

            user = user_expectations(expectations) if expectations else []
            self._all = [*contract_expectations(phone_form), *user]
        self._rules = {one.rule: one for one in self._all}
        self._of_batches = [one for one in self._all if one.row_by_row]
        self._of_tags = [one for one in self._all if not one.row_by_row]
        self._counted: dict[str, Counter[str]] = {one.rule: Counter() for one in self._all}
        self._totals: Counter[str] = Counter()
        self._seconds = 0.0
        self._engine: Engine | None = None
        self.batch_rows = BATCH_ROWS if self._all else 0
        if user:
            _try(self._library(), user, phone_form)

    def _library(self) -> Engine:
        if self._engine is None:
            from smspartner_pipelines.gx import Engine

            self._engine = Engine()
        return self._engine

    def prepare(self) -> None:
        """Start importing Great Expectations, beside the fetching: there will be rows to judge."""
        if self._all:
            from smspartner_pipelines.gx import start_import

            start_import()

    def judge(self, snapshots: Sequence[Snapshot]) -> list[Snapshot]:
        """Give each snapshot with its failing rows in quarantine, or refused as `failed`; others as they are.

        Raises:
            ValidationBroken: an expectation could not be evaluated.
        """
        complete = [snapshot for snapshot in snapshots if snapshot.complete]
        if not self._all or not complete:
            return list(snapshots)
        rows = pa.concat_tables([snapshot.table for snapshot in complete])
        judgements = iter(self.judge_rows(rows, [snapshot.table.num_rows for snapshot in complete]))
        return [_accepted(one, next(judgements)) if one.complete else one for one in snapshots]

    def judge_rows(self, rows: pa.Table, sizes: Sequence[int]) -> list[Judgement]:
        """Return one judgement for each tag of a batch; a tag without rows fails nothing.

        `rows` are those of tag after tag, of which the tags have `sizes`; 200,000 to 1,000,000 are judged fastest.

        Raises:
            ValidationBroken: an expectation could not be evaluated; the text holds no value of the data.
        """
        judgements = [Judgement() for _ in sizes]
        if rows.num_rows:
            started = perf_counter()
            starts = np.cumsum([0, *sizes], dtype="int64")
            # One dictionary for all: thousands of small ones take long in pandas.
            self._judge(_frame(rows.combine_chunks()), self._of_batches, judgements, starts)
            for tag, start, size in zip(judgements, starts.tolist(), sizes, strict=False):
                if size and self._of_tags:
                    self._judge(_tag_frame(rows.slice(start, size)), self._of_tags, [tag], starts[:1])
            self._totals.update(batches=1, tags=len(sizes), rows=rows.num_rows)
            self._totals["rows_failed"] += sum(len(one.rows) for one in judgements)
            self._seconds += perf_counter() - started
        return judgements

    def _judge(
        self, frame: pd.DataFrame, by: Sequence[Expectation], tags: Sequence[Judgement], starts: npt.NDArray[np.int64]
    ) -> None:
        """Judge the rows of these tags, of which each begins at its place in `starts`, and note what fails."""
        for one in by:
            self._counted[one.rule]["rows_checked"] += len(frame)
        for rule, failure in self._library().failures(frame, by).items():
            if not failure.rows:
                self._counted[rule]["tags_failed"] += len(tags)
                for tag in tags:
                    tag.failed[rule] = _found(self._rules[rule], failure.number)
                continue
            self._counted[rule]["rows_failed"] += len(failure.rows)
            rows = np.array(failure.rows)
            numbers = np.searchsorted(starts, rows, side="right") - 1
            for row, number in zip((rows - starts[numbers]).tolist(), numbers.tolist(), strict=True):
                broken = tags[number].rows
                broken[row] = (*broken.get(row, ()), rule)

    def results(self) -> dict[str, Any]:
        """Say what was judged so far: counts per expectation; of its arguments only columns, as others hold values."""
        if not self._all:
            return {"validate": "contract", "success": True, "note": "Great Expectations was left out, as asked for"}
        expectations = [self._result(one) for one in self._all]
        return {
            "validate": "gx",
            "great_expectations_version": self._engine.version if self._engine else None,
            "success": all(one["success"] for one in expectations),
            **{name: self._totals[name] for name in ("batches", "tags", "rows", "rows_failed")},
            "seconds": round(self._seconds, 3),
            "expectations": expectations,
        }

    def _result(self, expectation: Expectation) -> dict[str, Any]:
        kwargs, counted = expectation.kwargs, self._counted[expectation.rule]
        columns = [kwargs[key] for key in ("column", "column_A", "column_B") if key in kwargs]
        return {
            "rule": expectation.rule,
            "suite": "user" if expectation.of_user else "contract",
            "expectation": expectation.type,
            "columns": [*columns, *kwargs.get("column_list", ())],
            "success": not (counted["rows_failed"] or counted["tags_failed"]),
            **{name: counted[name] for name in ("rows_checked", "rows_failed", "tags_failed")},
        }


def _accepted(snapshot: Snapshot, judgement: Judgement) -> Snapshot:
    if judgement.failed:
        return snapshot.refused("failed", f"the tag fails {', '.join(judgement.failed)}")
    return snapshot.quarantined_rows(judgement.rows) if judgement.rows else snapshot


def _found(expectation: Expectation, number: float | None) -> str:
    """Say what was asked for and what was found, where both are numbers of the tag as a whole."""
    if number is None:
        return ""
    bounds = [expectation.kwargs.get(name) for name in ("min_value", "max_value")]
    least, most = (f"{bound:,}" if isinstance(bound, int | float) else None for bound in bounds)
    asked = f"{least} to {most}" if least and most else f"at least {least}" if least else f"at most {most}"
    rows = " rows" if expectation.type.startswith("expect_table_row_count") else ""
    return f"{asked}{rows}; {number:,} found" if least or most else f"{number:,}{rows} found"


def _try(engine: Engine, expectations: Sequence[Expectation], phone_form: PhoneForm) -> None:
    """Refuse an expectation that can't be evaluated on ordinary rows, before anything is requested."""
    frame = _tag_frame(_ordinary_rows(phone_form))
    for number, one in enumerate(expectations, 1):
        if why := engine.try_out(frame, one):
            what = f"expectation {number} of your suite ({one.type}, rule {one.rule}) can't be used"
            raise SettingsError(f"{what}: {plain_text(why, 300)}", remedy="correct it, or leave it out")


def _frame(table: pa.Table) -> pd.DataFrame:
    """Return the frame with 64-bit occurrences: the library compares smaller integers one Python object at a time.

    Where pandas keeps text in Arrow, free text is no category: the library would make text of it for each regex.
    """
    from smspartner_schemas.frames import to_frame

    frame = to_frame(table)
    if frame["phone_number"].dtype != object:  # pandas 3
        free = [column.name for column in STATUSES.columns if column.categorical and not column.allowed]
        frame = frame.assign(**{name: table[name].cast(pa.string()).to_pandas() for name in free})
    return frame.astype({"occurrence": "int64"}) if frame["occurrence"].dtype == "int32" else frame


def _tag_frame(table: pa.Table) -> pd.DataFrame:
    """Return the frame of one tag, whose categories are the words that occur: the library counts all of them."""
    from smspartner_schemas.frames import to_frame

    frame = to_frame(table)
    categorical = [column.name for column in STATUSES.columns if column.categorical]
    return frame.assign(**{name: frame[name].cat.remove_unused_categories() for name in categorical})


def _ordinary_rows(phone_form: PhoneForm) -> pa.Table:
    """Return a few rows that meet the contract; the numbers are from the range kept for fiction."""
    phone = {"plain": "+3363998000{}", "masked": "+33*******0{}", "hashed": "0" * 8 + ":" + "{}" * 64}[phone_form]
    rows = [
        {
            "tag": "made-up",
            "phone_number": phone.replace("{}", str(number)),
            "occurrence": 1,
            "country": None if number == 1 else "FR",
            "status": word,
            "stop_sms": number == 1,
            "status_at": None if word == "waiting" else EARLIEST_DATE,
            "extracted_at": EARLIEST_DATE,
            "run_id": "made-up",
        }
        for number, word in enumerate(STATUS_WORDS)
    ]
    return pa.Table.from_pylist(rows, schema=arrow_schema(STATUSES))
