"""JSON rows become columns: natively where all have the documented shape, one by one where any has another.

The native path casts what looks as documented as a whole, and asks the readers of single values only about distinct
values that look otherwise. Both paths give the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import json as arrow_json

from smspartner import numbering, tolerant_rows, values
from smspartner.drift import STOP_MISSING, unknown_word
from smspartner.raw_json import split_rows

TIMESTAMP = pa.timestamp("us", tz="UTC")

Indices = npt.NDArray[np.int64]
Reasons = dict[int, tuple[str, ...]]
"""Every reason why a row is not valid, by the row's index."""

_READ_AT_ONCE = 4 * 1024 * 1024
"""Bytes of JSON: beyond a few megabytes nothing is gained, and memory is taken twice."""

_NOT_WORTH_HALVING = 64 * 1024
"""Bytes of JSON: the tolerant path reads so little as fast as the native path fails twice."""

_DOCUMENTED_ROW = pa.struct(
    [
        pa.field("phoneNumber", pa.string()),
        pa.field("status", pa.string()),
        pa.field("stopSMS", pa.bool_()),
        pa.field("date", pa.string()),
    ]
)
_PARSE = arrow_json.ParseOptions(
    explicit_schema=pa.schema([pa.field("rows", pa.list_(_DOCUMENTED_ROW))]),
    unexpected_field_behavior="error",
)


@dataclass(frozen=True)
class Columns:
    """The values of rows as Arrow columns of one length; null where there is none or it is not valid.

    `phone_number` (E.164) and `status` are strings, `stop_sms` bool, `status_at` timestamp[us, UTC]. `reasons` says why
    rows are not valid; `drift` gives, by name, the indices of rows that hold something undocumented.
    """

    phone_number: pa.Array
    status: pa.Array
    stop_sms: pa.Array
    status_at: pa.Array
    reasons: Reasons
    drift: dict[str, Indices]


def read_rows(lists: Sequence[bytes]) -> Columns:
    """Read the rows of JSON lists (pages, `Page.rows_json`), one after the other."""
    return _joined([part for group in _groups(lists) for part in _read(group)])


