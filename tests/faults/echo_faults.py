r"""Faults that repeat the request's URL, or the key in it, wherever an answer has room for text.

Servers, gateways and frameworks do so in error messages and debug pages. The key comes back as it was sent, decoded, or
encoded anew: nothing that a client writes down of such an answer may show it.
"""

from __future__ import annotations

import base64
import html
import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, quote_plus, urlsplit

from smspartner_pipelines.sandbox.answers import Answer, html_answer, vendor_error

from faults import table

if TYPE_CHECKING:
    from smspartner_pipelines.sandbox.faults import Strike
    from smspartner_pipelines.sandbox.wire import Wire

Document = dict[str, Any]


def key_of(target: str) -> str:
    """Give the key that a request was sent with, decoded."""
    return dict(parse_qsl(urlsplit(target).query)).get("apiKey", "")


def encoded_anew(key: str) -> str:
    """Write a key as servers do: other escapes, half encoded, for HTML, for JSON, as base64, as hexadecimal."""
    percent = quote(key, safe="")
    half = "".join(quote(letter, safe="") if place % 2 else f"%{ord(letter):02x}" for place, letter in enumerate(key))
    ways = {
        "lower": re.sub("%..", lambda escape: escape[0].lower(), percent),
        "form": quote_plus(key),
        "twice": quote(percent, safe=""),
        "half": half,
        "html": html.escape(percent) + html.escape(key),
        "entities": "".join(f"&#x{ord(letter):X};" for letter in key),
        "json": "".join(f"\\u{ord(letter):04x}" if letter.isascii() else json.dumps(letter)[1:-1] for letter in key),
        "python": repr(key),
        "basic": base64.b64encode(f"user:{key}".encode()).decode(),
        "url": base64.urlsafe_b64encode(f"/?apiKey={percent}".encode()).decode(),
        "hex": key.encode().hex().upper(),
    }
    return " ".join(f"{name}={way}" for name, way in ways.items())


@table.answer("echo_message", "the vendor's error 999, whose message repeats the URL")
def _message(_answer: Answer, strike: Strike) -> Answer:
    return vendor_error(999, f"Erreur inconnue: GET {strike.target}")


@table.answer("echo_message_decoded", "the vendor's error 999, whose message repeats the key, decoded")
def _message_decoded(_answer: Answer, strike: Strike) -> Answer:
    return vendor_error(999, f"Erreur inconnue avec la clé {key_of(strike.target)}")


@table.answer("echo_message_anew", "the vendor's error 999, whose message repeats the key in other encodings")
def _message_anew(_answer: Answer, strike: Strike) -> Answer:
    return vendor_error(999, encoded_anew(key_of(strike.target)))


@table.answer("echo_message_case", "the vendor's error 999, whose message repeats the key in other letter cases")
def _message_case(_answer: Answer, strike: Strike) -> Answer:
    key = key_of(strike.target)
    return vendor_error(999, " ".join([key.upper(), key.swapcase(), "\u200b".join(key), "\u00ad".join(key.lower())]))


@table.answer("echo_refusal", "the vendor's error 10, whose message repeats the key, decoded")
def _refusal(_answer: Answer, strike: Strike) -> Answer:
    return vendor_error(10, f"Clé API incorrecte: {key_of(strike.target)}")


@table.answer("echo_unknown", "the vendor's error 4, whose message repeats the URL")
def _unknown(_answer: Answer, strike: Strike) -> Answer:
    return vendor_error(4, f"Message introuvable: {strike.target}")


@table.answer("echo_html", "HTTP 500 with an HTML page that repeats the URL")
def _html(_answer: Answer, strike: Strike) -> Answer:
    return html_answer(500, f"Error at {html.escape(strike.target)} ({html.escape(key_of(strike.target))})")


@table.answer("echo_not_json", "text with HTTP 200 that repeats the URL")
def _not_json(_answer: Answer, strike: Strike) -> Answer:
    return Answer(f"Cannot GET {strike.target}\n".encode())


@table.answer("echo_redirect", "HTTP 302 to a path that repeats the query")
def _redirect(_answer: Answer, strike: Strike) -> Answer:
    return html_answer(302, "Found", ("Location", f"/v1/elsewhere?{urlsplit(strike.target).query}"))


@table.answer("echo_header", "the right answer with headers that repeat the URL, which clients should read")
def _header(answer: Answer, strike: Strike) -> Answer:
    told = (("X-Request", strike.target), ("Set-Cookie", f"apiKey={quote(key_of(strike.target))}; Path=/"))
    return replace(answer, headers=(*answer.headers, *told))


@table.answer("echo_retry_after", "HTTP 429 whose Retry-After repeats the URL")
def _retry_after(_answer: Answer, strike: Strike) -> Answer:
    return html_answer(429, "Too Many Requests", ("Retry-After", strike.target))


@table.wire("echo_request", "sends the request's first line back, as an echo server does, and closes")
def _request(wire: Wire, _answer: Answer, strike: Strike) -> None:
    wire.closing = True
    wire.end(f"GET {strike.target} HTTP/1.1\r\n\r\n".encode())


@table.document("echo_envelope", "the envelope has an unknown field with the key as its name and the URL in it")
def _envelope(document: Document, strike: Strike) -> Document:
    return document | {key_of(strike.target): strike.target, f"seen at {strike.target}": True}


@table.document("echo_total", "`total` is the URL")
def _total(document: Document, strike: Strike) -> Document:
    return document | {"total": strike.target}


def _echo_in_first_row(kind: str, description: str, echo: Any) -> None:
    def edit(rows: list[object], strike: Strike) -> list[object]:
        first = rows[0] if rows and isinstance(rows[0], dict) else {}
        return [first | echo(strike.target), *rows[1:]]

    table.rows(kind, description)(edit)


for _kind, _field in {"echo_number": "phoneNumber", "echo_status": "status", "echo_date": "date"}.items():
    _echo_in_first_row(
        _kind, f"the first row's `{_field}` is the key", lambda target, field=_field: {field: key_of(target)}
    )
_echo_in_first_row(
    "echo_row",
    "the first row repeats the URL in all its fields, and in one that is named like the key",
    lambda target: dict.fromkeys(("phoneNumber", "status", "stopSMS", "date", key_of(target)), target),
)
_echo_in_first_row(
    "echo_field",
    "the first row has unknown fields named like the key and the URL, which clients should read",
    lambda target: {key_of(target): key_of(target), f"seen at {target}": target},
)


@table.rows("echo_row_anew", "the first row's status repeats the key in other encodings, in escaped JSON")
def _row_anew(rows: list[object], strike: Strike) -> list[object]:
    key = key_of(strike.target)
    within = json.dumps({"apiKey": json.dumps(key), "seen": encoded_anew(key)})
    escaped = "".join(f"\\u{ord(letter):04X}" for letter in within)
    return [f'{{"phoneNumber": "n/a", "status": "{escaped}"}}', *rows[1:]]  # raw JSON text, as every `str` among rows
