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
    tested = {"cut_body", "cut_chunked", "reset", "close", "slow", "drip", "endless", "huge"}
    assert tested == TRANSPORT_FAULTS.descriptions.keys() - {"echo_request"}


@pytest.mark.parametrize("kind", ["cut_body", "cut_chunked"])
def test_cuts_that_only_the_framing_shows(sandbox: Sandbox, ask: Ask, sound: bytes, kind: str) -> None:
    """What arrives before the cut is the whole JSON, but the answer never ends as HTTP says it must."""
    sandbox.faults.add(Fault(kind))

    with pytest.raises(http.client.IncompleteRead) as caught:
        ask(sandbox, "promo", 2)
    assert sound == caught.value.partial


@pytest.mark.parametrize(
    ("kind", "error"), [("reset", ConnectionResetError), ("close", http.client.RemoteDisconnected)]
)
def test_connections_that_end_before_the_answer(sandbox: Sandbox, ask: Ask, kind: str, error: type[Exception]) -> None:
    """No byte is answered; a reset and a close are told apart; the log has the request without a status."""
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
