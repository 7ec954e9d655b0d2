"""Whose rows must go and stay away, without the record naming them."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from smspartner.errors import SettingsError
from smspartner.privacy import NOBODY, ErasedNumbers, Person, PhonePrivacy, numbers_in
from smspartner.redaction import Secret

AT = datetime(2026, 11, 24, 9, tzinfo=UTC)
KEY, OLD_KEY = Secret("0123456789abcdef"), Secret("a key that is retired")
PRIVACY = PhonePrivacy("plain", KEY, (OLD_KEY,))
NUMBER, OTHER = "+33612345678", "+33612345679"
REUNION = "+262692123456"
SPELLINGS = [
    *(NUMBER, "0612345678", "06 12 34 56 78", "06.12.34.56.78", "0033612345678", "33612345678", "612345678"),
    *("+33 6-12-34-56-78", "+33 (0)6 12 34 56 78", "+330612345678", "06    12    34    56    78"),
    "\uff10\uff16\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18",
    "\u0660\u0666\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668",
    "06\u200b12\u00ad34\u202f56\u201178",
]


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize(
    "row",
    [
        '{"phoneNumber": "%s", "status": "?"}',
        '{"phoneNumber": "n/a", "status": "lost at %s, sorry"}',
        '{"%s": 1}',
        '["%s"]',
        '{"a": [{"b": "call %s or 0712345670"}]}',
        '"%s 0712345670"',
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
    assert NUMBER in numbers_in(b'{"phoneNumber": 33612345678}') & numbers_in(b"[612345678.0]")
    assert numbers_in(b'{"a": null, "b": true, "c": [], "d": "12345", "e": 1.5}') == set()


@pytest.mark.parametrize(
    ("number", "written"),
    [
        (REUNION, "0692123456"),
        (REUNION, "06 92 12 34 56"),
        (REUNION, "692123456"),
        (REUNION, "+262 (0)692 123456"),
        ("+508411234", "0508 41 12 34"),
        ("+447400123456", "+44 (0)7400 123456"),
        ("+687750020", "687750020"),
        ("+33687750020", "687750020"),
    ],
)
def test_named_by_any_plan(number: str, written: str) -> None:
    """A number that is not readable in one way only is found as each number that it may be."""
    assert Person(number, PRIVACY).is_named_in(json.dumps({"status": f"lost at {written}."}))


def test_national_forms_of_one_person() -> None:
    """Who is named in the form of the French plan is the person whose rows are loaded from that form."""
    assert Person("0692 12 34 56", PRIVACY).spellings == Person(REUNION, PRIVACY).spellings


@given(st.text(), st.integers(10**8, 10**9 - 1), st.text())
def test_found_in_any_text(before: str, digits: int, after: str) -> None:
    """Whatever stands around it, a number written as one run of digits is found."""
    found = numbers_in(json.dumps(f"{before} +33{digits} {after}").encode())
    assert f"+33{digits}" in found


@pytest.mark.parametrize("spelling", [NUMBER, "06 12 34 56 78", " 0033612345678\n"])
def test_person(spelling: str) -> None:
    """However the number is given, the person has every form a table may hold; nothing prints the number."""
    person = Person(spelling, PRIVACY)
    hashes = [PRIVACY.hashed(NUMBER, key_id) for key_id in PRIVACY.keys]
    assert (NUMBER, *hashes) == person.spellings
    assert all(person.is_named_in(f'{{"phoneNumber": "{hashed}"}}') for hashed in hashes)
    assert (repr(person), "61234" in repr(vars(Person(spelling, PRIVACY)))) == ("***", False)


@pytest.mark.parametrize("number", ["", "n/a", "123", "+33", "687750020"])
def test_no_number(number: str) -> None:
    """What is no phone number is refused, without repeating it."""
    problem = r"^that is not a phone number, or could be more than one; write it with its calling code, such as \+336"
    with pytest.raises(SettingsError, match=problem):
        Person(number, PRIVACY)


def test_an_erasure_needs_a_key() -> None:
    """Without a secret key the record could be reversed by trying every number; it is not made."""
    with pytest.raises(SettingsError, match=r"^an erasure is recorded under a secret key; set SMSPARTNER_PHONE_KEY"):
        Person(NUMBER, PhonePrivacy())


def test_the_record_names_nobody() -> None:
    """The record holds neither the number nor the hash under which a table may know it."""
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
