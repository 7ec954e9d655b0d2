"""Personal data: phone numbers masked or hashed, and numbers that were erased and must not come back.

The record of an erasure holds the number's HMAC-SHA256 under a secret key. A bare hash could be reversed by trying
every number, so a destination with such records can only be loaded by who holds the key; without it a run is refused.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from smspartner_schemas.contract import PHONE_PATTERNS, PhoneForm

from smspartner.api_key import PHONE_KEY_VARIABLE, RETIRED_KEYS_VARIABLE, check_secret
from smspartner.errors import SettingsError
from smspartner.phone_numbers import calling_code, numbers_in, read_phone_number
from smspartner.redaction import MASK, REDACT, Secret, find_numbers, hide_numbers
from smspartner.values import read_date

_SHORTEST_KEY = 16
_KEY_ID_LENGTH = 8


@dataclass(frozen=True)
class PhonePrivacy:
    """In which form phone numbers leave the connector, and the keys for it.

    `plain` is E.164. `masked` keeps the calling code and the last two digits. `hashed` is `KEYID:HASH`: HMAC-SHA256
    under `key`, in hexadecimal (a bare hash could be reversed by trying every number), behind the id of the key, so
    that numbers hashed under different keys are never taken for different people. `retired` keys still recognise
    numbers that were erased under them.

    Raises:
        SettingsError: an unknown form; `hashed` without a key of at least 16 characters; a key that is not a `Secret`.
    """

    form: PhoneForm = "plain"
    key: Secret | None = None
    retired: tuple[Secret, ...] = ()

    def __post_init__(self) -> None:
        if self.form not in PHONE_PATTERNS:  # or numbers would be plain where a word was misspelled
            raise SettingsError("unknown form of phone numbers", remedy=f"give one of {', '.join(PHONE_PATTERNS)}")
        for key in filter(None, (self.key, *self.retired)):
            check_secret(key, "a phone key")
            REDACT.add(key)
        if self.form == "hashed":
            self.check_key("hashed phone numbers need a secret key")

    def check_key(self, need: str) -> None:
        """Refuse a key that is missing, or so short that it could be tried like a number; raises as the class does."""
        if len(self.key.reveal() if self.key else "") < _SHORTEST_KEY:
            raise SettingsError(
                need,
                remedy=f"set {PHONE_KEY_VARIABLE} to at least {_SHORTEST_KEY} random characters, "
                "and keep it for as long as the hashes shall match",
            )

    @cached_property
    def keys(self) -> dict[str, Secret]:
        """The keys by their ids (eight hexadecimal digits that do not show the key), the current one first."""
        keys = [key for key in (self.key, *self.retired) if key is not None]
        return {_hmac(key, "key id")[:_KEY_ID_LENGTH]: key for key in keys}

    @property
    def key_id(self) -> str:
        """The id of the current key; empty without one."""
        return next(iter(self.keys)) if self.key is not None else ""

    @property
    def label(self) -> str:
        """Name the form: `plain`, `masked` or `hashed:KEYID`. Numbers of one label can be compared."""
        return f"{self.form}:{self.key_id}" if self.form == "hashed" else self.form

    def hashed(self, number: str, key_id: str) -> str:
        """Give the hash by which tables know a number, under one of the keys."""
        return f"{key_id}:{_hmac(self.keys[key_id], number)}"

    def erasure_hash(self, number: str, key_id: str) -> str:
        """Give the hash by which the record of an erasure knows a number; it differs from the one in tables."""
        return _hmac(self.keys[key_id], f"erased {number}")

    def protect(self, number: str) -> str:
        """Give one E.164 number in this form."""
        if self.form == "masked":
            code = calling_code(number)
            return f"+{code}{'*' * (len(number) - len(code) - 3)}{number[-2:]}"
        return self.hashed(number, self.key_id) if self.form == "hashed" else number

    def protect_all(self, numbers: pa.Array) -> pa.Array:
        """Give an array of E.164 numbers in this form, each distinct number once; nulls stay."""
        if self.form == "plain":
            return numbers
        distinct = numbers.dictionary_encode()
        return pa.array(map(self.protect, distinct.dictionary.to_pylist()), pa.string()).take(distinct.indices)

    def protect_raw(self, raw: bytes) -> str:
        """Give a row's JSON as it was sent (`plain`), or with everything in it that may be a number replaced.

        The result is valid UTF-8, broken text in it escaped. An API that echoes the key does not bring it into a table.
        """
        text = raw.decode("utf-8", "backslashreplace")
        try:
            if REDACT.finds(text):
                text = REDACT.json(json.loads(text))
            if self.form == "plain":
                return text
            row = self._without_numbers(json.loads(text), "")
        except (ValueError, RecursionError):  # beyond reading, so beyond searching
            return json.dumps(MASK)
        text = json.dumps(row, ensure_ascii=False)
        return text if text.encode("utf-8", "replace").decode() == text else json.dumps(row)  # half a surrogate pair

    def _without_numbers(self, value: object, name: str) -> object:
        if isinstance(value, dict):
            return {hide_numbers(key): self._without_numbers(item, key) for key, item in value.items()}
        if isinstance(value, list):
            return [self._without_numbers(item, name) for item in value]
        if name == "phoneNumber" and value is not None:
            number, _ = read_phone_number(value)
            return MASK if number is None else self.protect(number)
        kept = value is None or isinstance(value, bool) or (name == "date" and read_date(value)[1] is None)
        return MASK if not kept and find_numbers(str(value)) else value


def _hmac(key: Secret, text: str) -> str:
    return hmac.digest(key.reveal().encode(), text.encode(), "sha256").hex()


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
        return (number, *(self._privacy.hashed(number, key_id) for key_id in self._privacy.keys))

    def is_named_in(self, raw: str) -> bool:
        """Whether a row's JSON names the number, in any field and however it is written."""
        return any(spelling in raw for spelling in self.spellings) or self._number.reveal() in numbers_in(raw.encode())

    def erasure(self, at: datetime) -> Erasure:
        """Make the record of this person's erasure, under the current key."""
        key_id = self._privacy.key_id
        return Erasure(key_id, self._privacy.erasure_hash(self._number.reveal(), key_id), at)


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
        missing = sorted(self._hashes.keys() - privacy.keys.keys())
        if missing:
            raise SettingsError(
                f"numbers were erased there under phone key {', '.join(missing)}, without which they would come back",
                remedy=f"give it as {PHONE_KEY_VARIABLE}, or as a line of {RETIRED_KEYS_VARIABLE} if another is in use",
            )

    def __bool__(self) -> bool:
        return bool(self._hashes)

    def __contains__(self, number: str) -> bool:
        return any(self._privacy.erasure_hash(number, key_id) in hashes for key_id, hashes in self._hashes.items())

    def mask(self, numbers: pa.Array) -> np.ndarray:
        """Say which of some E.164 numbers (a string array with nulls) are erased: one bool each."""
        distinct = numbers.dictionary_encode()
        known = pa.array([number in self for number in distinct.dictionary.to_pylist()], pa.bool_())
        return np.asarray(pc.fill_null(known.take(distinct.indices), False))

    def named_in(self, raw: bytes) -> bool:
        """Whether a row's JSON names an erased number, in any field and however it is written."""
        return any(number in self for number in numbers_in(raw))


NOBODY = ErasedNumbers((), PhonePrivacy())
