"""Masked and hashed phone numbers, in the rows and in the raw JSON of the quarantine."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property, partial

import pyarrow as pa
from smspartner_schemas.contract import PHONE_PATTERNS, PhoneForm

from smspartner.api_key import PHONE_KEY_VARIABLE, check_secret
from smspartner.errors import SettingsError
from smspartner.numbering import calling_code, read_phone_number
from smspartner.redaction import MASK, REDACT, Secret, find_numbers, hide_numbers
from smspartner.values import read_date

SHORTEST_PHONE_KEY = 16

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
        """Refuse a key that is missing, or so short that it could be tried like a number.

        Raises:
            SettingsError: with the `need` for it, and what to do.
        """
        if len(self.key.reveal() if self.key else "") < SHORTEST_PHONE_KEY:
            raise SettingsError(
                need,
                remedy=f"set {PHONE_KEY_VARIABLE} to at least {SHORTEST_PHONE_KEY} random characters, "
                "and keep it for as long as the hashes shall match",
            )

    @cached_property
    def key_id(self) -> str:
        """Name the key without showing it: eight hexadecimal digits; empty without a key."""
        return "" if self.key is None else _key_id(self.key)

    @cached_property
    def hashes(self) -> dict[str, Callable[[str], str]]:
        """Give, for each key by its id, the function that hashes a number under it."""
        keys = [key for key in (self.key, *self.retired) if key is not None]
        return {_key_id(key): partial(_hashed, key) for key in keys}

    @property
    def label(self) -> str:
        """Name the form: `plain`, `masked` or `hashed:KEYID`. Numbers of one label can be compared."""
        return f"{self.form}:{self.key_id}" if self.form == "hashed" else self.form

    def erasure_hash(self, number: str, key_id: str | None = None) -> str:
        """Give the hash that a record of an erasure knows a number by; it differs from the one in tables."""
        return self.hashes[key_id or self.key_id](f"erased {number}").partition(":")[2]

    def protect(self, number: str) -> str:
        """Give one E.164 number in this form."""
        if self.form == "masked":
            code = calling_code(number)
            return f"+{code}{'*' * (len(number) - len(code) - 3)}{number[-2:]}"
        if self.form == "hashed":
            return self.hashes[self.key_id](number)
        return number

    def protect_all(self, numbers: pa.Array) -> pa.Array:
        """Give an array of E.164 numbers in this form, each distinct number once; nulls stay."""
        if self.form == "plain":
            return numbers
        distinct = numbers.dictionary_encode()
        protected = pa.array([self.protect(number) for number in distinct.dictionary.to_pylist()], pa.string())
        return protected.take(distinct.indices)

    def protect_raw(self, raw: bytes) -> str:
        """Give a row's JSON as it was sent (`plain`), or with everything in it that may be a number replaced.

        The result is valid UTF-8, broken text in it escaped. An API that echoes the key does not bring it into a table.
        """
        text = raw.decode("utf-8", "backslashreplace")
        try:
            if REDACT.finds(text):
                text = REDACT.json(json.loads(text))
            return text if self.form == "plain" else _as_json(self._without_numbers(json.loads(text), ""))
        except (ValueError, RecursionError):  # beyond reading, so beyond searching
            return json.dumps(MASK)

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


def _as_json(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # half a surrogate pair
        return json.dumps(value)
    return text


def _hashed(key: Secret, text: str) -> str:
    return f"{_key_id(key)}:{hmac.digest(key.reveal().encode(), text.encode(), 'sha256').hex()}"


@cache
def _key_id(key: Secret) -> str:
    return hmac.digest(key.reveal().encode(), b"key id", "sha256").hex()[:_KEY_ID_LENGTH]
