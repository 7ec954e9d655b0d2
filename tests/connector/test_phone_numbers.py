"""Numbers as they may be written, and their country, compared with `phonenumbers` itself."""

from __future__ import annotations

import math
import re

import phonenumbers
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from smspartner.phone_numbers import (
    calling_code,
    countries,
    numbers_in,
    read_phone_number,
)

Reading = tuple[object, str | None]
MISSING_NUMBER = (None, "phone_number_missing")
NO_NUMBER = (None, "phone_number_unreadable")

CODES = sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE)
UNASSIGNED = [
    code
    for code in map(str, range(1, 1000))
    if not any(code.startswith(str(known)) or str(known).startswith(code) for known in CODES)
]


def each(reading: tuple[object, str | None], *values: object) -> list[tuple[object, tuple[object, str | None]]]:
    """Values that are all read alike."""
    return [(value, reading) for value in values]


@pytest.mark.parametrize(
    "value",
    [
        *("+33612345678", "0612345678", "0033612345678", "33612345678", "+330612345678", "+33 0612345678"),
        *("+33 6 12 34 56 78", "06 12 34 56 78", "0033 6 12 34 56 78", "06.12.34.56.78", "06-12-34-56-78"),
        *(
            "+33 (0)6 12 34 56 78",
            "(06) 12345678",
            "06\u00a012\u00a034\u00a056\u00a078",
            "06\u202f12\u202f34\u202f5678",
        ),
        *(" 0612345678 ", "0612345678\n", "\t+33612345678", 33612345678, 612345678, "612345678"),
        *("33 (0)6 12 34 56 78", "+33 ( 0 ) 6 12 34 56 78", "0033(0)612345678", "06    12    34    56    78"),
    ],
)
def test_spellings_of_one_number(value: object) -> None:
    """A French number is the same number in E.164, national, `00`, bare and spaced form, as text or as JSON number."""
    assert read_phone_number(value) == ("+33612345678", None)


@pytest.mark.parametrize(
    ("value", "reading"),
    [
        ("+447400123456", ("+447400123456", None)),
        ("00447400123456", ("+447400123456", None)),
        ("+44 7400 123456", ("+447400123456", None)),
        ("+1 (212) 361-0000", ("+12123610000", None)),
        ("+33600000001", ("+33600000001", None)),
        ("+1234567", ("+1234567", None)),  # short, and of no country: a message to a bad number is a row too
        ("+999123456789", ("+999123456789", None)),
        ("+123456789012345", ("+123456789012345", None)),
        ("+44 (0)7400 123456", ("+447400123456", None)),
        ("+2620692123456", ("+262692123456", None)),
        ("+262692123456", ("+262692123456", None)),
        ("+33692123456", ("+33692123456", None)),  # taken as it is, assigned or not
        ("262692123456", ("+262692123456", None)),
        ("692123456", ("+262692123456", None)),
        ("508550021", ("+508550021", None)),  # bare: by its calling code and by the French plan the same number
        ("687751234", NO_NUMBER),  # New Caledonia, or a French mobile without its 0
        ("710000000", NO_NUMBER),  # neither
        ("0011234567", ("+11234567", None)),
        ("+33012345", ("+33012345", None)),  # too short to drop its zero: kept as the API gave it
        ("447400123456", ("+447400123456", None)),  # bare digits that are one country's only
        ("+1234567890123456", NO_NUMBER),  # 16 digits
        (None, MISSING_NUMBER),
        ("", MISSING_NUMBER),
        ("\u0660\u0666\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668", NO_NUMBER),  # Arabic-Indic digits
        ("\uff10\uff16\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18", NO_NUMBER),  # full width
        (-33612345678, ("+33612345678", None)),  # a dash is grouping, as in 06-12-34-56-78
        *each(
            NO_NUMBER,
            *("687750020", 687750020, "123456", "061234567", "06123456789", "00 1 123", "\ud83d"),
            *("+33\u200b612345678", "06 12 34", "06 12 34 56 78 / 07 12 34 56 78", "+123456", "+0612345678"),
            *(" ", "n/a", "+", "0", "112", "++33612345678", "0800FLOWERS", "+1-800-FLOWERS", "06123456O8"),
            *("+33612345678;ext=5", "+33612345678 x5", "tel:+33612345678", "+33612345678\x00"),
            *("+33\u0666" + "12345678", "1" * 64, "1" * 1_000_000, 10**4000, True, False, 33612345678.0),
            *(math.nan, ["+33612345678"], {"number": "+33612345678"}),
        ),
    ],
)
def test_phone_number(value: object, reading: Reading) -> None:
    """Numbers of all countries are read; letters, other digits, extensions and numbers in doubt are not."""
    assert reading == read_phone_number(value)


