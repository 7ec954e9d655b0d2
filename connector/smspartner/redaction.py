"""Secrets: a key that never prints, and redaction by value of all text that leaves the process."""

from __future__ import annotations

import base64
import json
import logging
import re
from urllib.parse import quote, quote_plus

MASK = "***"

_LOGGERS_WITH_URLS = ("urllib3.connectionpool", "urllib3.connection", "urllib3.util.retry", "requests")
"""Libraries below us that log whole URLs; a filter on our own loggers would not cover theirs."""


class Secret:
    """A secret that prints as `***`; `reveal()` gives its value."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Give the secret itself, to be put into a request and nowhere else."""
        return self._value

    def __repr__(self) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a secret is not written anywhere")


def forms(value: str) -> tuple[str, ...]:
    """List the spellings in which a secret could reach a text: raw, as URL, form, base64, JSON; longest first."""
    raw = value.encode()
    encoded = quote(value, safe="")
    spellings = {
        value,
        quote(value),
        encoded,
        encoded.replace("%", "%25"),
        quote_plus(value),
        _lower_escapes(encoded),
        _lower_escapes(quote_plus(value)),
        base64.b64encode(raw).decode(),
        base64.b64encode(raw).decode().rstrip("="),
        base64.urlsafe_b64encode(raw).decode(),
        base64.urlsafe_b64encode(raw).decode().rstrip("="),
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        repr(value)[1:-1],
        raw.hex(),
    }
    return tuple(sorted(spellings, key=len, reverse=True))


def _lower_escapes(encoded: str) -> str:
    """Write percent escapes with lower-case digits (`%2b`), as some proxies and servers do."""
    head, *escapes = encoded.split("%")
    return head + "".join(f"%{escape[:2].lower()}{escape[2:]}" for escape in escapes)


_LIKE_A_NUMBER = re.compile(r"\+?[0-9](?:[^0-9A-Za-z]{0,3}[0-9]){5,}")
"""Six digits or more, however they are grouped: more than a status code, less than any phone number."""


def like_a_number(text: str) -> bool:
    """Whether something in the text may be a phone number."""
    return _LIKE_A_NUMBER.search(text) is not None


def find_numbers(text: str) -> list[str]:
    """List whatever in the text may be a phone number, as it is written."""
    return _LIKE_A_NUMBER.findall(text)


def hide_numbers(text: str) -> str:
    """Replace whatever in the text may be a phone number by `***`."""
    return _LIKE_A_NUMBER.sub(MASK, text)


class Redactor:
    """Replaces every known form of the secrets it was given by `***`."""

    def __init__(self, *secrets: Secret) -> None:
        self._forms: tuple[str, ...] = ()
        for secret in secrets:
            self.add(secret)

    def add(self, secret: Secret) -> None:
        """Learn one more secret; an empty one is ignored."""
        if secret.reveal():
            known = {*self._forms, *forms(secret.reveal())}
            self._forms = tuple(sorted(known, key=len, reverse=True))

    def __call__(self, text: str) -> str:
        """Return the text without any secret."""
        for form in self._forms:
            if form in text:
                text = text.replace(form, MASK)
        return text


class _RedactingFilter(logging.Filter):
    """Rewrites a record before any handler sees it."""

    def __init__(self, redact: Redactor) -> None:
        super().__init__()
        self.redact = redact

    def filter(self, record: logging.LogRecord) -> bool:
        """Redact the record's message, arguments folded in, and drop its traceback's text."""
        record.msg, record.args = self.redact(record.getMessage()), None
        if record.exc_info:
            record.exc_text = record.exc_text or logging.Formatter().formatException(record.exc_info)
            record.exc_info = None
        if record.exc_text:
            record.exc_text = self.redact(record.exc_text)
        return True


def guard_logging(redact: Redactor) -> None:
    """Redact what the HTTP libraries log, whoever configured logging (a notebook, a scheduler)."""
    for name in _LOGGERS_WITH_URLS:
        logger = logging.getLogger(name)
        if not any(isinstance(known, _RedactingFilter) and known.redact is redact for known in logger.filters):
            logger.addFilter(_RedactingFilter(redact))


REDACT = Redactor()
"""The process's one redactor: every key and password that is read is added to it."""
