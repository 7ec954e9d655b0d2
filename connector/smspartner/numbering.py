"""Numbering plans: a phone number read as E.164 however it is written, and its country.

A national form follows the French plan, in which overseas numbers look like any other: `0692…` is Réunion's +262, not
+33. Numbers are what `phonenumbers` knows them to be; the French prefixes are ARCEP's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

import pyarrow as pa
import pyarrow.compute as pc
from smspartner_schemas.contract import PHONE_PATTERNS

from smspartner.values import NUMBER_MISSING, NUMBER_UNREADABLE

COUNTRY_TYPE = pa.dictionary(pa.int32(), pa.string())

E164 = rf"^{PHONE_PATTERNS['plain']}$"
TRUNK_ZERO = r"^\+(?:33|262|590|594|596|508)0"
"""E.164 in shape only: the 0 that a French number has at home, kept behind the calling code."""

_OVERSEAS = {
    **dict.fromkeys(("262", "263", "692", "693"), ("262", "RE")),
    **dict.fromkeys(("269", "639"), ("262", "YT")),
    **dict.fromkeys(("590", "690", "691"), ("590", "GP")),
    **dict.fromkeys(("594", "694"), ("594", "GF")),
    **dict.fromkeys(("596", "696", "697"), ("596", "MQ")),
    "508": ("508", "PM"),
}
"""Calling code and country by the first digits of a French number behind its 0."""

_METROPOLITAN = "33"
_SAINT_PIERRE = "508"
_OVERSEAS_CODES = ("262", "590", "594", "596", _SAINT_PIERRE)
_NATIONAL_DIGITS = 9
"""Of a French number, without its 0."""

_LONGEST_WRITTEN = 64
_LONGEST_CALLING_CODE = 3
_NO_COUNTRY = "001"
"""The library's region of numbers that belong to no country (satellite networks, freephone)."""

_E164 = re.compile(PHONE_PATTERNS["plain"])
_TRUNK_ZERO = re.compile(TRUNK_ZERO)
_WRITTEN = re.compile(r"\+?[0-9 ().\-/\u00a0\u202f]+")
_NO_DIGIT = re.compile(r"[^0-9]+")
_OPTIONAL_ZERO = re.compile(r"\(\s*0\s*\)")


def read_phone_number(value: object) -> tuple[str | None, str | None]:
    """Read a number as E.164; gives it, or None and the reason (`values.REASONS`) why it is not valid.

    `+…` and `00…` are taken as they are, if they have 7 to 15 digits: messages to bad numbers are rows, too. Other
    forms must be readable in one way only: ten digits with a 0 by the French plan, bare digits by any country's.
    """
    if value is None or value == "":
        return None, NUMBER_MISSING
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or len(value) > _LONGEST_WRITTEN:
        return None, NUMBER_UNREADABLE
    if _E164.fullmatch(value) and not _TRUNK_ZERO.match(value):
        return value, None
    number = _normalised(value.strip())
    return (number, None) if number is not None else (None, NUMBER_UNREADABLE)


def _normalised(text: str) -> str | None:
    if not _WRITTEN.fullmatch(text):  # letters are no digits, in spite of a telephone's keys
        return None
    digits, without_zero = digits_of(text)
    if text.startswith("+"):
        return _international(without_zero)
    if digits.startswith("00"):
        return _international(without_zero.removeprefix("00"))
    if digits.startswith("0"):
        return _national(digits[1:])
    found = {number for number in (_international(digits), _national(digits)) if number and _is_valid(number)}
    return found.pop() if len(found) == 1 else None


def digits_of(text: str) -> tuple[str, str]:
    """Give the digits of a written number: all of them, and without a `(0)`, which is not dialled from abroad."""
    return _NO_DIGIT.sub("", text), _NO_DIGIT.sub("", _OPTIONAL_ZERO.sub("", text))


def _international(digits: str) -> str | None:
    number = f"+{digits}"
    if _TRUNK_ZERO.match(number):
        code = calling_code(number)
        without = number[: len(code) + 1] + number[len(code) + 2 :]
        number = without if len(without) == len(code) + 1 + _NATIONAL_DIGITS else number
    return number if _E164.fullmatch(number) else None


