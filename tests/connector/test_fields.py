"""The fields of a JSON object, of which readers of JSON hide the ones given twice."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from smspartner.fields import read_fields


@pytest.mark.parametrize(
    ("text", "fields", "contradicted"),
    [
        ("{}", {}, set()),
        ('{"a": 1, "b": [2]}', {"a": b"1", "b": b"[2]"}, set()),
        ('{"a": 1, "a": 1}', {"a": b"1"}, set()),
        ('{"a": 1, "b": 2, "a": 3, "a": 1}', {"a": b"1", "b": b"2"}, {"a"}),
        ('{"a": 1, "\\u0061": 2}', {"a": b"1"}, {"a"}),
        ('{"a": {"b": 1, "b": 2}}', {"a": b'{"b": 1, "b": 2}'}, set()),
    ],
)
def test_fields(text: str, fields: dict[str, bytes], contradicted: set[str]) -> None:
    """The first value of each field is given, and the names of those that are given again with another."""
    found, twice = read_fields(text.encode())
    assert (fields, contradicted) == ({name: bytes(value) for name, value in found.items()}, twice)


@pytest.mark.parametrize("text", ["", "[]", "null", '"a"', "{", '{"a": 1} 2', '{"a": NaN}'])
def test_no_object(text: str) -> None:
    """What is no JSON object is not read."""
    with pytest.raises(msgspec.DecodeError):
        read_fields(text.encode())


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "\u00e9", ""]), st.integers(0, 2)), max_size=8))
def test_any_fields(pairs: list[tuple[str, int]]) -> None:
    """Exactly the fields with more than one value contradict themselves, however often they are given."""
    text = "{" + ",".join(f"{json.dumps(name)}:{value}" for name, value in pairs) + "}"
    fields, contradicted = read_fields(text.encode())
    values = {name: {value for other, value in pairs if other == name} for name, _ in pairs}
    assert ({*values}, {name for name, given_values in values.items() if len(given_values) > 1}) == (
        *({*fields}, contradicted),
    )
