"""A page's rows: natively where they have the documented shape, one by one where they have any other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import msgspec
import pyarrow as pa
from pyarrow import json as arrow_json

from smspartner import drift, values, vendor
from smspartner.raw_json import read_fields

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
_KNOWN_KEYS = vendor.ROW_KEYS | vendor.ERROR_ROW_KEYS

Drift = dict[str, list[int]]
"""The places of rows that hold something the documentation does not show, by what it is."""


def documented_rows(lists: Sequence[bytes]) -> pa.StructArray | None:
    """Read row lists in the documented shape, one after the other, without a Python object per row.

    None if any row has another shape: the reader refuses other types, other fields and a field given twice, so that
    what it accepts needs no second look. Many lists are read in one go, which costs half as much as one by one, and a
    tenth where they are short.
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


class _DocumentedRow(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    phoneNumber: str | None = None  # noqa: N815 - the vendor's names
    status: str | None = None
    stopSMS: bool | None = None  # noqa: N815
    date: str | None = None


_ONE_DOCUMENTED = msgspec.json.Decoder(_DocumentedRow)


def looks_documented(raw: bytes) -> bool:
    """Whether one row has the documented shape, as far as can be told without looking for fields given twice."""
    try:
        _ONE_DOCUMENTED.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


@dataclass
class RowFacts:
    """The facts of rows, one list each; None where there is none or it can't be believed.

    `reasons` gives, by place in the lists, every reason not to believe a row; `drift`, by what it is, the places of the
    rows that hold something the documentation does not show.
    """

    phone_number: list[str | None] = field(default_factory=list)
    status: list[str | None] = field(default_factory=list)
    stop_sms: list[bool | None] = field(default_factory=list)
    status_at: list[int | None] = field(default_factory=list)
    reasons: dict[int, tuple[str, ...]] = field(default_factory=dict)
    drift: Drift = field(default_factory=dict)


def read_rows(raw_rows: Sequence[bytes]) -> RowFacts:
    """Read rows of any shape, one by one."""
    read = RowFacts()
    for place, raw in enumerate(raw_rows):
        row = _decoded(raw)
        if not isinstance(row, dict):
            _append(read, place, _nothing_but(values.NO_OBJECT))
        elif _contradicts_itself(raw, row):
            _append(read, place, _nothing_but(values.CONTRADICTION))
        else:
            _read_row(row, place, read)
    return read


def _decoded(raw: bytes) -> object:
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return None  # a lone surrogate, or nested beyond reason: no row that could be believed


def _contradicts_itself(raw: bytes, row: dict[str, object]) -> bool:
    """Whether a field is given twice with different values, of which decoding kept the last."""
    # Each field has a colon: where there are no more colons than fields, none was given twice.
    return raw.count(b":") > len(row) and not read_fields(raw)[1].isdisjoint(_KNOWN_KEYS)


def _read_row(row: dict[str, object], place: int, read: RowFacts) -> None:
    if vendor.ERROR_ROW_KEYS & row.keys() and _is_error(row):
        _append(read, place, _nothing_but(values.ROW_ERROR))
        return
    for name in _row_drift(row):
        read.drift.setdefault(name, []).append(place)
    found = (
        values.read_phone_number(row.get("phoneNumber")),
        _either(row, vendor.STATUS_KEYS, values.read_status),
        _either(row, vendor.STOP_KEYS, values.read_stop_sms),
        values.read_date(row.get("date")),
    )
    _append(read, place, found)


def _row_drift(row: dict[str, object]) -> Iterator[str]:
    """Name what the documentation does not show of such a row."""
    for name, value in row.items():
        if name not in _KNOWN_KEYS:
            yield drift.unknown_field(name)
        elif value is not None and name in vendor.ROW_TYPES:
            kind = drift.json_type(value)
            if kind != vendor.ROW_TYPES[name]:
                yield drift.retyped_field(name, kind)
    if all(row.get(name) is None for name in vendor.STOP_KEYS):
        yield drift.STOP_MISSING
    for name in vendor.STATUS_KEYS:
        value = row.get(name)
        if isinstance(value, str) and values.read_status(value)[1] is not None:
            yield drift.unknown_word(value)


def _is_error(row: dict[str, object]) -> bool:
    """Whether a row says that it failed: `success` false, or a code other than the one of success."""
    success, code = row.get("success"), row.get("code")
    failed = success is not None and values.read_stop_sms(success)[0] is not True
    return failed or (code is not None and str(code).strip() != str(vendor.SUCCESS_CODE))


def _either(row: dict[str, object], keys: tuple[str, ...], read: values.Reader) -> values.Fact:
    """Read a fact that has two spellings; where both are given, they must agree."""
    given = [read(row[key]) for key in keys if row.get(key) is not None]
    if not given:
        return read(None)
    if any(fact != given[0] for fact in given[1:]):
        return None, values.CONTRADICTION
    return given[0]


_FourFacts = tuple[values.Fact, values.Fact, values.Fact, values.Fact]


def _nothing_but(reason: str) -> _FourFacts:
    return (None, reason), (None, None), (None, None), (None, None)


def _append(read: RowFacts, place: int, found: _FourFacts) -> None:
    for column, (value, _) in zip((read.phone_number, read.status, read.stop_sms, read.status_at), found, strict=True):
        column.append(value)  # type: ignore[attr-defined]
    reasons = tuple(reason for _, reason in found if reason is not None)
    if reasons:
        read.reasons[place] = reasons
