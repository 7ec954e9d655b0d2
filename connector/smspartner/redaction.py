"""What of a text may be shown: a secret that never prints, the one redactor of this process, and the vendor's texts.

Prevention comes first: `client` alone builds URLs, and no foreign text is passed on. Redaction is the second line.
docs/secrets.md says what it finds, and what it does not.
"""

from __future__ import annotations

import base64
import html
import json
import logging
import re
import unicodedata
from collections.abc import Iterator
from functools import partial
from typing import Any
from urllib.parse import quote, quote_plus, unquote

MASK = "***"

_SHORTEST = 4  # characters of a secret that is searched for; shorter ones, and coded ones below, occur in any text
_SHORTEST_CODED = 8  # characters of a hexadecimal or base64 form
_MOST_LAYERS = 3  # of escapes, one within the other

_ESCAPE = re.compile(r"\\+(?:u\{0*([0-9a-f]{1,6})\}|u([0-9a-f]{4})|x([0-9a-f]{2}))", re.IGNORECASE)
_BACKSLASHED = re.compile(r"\\+(?=[/\"'\\])")
_INVISIBLE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|"  # colours of a terminal
    "[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""Control, format and direction characters but for tab and line breaks, variation selectors, lone surrogates."""

_LIKE_A_NUMBER = re.compile(r"\+?[0-9](?:[\W_]*[0-9]){5,}")
"""Six digits or more, however they are grouped: more than a status code, fewer than any phone number."""


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


def plain_text(text: str, longest: int = 200) -> str:
    """Make a text of the vendor, value or name, fit to be shown and kept in a message: the one function that does.

    Folded (NFKC), without control, invisible and direction characters, secrets and phone numbers, on one line, cut to
    `longest` characters. Cut last: half a key, or half a number, could not be found any more.
    """
    words = hide_numbers(REDACT(_folded(text))).split()
    line = MASK if REDACT.finds("".join(words)) else " ".join(words)  # a secret on two lines
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def find_numbers(text: str) -> list[str]:
    """List everything in the text that may be a phone number, with ASCII digits, grouped as it is written."""
    return _LIKE_A_NUMBER.findall(_folded(text))


def hide_numbers(text: str) -> str:
    """Replace everything in the text that may be a phone number, in the digits of any script, by `***`."""
    shown = _folded(text)
    hidden = _LIKE_A_NUMBER.sub(MASK, shown)
    return hidden if hidden != shown else text


def _folded(text: str) -> str:
    """Fold a text to what a reader sees: compatible letters and digits made plain, nothing invisible."""
    if text.isascii():
        return text if text.isprintable() else _INVISIBLE.sub("", text)
    plain = unicodedata.normalize("NFKC", _INVISIBLE.sub("", text))
    return "".join(letter if letter < "\x80" else str(unicodedata.digit(letter, letter)) for letter in plain)


def _readings(text: str) -> Iterator[str]:
    """Give a text as a reader sees it, then with one layer of escapes after the other taken off, where they differ.

    The escapes are those of HTML, of URLs, and of JSON, Python or JavaScript.
    """
    latest = text
    for _ in range(_MOST_LAYERS + 1):
        seen = _folded(latest)
        if seen != text:
            yield seen
        latest = unquote(html.unescape(seen))
        latest = _ESCAPE.sub(lambda escape: chr(min(int(escape[escape.lastindex or 0], 16), 0x10FFFF)), latest)
        latest = _BACKSLASHED.sub("", latest)
        if latest == seen:
            return


