"""Numbers as they may be written, and their country, compared with `phonenumbers` itself."""

from __future__ import annotations

import math

import phonenumbers
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from smspartner.phone_numbers import calling_code, countries, country_name, numbers_in, read_phone_number

CODES = sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE)
UNASSIGNED = [
    code
    for code in map(str, range(1, 1000))
    if not any(code.startswith(str(known)) or str(known).startswith(code) for known in CODES)
]


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


TAKEN = {
    "+447400123456": ("+447400123456", "00447400123456", "+44 7400 123456", "+44 (0)7400 123456", "447400123456"),
    "+12123610000": ("+1 (212) 361-0000",),
    "+33600000001": ("+33600000001",),
    "+1234567": ("+1234567",),  # short, and of no country: a message to a bad number is a row too
    "+999123456789": ("+999123456789",),
    "+123456789012345": ("+123456789012345",),
    "+262692123456": ("+2620692123456", "+262692123456", "262692123456", "692123456"),
    "+33692123456": ("+33692123456",),  # taken as it is, assigned or not
    "+2290195123456": ("2290195123456", 2290195123456),  # Benin's zero is part of the number, as in Italy
    "+390612345678": ("390612345678",),
    "+508550021": ("508550021",),  # bare: by its calling code and by the French plan the same number
    "+11234567": ("0011234567",),
    "+33012345": ("+33012345",),  # too short to drop its zero: kept as the API gave it
    "+33612345678": (-33612345678,),  # a dash is grouping, as in 06-12-34-56-78
}


@pytest.mark.parametrize(("number", "written"), [(number, one) for number, all_ in TAKEN.items() for one in all_])
def test_numbers_of_all_countries(number: str, written: object) -> None:
    """A number with its calling code is taken as it is, bare digits where one country alone can have them."""
    assert read_phone_number(written) == (number, None)


@pytest.mark.parametrize(
    "value",
    [
        "687751234",  # New Caledonia, or a French mobile without its 0
        "710000000",  # neither
        "+1234567890123456",  # 16 digits
        "\u0660\u0666\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668",  # Arabic-Indic digits
        "\uff10\uff16\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18",  # full width
        *("687750020", 687750020, "123456", "061234567", "06123456789", "00 1 123", "\ud83d"),
        *("+33\u200b612345678", "06 12 34", "06 12 34 56 78 / 07 12 34 56 78", "+123456", "+0612345678"),
        *(" ", "n/a", "+", "0", "112", "++33612345678", "0800FLOWERS", "+1-800-FLOWERS", "06123456O8"),
        *("+33612345678;ext=5", "+33612345678 x5", "tel:+33612345678", "+33612345678\x00"),
        *("+33\u0666" + "12345678", "1" * 64, "1" * 1_000_000, 10**4000, True, False, 33612345678.0),
        *(math.nan, ["+33612345678"], {"number": "+33612345678"}),
    ],
)
def test_no_numbers(value: object) -> None:
    """Letters, other digits, extensions and numbers that may be two are not valid; null and no text are missing."""
    assert read_phone_number(value) == (None, "phone_number_unreadable")
    assert {read_phone_number(None), read_phone_number("")} == {(None, "phone_number_missing")}


OVERSEAS = {
    ("262", "RE"): ("0262", "0263", "0692", "0693"),
    ("262", "YT"): ("0269", "0639"),
    ("590", "GP"): ("0590", "0690", "0691"),
    ("594", "GF"): ("0594", "0694"),
    ("596", "MQ"): ("0596", "0696", "0697"),
    ("508", "PM"): ("0508",),
}


