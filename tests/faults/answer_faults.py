"""Faults in an answer as a whole: another HTTP status, another body, other bytes."""

from __future__ import annotations

import gzip
import math
import time
import zlib
from collections.abc import Callable
from dataclasses import replace
from email.utils import formatdate
from functools import lru_cache
from itertools import chain, repeat

from smspartner_pipelines.sandbox.answers import (
    HTML,
    JSON,
    LIST_KEY,
    VENDOR_MESSAGES,
    Answer,
    html_answer,
    vendor_error,
)
from smspartner_pipelines.sandbox.faults import Kind

from faults.table import body, instead

_BOMB_BYTES = 100 * 1024 * 1024
_BLOCK = b" " * (1024 * 1024)
_GZIP = ("Content-Encoding", "gzip")

MESSAGES = VENDOR_MESSAGES | {
    2: "Numéro de téléphone requis",
    3: "Identifiant du message requis",
    5: "Message déjà envoyé",
    6: "Message non annulable",
    20: "Compte désactivé",
    30: "Compte bloqué",
    40: "Accès à l'API refusé",
    50: "Action impossible pour le moment",
    90: "JSON mal formé",
    96: "Adresse IP non autorisée",
    429: "Trop de requêtes",
    500: "Erreur interne",
    999: "Erreur inconnue",  # documented nowhere
}
"""The vendor's codes with a sentence each."""


def _html(status: int, title: str, meaning: str = "with HTML", *headers: tuple[str, str]) -> Kind:
    """Give an HTML page with this HTTP status."""
    return instead(f"HTTP {status} {meaning}", html_answer(status, title, *headers))


def _retry_later(meaning: str, wish: Callable[[float], str], status: int = 429) -> Kind:
    """Ask for another try after a time that is made of the strike's seconds."""
    title = {429: "Too Many Requests", 503: "Service Unavailable"}[status]
    return Kind(
        f"HTTP {status} with Retry-After {meaning}",
        answer=lambda _answer, strike: html_answer(status, title, ("Retry-After", wish(strike.seconds))),
    )


def _date_ahead(seconds: float) -> str:
    # Rounded up, since such dates have whole seconds; real time, since the client compares with its own clock.
    return formatdate(math.ceil(time.time() + seconds) if seconds else 0, usegmt=True)


def _vendor(code: int, message: bytes, content_type: str = JSON) -> Answer:
    text = b'{"success": false, "code": %d, "message": "%b"}' % (code, message)
    return Answer(text, content_type=content_type)


def _more(field: bytes) -> Callable[[bytes], bytes]:
    """Put one more field in front of the others."""
    return lambda found: found.replace(b"{", b"{" + field + b", ", 1)


def _packed(found: bytes) -> bytes:
    return gzip.compress(found, mtime=0)