@pytest.mark.parametrize(
    ("written", "number", "country"),
    [
        ("0262 16 12 34", "+262262161234", "RE"),
        ("0263012345", "+262263012345", "RE"),
        ("06 92 12 34 56", "+262692123456", "RE"),
        ("0693.12.34.56", "+262693123456", "RE"),
        ("0269601234", "+262269601234", "YT"),
        ("0639012345", "+262639012345", "YT"),
        ("0639980001", "+262639980001", "YT"),  # not assigned, but nobody else's
        ("0590201234", "+590590201234", "GP"),
        ("0690 00 12 34", "+590690001234", "GP"),
        ("0691222345", "+590691222345", "GP"),
        ("0691999999", "+590691999999", "GP"),
        ("0594101234", "+594594101234", "GF"),
        ("0694201234", "+594694201234", "GF"),
        ("0596301234", "+596596301234", "MQ"),
        ("0696201234", "+596696201234", "MQ"),
        ("0697123456", "+596697123456", "MQ"),
        ("0508 41 12 34", "+508411234", "PM"),
        ("0508550021", "+508550021", "PM"),
        ("0708 40 12 34", "+508708401234", "PM"),  # of no prefix above, and valid there alone
        ("0612345678", "+33612345678", "FR"),
        ("01 23 45 67 89", "+33123456789", "FR"),
        ("0800123456", "+33800123456", "FR"),
        ("0710000000", None, None),
        ("0000000000", None, None),
    ],
)
def test_french_plan(written: str, number: str | None, country: str | None) -> None:
    """A national form gets the calling code and country of the French plan, however it is grouped; else none."""
    assert read_phone_number(written)[0] == number
    assert countries(pa.array([number], pa.string())).to_pylist() == [country]
    if number is not None:
        without_zero = re.sub(r"[^0-9]", "", written).removeprefix("0")
        assert read_phone_number(without_zero)[0] in {number, None}  # bare digits: the same number, or two, or invalid
        assert number in numbers_in(f'"{written}"'.encode()) & numbers_in(without_zero.encode())


@given(st.text("+0123456789 .-()/", max_size=20))
def test_numbers_are_e164(text: str) -> None:
    """Whatever is written with digits and grouping is read as E.164, as missing, or as not valid."""
    number, reason = read_phone_number(text)
    digits = str(number).removeprefix("+")
    assert reason is not None or (str(number)[0] == "+" and digits.isdigit() and 7 <= len(digits) <= 15)


PLANNED = {
    "RE": r"\+262(26[23]|69[23])[0-9]{6}",
    "YT": r"\+262(269|639)[0-9]{6}",
    "GP": r"\+590(590|69[01])[0-9]{6}",
}
"""Overseas numbers that the library does not know have the country of their prefix, of codes that several share."""


def by_library(number: str) -> str | None:
    """What the library says of one number, parsed; `001` is no country."""
    try:
        region = phonenumbers.region_code_for_number(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        return None
    planned = [country for country, pattern in PLANNED.items() if region is None and re.fullmatch(pattern, number)]
    return planned[0] if planned else None if region == "001" else region


NUMBERS = st.builds(
    lambda code, rest: f"+{code}{rest}"[:16],
    st.sampled_from([*CODES, *UNASSIGNED]),
    st.text("0123456789", min_size=6, max_size=14),
)


def test_every_calling_code() -> None:
    """For every calling code there is, and typical numbers of each, the country is the library's own."""
    numbers = [f"+{code}{rest}"[:16] for code in CODES for rest in ("612345678", "0612345678", "9123456", "2025550123")]
    numbers += [
        f"+{code}{example.national_number}"
        for code, regions in phonenumbers.COUNTRY_CODE_TO_REGION_CODE.items()
        for region in regions
        if region != "001" and (example := phonenumbers.example_number(region))
    ]
    assert list(map(by_library, numbers)) == countries(pa.array(numbers)).to_pylist()


@settings(max_examples=25)
@given(st.lists(NUMBERS | st.none(), max_size=30))
def test_any_numbers(numbers: list[str | None]) -> None:
    """Of any E.164 numbers, in any mixture, the country is the library's own; nulls stay null."""
    found = countries(pa.array(numbers, pa.string()))
    assert found.type == pa.dictionary(pa.int32(), pa.string())
    assert [number and by_library(number) for number in numbers] == found.to_pylist()


def test_known_countries() -> None:
    """Shared calling codes are told apart by digits, and networks of no country have none."""
    numbers = {
        "+33612345678": "FR",
        "+3301": "FR",
        "+12123610000": "US",
        "+15142600000": "CA",
        "+447400123456": "GB",
        "+447781123456": "GG",
        "+262692123456": "RE",
        "+590690123456": "GP",
        "+26269312345": None,  # too short for its prefix
        "+77011234567": "KZ",
        "+79161234567": "RU",
        "+10000000000": None,  # of the right calling code, but no country's
        "+80012345678": None,
        "+881612345678": None,
        "+2101234567": None,  # this calling code is not assigned
        "+9991234567": None,
    }
    assert list(numbers.values()) == countries(pa.array(list(numbers))).to_pylist()


def test_calling_codes() -> None:
    """Every assigned calling code is found at the start of its numbers; of others the first digit is taken."""
    assert [str(code) for code in CODES] == [calling_code(f"+{code}0000000") for code in CODES]
    assert [code[0] for code in UNASSIGNED] == [calling_code(f"+{code}0000000") for code in UNASSIGNED]
