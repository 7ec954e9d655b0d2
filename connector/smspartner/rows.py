"""JSON rows become columns, and what in them is drift: undocumented, which fails nothing by itself.

Two paths give the same. The native one casts what looks as documented as a whole, and asks the readers of single values
only about distinct values that look otherwise. Pages that hold a row of any other shape are read row by row.
A field that is renamed shows up in drift as one that is missing and one that is unknown, while its column turns empty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import json as arrow_json

from smspartner import phone_numbers, values, vendor
from smspartner.raw_json import read_fields, read_value, split_rows
from smspartner.redaction import plain_text

TIMESTAMP = pa.timestamp("us", tz="UTC")

Indices = npt.NDArray[np.int64]
Reasons = dict[int, tuple[str, ...]]
"""Every reason why a row is not valid, by the row's index."""

_STOP_MISSING = "row without stopSMS"
_LONGEST_NAME = 40
_KNOWN_KEYS = vendor.ROW_KEYS | vendor.ERROR_ROW_KEYS
_JSON_TYPES = {bool: "boolean", int: "number", float: "number", str: "string", list: "array", dict: "object"}

_READ_AT_ONCE = 2 * 1024 * 1024
"""Bytes of JSON: beyond two megabytes nothing is gained, and memory is taken twice."""

_NOT_WORTH_HALVING = 64 * 1024
"""Bytes of JSON: the tolerant path reads so little as fast as the native path fails twice."""

_DOCUMENTED = {"phoneNumber": pa.string(), "status": pa.string(), "stopSMS": pa.bool_(), "date": pa.string()}
_PARSE = arrow_json.ParseOptions(
    explicit_schema=pa.schema({"rows": pa.list_(pa.struct(_DOCUMENTED))}), unexpected_field_behavior="error"
)


@dataclass(frozen=True)
class Columns:
    """The values of rows as Arrow columns of one length; null where there is none or it is not valid.

    `phone_number` (E.164) and `status` are strings, `stop_sms` bool, `status_at` timestamp[us, UTC]. `reasons` says why
    rows are not valid; `drift` gives, by name, the indices of rows that hold something undocumented. No name holds a
    phone number.
    """

    phone_number: pa.Array
    status: pa.Array
    stop_sms: pa.Array
    status_at: pa.Array
    reasons: Reasons
    drift: dict[str, Indices]


def read_rows(lists: Sequence[bytes]) -> Columns:
    """Read the rows of JSON lists (pages, `Page.rows_json`), one after the other."""
    parts: list[Columns] = []
    begin, size = 0, 0
    for end, rows_json in enumerate(lists, start=1):
        size += len(rows_json)
        if size >= _READ_AT_ONCE or end == len(lists):
            parts.extend(_read(lists[begin:end]))
            begin, size = end, 0
    return parts[0] if len(parts) == 1 else _joined(parts or [read_tolerantly([])])


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


def _joined(parts: Sequence[Columns]) -> Columns:
    reasons: Reasons = {}
    drift: dict[str, list[Indices]] = {}
    start = 0
    for part in parts:
        reasons |= {start + index: why for index, why in part.reasons.items()}
        for name, indices in part.drift.items():
            drift.setdefault(name, []).append(start + indices)
        start += len(part.phone_number)
    names = ("phone_number", "status", "stop_sms", "status_at")
    columns = {name: pa.concat_arrays([getattr(part, name) for part in parts]) for name in names}
    named = {name: np.concatenate(indices) for name, indices in drift.items()}
    return Columns(**columns, reasons=reasons, drift=named)


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


def read_documented(rows: pa.StructArray) -> Columns:
    """Read rows of the documented shape (`documented_rows`) column by column."""
    number, status, stop, date = (rows.field(name) for name in _DOCUMENTED)
    as_e164 = pc.and_(
        pc.match_substring_regex(number, phone_numbers.E164),
        pc.invert(pc.match_substring_regex(number, phone_numbers.TRUNK_ZERO)),
    )
    epoch = pc.and_(pc.ascii_is_decimal(date), pc.less_equal(pc.binary_length(date), values.MOST_EPOCH_DIGITS))
    seconds = pc.if_else(epoch, date, None).cast(pa.int64())
    in_range = pc.and_(pc.greater_equal(seconds, values.EARLIEST_SECOND), pc.less_equal(seconds, values.LATEST_SECOND))
    status_at = pc.multiply(seconds, 1_000_000).cast(TIMESTAMP)
    reasons: Reasons = {}
    columns = Columns(
        phone_number=_settle(number, number, as_e164, phone_numbers.read_phone_number, reasons),
        status=_settle(status, pa.nulls(len(status), pa.string()), None, values.read_status, reasons),
        stop_sms=stop.fill_null(False),
        status_at=_settle(date, status_at, in_range, values.read_date, reasons),
        reasons=reasons,
        drift={_STOP_MISSING: indices_of(pc.is_null(stop))} if stop.null_count else {},
    )
    words: dict[str, list[int]] = {}
    for index in (index for index, why in reasons.items() if values.STATUS_UNKNOWN in why):
        words.setdefault(_unknown_word(status[index].as_py()), []).append(index)
    columns.drift.update({name: np.array(sorted(indices)) for name, indices in words.items()})
    return columns


