r"""The fields and rows of a JSON text as raw JSON, also where a strict reader refuses the whole of it.

`msgspec` reads what is right in microseconds. It refuses a whole text for half a surrogate pair (`\ud83d`) anywhere in
it. Such a text is split where it splits a copy without them, so that one bad cell costs one row.
"""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_LATIN = frozenset({"iso-8859-1", "iso-8859-15", "latin-1", "latin1", "windows-1252", "cp1252"})
_PAIR = rb"u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_ESCAPE = re.compile(rb"\\(?:%b|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)" % _PAIR, re.DOTALL)
"""An escape in a JSON text; the group is half of a surrogate pair."""

_REPLACEMENT = rb"\ufffd"
_SPACES = bytes(max(byte, ord(" ")) for byte in range(256))
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_BEFORE = re.compile(rb"[\s,]*(?:%b\s*:\s*)?" % _STRING.pattern, re.DOTALL)
"""What stands before a value in a list, or in an object."""

_REFUSED = (msgspec.DecodeError, RecursionError)


class _Field:
    """The name of a field; no two are equal, so that a dictionary keeps both."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


Scalar = str | int | float | bool | None

Hashes = npt.NDArray[np.int64]
"""64 bits a row: among five million rows, two different ones are taken for the same once in a million tags."""


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


def read_fields(document: bytes, *, strict: bool = False) -> tuple[dict[str, bytes | msgspec.Raw], frozenset[str]]:
    """Give the fields of an object, and the names of those that are given twice with different values.

    Unless `strict`, raw control characters may stand in its texts.

    Raises:
        ValueError: it is not an object, or not JSON.
    """
    found: list[tuple[str, bytes | msgspec.Raw]]
    try:
        found = [(field.name, value) for field, value in _OBJECT.decode(document).items()]
    except _REFUSED:
        found = [*_split(document, _OBJECT, strict=strict)]
    fields: dict[str, bytes | msgspec.Raw] = {}
    contradicted = set()
    for name, value in found:
        first = fields.setdefault(name, value)
        if first is not value and first != value:
            contradicted.add(name)
    return fields, frozenset(contradicted)


def read_list(list_json: bytes) -> tuple[bytes, Hashes]:
    """Give a row list as a JSON array that can be split, and a hash of each row's phone number (64 bits).

    Raises:
        ValueError: as `split_rows` does.
    """
    try:
        rows = _NUMBERS.decode(list_json)
        return list_json, np.fromiter(map(hash, rows), np.int64, len(rows))
    except _REFUSED:
        raw_rows = split_rows(list_json)
        return b"[%b]" % b",".join(raw_rows), np.fromiter(map(_hash_number, raw_rows), np.int64, len(raw_rows))


def _hash_number(row: bytes) -> int:
    """Hash the phone number of a row, or the JSON of what is no row."""
    try:
        return hash(_NUMBER.decode(row))
    except _REFUSED:
        return hash(row)


def split_rows(rows_json: bytes) -> list[bytes]:
    """Give the JSON of each row of a list; a PHP list that became an object with number keys is a list, too.

    Raises:
        ValueError: it is neither, or not JSON.
    """
    try:
        return [bytes(row) for row in _LIST.decode(rows_json)]
    except _REFUSED:
        pass
    if rows_json.startswith(b"["):
        return [row for _, row in _split(rows_json, _LIST)]
    keyed, contradicted = read_fields(rows_json, strict=True)
    if contradicted or not all(key.isascii() and key.isdigit() for key in keyed):
        raise ValueError("not a list")
    return [bytes(row) for row in keyed.values()]


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


def _split(document: bytes, reader: msgspec.json.Decoder[Any], *, strict: bool = True) -> list[tuple[str, bytes]]:
    """Split a list or an object that holds halves of surrogate pairs: each name ("" in a list), and its JSON.

    A strict reader splits a copy of the same length, in which nothing is wrong.

    Raises:
        ValueError: it is another value, or not JSON.
    """
    readable = _ESCAPE.sub(lambda escape: _REPLACEMENT if escape[1] else escape[0], document)
    if not strict:
        readable = _STRING.sub(lambda text: text[0].translate(_SPACES), readable)
    try:
        found = reader.decode(readable)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    named = found.items() if isinstance(found, dict) else ((_Field(""), raw) for raw in found)
    parts, at = [], len(document) - len(document.lstrip()) + 1
    for name, raw in named:
        start = _BEFORE.match(readable, at).end()  # type: ignore[union-attr]  # it matches nothing, too
        at = start + len(memoryview(raw))
        parts.append((name.name, document[start:at]))
    return parts