def _encodings(secret: str) -> Iterator[str]:
    """List the ways in which servers, proxies and tools write a text, each from end to end."""
    raw = secret.encode("utf-8", "surrogatepass")
    quoted, form = quote(raw, safe=""), quote_plus(raw)
    plain = (secret, _folded(secret), json.dumps(secret)[1:-1], html.escape(secret), quoted, form)
    yield from (text for text in plain if len(text) >= _SHORTEST)
    for whole in {raw, quoted.encode(), form.encode()}:  # whole URLs are coded, too
        coded = [whole.hex()]
        for before in range(3):  # bytes before it can shift base64; its characters at both ends depend on what is there
            in_base64 = base64.b64encode(b"\0" * before + whole).decode()
            certain = in_base64[-(-before * 8 // 6) : (before + len(whole)) * 8 // 6]
            coded += [certain, certain.translate(str.maketrans("+/", "-_"))]
        yield from (text for text in coded if len(text) >= _SHORTEST_CODED)


class Redactor:
    """Replaces the secrets it was given, in any usual encoding and any letter case, by `***`."""

    def __init__(self, *secrets: Secret) -> None:
        self._known: dict[str, tuple[set[str], re.Pattern[str]]] = {}
        for secret in secrets:
            self.add(secret)

    def add(self, secret: Secret) -> None:
        """Learn one more secret; one of fewer than four characters (a password, never the API key) is ignored."""
        if len(value := secret.reveal()) < _SHORTEST or value in self._known:
            return
        forms = sorted(set(_encodings(value)), key=len, reverse=True)
        pattern = re.compile("|".join(map(re.escape, forms)), re.IGNORECASE)
        known = {**self._known, value: ({form.lower() for form in forms}, pattern)}
        self._known = dict(sorted(known.items(), key=lambda item: len(item[0]), reverse=True))

    def __call__(self, text: str) -> str:
        """Return the text without any secret; of one that is written in mixed ways, the whole word is hidden."""
        text = self._hidden(text)
        plain = text.isascii() and text.isprintable() and not ("%" in text or "\\" in text or "&" in text)
        if plain or not self._reads(text):
            return text
        text = "".join(MASK if self._reads(word) else word for word in re.split(r"(\s+)", text))
        return MASK if self._reads(text) else text

    def _hidden(self, text: str) -> str:
        lowered = text.lower()
        for forms, pattern in self._known.values():
            for form in forms:
                if form in lowered:  # searched first: what is not there is the usual case
                    text = pattern.sub(MASK, text)
                    break
        return text

    def _reads(self, text: str) -> bool:
        """Whether someone who takes invisible characters and escapes off reads a secret."""
        return any(self._hidden(reading) != reading for reading in _readings(text))

    def finds(self, text: str) -> bool:
        """Whether the text holds a secret."""
        return self(text) != text

    def json(self, document: Any, **options: Any) -> str:
        """Write a document as JSON without any secret in its texts and names; options as `json.dumps` takes them."""
        text = json.dumps(document, **options)
        return json.dumps(self._without(json.loads(text)), **options) if self.finds(text) else text

    def _without(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {self(name): self._without(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self._without(item) for item in value]
        if isinstance(value, str):
            return self(value)
        return MASK if self.finds(json.dumps(value)) else value


def guard_logging(redact: Redactor) -> None:
    """Redact every log record of the process where it is made, however logging is configured (a notebook, a scheduler).

    It must be every logger: a filter on one sees nothing of what its children, or a tracing library, log of a request.
    """
    before: Any = logging.getLogRecordFactory()
    if getattr(before, "args", None) != (redact,):
        logging.setLogRecordFactory(partial(_clean_record, redact, before=before))


def _clean_record(redact: Redactor, *args: Any, before: Any, **options: Any) -> logging.LogRecord:
    record: logging.LogRecord = before(*args, **options)
    try:
        message = record.getMessage()
    except Exception:  # noqa: BLE001  # a wrong format, of which logging complains with all its arguments
        message = f"{record.msg} {record.args!r}"
    if redact.finds(message):
        record.msg, record.args = redact(message), None
    if record.exc_info and record.exc_info[0]:
        formatted = logging.Formatter().formatException(record.exc_info)
        if redact.finds(formatted):
            record.exc_text, record.exc_info = redact(formatted), None
    return record


REDACT = Redactor()
"""The process's one redactor: every key and password that is read is added to it."""
