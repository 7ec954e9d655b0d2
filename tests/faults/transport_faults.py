"""Faults on the wire: answers that are cut, late, endless, badly framed, or never begin.

A function of this table is given the wire, the answer and the strike. It returns the answer that is still to be sent,
or None when it has sent all there will be.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import count

from smspartner_pipelines.sandbox.answers import Answer
from smspartner_pipelines.sandbox.faults import Kind, Strike
from smspartner_pipelines.sandbox.http_server import Wire

HUGE_BYTES = 300 * 1024 * 1024
_CHUNKED = ("Transfer-Encoding", "chunked")
_BLOCK = b" " * 65536
_ENDLESS_PAUSE = 0.002


def _length(of: int) -> tuple[str, str]:
    return "Content-Length", str(of)


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def _closing(bytes_of: Callable[[Wire, Answer], bytes]) -> Callable[[Wire, Answer, Strike], None]:
    """Send these bytes, and close the connection."""

    def send(wire: Wire, answer: Answer, _strike: Strike) -> None:
        wire.close_connection = True
        wire.send(bytes_of(wire, answer))

    return send


def _ending(bytes_of: Callable[[Wire, Answer], bytes]) -> Callable[[Wire, Answer, Strike], None]:
    """Send these bytes as the whole answer, and keep the connection."""
    return lambda wire, answer, _strike: wire.end(bytes_of(wire, answer))


def _reset_midway(wire: Wire, answer: Answer, _strike: Strike) -> None:
    wire.send(wire.head(answer, _length(len(answer.body))) + answer.body[: len(answer.body) // 2])
    wire.reset()


def _endless_headers(wire: Wire, answer: Answer, _strike: Strike) -> None:
    wire.send(wire.head(answer, _length(len(answer.body))).removesuffix(b"\r\n"))
    for number in count():
        wire.send(b"X-%d: %b\r\n" % (number, b"x" * 1000))
        wire.pause(_ENDLESS_PAUSE)


def _interim(wire: Wire, answer: Answer, _strike: Strike) -> Answer:
    wire.send(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n")
    return answer


def _whole(wire: Wire, answer: Answer) -> bytes:
    return wire.head(answer, _length(len(answer.body))) + answer.body


def _two_lengths(wire: Wire, answer: Answer) -> bytes:
    head = wire.head(replace(answer, headers=(*answer.headers, _CHUNKED)), _length(10))
    return head + _chunk(answer.body) + b"0\r\n\r\n"


def _drip(wire: Wire, answer: Answer, strike: Strike) -> None:
    body = answer.body
    wire.send(wire.head(answer, _length(len(body))))
    for at in range(len(body) - 1):
        wire.send(body[at : at + 1])
        wire.pause(strike.seconds)
    wire.end(body[-1:])


def _endless(wire: Wire, answer: Answer, _strike: Strike) -> None:
    wire.send(wire.head(answer, _CHUNKED) + _chunk(answer.body))
    for _ in count():
        wire.send(_chunk(_BLOCK))
        wire.pause(_ENDLESS_PAUSE)


def _huge(wire: Wire, answer: Answer, _strike: Strike) -> None:
    wire.send(wire.head(answer, _length(HUGE_BYTES)) + answer.body)
    blocks, rest = divmod(HUGE_BYTES - len(answer.body), len(_BLOCK))
    for _ in range(blocks):
        wire.send(_BLOCK)
    wire.end(_BLOCK[:rest])


_WAYS: dict[str, tuple[str, Callable[[Wire, Answer, Strike], Answer | None]]] = {
    "close": ("the connection is closed before the first byte", _closing(lambda _wire, _answer: b"")),
    "reset_midway": ("half of the body, then the connection is reset", _reset_midway),
    "garbage_status": (
        "a status line that is no HTTP; then the connection closes",
        _closing(lambda _wire, _answer: b"220 sandbox ready\r\n\r\n"),
    ),
    "endless_headers": ("a head that never ends", _endless_headers),
    "interim": ("HTTP 103 before the answer", _interim),
    "length_too_small": (
        "whole JSON, of which Content-Length promises all but 10 bytes",
        _ending(lambda wire, answer: wire.head(answer, _length(max(0, len(answer.body) - 10))) + answer.body),
    ),
    "answered_twice": (
        "the answer, and again, where the next request's answer belongs",
        _ending(lambda wire, answer: 2 * _whole(wire, answer)),
    ),
    "two_lengths": ("whole JSON in chunks, and a Content-Length that says otherwise", _ending(_two_lengths)),
    "cut_body": (
        "whole JSON, but Content-Length promises more; then the connection closes",
        _closing(lambda wire, answer: wire.head(answer, _length(len(answer.body) + 1000)) + answer.body),
    ),
    "cut_chunked": (
        "chunks that make whole JSON, but the last chunk never comes",
        _closing(lambda wire, answer: wire.head(answer, _CHUNKED) + _chunk(answer.body)),
    ),
    "drip": ("the body comes one byte every `seconds` (default 1)", _drip),
    "endless": ("JSON followed by white space that never ends", _endless),
    "huge": ("JSON followed by white space, 300 MiB in all", _huge),
}

KINDS = {name: Kind(meaning, wire=send) for name, (meaning, send) in _WAYS.items()}
