"""Faults in an answer as a whole: another HTTP status, another body, other bytes."""

from __future__ import annotations

import gzip
import math
import time
from collections.abc import Callable
from dataclasses import replace
from email.utils import formatdate

from smspartner_pipelines.sandbox.answers import HTML, VENDOR_MESSAGES, Answer, html_answer, vendor_error
from smspartner_pipelines.sandbox.fault_table import FaultTable, Strike

ANSWER_FAULTS: FaultTable[Callable[[Answer, Strike], Answer]] = FaultTable()

_INSTEAD = {
    "rate_limit_bare": ("HTTP 429 without Retry-After", html_answer(429, "Too Many Requests")),
    "server_error": ("HTTP 500 with HTML", html_answer(500, "Internal Server Error")),
    "request_timeout": ("HTTP 408 with HTML", html_answer(408, "Request Timeout")),
    "not_found": ("HTTP 404 with HTML", html_answer(404, "Not Found")),
    "forbidden_html": ("HTTP 403 with HTML", html_answer(403, "Forbidden")),
    "redirect": (
        "HTTP 302 to another path, /v1/elsewhere",
        html_answer(302, "Found", ("Location", "/v1/elsewhere")),
    ),
    "html": ("HTML with HTTP 200", html_answer(200, "Maintenance en cours")),
    "not_json": ("text that is no JSON, with HTTP 200", Answer(b"Service momentarily unavailable\n")),
    "empty_body": ("no body, with HTTP 200", Answer(b"")),
    "vendor_error_10_http_401": ("the vendor's error 10, with HTTP 401", vendor_error(10, status=401)),
}


def _register_instead(kind: str, description: str, instead: Answer) -> None:
    ANSWER_FAULTS.add(kind, description, lambda _answer, _strike: instead)


for _kind, (_description, _instead) in _INSTEAD.items():
    _register_instead(_kind, _description, _instead)
for _code, _message in VENDOR_MESSAGES.items():
    _register_instead(f"vendor_error_{_code}", f"the vendor's error {_code}: {_message}", vendor_error(_code))


@ANSWER_FAULTS.register("rate_limit_seconds", "HTTP 429 with Retry-After in seconds (`seconds`, default 1)")
def _rate_limit_seconds(_answer: Answer, strike: Strike) -> Answer:
    return html_answer(429, "Too Many Requests", ("Retry-After", str(math.ceil(strike.seconds))))


@ANSWER_FAULTS.register("rate_limit_date", "HTTP 429 with Retry-After as a date (`seconds` ahead, default 1)")
def _rate_limit_date(_answer: Answer, strike: Strike) -> Answer:
    # Rounded up, since such dates have whole seconds; real time, since the client compares with its own clock.
    date = formatdate(math.ceil(time.time() + strike.seconds), usegmt=True)
    return html_answer(429, "Too Many Requests", ("Retry-After", date))


@ANSWER_FAULTS.register("unavailable", "HTTP 503 with Retry-After in seconds (`seconds`, default 1)")
def _unavailable(_answer: Answer, strike: Strike) -> Answer:
    return html_answer(503, "Service Unavailable", ("Retry-After", str(math.ceil(strike.seconds))))


@ANSWER_FAULTS.register("cut_json", "JSON cut in the middle, with the Content-Length of what is sent")
def _cut_json(answer: Answer, _strike: Strike) -> Answer:
    return replace(answer, body=answer.body[: len(answer.body) // 2])


@ANSWER_FAULTS.register("gzip_cut", "a gzip stream cut in the middle, with the Content-Length of what is sent")
def _gzip_cut(answer: Answer, _strike: Strike) -> Answer:
    packed = gzip.compress(answer.body, mtime=0)
    return replace(answer, body=packed[: len(packed) // 2], headers=(*answer.headers, ("Content-Encoding", "gzip")))


@ANSWER_FAULTS.register("utf8_broken", "JSON with one string in Latin-1, which is no UTF-8")
def _utf8_broken(answer: Answer, _strike: Strike) -> Answer:
    return replace(answer, body=answer.body.replace(b"{", '{"message": "Succès", '.encode("latin-1"), 1))


@ANSWER_FAULTS.register("bom", "a UTF-8 byte order mark before the JSON, which clients should read")
def _bom(answer: Answer, _strike: Strike) -> Answer:
    return replace(answer, body=b"\xef\xbb\xbf" + answer.body)


@ANSWER_FAULTS.register("wrong_content_type", "the right JSON, declared as text/html, which clients should read")
def _wrong_content_type(answer: Answer, _strike: Strike) -> Answer:
    return replace(answer, content_type=HTML)
