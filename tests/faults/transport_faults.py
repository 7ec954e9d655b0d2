"""Faults on the wire: answers that are cut, late, endless, badly framed, or never begin."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import chain, count, repeat

from smspartner_pipelines.sandbox.answers import Answer
from smspartner_pipelines.sandbox.faults import Kind, Strike
from smspartner_pipelines.sandbox.http_server import Wire

HUGE_BYTES = 300 * 1024 * 1024
_CHUNKED = ("Transfer-Encoding", "chunked")
_BLOCK = b" " * 65536
_ENDLESS_PAUSE = 0.002
_HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"


def _head(wire: Wire, answer: Answer, more: int = 0) -> bytes:
    """Write a head whose Content-Length promises so many bytes more than there are."""
    return wire.head(answer, ("Content-Length", str(max(0, len(answer.body) + more))))


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def _sends(
    meaning: str,
    pieces: Callable[[Wire, Answer], Iterable[bytes]],
    *,
    closes: bool = False,
    pause: Callable[[Strike], float] = lambda _: 0.0,
) -> Kind:
    """Send these bytes in the place of the answer, with pauses between the pieces; the connection may close then."""

    def send(wire: Wire, answer: Answer, strike: Strike) -> None:
        wire.close_connection = wire.close_connection or closes
        held = b""
        for piece in pieces(wire, answer):
            if held:
                wire.send(held)
                wire.pause(pause(strike))
            held = piece
        wire.end(held)

    return Kind(meaning, wire=send)


def _reset_midway(wire: Wire, answer: Answer, _strike: Strike) -> None:
    wire.send(_head(wire, answer) + answer.body[: len(answer.body) // 2])
    wire.reset()


def _two_lengths(wire: Wire, answer: Answer) -> Iterable[bytes]:
    head = wire.head(replace(answer, headers=(*answer.headers, _CHUNKED)), ("Content-Length", "10"))
    return [head + _chunk(answer.body) + b"0\r\n\r\n"]


def _endless_headers(wire: Wire, answer: Answer) -> Iterable[bytes]:
    return chain([_head(wire, answer).removesuffix(b"\r\n")], (b"X-%d: %b\r\n" % (n, b"x" * 1000) for n in count()))


def _huge(wire: Wire, answer: Answer) -> Iterable[bytes]:
    blocks, rest = divmod(HUGE_BYTES - len(answer.body), len(_BLOCK))
    head = _head(wire, answer, HUGE_BYTES - len(answer.body))
    return chain([head + answer.body], repeat(_BLOCK, blocks), [_BLOCK[:rest]])


KINDS = {
    "close": _sends("the connection is closed before the first byte", lambda _wire, _answer: (), closes=True),
    "reset_midway": Kind("half of the body, then the connection is reset", wire=_reset_midway),
    "garbage_status": _sends(
        "a status line that is no HTTP; then the connection closes",
        lambda _wire, _answer: [b"220 sandbox ready\r\n\r\n"],
        closes=True,
    ),
    "endless_headers": _sends("a head that never ends", _endless_headers, pause=lambda _: _ENDLESS_PAUSE),
    "interim": _sends("HTTP 103 before the answer", lambda wire, answer: [_HINTS, _head(wire, answer) + answer.body]),
    "length_too_small": _sends(
        "whole JSON, of which Content-Length promises all but 10 bytes",
        lambda wire, answer: [_head(wire, answer, -10) + answer.body],
    ),
    "answered_twice": _sends(
        "the answer, and again, where the next request's answer belongs",
        lambda wire, answer: [2 * (_head(wire, answer) + answer.body)],
    ),
    "two_lengths": _sends("whole JSON in chunks, and a Content-Length that says otherwise", _two_lengths),
    "cut_body": _sends(
        "whole JSON, but Content-Length promises more; then the connection closes",
        lambda wire, answer: [_head(wire, answer, 1000) + answer.body],
        closes=True,
    ),
    "cut_chunked": _sends(
        "chunks that make whole JSON, but the last chunk never comes",
        lambda wire, answer: [wire.head(answer, _CHUNKED) + _chunk(answer.body)],
        closes=True,
    ),
    "drip": _sends(
        "the body comes one byte every `seconds` (default 1)",
        lambda wire, answer: [_head(wire, answer), *(bytes([byte]) for byte in answer.body)],
        pause=lambda strike: strike.seconds,
    ),
    "endless": _sends(
        "JSON followed by white space that never ends",
        lambda wire, answer: chain([wire.head(answer, _CHUNKED) + _chunk(answer.body)], repeat(_chunk(_BLOCK))),
        pause=lambda _: _ENDLESS_PAUSE,
    ),
    "huge": _sends("JSON followed by white space, 300 MiB in all", _huge),
}
