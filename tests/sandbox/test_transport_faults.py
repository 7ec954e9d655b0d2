"""Faults on the wire: what reaches the client, and how it ends."""

from __future__ import annotations

import http.client
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from smspartner_pipelines.sandbox import Fault, Sandbox
from smspartner_pipelines.sandbox.transport_faults import TRANSPORT_FAULTS

if TYPE_CHECKING:
    from collections.abc import Callable

    Ask = Callable[..., Any]


def test_every_kind_is_tested() -> None:
    """No fault on the wire goes without a test of its effect in this file."""
    tested = {"cut_body", "cut_chunked", "reset", "close", "slow", "drip", "endless", "huge", "interim", "two_lengths"}
    more = {"reset_midway", "garbage_status", "endless_headers", "length_too_small", "answered_twice"}
    assert tested | more == TRANSPORT_FAULTS.descriptions.keys() - {"echo_request"}


@pytest.mark.parametrize("kind", ["cut_body", "cut_chunked"])
def test_cuts_that_only_the_framing_shows(sandbox: Sandbox, ask: Ask, sound: bytes, kind: str) -> None:
    """What arrives before the cut is the whole JSON, but the answer never ends as HTTP says it must."""
    sandbox.faults.add(Fault(kind))

    with pytest.raises(http.client.IncompleteRead) as caught:
        ask(sandbox, "promo", 2)
    assert sound == caught.value.partial


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("reset", ConnectionResetError),
        ("close", http.client.RemoteDisconnected),
        ("garbage_status", http.client.BadStatusLine),
    ],
)
def test_connections_that_end_before_the_answer(sandbox: Sandbox, ask: Ask, kind: str, error: type[Exception]) -> None:
    """No HTTP is answered; the ways to end are told apart; the log has the request without a status."""
    sandbox.faults.add(Fault(kind))

    with pytest.raises(error) as caught:
        ask(sandbox, "promo")
    assert caught.type is error
    assert [(None, (kind,))] == [(record.status, record.faults) for record in sandbox.requests]


@pytest.mark.parametrize("kind", ["slow", "drip"])
def test_late_answers_are_right(sandbox: Sandbox, ask: Ask, sound: bytes, kind: str) -> None:
    """An answer that is late, or comes byte by byte, is the right one."""
    sandbox.faults.add(Fault(kind, seconds=0.0001))

    assert sound == ask(sandbox, "promo", 2).body


def opened(sandbox: Sandbox) -> http.client.HTTPResponse:
    """Ask for page 2 and read only the head of the response."""
    connection = http.client.HTTPConnection(urlsplit(sandbox.url).netloc, timeout=30)
    connection.request(
        "GET", "/v1/bulk-status-by-tag?apiKey=sandbox-key&tag=promo&page=2", headers={"Connection": "close"}
    )
    return connection.getresponse()


def test_endless(sandbox: Sandbox, sound: bytes) -> None:
    """An endless answer begins as the right one and goes on with white space."""
    sandbox.faults.add(Fault("endless"))
    with opened(sandbox) as response:
        assert sound == response.read(len(sound))
        assert response.read(300_000).isspace()


def test_huge(sandbox: Sandbox, sound: bytes) -> None:
    """A huge answer declares 300 MiB, of which the first bytes are the right answer."""
    sandbox.faults.add(Fault("huge"))
    with opened(sandbox) as response:
        assert response.headers["Content-Length"] == str(300 * 1024 * 1024)
        assert sound == response.read(len(sound))
        assert response.read(100_000).isspace()


def test_clients_that_leave_do_no_harm(sandbox: Sandbox, ask: Ask, sound: bytes) -> None:
    """A client that goes in the middle of an endless answer leaves the sandbox serving."""
    sandbox.faults.add(Fault("endless", times=1))
    with socket.create_connection((urlsplit(sandbox.url).hostname, urlsplit(sandbox.url).port)) as client:
        client.sendall(b"GET /v1/bulk-status-by-tag?apiKey=sandbox-key&tag=promo HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(15) == b"HTTP/1.1 200 OK"

    assert sound == ask(sandbox, "promo", 2).body


def received(sandbox: Sandbox) -> bytes:
    """All bytes that come for page 2, until the connection ends or nothing more comes."""
    address = (urlsplit(sandbox.url).hostname, urlsplit(sandbox.url).port)
    data = b""
    with socket.create_connection(address, timeout=30) as client:
        client.sendall(
            b"GET /v1/bulk-status-by-tag?apiKey=sandbox-key&tag=promo&page=2 HTTP/1.1\r\nConnection: close\r\n\r\n"
        )
        while chunk := client.recv(65536):
            data += chunk
    return data


def test_answers_that_are_framed_wrongly(sandbox: Sandbox, sound: bytes) -> None:
    """The right body comes once or twice, and what the head says of it is as the kind says."""
    found = {}
    for kind in ("interim", "answered_twice", "length_too_small", "two_lengths"):
        sandbox.faults.clear()
        sandbox.faults.add(Fault(kind))
        found[kind] = received(sandbox)

    interim, final = found["interim"].split(b"\r\n\r\n", 1)
    assert interim.startswith(b"HTTP/1.1 103 ")
    assert final.startswith(b"HTTP/1.1 200 ")
    half = len(found["answered_twice"]) // 2
    assert found["answered_twice"][:half] == found["answered_twice"][half:]
    bodies = [found[kind].partition(b"200 OK")[2].split(b"\r\n\r\n", 1)[1] for kind in ("interim", "length_too_small")]
    assert [sound] * 2 == bodies
    assert b"\r\nContent-Length: %d\r\n" % (len(sound) - 10) in found["length_too_small"]
    assert b"\r\nTransfer-Encoding: chunked\r\nContent-Length: 10\r\n" in found["two_lengths"]
    assert found["two_lengths"].endswith(b"\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(sound), sound))


def test_reset_midway(sandbox: Sandbox, ask: Ask) -> None:
    """The connection is reset, at the latest when half of the body was sent."""
    sandbox.faults.add(Fault("reset_midway"))
    with pytest.raises(ConnectionResetError):
        ask(sandbox, "promo", 2)


def test_endless_headers(sandbox: Sandbox, ask: Ask) -> None:
    """The head goes on beyond any limit."""
    sandbox.faults.add(Fault("endless_headers"))
    with pytest.raises(http.client.HTTPException, match="got more than 100 headers"):
        ask(sandbox, "promo", 2)
