"""Secrets: a key that never prints, and redaction by value of all text that leaves the process."""

from __future__ import annotations

import json
import logging
import re
from functools import cached_property
from typing import Any

from smspartner.spellings import coded, spelled

MASK = "***"
SHORTEST_HIDDEN_ANYWHERE = 4
_HINT = 4
"""Characters of a secret that the quick search looks for."""


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


class _Finder:
    """Finds one secret in a text, by a quick hint first: what is not there is the common case."""

    def __init__(self, hint: str, whole: str) -> None:
        self._hint = re.compile(hint)
        self._source = whole

    @cached_property
    def _whole(self) -> re.Pattern[str]:
        return re.compile(self._source)  # large: made only where a text seems to hold the secret

    def hide(self, text: str) -> str:
        """Return the text with `***` in the secret's place."""
        return self._whole.sub(MASK, text) if self._hint.search(text) else text


def _finders(secret: str) -> list[_Finder]:
    if len(secret) < SHORTEST_HIDDEN_ANYWHERE:
        alone = rf"(?<![0-9A-Za-z]){spelled(secret)}(?![0-9A-Za-z])"
        return [_Finder(alone, alone)]
    codes = coded(secret)
    return [_Finder(spelled(secret[:_HINT]), spelled(secret)), _Finder(codes, codes)]


class Redactor:
    """Replaces the secrets it was given, however they are spelled, by `***`.

    A secret of fewer than four characters is only looked for where it stands alone: it would blank every text, and
    who can read nothing but its context has guessed it.
    """

    def __init__(self, *secrets: Secret) -> None:
        self._finders: dict[str, list[_Finder]] = {}
        for secret in secrets:
            self.add(secret)

    def add(self, secret: Secret) -> None:
        """Learn one more secret; an empty one is ignored."""
        value = secret.reveal()
        if value and value not in self._finders:
            known = {**self._finders, value: _finders(value)}
            self._finders = dict(sorted(known.items(), key=lambda item: len(item[0]), reverse=True))

    def __call__(self, text: str) -> str:
        """Return the text without any secret."""
        while True:
            hidden = text
            for finders in self._finders.values():
                for finder in finders:
                    hidden = finder.hide(hidden)
            if len(hidden) >= len(text):
                return hidden
            text = hidden  # with asterisks in a secret, masks can make up another

    def finds(self, text: str) -> bool:
        """Tell whether the text holds a secret."""
        return self(text) != text

    def json(self, document: Any, **options: Any) -> str:
        """Write a document as JSON without any secret in its texts and names; options as `json.dumps` takes them."""
        text = json.dumps(document, **options)
        if not self.finds(text):
            return text
        return self(json.dumps(self._hidden(json.loads(text)), **options))

    def _hidden(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {self(name): self._hidden(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self._hidden(item) for item in value]
        if isinstance(value, str):
            return self(value)
        return MASK if self.finds(json.dumps(value)) else value


class _RedactingRecords:
    """Makes the log records of the process, as before, but without secrets."""

    def __init__(self, redact: Redactor) -> None:
        self.redact = redact
        self.before = logging.getLogRecordFactory()

    def __call__(self, *args: Any, **kwargs: Any) -> logging.LogRecord:
        """Make a record; one that holds no secret is left as it is."""
        record = self.before(*args, **kwargs)
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001  # a wrong format, of which logging complains with all its arguments
            message = f"{record.msg} {record.args!r}"
        if self.redact.finds(message):
            record.msg, record.args = self.redact(message), None
        if record.exc_info and record.exc_info[0]:
            told = logging.Formatter().formatException(record.exc_info)
            if self.redact.finds(told):
                record.exc_text, record.exc_info = self.redact(told), None
        return record


def guard_logging(redact: Redactor) -> None:
    """Redact every log record of the process where it is made, whoever configured logging (a notebook, a scheduler).

    It must be every logger: a filter on one sees nothing of what its children, or a tracing library, log of a request.
    """
    factory: Any = logging.getLogRecordFactory()
    while isinstance(factory, _RedactingRecords):
        if factory.redact is redact:
            return
        factory = factory.before
    logging.setLogRecordFactory(_RedactingRecords(redact))


REDACT = Redactor()
"""The process's one redactor: every key and password that is read is added to it."""