def _national(digits: str) -> str | None:
    """Read a French number without its 0: overseas by its first digits, else where alone it is valid."""
    if len(digits) != _NATIONAL_DIGITS or digits.startswith("0"):
        return None
    if digits[:3] in _OVERSEAS:
        return _overseas(digits)
    at_home = f"+{_METROPOLITAN}{digits}"
    if _is_valid(at_home):
        return at_home
    elsewhere = [number for code in _OVERSEAS_CODES if _is_valid(number := f"+{code}{digits}")]
    return elsewhere[0] if len(elsewhere) == 1 else None


def _overseas(digits: str) -> str:
    code, _ = _OVERSEAS[digits[:3]]
    return f"+{code}{digits.removeprefix(_SAINT_PIERRE)}"  # its own numbers have six digits behind the calling code


def every_reading(digits: str) -> Iterator[str]:
    """Give every number in E.164 that a run of digits may mean, likely or not: for who must not miss one."""
    yield f"+{digits.removeprefix('00')}"
    home = digits.removeprefix("0")
    if home.startswith("0") or len(home) != _NATIONAL_DIGITS:
        return
    if home[:3] in _OVERSEAS:
        yield _overseas(home)
    else:
        yield from (f"+{code}{home}" for code in (_METROPOLITAN, *_OVERSEAS_CODES))


def _is_valid(number: str) -> bool:
    import phonenumbers

    code = calling_code(number)
    national = number[len(code) + 1 :]
    if not national or national.startswith("0") or code not in _calling_codes():
        return False
    parsed = phonenumbers.PhoneNumber(country_code=int(code), national_number=int(national))
    return phonenumbers.is_valid_number(parsed)


def countries(numbers: pa.Array) -> pa.DictionaryArray:
    """Give the ISO 3166-1 alpha-2 country of each E.164 number, as `phonenumbers` does.

    `numbers` is a string array; the result is a dictionary array of the same length, null for nulls and for numbers of
    no country. A calling code that belongs to one country gives it without parsing; the digits of others are looked at
    once for each distinct number. Overseas numbers that the library does not know have the country of their prefix.
    """
    prefixes = pc.utf8_slice_codeunits(numbers, 1, 1 + _LONGEST_CALLING_CODE).dictionary_encode()
    regions = [regions_of(prefix) for prefix in prefixes.dictionary.to_pylist()]
    sole = pa.array([found[0] if len(found) == 1 else None for found in regions], pa.string())
    by_code = sole.take(prefixes.indices)
    shared = pa.array([len(found) > 1 for found in regions], pa.bool_()).take(prefixes.indices)
    if pc.any(shared).as_py():
        by_code = pc.if_else(pc.fill_null(shared, False), _by_digits(numbers, shared), by_code)
    return by_code.dictionary_encode().cast(COUNTRY_TYPE)


def _by_digits(numbers: pa.Array, wanted: pa.BooleanArray) -> pa.Array:
    distinct = pc.if_else(wanted, numbers, None).dictionary_encode()
    found = pa.array([_country_by_digits(number) for number in distinct.dictionary.to_pylist()], pa.string())
    return found.take(distinct.indices)


def _country_by_digits(number: str) -> str | None:
    import phonenumbers

    try:
        region = phonenumbers.region_code_for_number(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        return None
    if region is None:
        code, national = calling_code(number), number[1 + len(calling_code(number)) :]
        planned, country = _OVERSEAS.get(national[:3], ("", None))
        return country if planned == code and len(national) == _NATIONAL_DIGITS else None
    return None if region == _NO_COUNTRY else str(region)


def calling_code(number: str) -> str:
    """Give the calling code of an E.164 number; its first digit where the code is not assigned."""
    codes = _calling_codes()
    digits = number.removeprefix("+")
    for length in range(1, _LONGEST_CALLING_CODE + 1):
        if digits[:length] in codes:
            return digits[:length]
    return digits[:1]


@cache
def regions_of(prefix: str | None) -> tuple[str, ...]:
    """Give the countries that share the calling code a number begins with; none where it belongs to no country."""
    if prefix is None:
        return ()
    regions = _calling_codes().get(calling_code(prefix), ())
    return () if regions == (_NO_COUNTRY,) else regions


@cache
def _calling_codes() -> dict[str, tuple[str, ...]]:
    import phonenumbers

    return {str(code): tuple(regions) for code, regions in phonenumbers.COUNTRY_CODE_TO_REGION_CODE.items()}
