"""Pages become typed rows and quarantine, column by column.

The documented shape is taken natively: what looks as documented is cast as a whole, and `facts` is asked only about
the distinct values that look otherwise. Pages of another shape are read row by row with the same `facts`. Both ways
end in the same columns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from smspartner_schemas.arrow import arrow_schema
from smspartner_schemas.contract import DELIVERED, STATUSES
from smspartner_schemas.rules import broken_rules, row_rules

from smspartner import facts
from smspartner.country import countries
from smspartner.drift import DATE_MISSING, STOP_MISSING, unknown_word
from smspartner.erasure import NOBODY, ErasedNumbers
from smspartner.pages import Page
from smspartner.phone_privacy import PhonePrivacy
from smspartner.rows import read_rows
from smspartner.typed_rows import TIMESTAMP, PageRows, Reasons, Stamp, TypedRows


def type_rows(
    pages: tuple[Page, ...], stamp: Stamp, privacy: PhonePrivacy, erased: ErasedNumbers = NOBODY
) -> TypedRows:
    """Turn the pages of a complete population into typed rows.

    What breaks a rule of the contract is doubted; rows of a number that was erased are left out altogether.
    """
    columns = _read_pages(pages)
    raw = PageRows(tuple(page.without_columns() for page in pages), privacy)  # for what may yet be doubted
    left_out = erased.places(columns.phone_number, columns.reasons, raw.as_sent)
    reasons = {place: why for place, why in columns.reasons.items() if place not in left_out}
    numbers = privacy.protect_all(columns.phone_number)
    whole = {
        "phone_number": numbers,
        "occurrence": occurrences(numbers),
        "country": countries(columns.phone_number),
        "status": columns.status,
        "stop_sms": columns.stop_sms,
        "status_at": columns.status_at,
        **stamp.columns(len(numbers)),
    }
    schema = arrow_schema(STATUSES)
    table = pa.table([_as(whole[field.name], field.type) for field in schema], names=schema.names)
    places = np.arange(len(numbers))
    if reasons or left_out:
        places = np.delete(places, [*reasons, *left_out])
        table = table.take(pa.array(places))
    undated = pc.and_(pc.equal(table["status"], DELIVERED), pc.is_null(table["status_at"]))
    drift = columns.drift + Counter({DATE_MISSING: pc.sum(undated).as_py() or 0})
    drift.update(name for page in pages for name in page.drift)
    typed = TypedRows(stamp, raw, table.cast(schema), places, reasons, drift, tuple(sorted(left_out)))
    return typed.doubting(broken(typed.table, privacy))


def broken(table: pa.Table, privacy: PhonePrivacy) -> Reasons:
    """Name, for each row that breaks a rule of the contract, the rules it breaks."""
    reasons: Reasons = {}
    for name, rows in broken_rules(table, row_rules(phone_form=privacy.form)).items():
        for row in rows.tolist():
            reasons[row] = (*reasons.get(row, ()), name)
    return reasons


def occurrences(numbers: pa.Array) -> pa.Array:
    """Count the rows of each phone number from 1, in order (int32); null where the number is null."""
    codes = numbers.dictionary_encode().indices
    if pc.count_distinct(codes, mode="all").as_py() == len(codes):
        return pc.if_else(pc.is_valid(numbers), pa.scalar(1, pa.int32()), None)
    ids = codes.fill_null(-1).to_numpy(zero_copy_only=False)
    order = np.argsort(ids, kind="stable")
    ordered = ids[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    ranks = np.empty(len(ids), dtype=np.int32)
    ranks[order] = np.arange(len(ids)) - np.repeat(starts, np.diff(np.r_[starts, len(ids)])) + 1
    return pc.if_else(pc.is_valid(numbers), pa.array(ranks, pa.int32()), None)


def _as(column: pa.Array, wanted: pa.DataType) -> pa.Array:
    if pa.types.is_dictionary(wanted) and not pa.types.is_dictionary(column.type):
        return column.dictionary_encode()
    return column


@dataclass(frozen=True)
class _Columns:
    """The facts of rows as Arrow columns; null where there is none or it can't be believed."""

    phone_number: pa.Array
    status: pa.Array
    stop_sms: pa.Array
    status_at: pa.Array
    reasons: Reasons
    drift: Counter[str]


