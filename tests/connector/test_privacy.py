"""Masked and hashed numbers, and whose rows must go and stay away, without the record naming them."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from smspartner.errors import SettingsError
from smspartner.phone_numbers import numbers_in
from smspartner.privacy import NOBODY, ErasedNumbers, Person, PhonePrivacy
from smspartner.redaction import REDACT, Secret
from smspartner_schemas.contract import PHONE_PATTERNS

AT = datetime(2026, 11, 24, 9, tzinfo=UTC)
KEY, OLD_KEY = Secret("0123456789abcdef"), Secret("a key that is retired")
PRIVACY = PhonePrivacy("plain", KEY, (OLD_KEY,))
NUMBER, OTHER = "+33612345678", "+33612345679"
KEY_ID = hmac.new(b"0123456789abcdef", b"key id", hashlib.sha256).hexdigest()[:8]
HASH = f"{KEY_ID}:{hmac.new(b'0123456789abcdef', NUMBER.encode(), hashlib.sha256).hexdigest()}"
PLAIN, MASKED, HASHED = PhonePrivacy(), PhonePrivacy("masked"), PhonePrivacy("hashed", KEY)
FULL_WIDTH = "\uff10\uff16\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18"
ARABIC = "\u0660\u0666\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668"
REUNION = "+262692123456"
SPELLINGS = [
    *(NUMBER, "0612345678", "06 12 34 56 78", "06.12.34.56.78", "0033612345678", "33612345678", "612345678"),
    *("+33 6-12-34-56-78", "+33 (0)6 12 34 56 78", "+330612345678", "06    12    34    56    78"),
    *(FULL_WIDTH, ARABIC, "06\u200b12\u00ad34\u202f56\u201178"),
]


NO_KEY = "hashed phone numbers need a secret key; set SMSPARTNER_PHONE_KEY to at least 16 random characters"
BARE = "a phone key is given as str; wrap the text, as in Secret(getpass.getpass())"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"form": "Masked"}, "unknown form of phone numbers; give one of plain, masked, hashed"),
        ({"key": "phone-key-in-clear"}, BARE),
        ({"retired": ("phone-key-in-clear",)}, BARE),
        *(({"form": "hashed", "key": key}, NO_KEY) for key in (None, Secret(""), Secret("fifteen letters"))),
    ],
)
def test_refused_settings(options: dict[str, Any], message: str) -> None:
    """A misspelled form, a key as bare text, and one so short that it can be tried, are refused and not shown."""
    with pytest.raises(SettingsError) as caught:
        PhonePrivacy(**options)
    assert str(caught.value).startswith(message)


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
    rotated = PhonePrivacy("hashed", OLD_KEY, (KEY,))
    assert HASHED.protect(NUMBER) == rotated.hashed(NUMBER, KEY_ID) == HASH
    assert set(HASH.split(":")) & set(rotated.protect(NUMBER).split(":")) == set()
    assert list(rotated.keys) == [rotated.key_id, KEY_ID]
    assert repr(HASHED) == "PhonePrivacy(form='hashed', key=***, retired=())"
    assert KEY.reveal() not in repr(vars(HASHED))


def test_labels() -> None:
    """Tables whose numbers can be compared have one label; it names the key by its id."""
    assert ("plain", "masked", f"hashed:{KEY_ID}") == (PLAIN.label, MASKED.label, HASHED.label)
    assert PhonePrivacy("hashed", KEY, (OLD_KEY,)).label == HASHED.label
    assert PhonePrivacy("plain", KEY).label == "plain"


@pytest.mark.parametrize("privacy", [MASKED, HASHED])
@given(st.lists(st.from_regex(PHONE_PATTERNS["plain"], fullmatch=True) | st.none()))
def test_columns(privacy: PhonePrivacy, numbers: list[str | None]) -> None:
    """A column is protected value by value, in the form the contract states; nulls stay."""
    protected = privacy.protect_all(pa.array(numbers, pa.string())).to_pylist()
    assert [number and privacy.protect(number) for number in numbers] == protected
    kept = pa.array([value for value in protected if value], pa.string())
    assert all(pa.compute.match_substring_regex(kept, f"^{PHONE_PATTERNS[privacy.form]}$").to_pylist())


KEPT = [
    *({"phoneNumber": None}, {"date": "1517989111"}, {"date": 1517989111}, {"date": "2015-02-07 22:39:46"}),
    *({"\ud83d": "\ud83d"}, {"code": 12345, "success": False, "x": None, "y": 1.5}, "Numéro introuvable", None),
]
NO_NUMBERS = ["n/a", FULL_WIDTH, ARABIC, "687750020"]  # the last may be two
SAID = [
    *(f"call {NUMBER}!", f"lost at {FULL_WIDTH}", f"lost at {ARABIC}", "06    12    34    56    78", NUMBER),
    *("06\u200b12\u20113456\u20e378", 33612345678, 33612345678.0),
]
MASK = "+33*******78"


@pytest.mark.parametrize(
    ("row", "masked"),
    [
        *((row, row) for row in KEPT),
        *(({"status": said}, {"status": "***"}) for said in SAID),
        *(({"phoneNumber": number}, {"phoneNumber": MASK}) for number in (NUMBER, "06 12 34 56 78", 33612345678)),
        *(({"phoneNumber": text}, {"phoneNumber": "***"}) for text in NO_NUMBERS),
        ({"phoneNumber": NUMBER, "status": "\ud83d"}, {"phoneNumber": MASK, "status": "\ud83d"}),
        ({"phoneNumber": [NUMBER]}, {"phoneNumber": [MASK]}),
        ({"phoneNumber": {"value": NUMBER}}, {"phoneNumber": {"value": "***"}}),
        *(({"date": date}, {"date": "***"}) for date in (NUMBER, "0612345678")),
        ({NUMBER: 1, f"to {FULL_WIDTH}": 1}, {"***": 1, "to ***": 1}),
        ({"a": {"b": [{"c": "0033612345678"}]}}, {"a": {"b": [{"c": "***"}]}}),
        (f"bad number {NUMBER}", "***"),
        (33612345678, "***"),
        ([NUMBER, "text"], ["***", "text"]),
    ],
)
def test_raw_json(row: object, masked: object) -> None:
    """In the quarantine's raw JSON, whatever may be a number is replaced, wherever it stands."""
    protected = MASKED.protect_raw(json.dumps(row).encode())
    assert masked == json.loads(protected.encode())
    hashed = HASHED.protect_raw(json.dumps(row).encode())
    assert json.loads(hashed) == json.loads(json.dumps(masked).replace(MASK, HASH))


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


