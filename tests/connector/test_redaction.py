"""Secrets that never print, redaction of all text that leaves the process, and the vendor's texts made plain."""

from __future__ import annotations

import base64
import copy
import dataclasses
import html
import json
import logging
import pickle
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from smspartner import Connection, PhonePrivacy
from smspartner.redaction import MASK, REDACT, Redactor, Secret, find_numbers, guard_logging, hide_numbers, plain_text

LETTERS = "9f3a8c7b6d5e4f3aKz2b1c0d9e8f7a6b"
SIGNS = "k3y/+ =&\"'\u00e9?%\\x"
KEYS = {"letters": LETTERS, "signs": SIGNS}


def test_secrets_are_values_that_print_as_stars() -> None:
    """A secret shows as `***` however it is printed, and equals a secret of the same value only."""
    secret = Secret(SIGNS)
    assert [str(secret), repr(secret), f"{secret}", "%s" % secret, format(secret)] == [MASK] * 5  # noqa: UP031
    assert (repr([secret]), secret.reveal()) == ("[***]", SIGNS)
    assert (Secret("a"), hash(Secret("a"))) == (Secret("a"), hash(Secret("a")))
    assert (Secret("a") != Secret("b"), Secret("a") != "a") == (True, True)


@pytest.mark.parametrize("write", [pickle.dumps, copy.deepcopy, dataclasses.asdict, dataclasses.astuple])
def test_secrets_are_not_written(write: Callable[[Any], object]) -> None:
    """Settings that hold a secret can't be pickled, copied or taken apart; the refusal does not show it."""
    for holder in (Connection(Secret(SIGNS)), PhonePrivacy("hashed", Secret(LETTERS))):
        with pytest.raises(TypeError, match=r"^a secret is not written anywhere$"):
            write(holder)


def each(pattern: str, key: str) -> str:
    """Write every byte of a key by a pattern."""
    return "".join(pattern.format(byte) for byte in key.encode())


SPELLINGS: dict[str, Callable[[str], str]] = {
    "raw": str,
    "upper case": str.upper,
    "lower case": str.lower,
    "quoted": lambda key: quote(key, safe=""),
    "quoted, lower case": lambda key: quote(key, safe="").lower(),
    "quoted but for the slash": quote,
    "quoted twice": lambda key: quote(quote(key, safe=""), safe=""),
    "as in a form": quote_plus,
    "every byte quoted": lambda key: each("%{:02x}", key),
    "JSON": lambda key: json.dumps(key)[1:-1],
    "JSON in UTF-8": lambda key: json.dumps(key, ensure_ascii=False)[1:-1],
    "JSON of PHP": lambda key: json.dumps(key)[1:-1].replace("/", "\\/"),
    "JSON within JSON": lambda key: json.dumps(json.dumps(key)[1:-1])[1:-1],
    "every character as \\u": lambda key: "".join(f"\\u{ord(character):04x}" for character in key),
    "every character as \\u{}": lambda key: "".join(f"\\u{{{ord(character):x}}}" for character in key),
    "every character as \\x": lambda key: "".join(f"\\x{ord(character):02X}" for character in key),
    "Python": lambda key: repr(key)[1:-1],
    "HTML": html.escape,
    "HTML numbers": lambda key: "".join(f"&#{ord(character)};" for character in key),
    "HTML numbers in hexadecimal, twice": lambda key: html.escape("".join(f"&#x{ord(one):x};" for one in key)),
    "one character quoted": lambda key: key.replace(key[2], f"%{ord(key[2]):02x}", 1),
    "hexadecimal": lambda key: key.encode().hex(),
    "hexadecimal, upper case": lambda key: key.encode().hex().upper(),
    "base64": lambda key: base64.b64encode(key.encode()).decode(),
    "base64 for URLs": lambda key: base64.urlsafe_b64encode(key.encode()).decode().rstrip("="),
    "base64 within more": lambda key: base64.b64encode(b"a:" + key.encode() + b":b").decode(),
    "base64 within still more": lambda key: base64.b64encode(b"ab:" + key.encode()).decode(),
    "base64 of a URL": lambda key: base64.b64encode(f"/v1?apiKey={quote(key, safe='')}".encode()).decode(),
    **{f"U+{ord(mark):04X} between": mark.join for mark in "\0\xad\u200b\u202e\ufe0f\ufeff\U000e0041"},
    "a colour within": lambda key: f"{key[:4]}\x1b[1;31m{key[4:]}",
    "full width": lambda key: "".join(chr(ord(one) + 0xFEE0) if "!" <= one <= "~" else one for one in key),
}


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_is_hidden(spelling: str, key: str) -> None:
    """A key is hidden in every encoding that servers and tools use, in any case, and with anything invisible in it."""
    redact, written = Redactor(Secret(key)), SPELLINGS[spelling](key)
    for text in (written, f"https://h/?apiKey={written}&tag=x", f"no such key: {written}, \u00e9\n"):
        hidden = redact(text)
        assert MASK in hidden
        assert written not in hidden
        assert key[3:-3].lower() not in hidden.lower()
        assert redact.finds(text)
        assert redact(hidden) == hidden


def test_what_is_around_a_key_is_kept() -> None:
    """Where a key is written in one piece, nothing else is hidden; a text without one is left as it is."""
    redact = Redactor(Secret(SIGNS))
    for written in (SIGNS, quote(SIGNS, safe=""), json.dumps(SIGNS)[1:-1], SIGNS.upper()):
        assert redact(f"http://h/?apiKey={written}&tag=\u00e9 x") == "http://h/?apiKey=***&tag=\u00e9 x"
    for text in ("", "a%20b&amp;\\u0041", "\x1b[1mbold\x1b[0m \ufeff", "k3y/+", "ends with a backslash \\"):
        assert (redact(text), redact.finds(text)) == (text, False)


