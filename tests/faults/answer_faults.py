"""Faults in an answer as a whole: another HTTP status, another body, other bytes."""

from __future__ import annotations

import gzip
import math
import time
import zlib
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
from smspartner_pipelines.sandbox.faults import Strike

from faults import table

_BOMB_BYTES = 100 * 1024 * 1024
_BLOCK = b" " * (1024 * 1024)

MESSAGES = VENDOR_MESSAGES | {
    2: "Numéro de téléphone requis",
    5: "Message déjà envoyé",
    6: "Message non annulable",
    90: "JSON mal formé",
    429: "Trop de requêtes",
    500: "Erreur interne",
    999: "Erreur inconnue",  # documented nowhere
}
"""The vendor's codes with a sentence each."""

_INSTEAD = {
    "rate_limit_bare": ("HTTP 429 without Retry-After", html_answer(429, "Too Many Requests")),
    "request_timeout": ("HTTP 408 with HTML", html_answer(408, "Request Timeout")),
    "not_found": ("HTTP 404 with HTML", html_answer(404, "Not Found")),
    "forbidden_html": ("HTTP 403 with HTML", html_answer(403, "Forbidden")),
    "redirect": (
        "HTTP 302 to another path, /v1/elsewhere",
        html_answer(302, "Found", ("Location", "/v1/elsewhere")),
    ),
    "redirect_away": (
        "HTTP 308 to another host",
        html_answer(308, "Permanent Redirect", ("Location", "https://elsewhere.invalid/v1/bulk-status-by-tag")),
    ),
    "no_content": ("HTTP 204 without a body", Answer(b"", 204)),
    "not_json": ("text that is no JSON, with HTTP 200", Answer(b"Service momentarily unavailable\n")),
    "empty_body": ("no body, with HTTP 200", Answer(b"")),
    "vendor_error_10_http_401": ("the vendor's error 10, with HTTP 401", vendor_error(10, status=401)),
}


def _register_instead(kind: str, description: str, instead: Answer) -> None:
    table.answer(kind, description)(lambda _answer, _strike: instead)


for _kind, (_description, _instead) in _INSTEAD.items():
    _register_instead(_kind, _description, _instead)
for _code, _message in MESSAGES.items():
    if f"vendor_error_{_code}" not in table.KINDS:
        _register_instead(
            f"vendor_error_{_code}", f"the vendor's error {_code}: {_message}", vendor_error(_code, _message)
        )


def _retry_after(kind: str, description: str, wish: str) -> None:
    _register_instead(kind, description, html_answer(429, "Too Many Requests", ("Retry-After", wish)))


_retry_after("rate_limit_zero", "HTTP 429 with Retry-After: 0", "0")
_retry_after("rate_limit_past", "HTTP 429 with Retry-After as a date that is past", "Wed, 07 Feb 2018 07:38:31 GMT")
_retry_after("rate_limit_decimal", "HTTP 429 with Retry-After: 0.1", "0.1")

for _code in (50, 429, 500):
    _description = f"the vendor's error {_code}, with HTTP 400"
    _register_instead(f"vendor_error_{_code}_http", _description, vendor_error(_code, MESSAGES[_code], status=400))

_DETAILS = b'{"success": false, "code": 9, "error": [{"elementId": "tag", "message": "Tag invalide"}]}'
_register_instead("vendor_error_9", "the vendor's error 9 with HTTP 400: details in `error`", Answer(_DETAILS, 400))


def _refusal(code: int, message: bytes, content_type: str = JSON) -> Answer:
    body = b'{"success": false, "code": %d, "message": "%b"}' % (code, message)
    return Answer(body, content_type=content_type)


_LATIN1 = "Clé API incorrecte".encode("latin-1")
_register_instead("refusal_latin1", "error 10 in Latin-1, declared as UTF-8", _refusal(10, _LATIN1))
_register_instead(
    "refusal_latin1_declared",
    "error 10 in Latin-1, declared so",
    _refusal(10, _LATIN1, "application/json; charset=iso-8859-1"),
)
_register_instead(
    "refusal_surrogate", "error 10 with half of a surrogate pair in its message", _refusal(10, rb"\ud83d")
)
_register_instead("error_latin1", "error 3 in Latin-1, declared as UTF-8", _refusal(3, _LATIN1))
_register_instead("error_surrogate", "error 3 with half of a surrogate pair in its message", _refusal(3, rb"x \ud83d"))
_register_instead(
    "error_nul",
    "error 3, whose message holds NUL, ESC and a change of direction",
    _refusal(3, rb"a\u0000b\u001b[31m\u202e"),
)


