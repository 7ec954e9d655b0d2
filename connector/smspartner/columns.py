"""Pages become columns of facts: natively where rows have the documented shape, row by row where they have another.

What looks as documented is cast as a whole, and `facts` is asked only about the distinct values that look otherwise.
Rows of another shape are read one by one with the same `facts`, so that both ways give the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from smspartner import values
from smspartner.drift import STOP_MISSING, unknown_word
from smspartner.grouping import gathered
from smspartner.page import Page
from smspartner.rows import Drift, documented_rows, looks_documented, read_rows
from smspartner.typed_rows import TIMESTAMP, Reasons

_READ_AT_ONCE = 4 * 1024 * 1024
"""Bytes of JSON: beyond a few megabytes nothing is gained, and memory is taken twice."""


@dataclass(frozen=True)
class Columns:
    """The facts of rows as Arrow columns; null where there is none or it can't be believed.

    `reasons` and `drift` tell, by place, why a row is doubted and, by name, which rows hold something undocumented.
    """

    phone_number: pa.Array
    status: pa.Array
    stop_sms: pa.Array
    status_at: pa.Array
    reasons: Reasons
    drift: Drift


def read_columns(pages: Sequence[Page]) -> Columns:
    """Read the rows of pages, in order."""
    return _joined([_read(group) for group in gathered(pages, _size, _READ_AT_ONCE)])


def _size(page: Page) -> int:
    return len(page.rows_json)


def _read(pages: Sequence[Page]) -> Columns:
    """Read pages natively together; where any row has another shape, those that have it are read one by one."""
    rows = documented_rows([page.rows_json for page in pages])
    return read_mixed([raw for page in pages for raw in page.raw_rows]) if rows is None else read_documented(rows)


def read_mixed(raw_rows: Sequence[bytes]) -> Columns:
    """Read rows of which some have another shape: the others natively, and each row in its place."""
    documented = np.fromiter(map(looks_documented, raw_rows), dtype=bool, count=len(raw_rows))
    alike, odd = np.flatnonzero(documented), np.flatnonzero(~documented)
    rows = documented_rows([b"[%b]" % b",".join([raw_rows[place] for place in alike.tolist()])]) if alike.size else None
    if rows is None:  # none, or a field given twice, at which only the native reader takes offence
        return read_tolerantly(raw_rows)
    parts = [read_documented(rows), read_tolerantly([raw_rows[place] for place in odd.tolist()])]
    return _reordered(_joined(parts), np.concatenate([alike, odd]))


def _reordered(columns: Columns, places: npt.NDArray[np.int64]) -> Columns:
    """Move each row to the place that is given for it."""
    order = pa.array(np.argsort(places))
    return Columns(
        phone_number=columns.phone_number.take(order),
        status=columns.status.take(order),
        stop_sms=columns.stop_sms.take(order),
        status_at=columns.status_at.take(order),
        reasons={int(places[row]): why for row, why in columns.reasons.items()},
        drift={name: sorted(places[rows].tolist()) for name, rows in columns.drift.items()},
    )


def _joined(parts: list[Columns]) -> Columns:
    if len(parts) == 1:
        return parts[0]
    reasons: Reasons = {}
    drift: Drift = {}
    start = 0
    for part in parts:
        reasons |= {start + place: why for place, why in part.reasons.items()}
        for name, places in part.drift.items():
            drift.setdefault(name, []).extend(start + place for place in places)
        start += len(part.phone_number)
    return Columns(
        phone_number=pa.concat_arrays([part.phone_number for part in parts]),
        status=pa.concat_arrays([part.status for part in parts]),
        stop_sms=pa.concat_arrays([part.stop_sms for part in parts]),
        status_at=pa.concat_arrays([part.status_at for part in parts]),
        reasons=reasons,
        drift=drift,
    )


def read_tolerantly(raw_rows: Sequence[bytes]) -> Columns:
    """Read rows of any shape, one by one."""
    read = read_rows(raw_rows)
    return Columns(
        phone_number=pa.array(read.phone_number, pa.string()),
        status=pa.array(read.status, pa.string()),
        stop_sms=pa.array(read.stop_sms, pa.bool_()),
        status_at=pa.array(read.status_at, TIMESTAMP),
        reasons=read.reasons,
        drift=read.drift,
    )


def read_documented(rows: pa.StructArray) -> Columns:
    """Read rows of the documented shape (`documented_rows`) column by column."""
    numbers, status, stop, date = (rows.field(name) for name in ("phoneNumber", "status", "stopSMS", "date"))
    doubts: list[tuple[str, np.ndarray]] = []
    as_e164 = pc.and_(
        pc.match_substring_regex(numbers, values.E164),
        pc.invert(pc.starts_with(numbers, values.HOME_TRUNK_ZERO)),
    )
    epoch = pc.and_(pc.ascii_is_decimal(date), pc.less_equal(pc.binary_length(date), values.MOST_EPOCH_DIGITS))
    seconds = pc.if_else(epoch, date, None).cast(pa.int64())
    in_range = pc.and_(pc.greater_equal(seconds, values.EARLIEST_SECOND), pc.less_equal(seconds, values.LATEST_SECOND))
    status_at = pc.multiply(seconds, 1_000_000).cast(TIMESTAMP)
    nowhere = pa.repeat(pa.scalar(None, pa.string()), len(status))
    columns = Columns(
        phone_number=_settle(numbers, numbers, as_e164, values.read_phone_number, doubts),
        status=_settle(status, nowhere, None, values.read_status, doubts),
        stop_sms=stop.fill_null(False),
        status_at=_settle(date, status_at, in_range, values.read_date, doubts),
        reasons={},
        drift={STOP_MISSING: _places(pc.is_null(stop))} if stop.null_count else {},
    )
    for reason, places in doubts:
        for place in places.tolist():
            columns.reasons[place] = (*columns.reasons.get(place, ()), reason)
        if reason == values.STATUS_UNKNOWN:
            for place in places.tolist():
                columns.drift.setdefault(unknown_word(status[place].as_py()), []).append(place)
    return columns


def _settle(
    values: pa.Array,
    typed: pa.Array,
    settled: pa.BooleanArray | None,
    read: Callable[[object], values.Fact],
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


def _places(mask: pa.BooleanArray) -> list[int]:
    places: list[int] = np.flatnonzero(mask.to_numpy(zero_copy_only=False)).tolist()
    return places
