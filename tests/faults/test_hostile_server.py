"""The hostile server does what its kinds of fault say, and counts the requests that wait."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

from faults import KINDS, Campaign, Fault, HostileServer

SENT = 1_500_000_000
PROMO = Campaign("promo", 25, SENT)
LIMIT = 200_000


def received(server: HostileServer, page: int) -> bytes:
    """Give the bytes that come for a page, without the head's date, until the connection ends or they are many."""
    data = b""
    request = (
        f"GET /v1/bulk-status-by-tag?apiKey=sandbox-key&tag=promo&page={page} HTTP/1.1\r\nConnection: close\r\n\r\n"
    )
    with socket.create_connection((urlsplit(server.url).hostname, urlsplit(server.url).port), timeout=30) as client:
        client.sendall(request.encode())
        try:
            while len(data) < LIMIT and (chunk := client.recv(65536)):
                data += chunk
        except ConnectionResetError:
            data += b"(reset)"
    return b"\r\n".join(line for line in data.split(b"\r\n") if not line.startswith(b"Date: "))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_takes_effect(kind: str) -> None:
    """Each kind changes what arrives on some page, but for those that are late only, and says so in one line."""
    pages = (1, 2, 3, 4)
    with HostileServer([PROMO], page_size=10) as server:
        sound = [received(server, page) for page in pages]
        server.faults.add(Fault(kind, seconds=0.00001))
        struck = [received(server, page) for page in pages]
        assert (struck == sound) == (kind in {"slow", "drip"})
        assert all((kind,) == one.faults for one in server.requests[len(pages) :] if one.faults)
    assert "\n" not in KINDS[kind].meaning


def test_peak_in_flight() -> None:
    """The peak counts requests that wait at the same time, and one after the other count as one."""
    together = threading.Barrier(4, timeout=30)
    with HostileServer([PROMO], clock=lambda: (together.wait(), SENT)[1]) as server, ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: received(server, 1), range(4)))
        assert server.peak_in_flight == 4
    with HostileServer([PROMO]) as server:
        for _ in range(20):
            received(server, 1)
        assert server.peak_in_flight == 1
