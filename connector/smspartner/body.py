"""The bytes of one answer: whole, unpacked, and never more than a page can have."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

import requests

from smspartner.errors import BodyTooLarge, UnreadableBody

ENCODINGS = "gzip"
"""What a server may pack a body with, as `Accept-Encoding` says it."""

_GZIP = 16 + zlib.MAX_WBITS
_CHUNK = 1 << 20


def read_body(response: requests.Response, most: int) -> bytes:
    """Read the body of an answer whose head was read.

    Raises:
        BodyTooLarge: more than `most` bytes, as sent or unpacked; never more than that is held.
        UnreadableBody: the answer contradicts itself about where it ends, or what is packed is damaged or cut.
    """
    headers = response.headers
    if "Transfer-Encoding" in headers and "Content-Length" in headers:
        raise UnreadableBody("the answer says in two ways where it ends, as no sound server does")
    pieces = _pieces(response)
    if headers.get("Content-Encoding", "").strip().lower() in {"gzip", "x-gzip"}:
        pieces = _unpacked(pieces)
    body: list[bytes] = []
    size, declared = 0, response.raw.length_remaining or 0
    while max(size, declared) <= most:
        piece = next(pieces, None)
        if piece is None:
            return b"".join(body)
        body.append(piece)
        size += len(piece)
    raise BodyTooLarge(f"the body is larger than {most:,} bytes, which no page is", http_status=response.status_code)


def _pieces(response: requests.Response) -> Iterator[bytes]:
    while piece := response.raw.read(_CHUNK, decode_content=False):
        yield piece


def _unpacked(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Unpack a gzip stream in pieces of bounded size; unlike urllib3, see that it comes to its end and ends there."""
    stream = zlib.decompressobj(_GZIP)
    begun, sound = False, True
    try:
        for piece in pieces:
            begun, packed = True, piece
            while packed:
                yield stream.decompress(packed, _CHUNK)
                packed = stream.unconsumed_tail
            if stream.unused_data:
                break
        yield stream.flush()
    except zlib.error:
        sound = False
    if begun and not (sound and stream.eof and not stream.unused_data):
        raise UnreadableBody("the body is packed (gzip), and damaged or cut")
