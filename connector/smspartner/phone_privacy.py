"""Masked and hashed phone numbers, in the rows and in the raw JSON of the quarantine."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass

import pyarrow as pa
from smspartner_schemas.contract import PhoneForm

from smspartner import facts
from smspartner.country import calling_code
from smspartner.errors import SettingsError
from smspartner.redaction import MASK, REDACT, Secret, hide_numbers, like_a_number

PHONE_KEY_VARIABLE = "SMSPARTNER_PHONE_KEY"
SHORTEST_PHONE_KEY = 16


@dataclass(frozen=True)
class PhonePrivacy:
    """In which form phone numbers leave the connector.

    `plain` is E.164. `masked` keeps the calling code and the last two digits. `hashed` is HMAC-SHA256 under `key`,
    in hexadecimal: a bare hash could be reversed by trying every number.

    Raises:
        SettingsError: `hashed` without a key of at least 16 characters.
    """

    form: PhoneForm = "plain"
    key: Secret | None = None

    def __post_init__(self) -> None:
        if self.key is not None:
            REDACT.add(self.key)
        if self.form == "hashed" and len(self.key.reveal() if self.key else "") < SHORTEST_PHONE_KEY:
            raise SettingsError(
                f"hashed phone numbers need a secret key: set {PHONE_KEY_VARIABLE} to at least "
                f"{SHORTEST_PHONE_KEY} random characters, and keep it for as long as the hashes shall match"
            )

    def protect(self, number: str) -> str:
        """Give one E.164 number in this form."""
        if self.form == "masked":
            code = calling_code(number)
            return f"+{code}{'*' * (len(number) - len(code) - 3)}{number[-2:]}"
        if self.form == "hashed" and self.key is not None:
            return hmac.new(self.key.reveal().encode(), number.encode(), hashlib.sha256).hexdigest()
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

        An API that echoes the key does not bring it into a table.
        """
        text = raw.decode("utf-8")
        try:
            if REDACT.finds(text):
                text = REDACT.json(json.loads(text), ensure_ascii=False)
            if self.form == "plain":
                return text
            return json.dumps(self._without_numbers(json.loads(text), ""), ensure_ascii=False)
        except (ValueError, RecursionError):
            return json.dumps(MASK)

    def _without_numbers(self, value: object, name: str) -> object:
        if isinstance(value, dict):
            return {hide_numbers(key): self._without_numbers(item, key) for key, item in value.items()}
        if isinstance(value, list):
            return [self._without_numbers(item, name) for item in value]
        if name == "phoneNumber" and value is not None:
            number, _ = facts.read_phone_number(value)
            return self.protect(number) if isinstance(number, str) else MASK
        if name == "date" and facts.read_date(value)[1] is None:
            return value
        if isinstance(value, bool) or value is None:
            return value
        return MASK if like_a_number(str(value)) else value