@lru_cache(maxsize=8)
def _bomb(found: bytes) -> bytes:
    packer = zlib.compressobj(level=1, wbits=16 + zlib.MAX_WBITS)
    pieces = chain([found], repeat(_BLOCK, _BOMB_BYTES // len(_BLOCK)))
    return b"".join([*map(packer.compress, pieces), packer.flush()])


_AWAY = ("Location", "https://elsewhere.invalid/v1/bulk-status-by-tag")
_DETAILS = b'{"success": false, "code": 9, "error": [{"elementId": "tag", "message": "Tag invalide"}]}'
_LATIN1 = "Clé API incorrecte".encode("latin-1")
_DECLARED = "application/json; charset=iso-8859-1"

KINDS = {
    "rate_limit_bare": _html(429, "Too Many Requests", "without Retry-After"),
    "rate_limit_zero": _retry_later("of 0", lambda _: "0"),
    "rate_limit_past": _retry_later("as a date that is past", lambda _: "Wed, 07 Feb 2018 07:38:31 GMT"),
    "rate_limit_decimal": _retry_later("of 0.1", lambda _: "0.1"),
    "rate_limit_date": _retry_later("as a date (`seconds` ahead, default 1)", _date_ahead),
    "unavailable": _retry_later("in seconds (`seconds`, default 1)", lambda seconds: str(math.ceil(seconds)), 503),
    "request_timeout": _html(408, "Request Timeout"),
    "not_found": _html(404, "Not Found"),
    "forbidden_html": _html(403, "Forbidden"),
    "redirect": _html(302, "Found", "to another path, /v1/elsewhere", ("Location", "/v1/elsewhere")),
    "redirect_away": _html(308, "Permanent Redirect", "to another host", _AWAY),
    "no_content": instead("HTTP 204 without a body", Answer(b"", 204)),
    "not_json": instead("text that is no JSON, with HTTP 200", Answer(b"Service momentarily unavailable\n")),
    "empty_body": instead("no body, with HTTP 200", Answer(b"")),
    **{  # but for 4 and 10, which the product's sandbox has
        f"vendor_error_{code}": instead(f"the vendor's error {code}: {message}", vendor_error(code, message))
        for code, message in MESSAGES.items()
        if code not in {4, 10}
    },
    **{
        f"vendor_error_{code}_http": instead(
            f"the vendor's error {code}, with HTTP 400", vendor_error(code, MESSAGES[code], status=400)
        )
        for code in (50, 429, 500)
    },
    "vendor_error_9": instead("the vendor's error 9 with HTTP 400: details in `error`", Answer(_DETAILS, 400)),
    "vendor_error_10_http_401": instead("the vendor's error 10, with HTTP 401", vendor_error(10, status=401)),
    "refusal_latin1": instead("error 10 in Latin-1, declared as UTF-8", _vendor(10, _LATIN1)),
    "refusal_latin1_declared": instead("error 10 in Latin-1, declared so", _vendor(10, _LATIN1, _DECLARED)),
    "refusal_surrogate": instead("error 10 with half of a surrogate pair in its message", _vendor(10, rb"\ud83d")),
    "error_latin1": instead("error 3 in Latin-1, declared as UTF-8", _vendor(3, _LATIN1)),
    "error_surrogate": instead("error 3 with half of a surrogate pair in its message", _vendor(3, rb"x \ud83d")),
    "error_nul": instead(
        "error 3, whose message holds NUL, ESC and a change of direction", _vendor(3, rb"a\u0000b\u001b[31m\u202e")
    ),
    "gzip": body("the right JSON, packed with gzip, which clients should read", _packed, _GZIP),
    "gzip_cut": body(
        "a gzip stream cut in the middle, with the Content-Length of what is sent",
        lambda found: _packed(found)[: len(_packed(found)) // 2],
        _GZIP,
    ),
    "gzip_no_trailer": body(
        "a gzip stream without its last 8 bytes: whole JSON, but nothing says so",
        lambda found: _packed(found)[:-8],
        _GZIP,
    ),
    "gzip_garbage": body("plain JSON, declared as gzip", bytes, _GZIP),
    "gzip_bomb": body("a small gzip stream that unpacks to JSON and 100 MiB of white space", _bomb, _GZIP),
    "utf8_broken": body(
        "JSON with one string in Latin-1, which is no UTF-8", _more('"message": "Succès"'.encode("latin-1"))
    ),
    "utf16": body("the right JSON in UTF-16", lambda found: found.decode().encode("utf-16")),
    "bom": body(
        "a UTF-8 byte order mark before the JSON, which clients should read", lambda found: b"\xef\xbb\xbf" + found
    ),
    "nul_bytes": body("the right JSON, followed by NUL bytes", lambda found: found + bytes(8)),
    "not_a_number": body("an unknown field is NaN, which is no JSON", _more(b'"ratio": NaN')),
    "deep_nesting": body(
        "an unknown field is nested a million deep", _more(b'"x": ' + b"[" * 1_000_000 + b"]" * 1_000_000)
    ),
    "total_twice": body("`total` is given twice: 0, then the right one", _more(b'"total": 0')),
    "list_twice": body("the list is given twice: empty, then the right one", _more(f'"{LIST_KEY}": []'.encode())),
    "wrong_content_type": Kind(
        "the right JSON, declared as text/html, which clients should read",
        answer=lambda answer, _: replace(answer, content_type=HTML),
    ),
    "partial_content": Kind("the right JSON with HTTP 206", answer=lambda answer, _: replace(answer, status=206)),
}
