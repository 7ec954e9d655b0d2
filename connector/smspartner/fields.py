"""The fields of a JSON object, where one may be given twice: readers of JSON keep one of the two and say nothing."""

from __future__ import annotations

import msgspec


class _Field:
    """The name of a field; no two are equal, so that a dictionary keeps both."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


_OBJECT = msgspec.json.Decoder(dict[_Field, msgspec.Raw], dec_hook=lambda _kind, name: _Field(name))


def read_fields(json: bytes) -> tuple[dict[str, msgspec.Raw], frozenset[str]]:
    """Give the fields of an object, and the names of those that are given twice with different values.

    Raises:
        msgspec.DecodeError, RecursionError: it is no object, or no JSON.
    """
    fields: dict[str, msgspec.Raw] = {}
    contradicted = set()
    for field, value in _OBJECT.decode(json).items():
        first = fields.setdefault(field.name, value)
        if first is not value and first != value:
            contradicted.add(field.name)
    return fields, frozenset(contradicted)
