"""Erasure of a person: which rows are theirs, and a record by which they stay out without being named.

The record holds the number's HMAC-SHA256 under a secret key. A bare hash could be reversed by trying every number, so
a destination with such records can only be loaded by who holds the key; without it a run is refused rather than
bringing somebody back.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from smspartner import values
from smspartner.errors import SettingsError
from smspartner.phone_numbers import PhonePrivacy
from smspartner.redaction import MASK, Secret, find_numbers
from smspartner.variables import PHONE_KEY_VARIABLE, RETIRED_KEYS_VARIABLE

SHORTEST_NUMBER, LONGEST_NUMBER = 7, 17
"""Digits: of E.164 at the least, and of E.164 behind the `00` that stands for its plus at the most."""


@dataclass(frozen=True)
class Erasure:
    """The record of one erasure; `number_hash` names nobody without the key that `key_id` tells.

    `removed` counts what was removed when it was recorded (tags, rows, quarantined); it is empty while that goes on.
    """

    key_id: str
    number_hash: str
    erased_at: datetime
    removed: Mapping[str, int]


class Person:
    """Whom to erase; prints as `***`."""

    def __init__(self, number: str, privacy: PhonePrivacy) -> None:
        read, _ = values.read_phone_number(number.strip())
        if not isinstance(read, str):
            raise SettingsError("that is no phone number: write it with its calling code, such as +33612345678")
        privacy.check_key("an erasure is remembered under a secret key")
        self._number = Secret(read)
        self._privacy = privacy

    def __repr__(self) -> str:
        return MASK

    @cached_property
    def spellings(self) -> tuple[str, ...]:
        """Every form in which a table may hold the number and tell it from others: plain, and hashed under each key."""
        number = self._number.reveal()
        return (number, *(hashed(number) for hashed in self._privacy.hashes.values()))

    def is_named_in(self, raw: str) -> bool:
        """Whether a row's JSON names the number, wherever it stands and however it is written."""
        return any(spelling in raw for spelling in self.spellings) or self._number.reveal() in numbers_in(raw.encode())

    def erasure(self, at: datetime) -> Erasure:
        """Make the record of this person's erasure, under the current key."""
        return Erasure(self._privacy.key_id, self._privacy.erasure_hash(self._number.reveal()), at, {})


class ErasedNumbers:
    """The numbers that were erased from where a run loads, known by their hashes alone."""

    def __init__(self, erasures: Iterable[Erasure], privacy: PhonePrivacy) -> None:
        self._hashes: dict[str, set[str]] = {}
        for erasure in erasures:
            self._hashes.setdefault(erasure.key_id, set()).add(erasure.number_hash)
        self._privacy = privacy
        missing = sorted(self._hashes.keys() - privacy.hashes.keys())
        if missing:
            raise SettingsError(
                f"numbers were erased there under phone key {', '.join(missing)}, without which they would come back: "
                f"give it as {PHONE_KEY_VARIABLE}, or as a line of {RETIRED_KEYS_VARIABLE} if another one is in use"
            )

    @property
    def records(self) -> list[tuple[str, str]]:
        """What another machine needs to know the same numbers: the id of the key and the hash of each."""
        return [(key_id, number_hash) for key_id, hashes in self._hashes.items() for number_hash in sorted(hashes)]

    def __contains__(self, number: object) -> bool:
        return isinstance(number, str) and any(
            self._privacy.erasure_hash(number, key_id) in hashes for key_id, hashes in self._hashes.items()
        )

    def places(self, numbers: pa.Array, doubted: Iterable[int], raw: Callable[[int], bytes]) -> frozenset[int]:
        """Tell which rows to leave out.

        `numbers` are the E.164 numbers of all rows, null where they can't be read; `doubted` are the places of rows
        that are not believed, whose JSON (`raw` of a place) may name an erased number anywhere.
        """
        if not self._hashes:
            return frozenset()
        distinct = numbers.dictionary_encode()
        known = pa.array([number in self for number in distinct.dictionary.to_pylist()], pa.bool_())
        rows = np.flatnonzero(pc.fill_null(known.take(distinct.indices), False).to_numpy(zero_copy_only=False))
        named = (place for place in doubted if any(number in self for number in numbers_in(raw(place))))
        return frozenset((*rows.tolist(), *named))


NOBODY = ErasedNumbers((), PhonePrivacy())


def numbers_in(raw: bytes) -> set[str]:
    """List every E.164 number that a row's JSON may name: in values and in names, in any spelling, one beside another.

    It lists too many rather than too few: a date is ten digits, too.
    """
    try:
        texts = list(_texts(json.loads(raw)))
    except (ValueError, RecursionError):
        texts = [raw.decode("utf-8", "replace")]
    digits = ("".join(filter(str.isdigit, spelled)) for text in texts for spelled in find_numbers(text))
    return {number for run in digits for number in _numbers_within(run)}


def _numbers_within(digits: str) -> Iterator[str]:
    for start in range(len(digits) - SHORTEST_NUMBER + 1):
        for end in range(start + SHORTEST_NUMBER, min(start + LONGEST_NUMBER, len(digits)) + 1):
            part = digits[start:end]
            number = values.read_phone_number(part)[0] if part.startswith("0") else f"+{part}"
            if isinstance(number, str):
                yield number


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
