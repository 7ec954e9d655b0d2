"""Erasure of a person: which rows are theirs, and a record that keeps them out without naming anybody.

The record holds the number's HMAC-SHA256 under a secret key. A bare hash could be reversed by trying every number, so
a destination with such records can only be loaded by who holds the key; without it a run is refused rather than
bringing somebody back.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from smspartner.api_key import PHONE_KEY_VARIABLE, RETIRED_KEYS_VARIABLE
from smspartner.errors import SettingsError
from smspartner.numbering import digits_of, every_reading, read_phone_number
from smspartner.phone_numbers import PhonePrivacy
from smspartner.redaction import MASK, Secret, find_numbers

SHORTEST_NUMBER, LONGEST_NUMBER = 7, 17
"""Digits: of E.164 at the least, and of E.164 behind the `00` that stands for its plus at the most."""


@dataclass(frozen=True)
class Erasure:
    """The record of one erasure; `number_hash` names nobody without the key whose id is `key_id`.

    `erased_at` is aware, UTC. What was removed is counted when that is done.
    """

    key_id: str
    number_hash: str
    erased_at: datetime
    removed_tags: int | None = None
    removed_rows: int | None = None
    removed_quarantined: int | None = None


class Person:
    """Whom to erase; prints as `***`.

    Raises:
        SettingsError: `number` is not a phone number, or the key is missing or too short.
    """

    def __init__(self, number: str, privacy: PhonePrivacy) -> None:
        read, _ = read_phone_number(number.strip())
        if read is None:
            raise SettingsError(
                "that is not a phone number, or could be more than one",
                remedy="write it with its calling code, such as +33612345678",
            )
        privacy.check_key("an erasure is recorded under a secret key")
        self._number = Secret(read)
        self._privacy = privacy

    def __repr__(self) -> str:
        return MASK

    @cached_property
    def spellings(self) -> tuple[str, ...]:
        """Every form in which a table may hold the number apart from others: plain, and hashed under each key."""
        number = self._number.reveal()
        return (number, *(hashed(number) for hashed in self._privacy.hashes.values()))

    def is_named_in(self, raw: str) -> bool:
        """Whether a row's JSON names the number, in any field and however it is written."""
        return any(spelling in raw for spelling in self.spellings) or self._number.reveal() in numbers_in(raw.encode())

    def erasure(self, at: datetime) -> Erasure:
        """Make the record of this person's erasure, under the current key."""
        return Erasure(self._privacy.key_id, self._privacy.erasure_hash(self._number.reveal()), at)


class ErasedNumbers:
    """The numbers that were erased from where a run loads, known by their hashes alone.

    Raises:
        SettingsError: a phone key is missing, without which an erased number would come back.
    """

    def __init__(self, erasures: Iterable[Erasure], privacy: PhonePrivacy) -> None:
        self._hashes: dict[str, set[str]] = {}
        for erasure in erasures:
            self._hashes.setdefault(erasure.key_id, set()).add(erasure.number_hash)
        self._privacy = privacy
        missing = sorted(self._hashes.keys() - privacy.hashes.keys())
        if missing:
            raise SettingsError(
                f"numbers were erased there under phone key {', '.join(missing)}, without which they would come back",
                remedy=f"give it as {PHONE_KEY_VARIABLE}, or as a line of {RETIRED_KEYS_VARIABLE} if another is in use",
            )

    def __bool__(self) -> bool:
        return bool(self._hashes)

    def __contains__(self, number: object) -> bool:
        return isinstance(number, str) and any(
            self._privacy.erasure_hash(number, key_id) in hashes for key_id, hashes in self._hashes.items()
        )

    def mask(self, numbers: pa.Array) -> np.ndarray:
        """Say which of some E.164 numbers (a string array with nulls) are erased: one bool each."""
        distinct = numbers.dictionary_encode()
        known = pa.array([number in self for number in distinct.dictionary.to_pylist()], pa.bool_())
        return np.asarray(pc.fill_null(known.take(distinct.indices), False))

    def named_in(self, raw: bytes) -> bool:
        """Whether a row's JSON names an erased number, in any field and however it is written."""
        return any(number in self for number in numbers_in(raw))


NOBODY = ErasedNumbers((), PhonePrivacy())


def numbers_in(raw: bytes) -> set[str]:
    """List every E.164 number that a row's JSON may name: in values and in names, in any spelling, one beside another.

    It lists too many rather than too few: a date is ten digits, too.
    """
    try:
        texts = list(_texts(json.loads(raw)))
    except (ValueError, RecursionError):
        texts = [raw.decode("utf-8", "replace")]
    runs = {digits for text in texts for written in find_numbers(text) for digits in digits_of(written)}
    return {number for digits in runs for number in _numbers_within(digits)}


def _numbers_within(digits: str) -> Iterator[str]:
    for start in range(len(digits) - SHORTEST_NUMBER + 1):
        for end in range(start + SHORTEST_NUMBER, min(start + LONGEST_NUMBER, len(digits)) + 1):
            yield from every_reading(digits[start:end])


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
