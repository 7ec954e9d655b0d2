"""Rows of any shape, read one by one: the tolerant path, for pages in which any row is not as documented."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from smspartner import drift, values, vendor
from smspartner.numbering import read_phone_number
from smspartner.raw_json import read_fields, read_value

_KNOWN_KEYS = vendor.ROW_KEYS | vendor.ERROR_ROW_KEYS

_FourReadings = tuple[values.Reading, values.Reading, values.Reading, values.Reading]


@dataclass
class TolerantRows:
    """The values of rows, one list each; None where there is none or it is not valid.

    `status_at` is microseconds since the epoch, UTC. `reasons` gives, by index, every reason why a row is not valid;
    `drift`, by name, the indices of rows that hold something the documentation does not show.
    """

    phone_number: list[str | None] = field(default_factory=list)
    status: list[str | None] = field(default_factory=list)
    stop_sms: list[bool | None] = field(default_factory=list)
    status_at: list[int | None] = field(default_factory=list)
    reasons: dict[int, tuple[str, ...]] = field(default_factory=dict)
    drift: dict[str, list[int]] = field(default_factory=dict)


def read_rows(raw_rows: Sequence[bytes]) -> TolerantRows:
    """Read rows, each given as its JSON."""
    read = TolerantRows()
    for index, raw in enumerate(raw_rows):
        row = _decoded(raw)
        if isinstance(row, str):
            _append(read, index, _nothing_but(row))
        elif _contradicts_itself(raw, row):
            _append(read, index, _nothing_but(values.CONTRADICTION))
        else:
            _read_row(row, index, read)
    return read


def _decoded(raw: bytes) -> dict[str, object] | str:
    """Decode a row, or say why it can't be one."""
    try:
        row = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError):  # half a surrogate pair, or beyond reading
        return values.BROKEN_TEXT if isinstance(read_value(raw), dict) else values.NO_OBJECT
    return row if isinstance(row, dict) else values.NO_OBJECT


def _contradicts_itself(raw: bytes, row: dict[str, object]) -> bool:
    """Whether a field is given twice with different values, of which decoding kept the last."""
    # Each field has a colon: where there are no more colons than fields, none was given twice.
    return raw.count(b":") > len(row) and not read_fields(raw)[1].isdisjoint(_KNOWN_KEYS)


def _read_row(row: dict[str, object], index: int, read: TolerantRows) -> None:
    if vendor.ERROR_ROW_KEYS & row.keys() and _is_error(row):
        _append(read, index, _nothing_but(values.ROW_ERROR))
        return
    found = (
        read_phone_number(row.get("phoneNumber")),
        _either(row, vendor.STATUS_KEYS, values.read_status),
        _either(row, vendor.STOP_KEYS, values.read_stop_sms),
        values.read_date(row.get("date")),
    )
    words = [] if found[1][1] is None else [row.get(name) for name in vendor.STATUS_KEYS]
    unknown = [drift.unknown_word(word) for word in words if isinstance(word, str) and values.read_status(word)[1]]
    for name in (*_row_drift(row), *unknown):
        read.drift.setdefault(name, []).append(index)
    _append(read, index, found)


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


def _is_error(row: dict[str, object]) -> bool:
    """Whether a row says that it failed: `success` false, or a code other than the one of success."""
    success, code = row.get("success"), row.get("code")
    failed = success is not None and values.read_stop_sms(success)[0] is not True
    return failed or (code is not None and str(code).strip() != str(vendor.SUCCESS_CODE))


def _either(row: dict[str, object], keys: tuple[str, ...], read: Callable[[object], values.Reading]) -> values.Reading:
    """Read a value that has two spellings; where both are given, they must agree."""
    given = [read(row[key]) for key in keys if row.get(key) is not None]
    if not given:
        return read(None)
    if any(reading != given[0] for reading in given[1:]):
        return None, values.CONTRADICTION
    return given[0]


def _nothing_but(reason: str) -> _FourReadings:
    return (None, reason), (None, None), (None, None), (None, None)


def _append(read: TolerantRows, index: int, found: _FourReadings) -> None:
    for column, (value, _) in zip((read.phone_number, read.status, read.stop_sms, read.status_at), found, strict=True):
        column.append(value)  # type: ignore[attr-defined]
    reasons = tuple(reason for _, reason in found if reason is not None)
    if reasons:
        read.reasons[index] = reasons
