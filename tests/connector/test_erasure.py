"""Whose rows must go and stay away, without the record naming them."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from smspartner.erasure import NOBODY, ErasedNumbers, Person, numbers_in
from smspartner.errors import SettingsError
from smspartner.phone_numbers import PhonePrivacy
from smspartner.redaction import Secret

AT = datetime(2026, 11, 24, 9, tzinfo=UTC)
KEY, OLD_KEY = Secret("0123456789abcdef"), Secret("a key that is retired")
PRIVACY = PhonePrivacy("plain", KEY, (OLD_KEY,))
NUMBER, OTHER = "+33639980001", "+33639980002"
SPELLINGS = [
    NUMBER,
    "0639980001",
    "06 39 98 00 01",
    "06.39.98.00.01",
    "0033639980001",
    "33639980001",
    "+33 6-39-98-00-01",
]


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize(
    "row",
    [
        '{"phoneNumber": "%s", "status": "?"}',
        '{"phoneNumber": "n/a", "status": "lost at %s, sorry"}',
        '{"%s": 1}',
        '["%s"]',
        '{"a": [{"b": "call %s or 0612345678"}]}',
        '"%s 0612345678"',
        "no JSON %s",
    ],
)
def test_named_anywhere(spelling: str, row: str) -> None:
    """A number is found in a row's JSON wherever it stands and however it is written."""
    assert NUMBER in numbers_in((row % spelling).encode())
    assert Person(NUMBER, PRIVACY).is_named_in(row % spelling)
    assert not Person(OTHER, PRIVACY).is_named_in(row % spelling)


def test_numbers_as_numbers() -> None:
    """Numbers that came as JSON numbers are found, too; what is no number gives none."""
    assert NUMBER in numbers_in(b'{"phoneNumber": 33639980001}')
    assert numbers_in(b'{"a": null, "b": true, "c": [], "d": "12345", "e": 1.5}') == set()


@given(st.text(), st.integers(10**8, 10**9 - 1), st.text())
def test_found_in_any_text(before: str, digits: int, after: str) -> None:
    """Whatever stands around it, a number written as one run of digits is found."""
    found = numbers_in(json.dumps(f"{before} +33{digits} {after}").encode())
    assert f"+33{digits}" in found


@pytest.mark.parametrize("spelling", [NUMBER, "06 39 98 00 01", " 0033639980001\n"])
def test_person(spelling: str) -> None:
    """However the number is given, the person has every form a table may hold; nothing prints the number."""
    person = Person(spelling, PRIVACY)
    hashes = [hashed(NUMBER) for hashed in PRIVACY.hashes.values()]
    assert (NUMBER, *hashes) == person.spellings
    assert all(person.is_named_in(f'{{"phoneNumber": "{hashed}"}}') for hashed in hashes)
    assert (repr(person), "63998" in repr(vars(Person(spelling, PRIVACY)))) == ("***", False)


@pytest.mark.parametrize("number", ["", "n/a", "123", "+33"])
def test_no_number(number: str) -> None:
    """What is no phone number is refused, without repeating it."""
    with pytest.raises(SettingsError, match=r"^that is no phone number: write it with its calling code, such as \+336"):
        Person(number, PRIVACY)


def test_an_erasure_needs_a_key() -> None:
    """Without a secret key the record could be reversed by trying every number; it is not made."""
    with pytest.raises(SettingsError, match=r"^an erasure is remembered under a secret key: set SMSPARTNER_PHONE_KEY"):
        Person(NUMBER, PhonePrivacy())


def test_the_record_names_nobody() -> None:
    """The record holds neither the number nor the hash under which a table may know it."""
    record = json.dumps(asdict(Person(NUMBER, PRIVACY).erasure(AT)), default=str)
    assert [part for part in ("63998", PRIVACY.hashes[PRIVACY.key_id](NUMBER)[9:]) if part in record] == []


@pytest.mark.parametrize("privacy", [PRIVACY, PhonePrivacy("masked", OLD_KEY), PhonePrivacy("hashed", OLD_KEY, (KEY,))])
def test_places_of_erased_rows(privacy: PhonePrivacy) -> None:
    """Rows of an erased number are told by their number, doubted rows by anything in them; other rows are not."""
    with_old_key = PhonePrivacy("plain", OLD_KEY)
    erased = ErasedNumbers([Person(NUMBER, with_old_key).erasure(AT)], privacy)
    numbers = pa.array([OTHER, NUMBER, None, None, NUMBER, OTHER])
    doubted = {2: b'{"status": "lost at 06 39 98 00 01"}', 3: b'{"status": "lost at 06 39 98 00 02"}', 5: b"null"}
    assert erased.places(numbers, doubted, doubted.__getitem__) == {1, 2, 4}
    assert NOBODY.places(numbers, doubted, doubted.__getitem__) == frozenset()


def test_a_missing_key_is_told() -> None:
    """Where people were erased under a key that is not given, nothing can be loaded that might bring them back."""
    erasure = Person(NUMBER, PRIVACY).erasure(AT)
    with pytest.raises(
        SettingsError, match=rf"erased there under phone key {PRIVACY.key_id}, .* SMSPARTNER_PHONE_KEY, or"
    ):
        ErasedNumbers([erasure], PhonePrivacy("hashed", OLD_KEY))
