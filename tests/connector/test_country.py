"""The country of numbers, compared with `phonenumbers` itself."""

from __future__ import annotations

import phonenumbers
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st
from smspartner.country import COUNTRY_TYPE, calling_code, countries, regions_of

CODES = sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE)
UNASSIGNED = [
    code
    for code in map(str, range(1, 1000))
    if not any(code.startswith(str(known)) or str(known).startswith(code) for known in CODES)
]


def by_library(number: str) -> str | None:
    """What the library says of one number, parsed; `001` is no country."""
    try:
        region = phonenumbers.region_code_for_number(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        return None
    return None if region == "001" else region


def e164(code: object, rest: str) -> str:
    """A number of this calling code, 7 to 15 digits in all."""
    return f"+{code}{rest}"[:16]


REST = st.text("0123456789", min_size=6, max_size=14)
ASSIGNED = st.builds(e164, st.sampled_from(CODES), REST)
ANY = st.one_of(ASSIGNED, st.builds(e164, st.sampled_from(UNASSIGNED), REST), st.none())


def test_every_calling_code() -> None:
    """For every calling code there is, and typical numbers of each, the country is the library's own."""
    numbers = [e164(code, rest) for code in CODES for rest in ("612345678", "0612345678", "9123456", "2025550123")]
    numbers += [
        f"+{code}{phonenumbers.example_number(region).national_number}"
        for code, regions in phonenumbers.COUNTRY_CODE_TO_REGION_CODE.items()
        for region in regions
        if region != "001" and phonenumbers.example_number(region)
    ]
    assert list(map(by_library, numbers)) == countries(pa.array(numbers)).to_pylist()


@settings(max_examples=200)
@given(st.lists(ANY, max_size=30))
def test_any_numbers(numbers: list[str | None]) -> None:
    """Of any E.164 numbers, in any mixture, the country is the library's own; nulls stay null."""
    found = countries(pa.array(numbers, pa.string()))
    assert found.type == COUNTRY_TYPE
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
        "+77011234567": "KZ",
        "+79161234567": "RU",
        "+10000000000": None,  # of the right calling code, but no country's
        "+80012345678": None,
        "+881612345678": None,
        "+2101234567": None,  # this calling code is not assigned
        "+9991234567": None,
    }
    assert list(numbers.values()) == countries(pa.array(list(numbers))).to_pylist()


def test_no_numbers() -> None:
    """No numbers have no countries, in the right type."""
    assert (
        countries(pa.array([], pa.string())).type,
        countries(pa.array([], pa.string())).to_pylist(),
    ) == (COUNTRY_TYPE, [])
    assert countries(pa.array([None, None], pa.string())).to_pylist() == [None, None]


def test_calling_codes() -> None:
    """Every assigned calling code is found at the start of its numbers; of others the first digit is taken."""
    assert [str(code) for code in CODES] == [calling_code(f"+{code}0000000") for code in CODES]
    assert [code[0] for code in UNASSIGNED] == [calling_code(f"+{code}0000000") for code in UNASSIGNED]


def test_regions() -> None:
    """A calling code names the countries that share it; none where it belongs to no country."""
    assert [regions_of(code) for code in ("336", "262", "800", "999", None)] == [("FR",), ("RE", "YT"), (), (), ()]