def _settle(
    raw: pa.Array,
    typed: pa.Array,
    settled: pa.BooleanArray | None,
    read: Callable[[object], values.Reading],
    reasons: Reasons,
) -> pa.Array:
    """Ask `read` about each distinct value that is not settled already; add to `reasons` why rows are not valid."""
    unsettled = pc.invert(settled.fill_null(False)) if settled is not None else pa.repeat(pa.scalar(True), len(raw))
    if settled is not None and not pc.any(unsettled).as_py():
        return typed
    distinct = pc.if_else(unsettled, raw, None).dictionary_encode()
    readings = [*map(read, distinct.dictionary.to_pylist()), read(None)]
    codes = distinct.indices.fill_null(len(readings) - 1)
    answers = pa.array([value for value, _ in readings], typed.type).take(codes)
    why = pa.array([reason for _, reason in readings], pa.string()).take(codes)
    not_valid = indices_of(pc.and_(unsettled, pc.is_valid(why)))
    for index, reason in zip(not_valid.tolist(), why.take(pa.array(not_valid)).to_pylist(), strict=True):
        reasons[index] = (*reasons.get(index, ()), reason)
    return pc.if_else(unsettled, answers, typed)


def indices_of(mask: pa.BooleanArray) -> Indices:
    """Give the indices at which a mask is true."""
    found = pc.indices_nonzero(mask) if len(mask) else ()  # pyarrow before 26 dies of a mask without any chunk
    return np.asarray(found).astype(np.int64)


def read_tolerantly(raw_rows: Sequence[bytes]) -> Columns:
    """Read rows of any shape, each given as its JSON, one by one."""
    found: list[list[object]] = []
    reasons: Reasons = {}
    drift: dict[str, list[int]] = {}
    for index, raw in enumerate(raw_rows):
        row = _decoded(raw)
        readings = [(None, row)] + [(None, None)] * 3 if isinstance(row, str) else _readings(row)
        found.append([value for value, _ in readings])
        why = tuple(reason for _, reason in readings if reason is not None)
        if why:
            reasons[index] = why
        for name in () if isinstance(row, str) else _drift(row):
            drift.setdefault(name, []).append(index)
    number, status, stop, date = zip(*found, strict=True) if found else ((), (), (), ())
    return Columns(
        phone_number=pa.array(number, pa.string()),
        status=pa.array(status, pa.string()),
        stop_sms=pa.array(stop, pa.bool_()),
        status_at=pa.array(date, TIMESTAMP),
        reasons=reasons,
        drift={name: np.array(indices) for name, indices in drift.items()},
    )


def _decoded(raw: bytes) -> dict[str, object] | str:
    """Decode a row, or give the reason why there is nothing to read in it."""
    try:
        row = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError):  # half a surrogate pair, or beyond reading
        return values.BROKEN_TEXT if isinstance(read_value(raw), dict) else values.NO_OBJECT
    if not isinstance(row, dict):
        return values.NO_OBJECT
    # Each field has a colon: where there are no more colons than fields, none was given twice.
    if raw.count(b":") > len(row) and not read_fields(raw)[1].isdisjoint(_KNOWN_KEYS):
        return values.CONTRADICTION
    success, code = row.get("success"), row.get("code")
    failed = success is not None and values.read_stop_sms(success)[0] is not True
    other_code = code is not None and str(code).strip() != str(vendor.SUCCESS_CODE)
    return values.ROW_ERROR if failed or other_code else row


def _readings(row: dict[str, object]) -> list[values.Reading]:
    return [
        phone_numbers.read_phone_number(row.get("phoneNumber")),
        _either(row, vendor.STATUS_KEYS, values.read_status),
        _either(row, vendor.STOP_KEYS, values.read_stop_sms),
        values.read_date(row.get("date")),
    ]


def _either(row: dict[str, object], keys: tuple[str, ...], read: Callable[[object], values.Reading]) -> values.Reading:
    """Read a value that has two spellings; where both are given, they must agree."""
    given = [read(row[key]) for key in keys if row.get(key) is not None] or [read(None)]
    return given[0] if all(reading == given[0] for reading in given) else (None, values.CONTRADICTION)


def _drift(row: dict[str, object]) -> Iterator[str]:
    """Name what the documentation does not show of a row."""
    for name, value in row.items():
        if name not in _KNOWN_KEYS:
            yield f"row field {plain_text(name, _LONGEST_NAME)}"
        elif value is not None and name in vendor.ROW_TYPES and _JSON_TYPES[type(value)] != vendor.ROW_TYPES[name]:
            yield f"row field {name} as {_JSON_TYPES[type(value)]}"
    if all(row.get(name) is None for name in vendor.STOP_KEYS):
        yield _STOP_MISSING
    for word in (row.get(name) for name in vendor.STATUS_KEYS):
        if isinstance(word, str) and values.read_status(word)[1]:
            yield _unknown_word(word)


def _unknown_word(word: str) -> str:
    return f"status word {plain_text(word, _LONGEST_NAME)!r}"
