"""Faults on the wire: answers that are cut, late, endless, badly framed, or never begin.

A function of this table is given the answer and the wire. It returns the answer that is still to be sent, or None when
it has sent all there will be.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING

from smspartner_pipelines.sandbox.faults import Strike

from faults import table

if TYPE_CHECKING:
    from smspartner_pipelines.sandbox.answers import Answer
    from smspartner_pipelines.sandbox.wire import Wire

HUGE_BYTES = 300 * 1024 * 1024
_CHUNKED = ("Transfer-Encoding", "chunked")
_BLOCK = b" " * 65536
_ENDLESS_PAUSE = 0.002


@table.wire("close", "the connection is closed before the first byte")
def _close(wire: Wire, _answer: Answer, _strike: Strike) -> None:
    wire.closing = True


@table.wire("reset_midway", "half of the body, then the connection is reset")
def _reset_midway(wire: Wire, answer: Answer, _strike: Strike) -> None:
    wire.send(wire.head(answer, _length(answer)) + answer.body[: len(answer.body) // 2])
    wire.reset()


@table.wire("garbage_status", "a status line that is no HTTP; then the connection closes")
def _garbage_status(wire: Wire, _answer: Answer, _strike: Strike) -> None:
    wire.closing = True
    wire.send(b"220 sandbox ready\r\n\r\n")


@table.wire("endless_headers", "a head that never ends")
def _endless_headers(wire: Wire, answer: Answer, _strike: Strike) -> None:
    wire.send(wire.head(answer, _length(answer)).removesuffix(b"\r\n"))
    for number in count():
        wire.send(b"X-%d: %b\r\n" % (number, b"x" * 1000))
        wire.pause(_ENDLESS_PAUSE)


@table.wire("interim", "HTTP 103 before the answer, which clients should skip")
def _interim(wire: Wire, answer: Answer, _strike: Strike) -> Answer:
    wire.send(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n")
    return answer


@table.wire("length_too_small", "whole JSON, of which Content-Length promises all but 10 bytes")
def _length_too_small(wire: Wire, answer: Answer, _strike: Strike) -> None:
    promised = max(0, len(answer.body) - 10)
    wire.end(wire.head(answer, ("Content-Length", str(promised))) + answer.body)


@table.wire("answered_twice", "the answer, and again, where the next request's answer belongs")
def _answered_twice(wire: Wire, answer: Answer, _strike: Strike) -> None:
    wire.end(2 * (wire.head(answer, _length(answer)) + answer.body))


@table.wire("two_lengths", "whole JSON in chunks, and a Content-Length that says otherwise")
def _two_lengths(wire: Wire, answer: Answer, _strike: Strike) -> None:
    head = wire.head(replace(answer, headers=(*answer.headers, _CHUNKED)), ("Content-Length", "10"))
    wire.end(head + _chunk(answer.body) + b"0\r\n\r\n")


@table.wire("cut_body", "whole JSON, but Content-Length promises more; then the connection closes")
def _cut_body(wire: Wire, answer: Answer, _strike: Strike) -> None:
    promised = len(answer.body) + 1000
    wire.closing = True
    wire.send(wire.head(answer, ("Content-Length", str(promised))) + answer.body)


@table.wire("cut_chunked", "chunks that make whole JSON, but the last chunk never comes")
def _cut_chunked(wire: Wire, answer: Answer, _strike: Strike) -> None:
    wire.closing = True
    wire.send(wire.head(answer, _CHUNKED) + _chunk(answer.body))


@table.wire("drip", "the body comes one byte every `seconds` (default 1)")
def _drip(wire: Wire, answer: Answer, strike: Strike) -> None:
    body = answer.body
    wire.send(wire.head(answer, _length(answer)))
    for at in range(len(body) - 1):
        wire.send(body[at : at + 1])
        wire.pause(strike.seconds)
    wire.end(body[-1:])


@table.wire("endless", "JSON followed by white space that never ends")
def _endless(wire: Wire, answer: Answer, _strike: Strike) -> None:
    wire.send(wire.head(answer, _CHUNKED) + _chunk(answer.body))
    for _ in count():
        wire.send(_chunk(_BLOCK))
        wire.pause(_ENDLESS_PAUSE)


@table.wire("huge", "JSON followed by white space, 300 MiB in all")
def _huge(wire: Wire, answer: Answer, _strike: Strike) -> None:
    wire.send(wire.head(answer, ("Content-Length", str(HUGE_BYTES))) + answer.body)
    blocks, rest = divmod(HUGE_BYTES - len(answer.body), len(_BLOCK))
    for _ in range(blocks):
        wire.send(_BLOCK)
    wire.end(_BLOCK[:rest])


def _length(answer: Answer) -> tuple[str, str]:
    return "Content-Length", str(len(answer.body))


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""
