r"""Faults that repeat the request's URL, or the key in it, wherever an answer has room for text.

Servers, gateways and frameworks do so in error messages and debug pages. The key comes back as it was sent, decoded, or
encoded anew: nothing that a client writes down of such an answer may show it.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import parse_qsl, quote, quote_plus, urlsplit

from smspartner_pipelines.sandbox.answers import Answer, html_answer, vendor_error
from smspartner_pipelines.sandbox.faults import Kind, Strike
from smspartner_pipelines.sandbox.http_server import Wire

from faults.table import Row, Rows, document, rows


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


def _answers(meaning: str, answer: Callable[[str], Answer]) -> Kind:
    """Give an answer that is made of the request's path and query."""
    return Kind(meaning, answer=lambda _answer, strike: answer(strike.target))


def _vendor(code: int, repeats: str, message: Callable[[str], str]) -> Kind:
    """Answer with the vendor's error of this code; the message is made of the request's path and query."""
    meaning = f"the vendor's error {code}, whose message repeats {repeats}"
    return _answers(meaning, lambda at: vendor_error(code, message(at)))


def _other_cases(target: str) -> str:
    key = key_of(target)
    return " ".join([key.upper(), key.swapcase(), "\u200b".join(key), "\u00ad".join(key.lower())])


def _header(answer: Answer, strike: Strike) -> Answer:
    echoes = (("X-Request", strike.target), ("Set-Cookie", f"apiKey={quote(key_of(strike.target))}; Path=/"))
    return replace(answer, headers=(*answer.headers, *echoes))


def _request(wire: Wire, _answer: Answer, strike: Strike) -> None:
    wire.close_connection = True
    wire.end(f"GET {strike.target} HTTP/1.1\r\n\r\n".encode())


def _first(meaning: str, changes: Callable[[str], Row]) -> Kind:
    """Change fields of the first row, or add it; the function is given the request's path and query."""

    def edit(found: Rows, strike: Strike) -> Rows:
        first = found[0] if found and isinstance(found[0], dict) else {}
        return [first | changes(strike.target), *found[1:]]

    return rows(meaning, edit)


def _row_anew(found: Rows, strike: Strike) -> Rows:
    key = key_of(strike.target)
    within = json.dumps({"apiKey": json.dumps(key), "seen": encoded_anew(key)})
    escaped = "".join(f"\\u{ord(letter):04X}" for letter in within)
    return [f'{{"phoneNumber": "n/a", "status": "{escaped}"}}', *found[1:]]  # raw JSON, as every `str` among rows


KINDS = {
    "echo_message": _vendor(999, "the URL", lambda at: f"Erreur inconnue: GET {at}"),
    "echo_message_decoded": _vendor(999, "the key, decoded", lambda at: f"Erreur inconnue avec la clé {key_of(at)}"),
    "echo_message_anew": _vendor(999, "the key in other encodings", lambda at: encoded_anew(key_of(at))),
    "echo_message_case": _vendor(999, "the key in other letter cases", _other_cases),
    "echo_refusal": _vendor(10, "the key, decoded", lambda at: f"Clé API incorrecte: {key_of(at)}"),
    "echo_unknown": _vendor(4, "the URL", lambda at: f"Message introuvable: {at}"),
    "echo_html": _answers(
        "HTTP 500 with an HTML page that repeats the URL",
        lambda at: html_answer(500, f"Error at {html.escape(at)} ({html.escape(key_of(at))})"),
    ),
    "echo_not_json": _answers(
        "text with HTTP 200 that repeats the URL", lambda at: Answer(f"Cannot GET {at}\n".encode())
    ),
    "echo_redirect": _answers(
        "HTTP 302 to a path that repeats the query",
        lambda at: html_answer(302, "Found", ("Location", f"/v1/elsewhere?{urlsplit(at).query}")),
    ),
    "echo_header": Kind("the right answer with headers that repeat the URL, which clients should read", answer=_header),
    "echo_retry_after": _answers(
        "HTTP 429 whose Retry-After repeats the URL",
        lambda at: html_answer(429, "Too Many Requests", ("Retry-After", at)),
    ),
    "echo_request": Kind("sends the request's first line back, as an echo server does, and closes", wire=_request),
    "echo_envelope": document(
        "the envelope has an unknown field with the key as its name and the URL in it",
        lambda page, strike: page | {key_of(strike.target): strike.target, f"seen at {strike.target}": True},
    ),
    "echo_total": document("`total` is the URL", lambda page, strike: page | {"total": strike.target}),
    "echo_number": _first("the first row's `phoneNumber` is the key", lambda at: {"phoneNumber": key_of(at)}),
    "echo_status": _first("the first row's `status` is the key", lambda at: {"status": key_of(at)}),
    "echo_date": _first("the first row's `date` is the key", lambda at: {"date": key_of(at)}),
    "echo_row": _first(
        "the first row repeats the URL in all its fields, and in one that is named like the key",
        lambda at: dict.fromkeys(("phoneNumber", "status", "stopSMS", "date", key_of(at)), at),
    ),
    "echo_field": _first(
        "the first row has unknown fields named like the key and the URL, which clients should read",
        lambda at: {key_of(at): key_of(at), f"seen at {at}": at},
    ),
    "echo_row_anew": rows("the first row's status repeats the key in other encodings, in escaped JSON", _row_anew),
}
