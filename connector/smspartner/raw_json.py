r"""The fields and rows of a JSON text as raw JSON, also where a strict reader refuses the whole of it.

`msgspec` reads what is right in microseconds. It refuses a whole text for half a surrogate pair (`\ud83d`), or for one
value nested too deeply, anywhere in it. Such a text is split by its brackets, so that one bad cell costs one row.
"""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Iterable
from typing import NoReturn

import msgspec

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_LATIN = frozenset({"iso-8859-1", "iso-8859-15", "latin-1", "latin1", "windows-1252", "cp1252"})
_STRING = rb'"[^"\\]*(?:\\.[^"\\]*)*"'
_TOKEN = re.compile(_STRING + rb"|[\[\]{},]", re.DOTALL)
_FIELD = re.compile(rb"(" + _STRING + rb")\s*:\s*(.*)", re.DOTALL)
_REFUSED = (msgspec.DecodeError, RecursionError)


class _Field:
    """The name of a field; no two are equal, so that a dictionary keeps both."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


Scalar = str | int | float | bool | None


class _Number(msgspec.Struct, frozen=True, gc=False):
    """What is read of each row of every page; decoding it finds out too whether the page's rows are JSON."""

    phoneNumber: Scalar = None  # noqa: N815 - the vendor's name


_OBJECT = msgspec.json.Decoder(dict[_Field, msgspec.Raw], dec_hook=lambda _kind, name: _Field(name))
_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_NUMBER, _NUMBERS = msgspec.json.Decoder(_Number), msgspec.json.Decoder(list[_Number])


def as_utf8(body: bytes, charset: str | None = None) -> bytes:
    r"""Give a body as valid UTF-8, without a byte order mark: as it is, or read as the Latin charset it declares.

    Other bytes that are not UTF-8 are written as halves of surrogate pairs (`\udce9`), which no reader accepts: what
    holds one stays invalid, and the rest can be read.
    """
    body = body.removeprefix(_BYTE_ORDER_MARK)
    if body.isascii():
        return body
    try:
        body.decode()
    except UnicodeDecodeError:
        if charset is not None and charset.lower() in _LATIN:
            return body.decode(charset, "replace").encode()
        return body.decode("utf-8", "surrogateescape").encode("utf-8", "backslashreplace")
    return body


def read_fields(document: bytes) -> tuple[dict[str, bytes | msgspec.Raw], frozenset[str]]:
    """Give the fields of an object, and the names of those that are given twice with different values.

    Raises:
        ValueError: it is not an object, or not JSON.
    """
    try:
        found: Iterable[tuple[str, bytes | msgspec.Raw]] = [
            (field.name, value) for field, value in _OBJECT.decode(document).items()
        ]
    except _REFUSED:
        found = _split_fields(document)
    fields: dict[str, bytes | msgspec.Raw] = {}
    contradicted = set()
    for name, value in found:
        first = fields.setdefault(name, value)
        if first is not value and first != value:
            contradicted.add(name)
    return fields, frozenset(contradicted)


def read_list(list_json: bytes) -> tuple[bytes, array[int]]:
    """Give a row list as a JSON array that can be split, and a hash of each row's phone number (64 bits).

    Raises:
        ValueError: as `split_rows` does.
    """
    try:
        numbers = array("q", map(hash, _NUMBERS.decode(list_json)))
    except _REFUSED:
        rows = split_rows(list_json)
        return b"[%b]" % b",".join(rows), array("q", map(_hash_number, rows))
    return list_json, numbers


def _hash_number(row: bytes) -> int:
    """Hash the phone number of a row, or the JSON of what is no row."""
    try:
        return hash(_NUMBER.decode(row))
    except _REFUSED:
        return hash(row)


def split_rows(rows_json: bytes) -> list[bytes]:
    """Give the JSON of each row of a list; a PHP list that became an object with number keys is a list, too.

    A row nested too deeply to be read is given as a text of itself.

    Raises:
        ValueError: it is neither, or not JSON.
    """
    try:
        return [bytes(row) for row in _LIST.decode(rows_json)]
    except _REFUSED:
        pass
    if rows_json.startswith(b"["):
        rows: Iterable[bytes | msgspec.Raw] = _split(rows_json, b"[]")
    else:
        keyed, contradicted = read_fields(rows_json)
        if contradicted or not all(key.isascii() and key.isdigit() for key in keyed):
            raise ValueError("not a list")
        rows = keyed.values()
    return [_readable(bytes(row)) for row in rows]


def read_value(raw: bytes | msgspec.Raw | None) -> object:
    """Read one value; None where it is missing or can't be read (too large a number, nested too deeply)."""
    if raw is None:
        return None
    try:
        return msgspec.json.decode(raw)
    except _REFUSED:
        pass
    try:
        return json.loads(bytes(raw), strict=False)
    except (ValueError, RecursionError):
        return None


def _split_fields(document: bytes) -> list[tuple[str, bytes]]:
    fields = []
    for part in _split(document, b"{}"):
        field = _FIELD.fullmatch(part)
        if field is None:
            raise ValueError("not a field")
        _is_shallow(field[2], strict=False)
        fields.append((json.loads(field[1], strict=False), field[2]))
    return fields


def _split(document: bytes, brackets: bytes) -> list[bytes]:
    """Split a list or an object at its own commas; its parts are not checked.

    Raises:
        ValueError: it does not begin and end with its brackets.
    """
    document = document.strip()
    parts, depth, start = [], 0, 1
    if document[:1] + document[-1:] != brackets:
        raise ValueError("not the brackets")
    for token in _TOKEN.finditer(document):
        mark = token[0]
        if mark in {b"[", b"{"}:
            depth += 1
        elif mark in {b"]", b"}"}:
            depth -= 1
        elif mark == b"," and depth == 1:
            parts.append(document[start : token.start()].strip())
            start = token.end()
    if depth:
        raise ValueError("cut")
    last = document[start:-1].strip()
    return [*parts, last] if parts or last else []


def _readable(row: bytes) -> bytes:
    return row if _is_shallow(row) else json.dumps(row.decode()).encode()


def _is_shallow(value: bytes, *, strict: bool = True) -> bool:
    """Whether a value can be read at all, half surrogate pairs apart; and if not strict, raw control characters.

    Raises:
        ValueError: it is not JSON.
    """
    try:
        json.loads(value, strict=strict, parse_constant=_refuse, parse_int=str, parse_float=str)
    except RecursionError:
        return False
    return True


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)
