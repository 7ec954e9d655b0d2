"""The country of phone numbers, exactly as `phonenumbers` gives it, without parsing each number.

A calling code that belongs to one country gives the country by itself (33 is France). Only codes that several countries
share (1, 7, 44, 262, …) need the library's own look at the digits, once for each distinct number.
"""

from __future__ import annotations

from functools import cache

import pyarrow as pa
import pyarrow.compute as pc

COUNTRY_TYPE = pa.dictionary(pa.int32(), pa.string())
_LONGEST_CALLING_CODE = 3
_NO_COUNTRY = "001"
"""The library's region of numbers that belong to no country (satellite networks, freephone)."""


def countries(numbers: pa.Array) -> pa.DictionaryArray:
    """Give the ISO 3166-1 alpha-2 country of each E.164 number; null for null numbers and numbers of no country.

    `numbers` is a string array; the result is a dictionary array of the same length.
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
    return None if region == _NO_COUNTRY else region


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