PLACES = (
    *('{"phoneNumber": "%s", "status": "?"}', '{"phoneNumber": "n/a", "status": "lost at %s, sorry"}', '{"%s": 1}'),
    *('["%s"]', '{"a": [{"b": "call %s or 0712345670"}]}', '"%s 0712345670"', "no JSON %s"),
)


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_named_anywhere(spelling: str) -> None:
    """A number is found in a row's JSON wherever it stands and however it is written."""
    for row in PLACES:
        assert NUMBER in numbers_in((row % spelling).encode())
        assert Person(NUMBER, PRIVACY).is_named_in(row % spelling)
        assert not Person(OTHER, PRIVACY).is_named_in(row % spelling)


def test_numbers_as_numbers() -> None:
    """Numbers that came as JSON numbers, or that may be two, are found, too; what is no number gives none."""
    assert NUMBER in numbers_in(b'{"phoneNumber": 33612345678}') & numbers_in(b"[612345678.0]")
    assert {"+687750020", "+33687750020"} <= numbers_in(b'"lost at 687750020."')  # each number that it may be
    assert {REUNION, "+447400123456"} <= numbers_in(b'["+262 (0)692 123456", "+44 (0)7400 123456"]')
    assert numbers_in(b'{"a": null, "b": true, "c": [], "d": "12345", "e": 1.5}') == set()


@pytest.mark.parametrize("spelling", [NUMBER, "06 12 34 56 78", " 0033612345678\n"])
def test_person(spelling: str) -> None:
    """However the number is given, the person has every form a table may hold; nothing prints the number."""
    person = Person(spelling, PRIVACY)
    hashes = [PRIVACY.hashed(NUMBER, key_id) for key_id in PRIVACY.keys]
    assert (NUMBER, *hashes) == person.spellings
    assert all(person.is_named_in(f'{{"phoneNumber": "{hashed}"}}') for hashed in hashes)
    assert (repr(person), "61234" in repr(vars(Person(spelling, PRIVACY)))) == ("***", False)
    assert Person("0692 12 34 56", PRIVACY).spellings == Person(REUNION, PRIVACY).spellings


def test_no_person() -> None:
    """What is no phone number is refused, without repeating it; so is an erasure without a key."""
    problem = r"^that is not a phone number, or could be more than one; write it with its calling code, such as \+336"
    for number in ("", "n/a", "123", "+33", "687750020"):
        with pytest.raises(SettingsError, match=problem):
            Person(number, PRIVACY)
    with pytest.raises(SettingsError, match=r"^an erasure is recorded under a secret key; set SMSPARTNER_PHONE_KEY"):
        Person(NUMBER, PhonePrivacy())


def test_the_record_names_nobody() -> None:
    """The record holds neither the number nor the hash under which a table knows it, also an old one."""
    record = json.dumps(asdict(Person(NUMBER, PRIVACY).erasure(AT)), default=str)
    assert [part for part in ("61234", PRIVACY.hashed(NUMBER, PRIVACY.key_id)[9:]) if part in record] == []


@pytest.mark.parametrize("privacy", [PRIVACY, PhonePrivacy("masked", OLD_KEY), PhonePrivacy("hashed", OLD_KEY, (KEY,))])
def test_erased_numbers(privacy: PhonePrivacy) -> None:
    """Rows of an erased number are known by their number, others by anything in their JSON, in any form of numbers."""
    erased = ErasedNumbers([Person(NUMBER, PhonePrivacy("plain", OLD_KEY)).erasure(AT)], privacy)
    assert erased.mask(pa.array([OTHER, NUMBER, None, NUMBER])).tolist() == [False, True, False, True]
    assert erased.named_in(b'{"status": "lost at 06 12 34 56 78"}')
    assert not erased.named_in(b'{"status": "lost at 06 12 34 56 79"}')
    assert (bool(erased), bool(NOBODY), NUMBER in erased, NUMBER in NOBODY) == (True, False, True, False)


def test_a_missing_key() -> None:
    """Where people were erased under a key that is not given, nothing can be loaded that might bring them back."""
    erasure = Person(NUMBER, PRIVACY).erasure(AT)
    with pytest.raises(
        SettingsError, match=rf"erased there under phone key {PRIVACY.key_id}, .* SMSPARTNER_PHONE_KEY, or"
    ):
        ErasedNumbers([erasure], PhonePrivacy("hashed", OLD_KEY))
