"""Phone numbers: read as E.164 however they are written, and their country.

A national form follows the French plan, in which overseas numbers look like any other: `0692…` is Réunion's +262, not
+33. Numbers are what `phonenumbers` knows them to be; the French prefixes are ARCEP's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from smspartner_schemas.contract import PHONE_PATTERNS

from smspartner.redaction import find_numbers
from smspartner.values import NUMBER_MISSING, NUMBER_UNREADABLE

E164 = rf"^{PHONE_PATTERNS['plain']}$"
TRUNK_ZERO = r"^\+(33|262|590|594|596|508)0"
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

_FRENCH_CODES = ("33", "262", "590", "594", "596", "508")
_NATIONAL_DIGITS = 9
"""Of a French number, without its 0."""

_LONGEST_CALLING_CODE = 3
_SHORTEST_NUMBER, _LONGEST_NUMBER = 7, 17
"""Digits: of E.164 at the least, and of E.164 behind the `00` that stands for its plus at the most."""

_NO_COUNTRY = "001"
"""The library's region of numbers that belong to no country (satellite networks, freephone)."""

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
    if isinstance(value, str) and re.fullmatch(E164, value) and not re.match(TRUNK_ZERO, value):
        return value, None
    text = str(value).strip() if isinstance(value, int | str) and not isinstance(value, bool) else ""
    if not _WRITTEN.fullmatch(text):  # letters are no digits, in spite of a telephone's keys
        return None, NUMBER_UNREADABLE
    digits, without_zero = _digits_of(text)
    if text.startswith("+"):
        number = _international(without_zero)
    elif digits.startswith("00"):
        number = _international(without_zero.removeprefix("00"))
    elif digits.startswith("0"):
        number = _national(digits[1:])
    else:
        found = {number for number in (_international(digits), _national(digits)) if number and _is_valid(number)}
        number = found.pop() if len(found) == 1 else None
    return (number, None) if number is not None else (None, NUMBER_UNREADABLE)


def _digits_of(text: str) -> tuple[str, str]:
    """Give the digits of a written number: all of them, and without a `(0)`, which is not dialled from abroad."""
    return _NO_DIGIT.sub("", text), _NO_DIGIT.sub("", _OPTIONAL_ZERO.sub("", text))


def _international(digits: str) -> str | None:
    trunk_zero = re.match(TRUNK_ZERO, f"+{digits}")
    if trunk_zero is not None and len(digits) == len(trunk_zero[1]) + 1 + _NATIONAL_DIGITS:
        digits = trunk_zero[1] + digits[-_NATIONAL_DIGITS:]
    return f"+{digits}" if re.fullmatch(PHONE_PATTERNS["plain"], f"+{digits}") else None


def _national(digits: str) -> str | None:
    """Read a French number without its 0: overseas by its first digits, else where alone it is valid."""
    readings = list(_national_readings(digits))
    if len(readings) > 1:
        at_home, *elsewhere = readings
        readings = [at_home] if _is_valid(at_home) else [number for number in elsewhere if _is_valid(number)]
    return readings[0] if len(readings) == 1 else None


def _national_readings(digits: str) -> Iterator[str]:
    """Give every number that a French number without its 0 may be: one overseas prefix, or any French calling code."""
    if len(digits) == _NATIONAL_DIGITS and not digits.startswith("0"):
        code, _ = _OVERSEAS.get(digits[:3], ("", ""))
        if code:  # Saint-Pierre's own numbers have six digits behind the calling code
            yield f"+{code}{digits.removeprefix('508')}"
        else:
            yield from (f"+{code}{digits}" for code in _FRENCH_CODES)


def _every_reading(digits: str) -> Iterator[str]:
    """Give every number in E.164 that a run of digits may mean, likely or not: for who must not miss one."""
    yield f"+{digits.removeprefix('00')}"
    yield from _national_readings(digits.removeprefix("0"))


