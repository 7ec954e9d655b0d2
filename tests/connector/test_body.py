"""The bytes of one answer over real sockets: framed, packed, bounded."""

from __future__ import annotations

import gzip
import socket
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from smspartner.client import Client
from smspartner.connection import Connection
from smspartner.errors import BodyTooLarge, RequestError, UnexpectedStatus, UnreadableBody
from smspartner.redaction import Secret
from smspartner_pipelines.sandbox import Campaign, Fault

PAGE = b'{"success": true, "code": 200, "currentPage": 1, "total": 0, "StatutResponse_List": []}'
PACKED = gzip.compress(PAGE, mtime=0)
LARGE = b'{"x": "' + bytes(range(35, 91)) * 60_000 + b'", ' + PAGE[1:]

Serve = Callable[[socket.socket, int], None]


def failure(server: Any, **options: Any) -> RequestError:
    """What becomes of a request to a server that fails."""
    client = Client(Connection(api_key=Secret("sandbox-key"), base_url=server.url, **options))
    with pytest.raises(RequestError) as caught:
        client.fetch_page("t", 1)
    client.close()
    return caught.value


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", PACKED),
        ("GZIP", PACKED),
        ("x-gzip", PACKED),
        ("gzip", gzip.compress(LARGE, mtime=0)),
        ("gzip", gzip.compress(LARGE, compresslevel=0, mtime=0)),
        ("identity", PAGE),
    ],
    ids=["gzip", "capitals", "x-gzip", "large", "large and stored", "identity"],
)
def test_packed_bodies(start_raw: Any, answer_with: Any, encoding: str, body: bytes) -> None:
    """What was packed arrives as it was, whatever its size."""
    server = start_raw(answer_with(f"Content-Encoding: {encoding}", body=body))
    client = Client(Connection(api_key=Secret("sandbox-key"), base_url=server.url))
    assert client.fetch_page("t", 1).rows_json == b"[]"
    client.close()


@pytest.mark.parametrize(
    "body",
    [
        *(PACKED[:length] for length in range(1, len(PACKED))),
        PACKED[:-8] + b"\0" * 8,
        PACKED + b"\0",
        PACKED + PACKED,
        PAGE,
        zlib.compress(PAGE),
        gzip.compress(LARGE, mtime=0)[:-1],
    ],
    ids=lambda body: f"{len(body)} bytes",
)
def test_damaged_packed_bodies(start_raw: Any, answer_with: Any, body: bytes) -> None:
    """A packed body that is cut anywhere, damaged or followed by anything is refused, also where its JSON is whole."""
    error = failure(start_raw(answer_with("Content-Encoding: gzip", body=body)))
    assert (UnreadableBody, "the body is packed (gzip), and damaged or cut") == (type(error), error.what)


def test_an_empty_body_is_not_cut(start_raw: Any, answer_with: Any) -> None:
    """An error without a body is told by its HTTP status, whatever its headers say of packing."""
    error = failure(start_raw(answer_with("Content-Encoding: gzip", status="404 Not Found")))
    assert (UnexpectedStatus, 404) == (type(error), error.http_status)


def test_two_lengths(start_sandbox: Any, connect: Any) -> None:
    """An answer in chunks that declares a length as well is refused, as HTTP advises."""
    sandbox = start_sandbox([Campaign.of_rows("t", [])], faults=[Fault("two_lengths")])
    error = failure(sandbox)
    assert (UnreadableBody, True) == (type(error), error.retryable)
    assert error.what == "the answer says in two ways where it ends, as no sound server does"


def test_declared_length_is_enough_to_refuse(start_raw: Any) -> None:
    """A body that declares more bytes than a page can have is refused before the first of them."""

    def serve(connection: socket.socket, _number: int) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 67108865\r\n\r\n")
        connection.recv(1)

    error = failure(start_raw(serve))
    assert (BodyTooLarge, "the body is larger than 67,108,864 bytes, which no page is") == (type(error), error.what)


@pytest.mark.parametrize("fault", ["endless", "gzip_bomb"])
@pytest.mark.parametrize("status", [(), ("redirect",), ("server_error",)])
def test_bodies_are_bounded_whatever_the_status(start_sandbox: Any, fault: str, status: tuple[str, ...]) -> None:
    """A body without end is refused under any HTTP status; that of a redirect is not read in its stead."""
    faults = [Fault(kind) for kind in (*status, fault)]
    sandbox = start_sandbox([Campaign.of_rows("t", [])], faults=faults)
    error = failure(sandbox, max_body_bytes=100_000, timeout=20)
    assert (BodyTooLarge, False) == (type(error), error.retryable)


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
def test_redirects_are_not_followed(start_raw: Any, answer_with: Any, status: str) -> None:
    """The server that a redirect names sees nothing of the request, and of the key in it."""
    elsewhere = start_raw(answer_with(body=PAGE))
    error = failure(start_raw(answer_with(f"Location: {elsewhere.url}/?apiKey=sandbox-key", status=status)))
    assert (UnexpectedStatus, int(status[:3]), False) == (type(error), error.http_status, error.retryable)
    assert elsewhere.accepted == 0


def test_the_vendors_word_in_a_redirect(start_raw: Any, answer_with: Any) -> None:
    """`success: false` decides also under a redirect."""
    body = b'{"success": false, "code": 90}'
    error = failure(start_raw(answer_with("Location: http://127.0.0.1:1/", status="302 Found", body=body)))
    assert error.what == "the API answered code 90 (malformed JSON)"