def _groups(lists: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Gather lists, in order, until they reach the size that is read at once."""
    begin, size = 0, 0
    for end, rows_json in enumerate(lists, start=1):
        size += len(rows_json)
        if size >= _READ_AT_ONCE:
            yield lists[begin:end]
            begin, size = end, 0
    if begin < len(lists):
        yield lists[begin:]


def _read(lists: Sequence[bytes]) -> Iterator[Columns]:
    """Read lists natively together; where that fails, halve them until the list with the odd row is alone."""
    rows = documented_rows(lists)
    if rows is not None:
        yield read_documented(rows)
    elif len(lists) == 1 or sum(map(len, lists)) <= _NOT_WORTH_HALVING:
        yield read_tolerantly([row for rows_json in lists for row in split_rows(rows_json)])
    else:
        half = len(lists) // 2
        yield from _read(lists[:half])
        yield from _read(lists[half:])


def documented_rows(lists: Sequence[bytes]) -> pa.StructArray | None:
    """Read row lists in the documented shape, one after the other, without a Python object per row.

    None if any row has another shape: the reader refuses other types, other fields, a field given twice and broken
    text, so that what it accepts needs no second look. Many lists are read in one go, which costs half as much as one
    by one, and a tenth where they are short.
    """
    # The reader takes one document a line; a raw line break in valid JSON can only be white space.
    lines = b"".join(b'{"rows":%b}\n' % rows.replace(b"\n", b" ").replace(b"\r", b" ") for rows in lists)
    whole = arrow_json.ReadOptions(use_threads=False, block_size=len(lines) + 1)
    try:
        table = arrow_json.read_json(pa.BufferReader(lines), read_options=whole, parse_options=_PARSE)
    except pa.ArrowInvalid:
        return None
    column = table.column("rows").chunk(0)
    rows = column.flatten()
    return None if column.null_count or rows.null_count or len(column) != len(lists) else rows


def read_tolerantly(raw_rows: Sequence[bytes]) -> Columns:
    """Read rows of any shape, one by one."""
    read = tolerant_rows.read_rows(raw_rows)
    return Columns(
        phone_number=pa.array(read.phone_number, pa.string()),
        status=pa.array(read.status, pa.string()),
        stop_sms=pa.array(read.stop_sms, pa.bool_()),
        status_at=pa.array(read.status_at, TIMESTAMP),
        reasons=read.reasons,
        drift={name: np.array(indices, dtype=np.int64) for name, indices in read.drift.items()},
    )


def read_documented(rows: pa.StructArray) -> Columns:
    """Read rows of the documented shape (`documented_rows`) column by column."""
    number, status, stop, date = (rows.field(name) for name in ("phoneNumber", "status", "stopSMS", "date"))
    as_e164 = pc.and_(
        pc.match_substring_regex(number, numbering.E164),
        pc.invert(pc.match_substring_regex(number, numbering.TRUNK_ZERO)),
    )
    epoch = pc.and_(pc.ascii_is_decimal(date), pc.less_equal(pc.binary_length(date), values.MOST_EPOCH_DIGITS))
    seconds = pc.if_else(epoch, date, None).cast(pa.int64())
    in_range = pc.and_(pc.greater_equal(seconds, values.EARLIEST_SECOND), pc.less_equal(seconds, values.LATEST_SECOND))
    status_at = pc.multiply(seconds, 1_000_000).cast(TIMESTAMP)
    nowhere = pa.repeat(pa.scalar(None, pa.string()), len(status))
    problems: list[tuple[str, Indices]] = []
    columns = Columns(
        phone_number=_settle(number, number, as_e164, numbering.read_phone_number, problems),
        status=_settle(status, nowhere, None, values.read_status, problems),
        stop_sms=stop.fill_null(False),
        status_at=_settle(date, status_at, in_range, values.read_date, problems),
        reasons={},
        drift={STOP_MISSING: indices_of(pc.is_null(stop))} if stop.null_count else {},
    )
    for reason, indices in problems:
        for index in indices.tolist():
            columns.reasons[index] = (*columns.reasons.get(index, ()), reason)
        if reason == values.STATUS_UNKNOWN:
            columns.drift.update(_unknown_words(status, indices))
    return columns


def _settle(
    raw: pa.Array,
    typed: pa.Array,
    settled: pa.BooleanArray | None,
    read: Callable[[object], values.Reading],
    problems: list[tuple[str, Indices]],
) -> pa.Array:
    """Ask `read` about each distinct value that is not settled already; append the rows of those that are not valid."""
    unsettled = pc.invert(settled.fill_null(False)) if settled is not None else pa.repeat(pa.scalar(True), len(raw))
    if settled is not None and not pc.any(unsettled).as_py():
        return typed
    distinct = pc.if_else(unsettled, raw, None).dictionary_encode()
    readings = [*map(read, distinct.dictionary.to_pylist()), read(None)]
    codes = distinct.indices.fill_null(len(readings) - 1)
    answers = pa.array([value for value, _ in readings], typed.type).take(codes)
    why = pa.array([reason for _, reason in readings], pa.string()).take(codes)
    why = pc.if_else(unsettled, why, None)
    if why.null_count < len(why):
        reasons = pc.unique(why).drop_null().to_pylist()
        problems.extend((reason, indices_of(pc.equal(why, reason))) for reason in reasons)
    return pc.if_else(unsettled, answers, typed)


def _unknown_words(status: pa.Array, indices: Indices) -> dict[str, Indices]:
    named: dict[str, list[int]] = {}
    for index, word in zip(indices.tolist(), status.take(pa.array(indices)).to_pylist(), strict=True):
        named.setdefault(unknown_word(word), []).append(index)
    return {name: np.array(found, dtype=np.int64) for name, found in named.items()}


def indices_of(mask: pa.BooleanArray) -> Indices:
    """Give the indices at which a mask is true."""
    return np.flatnonzero(np.asarray(pc.fill_null(mask, False)))


def _joined(parts: list[Columns]) -> Columns:
    if not parts:
        return read_tolerantly([])
    if len(parts) == 1:
        return parts[0]
    reasons: Reasons = {}
    drift: dict[str, list[Indices]] = {}
    start = 0
    for part in parts:
        reasons |= {start + index: why for index, why in part.reasons.items()}
        for name, indices in part.drift.items():
            drift.setdefault(name, []).append(start + indices)
        start += len(part.phone_number)
    return Columns(
        phone_number=pa.concat_arrays([part.phone_number for part in parts]),
        status=pa.concat_arrays([part.status for part in parts]),
        stop_sms=pa.concat_arrays([part.stop_sms for part in parts]),
        status_at=pa.concat_arrays([part.status_at for part in parts]),
        reasons=reasons,
        drift={name: np.concatenate(indices) for name, indices in drift.items()},
    )
