"""Masked and hashed numbers, in rows and in raw JSON."""

from __future__ import annotations

import hashlib
import hmac
import json

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from smspartner.errors import SettingsError
from smspartner.privacy import PhonePrivacy
from smspartner.redaction import REDACT, Secret
from smspartner_schemas.contract import PHONE_PATTERNS

KEY = Secret("0123456789abcdef")
NUMBER = "+33612345678"
KEY_ID = hmac.new(b"0123456789abcdef", b"key id", hashlib.sha256).hexdigest()[:8]
HASH = f"{KEY_ID}:{hmac.new(b'0123456789abcdef', NUMBER.encode(), hashlib.sha256).hexdigest()}"
FULL_WIDTH = "\uff10\uff16\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18"
ARABIC = "\u0660\u0666\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668"
PLAIN, MASKED, HASHED = PhonePrivacy(), PhonePrivacy("masked"), PhonePrivacy("hashed", KEY)


def test_unknown_form() -> None:
    """A form that is misspelled is refused: numbers would be plain where nobody looks."""
    with pytest.raises(SettingsError, match=r"^unknown form of phone numbers; give one of plain, masked, hashed$"):
        PhonePrivacy("Masked")  # type: ignore[arg-type]


def test_a_phone_key_as_bare_text() -> None:
    """A phone key that is no `Secret` is refused with how to wrap it, and the refusal does not show it."""
    for options in ({"key": "phone-key-in-clear"}, {"retired": ("phone-key-in-clear",)}):
        with pytest.raises(SettingsError) as caught:
            PhonePrivacy(**options)
        assert str(caught.value) == "a phone key is given as str; wrap the text, as in Secret(getpass.getpass())"


@pytest.mark.parametrize(
    ("number", "masked"),
    [
        (NUMBER, "+33*******78"),
        ("+12123610042", "+1********42"),
        ("+262692123456", "+262*******56"),
        ("+9991234567", "+9*******67"),
        ("+2621234", "+262**34"),
    ],
)
def test_masked(number: str, masked: str) -> None:
    """Masked numbers keep calling code, length and the last two digits."""
    assert masked == MASKED.protect(number)


def test_hashed() -> None:
    """Hashed numbers are the key's id and HMAC-SHA256 under the key, in hexadecimal; both differ with the key."""
    assert HASHED.protect(NUMBER) == HASH
    other = PhonePrivacy("hashed", Secret("another key of some length")).protect(NUMBER)
    assert set(HASH.split(":")) & set(other.split(":")) == set()


def test_labels() -> None:
    """Tables whose numbers can be compared have one label; it names the key by its id."""
    assert ("plain", "masked", f"hashed:{KEY_ID}") == (PLAIN.label, MASKED.label, HASHED.label)
    assert PhonePrivacy("hashed", KEY, (Secret("a retired key of the past"),)).label == HASHED.label
    assert PhonePrivacy("plain", KEY).label == "plain"


def test_retired_keys_are_known_by_their_ids() -> None:
    """Numbers hashed under a retired key can still be recognised, by the id that stands beside each hash."""
    rotated = PhonePrivacy("hashed", Secret("another key of some length"), (KEY,))
    assert rotated.hashed(NUMBER, KEY_ID) == HASH
    assert rotated.protect(NUMBER) != HASH
    assert set(rotated.keys) == {KEY_ID, rotated.key_id}


def test_the_hash_of_an_erasure_is_not_the_one_in_tables() -> None:
    """Who has an old table of hashes can't look up in it whose erasure is recorded."""
    assert HASHED.erasure_hash(NUMBER, KEY_ID) not in HASH


def test_plain() -> None:
    """Plain numbers stay as they are, alone, in columns and in raw JSON."""
    numbers = pa.array([NUMBER, None])
    assert (NUMBER, numbers, '{"a": "\u00e9"}') == (
        *(PLAIN.protect(NUMBER), PLAIN.protect_all(numbers), PLAIN.protect_raw('{"a": "\u00e9"}'.encode())),
    )


@pytest.mark.parametrize(
    "key",
    [None, Secret(""), Secret("fifteen letters")],
)
def test_hashing_needs_a_key(key: Secret | None) -> None:
    """Hashing without a key of 16 characters is refused: short keys can be tried, like numbers."""
    with pytest.raises(SettingsError, match="set SMSPARTNER_PHONE_KEY to at least 16 random characters"):
        PhonePrivacy("hashed", key)


def test_nothing_prints_the_key() -> None:
    """The setting prints without its key."""
    assert repr(HASHED) == "PhonePrivacy(form='hashed', key=***, retired=())"
    assert HASHED.protect(NUMBER) == HASH
    assert KEY.reveal() not in repr(vars(HASHED))


