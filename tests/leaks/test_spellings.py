"""Whatever a key is made of and however it is written, no decoding of the redacted text gives it back."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from smspartner.redaction import MASK, Redactor, Secret

WAYS: tuple[Callable[[str], str], ...] = (
    lambda character: character,
    lambda character: quote(character, safe=""),
    lambda character: "".join(f"%{byte:02x}" for byte in character.encode()),
    lambda character: "".join(f"%25{byte:02X}" for byte in character.encode()),
    lambda character: "".join(f"%2525{byte:02x}" for byte in character.encode()),
    quote_plus,
    lambda character: json.dumps(character)[1:-1],
    lambda character: json.dumps(json.dumps(character)[1:-1])[1:-1],
    lambda character: repr(character)[1:-1],
    lambda character: f"\\u{ord(character):04x}" if ord(character) <= 0xFFFF else character,
    lambda character: f"\\\\\\u{ord(character):04X}" if ord(character) <= 0xFFFF else character,
    lambda character: "".join(f"\\x{byte:02x}" for byte in character.encode()),
    html.escape,
    lambda character: html.escape(html.escape(character)),
    lambda character: f"&#{ord(character)};",
    lambda character: f"&amp;#x{ord(character):X};",
    lambda character: quote(f"\\u{ord(character):04x}" if ord(character) <= 0xFFFF else character),
    lambda character: quote(html.escape(character), safe=""),
)
"""How one character may be written; the next may be written in another way."""

LAYERS: tuple[Callable[[str], str], ...] = (
    lambda text: text,
    json.dumps,
    lambda text: json.dumps(text, ensure_ascii=False),
    repr,
    html.escape,
    lambda text: quote(text, safe="/?=&"),
)
"""What is done to a text as a whole."""

PRINTABLE = st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Cn", "Co", "Zl", "Zp"])
LETTERS = st.sampled_from("abzAZ019")
SIGNS = st.sampled_from("+/=&% \\\"'#;<>u25x")
KEYS = (
    st.text(st.one_of(LETTERS, SIGNS, PRINTABLE), min_size=4, max_size=12)
    .map(str.strip)
    .filter(lambda key: len(key) > 3)
)
AROUND = st.text(st.one_of(LETTERS, SIGNS), max_size=6)

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])


@settings(unhurried, max_examples=80)
@given(KEYS, st.data())
def test_any_mix_of_encodings(leaks: Any, key: str, data: st.DataObject) -> None:
    """Each character encoded in a way of its own, the text around it escaped once more: nothing gives the key back."""
    mixed = "".join(data.draw(st.sampled_from(WAYS))(character) for character in key)
    before, after = data.draw(AROUND), data.draw(AROUND)
    layer = data.draw(st.sampled_from(LAYERS))
    redact = Redactor(Secret(key))
    left = redact(layer(f"{before}{mixed}{after}"))
    assert MASK in left
    assume(not leaks.holds(key, f"{before} {after}") and key not in MASK)
    assert not leaks.holds(key, left)


@settings(unhurried, max_examples=80)
@given(KEYS, st.binary(max_size=7), st.binary(max_size=4), st.booleans())
@example("abcd", b"user:", b"", False)
def test_within_base64_and_hexadecimal(leaks: Any, key: str, before: bytes, after: bytes, encoded: bool) -> None:  # noqa: FBT001
    """Within base64 of something longer, at any alignment and in both alphabets, and within hexadecimal."""
    whole = before + (quote(key, safe="") if encoded else key).encode() + after
    redact = Redactor(Secret(key))
    codes = [base64.b64encode(whole).decode(), base64.urlsafe_b64encode(whole).decode()]
    codes += [whole.hex(), whole.hex().upper(), json.dumps(codes[0]).replace("/", "\\/"), quote(codes[0])]
    for code in codes:
        assert not leaks.holds(key, redact(f"Authorization: Basic {code}"))


@settings(unhurried, max_examples=8)
@given(st.lists(KEYS, min_size=2, max_size=4), st.data())
def test_several_keys(leaks: Any, keys: list[str], data: st.DataObject) -> None:
    """Of several keys, which may contain each other, none is left."""
    keys = [*keys, keys[0] + keys[1], keys[0][:4]]
    redact = Redactor(*map(Secret, keys))
    left = redact(" ".join(quote(key) for key in data.draw(st.permutations(keys))))
    assert [key for key in keys if key not in MASK and leaks.holds(key, left)] == []


@pytest.mark.parametrize("key", ["9f3a8c7b6d5e4f3a", "k3y+/=&% secret", "admin-key", "2024"])
def test_ordinary_text_stays(key: str) -> None:
    """Text that does not hold the key stays as it is, however much of it looks encoded."""
    text = json.dumps({"a": "100 % \\ &amp; %2F é", "run": "20261124T081507Z-9f3a8c7b", "admin": "key", "n": [202, 4]})
    redact = Redactor(Secret(key))
    for layer in LAYERS:
        assert redact(layer(text)) == layer(text)


@pytest.mark.parametrize("key", ["a", "ab1"])
def test_short_keys(key: str) -> None:
    """A key of fewer than four characters is hidden where it stands alone, and does not blank every word."""
    redact = Redactor(Secret(key))
    assert redact(f"?apiKey={key}&tag=table") == "?apiKey=***&tag=table"
    assert redact("tables, about ab12") == "tables, about ab12"


@pytest.mark.parametrize("piece", ["\\", "%25", "&amp;", "%5C", "&#92;", "\\u005c", "\\\\u005c"])
def test_hostile_text(piece: str) -> None:
    """Text made to keep the search busy does not: its time grows with its length, not with its square."""
    assert Redactor(Secret("\\key\\with\\backslashes"))(piece * 3000) == piece * 3000


@pytest.mark.parametrize("key", ['ab"cd', "abc\\", "0041xyz", "12345", "nice", '": "x'])
def test_json_stays_json(key: str) -> None:
    """A document that holds the key is written as JSON, with `***` for the key, whatever the key does to JSON."""
    document = {"a": key, f"<{key}>": [1, None, f"\u001b{key}"], "b": "A"}
    written = Redactor(Secret(key)).json(document, ensure_ascii=False)
    assert json.loads(written) == {"a": "***", "<***>": [1, None, "\x1b***"], "b": "A"}