def _read_pages(pages: tuple[Page, ...]) -> _Columns:
    """Read all pages, neighbours of the documented shape together."""
    parts = []
    for documented, group in groupby(pages, key=lambda page: page.documented is not None):
        neighbours = list(group)
        if documented:
            parts.append(_documented(pa.concat_arrays([page.documented for page in neighbours])))
        else:
            parts.append(_tolerant([raw for page in neighbours for raw in page.raw_rows]))
    return parts[0] if len(parts) == 1 else _joined(parts)


def _joined(parts: list[_Columns]) -> _Columns:
    reasons: Reasons = {}
    start = 0
    for part in parts:
        reasons |= {start + place: why for place, why in part.reasons.items()}
        start += len(part.phone_number)
    return _Columns(
        phone_number=pa.concat_arrays([part.phone_number for part in parts]),
        status=pa.concat_arrays([part.status for part in parts]),
        stop_sms=pa.concat_arrays([part.stop_sms for part in parts]),
        status_at=pa.concat_arrays([part.status_at for part in parts]),
        reasons=reasons,
        drift=sum((part.drift for part in parts), Counter[str]()),
    )


def _tolerant(raw_rows: list[bytes]) -> _Columns:
    read = read_rows(raw_rows)
    return _Columns(
        phone_number=pa.array(read.phone_number, pa.string()),
        status=pa.array(read.status, pa.string()),
        stop_sms=pa.array(read.stop_sms, pa.bool_()),
        status_at=pa.array(read.status_at, TIMESTAMP),
        reasons=read.reasons,
        drift=read.drift,
    )


def _documented(rows: pa.StructArray) -> _Columns:
    numbers, status, stop, date = (rows.field(name) for name in ("phoneNumber", "status", "stopSMS", "date"))
    doubts: list[tuple[str, np.ndarray]] = []
    as_e164 = pc.and_(
        pc.match_substring_regex(numbers, facts.E164),
        pc.invert(pc.match_substring_regex(numbers, facts.HOME_TRUNK_ZERO)),
    )
    epoch = pc.match_substring_regex(date, facts.EPOCH_DIGITS)
    seconds = pc.if_else(epoch, date, None).cast(pa.int64())
    in_range = pc.and_(pc.greater_equal(seconds, facts.EARLIEST_SECOND), pc.less_equal(seconds, facts.LATEST_SECOND))
    status_at = pc.multiply(seconds, 1_000_000).cast(TIMESTAMP)
    nowhere = pa.repeat(pa.scalar(None, pa.string()), len(status))
    columns = _Columns(
        phone_number=_settle(numbers, numbers, as_e164, facts.read_phone_number, doubts),
        status=_settle(status, nowhere, None, facts.read_status, doubts),
        stop_sms=stop.fill_null(False),
        status_at=_settle(date, status_at, in_range, facts.read_date, doubts),
        reasons={},
        drift=Counter({STOP_MISSING: stop.null_count}) if stop.null_count else Counter(),
    )
    for reason, places in doubts:
        for place in places.tolist():
            columns.reasons[place] = (*columns.reasons.get(place, ()), reason)
        if reason == facts.STATUS_UNKNOWN:
            columns.drift.update(map(unknown_word, status.take(pa.array(places)).to_pylist()))
    return columns


def _settle(
    values: pa.Array,
    typed: pa.Array,
    settled: pa.BooleanArray | None,
    read: Callable[[object], facts.Fact],
    doubts: list[tuple[str, np.ndarray]],
) -> pa.Array:
    """Ask `read` about each distinct value that is not settled already; append the places of those it doubts."""
    unsettled = pc.invert(settled.fill_null(False)) if settled is not None else pa.repeat(pa.scalar(True), len(values))
    if settled is not None and not pc.any(unsettled).as_py():
        return typed
    distinct = pc.if_else(unsettled, values, None).dictionary_encode()
    read_values = [*map(read, distinct.dictionary.to_pylist()), read(None)]
    codes = distinct.indices.fill_null(len(read_values) - 1)
    answers = pa.array([value for value, _ in read_values], typed.type).take(codes)
    why = pa.array([reason for _, reason in read_values], pa.string()).take(codes)
    why = pc.if_else(unsettled, why, None)
    if why.null_count < len(why):
        doubts.extend(
            (reason, np.flatnonzero(pc.equal(why, reason).fill_null(False).to_numpy(zero_copy_only=False)))
            for reason in pc.unique(why).drop_null().to_pylist()
        )
    return pc.if_else(unsettled, answers, typed)