@pytest.mark.parametrize("privacy", [MASKED, HASHED])
@given(st.lists(st.from_regex(PHONE_PATTERNS["plain"], fullmatch=True) | st.none()))
def test_columns(privacy: PhonePrivacy, numbers: list[str | None]) -> None:
    """A column is protected value by value, in the form the contract states; nulls stay."""
    protected = privacy.protect_all(pa.array(numbers, pa.string())).to_pylist()
    assert [number and privacy.protect(number) for number in numbers] == protected
    kept = pa.array([value for value in protected if value], pa.string())
    assert all(pa.compute.match_substring_regex(kept, f"^{PHONE_PATTERNS[privacy.form]}$").to_pylist())


@pytest.mark.parametrize(
    ("row", "masked"),
    [
        ({"phoneNumber": NUMBER, "status": "?"}, {"phoneNumber": "+33*******78", "status": "?"}),
        ({"phoneNumber": "06 12 34 56 78"}, {"phoneNumber": "+33*******78"}),
        ({"phoneNumber": 33612345678}, {"phoneNumber": "+33*******78"}),
        ({"phoneNumber": "n/a"}, {"phoneNumber": "***"}),
        ({"phoneNumber": None}, {"phoneNumber": None}),
        ({"phoneNumber": [NUMBER]}, {"phoneNumber": ["+33*******78"]}),
        ({"phoneNumber": {"value": NUMBER}}, {"phoneNumber": {"value": "***"}}),
        ({"date": "1517989111"}, {"date": "1517989111"}),
        ({"date": 1517989111}, {"date": 1517989111}),
        ({"date": "2015-02-07 22:39:46"}, {"date": "2015-02-07 22:39:46"}),
        ({"date": NUMBER}, {"date": "***"}),
        ({"date": "0612345678"}, {"date": "***"}),
        ({"status": f"call {NUMBER}!"}, {"status": "***"}),
        ({"number": NUMBER}, {"number": "***"}),
        ({"number": 33612345678}, {"number": "***"}),
        ({"number": 33612345678.0}, {"number": "***"}),
        ({NUMBER: 1}, {"***": 1}),
        ({"to " + FULL_WIDTH: 1}, {"to ***": 1}),
        ({"phoneNumber": FULL_WIDTH}, {"phoneNumber": "***"}),
        ({"phoneNumber": ARABIC}, {"phoneNumber": "***"}),
        ({"status": f"lost at {FULL_WIDTH}"}, {"status": "***"}),
        ({"status": f"lost at {ARABIC}"}, {"status": "***"}),
        ({"status": "06    12    34    56    78"}, {"status": "***"}),
        ({"status": "06\u200b12\u20113456\u20e378"}, {"status": "***"}),
        ({"phoneNumber": NUMBER, "status": "\ud83d"}, {"phoneNumber": "+33*******78", "status": "\ud83d"}),
        ({"\ud83d": "\ud83d"}, {"\ud83d": "\ud83d"}),
        ({"phoneNumber": "687750020"}, {"phoneNumber": "***"}),  # not one number
        (
            {"code": 12345, "success": False, "x": None, "y": 1.5},
            {"code": 12345, "success": False, "x": None, "y": 1.5},
        ),
        ({"a": {"b": [{"c": "0033612345678"}]}}, {"a": {"b": [{"c": "***"}]}}),
        (f"bad number {NUMBER}", "***"),
        (33612345678, "***"),
        ([NUMBER, "text"], ["***", "text"]),
        ("Numéro introuvable", "Numéro introuvable"),
        (None, None),
    ],
)
def test_raw_json(row: object, masked: object) -> None:
    """In the quarantine's raw JSON, whatever may be a number is replaced, wherever it stands."""
    protected = MASKED.protect_raw(json.dumps(row).encode())
    assert masked == json.loads(protected.encode())
    assert json.loads(HASHED.protect_raw(json.dumps(row).encode())) == json.loads(
        json.dumps(masked).replace("+33*******78", HASH)
    )


@pytest.mark.parametrize("raw", [b'{"x": 1' + b"0" * 5000 + b"}", b"[" * 100_000 + b"]" * 100_000])
def test_raw_json_beyond_reading(raw: bytes) -> None:
    """Raw JSON that can't be searched is left out as a whole, but where numbers are plain."""
    assert (MASKED.protect_raw(raw), PLAIN.protect_raw(raw)) == ('"***"', raw.decode())


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        (rb'{"a" : "\ud83d"}', r'{"a" : "\ud83d"}'),
        (b'{"a": "caf\xe9"}', r'{"a": "caf\xe9"}'),
        (b'{"a": "echo-of-a-key", "b": "x"}', '{"a": "***", "b": "x"}'),
        (rb'{"a": "ECHO\u002dof-a-key"}', '{"a": "***"}'),
        (b'{"echo-of-a-key": 1}', '{"***": 1}'),
        (b'["echo-of-a-key', '"***"'),
    ],
)
def test_raw_json_where_numbers_are_plain(raw: bytes, kept: str) -> None:
    """Raw JSON is kept as it was sent, in valid UTF-8 and without a secret that the API echoes."""
    REDACT.add(Secret("echo-of-a-key"))
    assert kept == PLAIN.protect_raw(raw)