@settings(max_examples=30)
@given(
    st.text(st.characters(exclude_categories=["C", "Z"]), min_size=8, max_size=12).filter(lambda key: "*" not in key)
)
def test_any_key(key: str) -> None:
    """Whatever a key is made of, none of its usual forms is left of a text that held it."""
    redact = Redactor(Secret(key))
    for form in (key, quote(key), quote_plus(key), json.dumps(key)[1:-1], html.escape(key), key.encode().hex()):
        assert form not in redact(f"<{form}> {form}")


def test_several_secrets() -> None:
    """Every secret that was added is hidden, the longer one first; one as short as a syllable is not looked for."""
    redact = Redactor(Secret("abcd"), Secret(""), Secret("abcdefgh"), Secret("xyz"))
    assert redact("abcdefgh abcd xyz, xyzabc") == "*** *** xyz, xyzabc"
    redact.add(Secret("xyza"))
    assert redact("abcdefgh abcd xyz, xyzabc") == "*** *** xyz, ***bc"
    assert Redactor()("anything") == "anything"


def test_json_stays_json() -> None:
    """A document is written without a secret in any name, text or number, and stays valid JSON."""
    redact = Redactor(Secret('"12345678'), Secret("87654321"))
    document = {"a": ['"12345678', 87654321, 1.5, None], "x87654321": {"b": True}}
    assert json.loads(redact.json(document)) == {"a": ["***", "***", 1.5, None], "x***": {"b": True}}
    assert redact.json({"a": 1}, indent=1) == json.dumps({"a": 1}, indent=1)


NUMBERS = [
    *("+33612345678", "0612345678", "06 12 34 56 78", "06    12    34  -  56 78", "+33 (0)6.12.34.56.78"),
    *("06,12;34|56/78", "06_12_34_56_78", "06\u00a012\u202f34\u200956\t78", "\u200b".join("0612345678")),
    *("".join(chr(zero + int(digit)) for digit in "0612345678") for zero in (0xFF10, 0x660, 0x6F0, 0x966)),
    *("\u2460\u2461\u2462\u2463\u2464\u2465", "\u2776\u2777\u2778\u2779\u277a\u277b"),
    *("\u2070\u2076\u00b9\u00b2\u00b3\u2074", "\ufe0f\u20e3".join("0612345"), "06\x1b[1m12\x1b[0m345678"),
]


@pytest.mark.parametrize("number", NUMBERS, ids=ascii)
def test_phone_numbers_are_hidden(number: str) -> None:
    """Anything that may be a phone number is hidden and found, in the digits of any script and however grouped."""
    assert hide_numbers(f"call {number}, now").startswith("call ***")
    (found,) = find_numbers(f"call {number} now")
    digits = "".join(filter(str.isdigit, found))
    assert (digits.isascii(), len(digits) >= 6) == (True, True)
    assert plain_text(f"call {number} now").startswith("call ***")


def test_other_numbers_are_kept() -> None:
    """Codes, counts and words between digits are no phone numbers; a text without one is left as it is."""
    for text in ("code 429, page 3 of 20", "12345", "1 a 2 b 3 c 4 d 5 e 6", "caf\u00e9 \u2460 \ufeff x", ""):
        assert (hide_numbers(text), find_numbers(text)) == (text, [])


PLAIN = [
    ("a\x1b[31mb\u202ec\0d", "abcd"),
    ("lone \ud83d half", "lone half"),
    ("  two\n lines\tand \u2028 more  ", "two lines and more"),
    ("\uff26\uff35\uff2c\uff2c \ufb01ne", "FULL fine"),
    ("soldes-e\u0301te\u0301 \U0001f600", "soldes-\u00e9t\u00e9 \U0001f600"),
    ("key K3Y-of-plain-text and 06 12 34 56 78", "key *** and ***"),
    ("key k3y-of\n-plain- text", "***"),
    ("x" * 300, "x" * 199 + "\u2026"),
    ("x" * 190 + " k3y-of-plain-text", "x" * 190 + " ***"),
    ("", ""),
]


@pytest.mark.parametrize(("text", "plain"), PLAIN, ids=ascii)
def test_texts_of_the_vendor_are_made_plain(text: str, plain: str) -> None:
    """What the vendor says is shown on one line, folded and cut, without control codes, keys and numbers."""
    REDACT.add(Secret("k3y-of-plain-text"))
    assert plain_text(text) == plain
    assert plain_text(text, 10) == (plain if len(plain) <= 10 else f"{plain[:9]}\u2026")


def test_logging_of_all_libraries(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever any logger logs is redacted before any handler sees it: message, arguments and traceback."""
    caplog.set_level(logging.DEBUG)
    redact = Redactor(Secret(SIGNS))
    guard_logging(redact)
    guarded = logging.getLogRecordFactory()
    guard_logging(redact)
    assert logging.getLogRecordFactory() is guarded
    url, logger = f"GET ?apiKey={quote(SIGNS, safe='')}", logging.getLogger("tracing.of.others")
    try:
        int(url)
    except ValueError:
        logger.exception("%s took %d ms", url, 12)
    logger.info("a wrong format: %d", url)
    logger.info("nothing to hide: %s, %d %%", "x", 5)
    failed, wrong, kept = caplog.records
    assert (failed.msg, failed.args, failed.exc_info) == ("GET ?apiKey=*** took 12 ms", None, None)
    assert str(failed.exc_text).endswith("base 10: 'GET ?apiKey=***'")
    assert (wrong.msg, wrong.args) == ("a wrong format: %d ('GET ?apiKey=***',)", None)
    assert (kept.msg, kept.args) == ("nothing to hide: %s, %d %%", ("x", 5))