@pytest.mark.parametrize(
    ("code", "country", "prefix"), [(*plan, prefix) for plan, all_ in OVERSEAS.items() for prefix in all_]
)
def test_overseas_prefixes(code: str, country: str, prefix: str) -> None:
    """A national form with an overseas prefix is that region's, assigned or not, however it is grouped."""
    for rest in ("000000", "070787", "080757", "123456", "160517", "201234", "390824", "670981", "999999"):
        number = f"+{code}{prefix[1:].removeprefix('508')}{rest}"
        for written in (prefix + rest, f"{prefix[:2]} {prefix[2:]}.{rest[:2]}-{rest[2:]}"):
            assert read_phone_number(written) == (number, None)
        known = phonenumbers.region_code_for_number(phonenumbers.parse(number))
        assert countries(pa.array([number])).to_pylist() == [known or country]  # of 590, also a neighbour island's
        bare = f"{prefix[1:]}{rest}"
        assert read_phone_number(bare)[0] in {number, None}  # bare digits: the same number, or two, or not valid
        assert number in numbers_in(f'"{prefix} {rest}"'.encode()) & numbers_in(bare.encode())


@pytest.mark.parametrize(
    ("written", "number", "country"),
    [
        ("0708 40 12 34", "+508708401234", "PM"),  # of no overseas prefix, and valid there alone
        ("0612345678", "+33612345678", "FR"),
        ("01 23 45 67 89", "+33123456789", "FR"),
        ("0800123456", "+33800123456", "FR"),
        ("0710000000", None, None),
        ("0000000000", None, None),
    ],
)
def test_french_plan(written: str, number: str | None, country: str | None) -> None:
    """Another national form is a number of metropolitan France, or else of the one region where it is valid."""
    assert read_phone_number(written)[0] == number
    assert countries(pa.array([number], pa.string())).to_pylist() == [country]
    assert number is None or number in numbers_in(f'"{written}"'.encode())


@given(st.text("+0123456789 .-()/", max_size=20))
def test_numbers_are_e164(text: str) -> None:
    """Whatever is written with digits and grouping is read as E.164, as missing, or as not valid."""
    number, reason = read_phone_number(text)
    digits = str(number).removeprefix("+")
    assert reason is not None or (str(number)[0] == "+" and digits.isdigit() and 7 <= len(digits) <= 15)


def by_library(number: str) -> str | None:
    """What the library says of one number (`001` is no country), or the plan of overseas ones that it does not know."""
    try:
        region = phonenumbers.region_code_for_number(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        return None
    planned = (plan[1] for plan, all_ in OVERSEAS.items() if number[1:4] == plan[0] and f"0{number[4:7]}" in all_)
    if region is None and len(number) == 13:
        return next(planned, None)
    return None if region == "001" else region


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
    """Shared calling codes are told apart by digits; networks, unassigned codes and numbers of no country have none."""
    known = "FR+33612345678 FR+3301 US+12123610000 CA+15142600000 GB+447400123456 GG+447781123456 RE+262692123456"
    known += " GP+590690123456 KZ+77011234567 RU+79161234567"
    unknown = "+10000000000 +80012345678 +881612345678 +2101234567 +9991234567 +26269312345"  # one is too short
    numbers = [one[2:] for one in known.split()] + unknown.split()
    assert countries(pa.array(numbers)).to_pylist() == [*(one[:2] for one in known.split()), *[None] * 6]


def test_calling_codes() -> None:
    """Every assigned calling code is found at the start of its numbers; of others the first digit is taken."""
    assert [str(code) for code in CODES] == [calling_code(f"+{code}0000000") for code in CODES]
    assert [code[0] for code in UNASSIGNED] == [calling_code(f"+{code}0000000") for code in UNASSIGNED]


def test_country_names() -> None:
    """Countries are named in English and French; one that is not known is its code."""
    asked = ("FR", "en"), ("FR", "fr"), ("DE", "fr"), ("GB", "fr"), ("RE", "en"), ("XX", "en"), ("FR", "xx")
    names = ["France", "France", "Allemagne", "Royaume-Uni", "Reunion", "XX", "FR"]
    assert [country_name(*one) for one in asked] == names