def numbers_in(raw: bytes) -> set[str]:
    """List every E.164 number that a row's JSON may name: in values and in names, in any spelling, one beside another.

    It lists too many rather than too few: a date is ten digits, too.
    """
    try:
        texts = list(_texts(json.loads(raw)))
    except (ValueError, RecursionError):
        texts = [raw.decode("utf-8", "replace")]
    runs = {digits for text in texts for written in find_numbers(text) for digits in _digits_of(written)}
    return {
        number
        for digits in runs
        for start in range(len(digits) - _SHORTEST_NUMBER + 1)
        for end in range(start + _SHORTEST_NUMBER, min(start + _LONGEST_NUMBER, len(digits)) + 1)
        for number in _every_reading(digits[start:end])
    }


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield name
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif value is not None and not isinstance(value, bool):
        yield str(value)


def _is_valid(number: str) -> bool:
    import phonenumbers

    code = calling_code(number)
    national = number[len(code) + 1 :]
    if not national or code not in _calling_codes():
        return False
    zeros = len(national) - len(str(int(national)))  # they belong to the number in Benin, Ivory Coast, Gabon, Italy
    parsed = phonenumbers.PhoneNumber(int(code), int(national), italian_leading_zero=zeros > 0)
    parsed.number_of_leading_zeros = zeros or None
    return phonenumbers.is_valid_number(parsed)


def countries(numbers: pa.Array) -> pa.DictionaryArray:
    """Give the ISO 3166-1 alpha-2 country of each E.164 number, as `phonenumbers` does.

    `numbers` is a string array; the result is a dictionary array of the same length, null for nulls and for numbers of
    no country. A calling code that belongs to one country gives it without parsing; the digits of others are looked at
    once for each distinct number. Overseas numbers that the library does not know have the country of their prefix.
    """
    prefixes = pc.binary_slice(numbers.view(pa.binary()), 1, 1 + _LONGEST_CALLING_CODE).dictionary_encode()
    regions = [_calling_codes().get(calling_code(prefix.decode()), ()) for prefix in prefixes.dictionary.to_pylist()]
    sole = pa.array([found[0] if len(found) == 1 else None for found in regions], pa.string())
    found = pc.if_else(pc.equal(sole, _NO_COUNTRY), None, sole).dictionary_encode().take(prefixes.indices)
    shared = pa.array([len(found) > 1 for found in regions], pa.bool_()).take(prefixes.indices)
    if pc.any(shared).as_py():
        distinct = pc.if_else(shared, numbers, None).dictionary_encode()
        by_digits = pa.array(map(_country_by_digits, distinct.dictionary.to_pylist()), pa.string())
        found = pc.coalesce(found.cast(pa.string()), by_digits.take(distinct.indices)).dictionary_encode()
    return found


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
    return str(region)


def calling_code(number: str) -> str:
    """Give the calling code of an E.164 number, with or without its plus; its first digit if none is assigned."""
    digits = number.removeprefix("+")
    codes = (digits[:length] for length in range(1, _LONGEST_CALLING_CODE + 1))
    return next((code for code in codes if code in _calling_codes()), digits[:1])


@cache
def _calling_codes() -> dict[str, tuple[str, ...]]:
    import phonenumbers

    return {str(code): tuple(regions) for code, regions in phonenumbers.COUNTRY_CODE_TO_REGION_CODE.items()}


def country_name(code: str, language: str) -> str:
    """Name a country (ISO 3166-1 alpha-2) in a language (ISO 639-1); one that is not known is its code."""
    names = _country_names().get(code, {})
    name: str = names.get(language, code)
    return names[name[1:]] if name.startswith("*") else name  # "*fr": the same as in French


@cache
def _country_names() -> dict[str, dict[str, str]]:
    """Give the names of each country by language, from their file: importing its package takes half a second."""
    import phonenumbers

    file = Path(phonenumbers.__file__).with_name("geodata") / "locale.py"
    spec = spec_from_file_location("phonenumbers.geodata.locale", file)
    assert spec is not None and spec.loader is not None  # noqa: S101, PT018  # a file that ends in .py has a loader
    spec.loader.exec_module(module := module_from_spec(spec))
    names: dict[str, dict[str, str]] = module.LOCALE_DATA
    return names