@table.answer("rate_limit_date", "HTTP 429 with Retry-After as a date (`seconds` ahead, default 1)")
def _rate_limit_date(_answer: Answer, strike: Strike) -> Answer:
    # Rounded up, since such dates have whole seconds; real time, since the client compares with its own clock.
    date = formatdate(math.ceil(time.time() + strike.seconds) if strike.seconds else 0, usegmt=True)
    return html_answer(429, "Too Many Requests", ("Retry-After", date))


@table.answer("unavailable", "HTTP 503 with Retry-After in seconds (`seconds`, default 1)")
def _unavailable(_answer: Answer, strike: Strike) -> Answer:
    return html_answer(503, "Service Unavailable", ("Retry-After", str(math.ceil(strike.seconds))))


@table.answer("gzip_cut", "a gzip stream cut in the middle, with the Content-Length of what is sent")
def _gzip_cut(answer: Answer, _strike: Strike) -> Answer:
    packed = gzip.compress(answer.body, mtime=0)
    return _declared_gzip(answer, packed[: len(packed) // 2])


@table.answer("gzip_no_trailer", "a gzip stream without its last 8 bytes: whole JSON, but nothing says so")
def _gzip_no_trailer(answer: Answer, _strike: Strike) -> Answer:
    return _declared_gzip(answer, gzip.compress(answer.body, mtime=0)[:-8])


@table.answer("gzip_garbage", "plain JSON, declared as gzip")
def _gzip_garbage(answer: Answer, _strike: Strike) -> Answer:
    return _declared_gzip(answer, answer.body)


@table.answer("gzip_bomb", "a small gzip stream that unpacks to JSON and 100 MiB of white space")
def _gzip_bomb(answer: Answer, _strike: Strike) -> Answer:
    return _declared_gzip(answer, _bomb(answer.body))


@table.answer("gzip", "the right JSON, packed with gzip, which clients should read")
def _gzip(answer: Answer, _strike: Strike) -> Answer:
    return _declared_gzip(answer, gzip.compress(answer.body, mtime=0))


def _declared_gzip(answer: Answer, body: bytes) -> Answer:
    return replace(answer, body=body, headers=(*answer.headers, ("Content-Encoding", "gzip")))


@lru_cache(maxsize=8)
def _bomb(body: bytes) -> bytes:
    packer = zlib.compressobj(level=1, wbits=16 + zlib.MAX_WBITS)
    pieces = chain([body], repeat(_BLOCK, _BOMB_BYTES // len(_BLOCK)))
    return b"".join([*map(packer.compress, pieces), packer.flush()])


@table.answer("utf8_broken", "JSON with one string in Latin-1, which is no UTF-8")
def _utf8_broken(answer: Answer, _strike: Strike) -> Answer:
    return replace(answer, body=answer.body.replace(b"{", '{"message": "Succès", '.encode("latin-1"), 1))


@table.answer("bom", "a UTF-8 byte order mark before the JSON, which clients should read")
def _bom(answer: Answer, _strike: Strike) -> Answer:
    return replace(answer, body=b"\xef\xbb\xbf" + answer.body)


@table.answer("wrong_content_type", "the right JSON, declared as text/html, which clients should read")
def _wrong_content_type(answer: Answer, _strike: Strike) -> Answer:
    return replace(answer, content_type=HTML)


@table.answer("partial_content", "the right JSON with HTTP 206")
def _partial_content(answer: Answer, _strike: Strike) -> Answer:
    return replace(answer, status=206)


@table.answer("utf16", "the right JSON in UTF-16")
def _utf16(answer: Answer, _strike: Strike) -> Answer:
    return replace(answer, body=answer.body.decode().encode("utf-16"))


@table.answer("nul_bytes", "the right JSON, followed by NUL bytes")
def _nul_bytes(answer: Answer, _strike: Strike) -> Answer:
    return replace(answer, body=answer.body + bytes(8))


_MORE = {
    "not_a_number": ("an unknown field is NaN, which is no JSON", b'"ratio": NaN'),
    "deep_nesting": ("an unknown field is nested 100,000 deep", b'"x": ' + b"[" * 100_000 + b"]" * 100_000),
    "total_twice": ("`total` is given twice: 0, then the right one", b'"total": 0'),
    "list_twice": ("the list is given twice: empty, then the right one", f'"{LIST_KEY}": []'.encode()),
}


def _register_more(kind: str, description: str, field: bytes) -> None:
    def edit(answer: Answer, _strike: Strike) -> Answer:
        return replace(answer, body=answer.body.replace(b"{", b"{" + field + b", ", 1))

    table.answer(kind, description)(edit)


for _kind, (_description, _field) in _MORE.items():
    _register_more(_kind, _description, _field)
