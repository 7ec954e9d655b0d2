"""The hostile server does what its kinds of fault say, and logs no key."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from urllib.parse import urlsplit

import pytest

from faults import DOCUMENTED, KINDS, Campaign, Fault, HostileServer
from faults.server import TABLES

STATUSES = "/v1/bulk-status-by-tag"
SENT = 1_500_000_000
PROMO = Campaign("promo", 25, SENT)
LIMIT = 200_000


def received(server: HostileServer, page: int, tag: str = "promo") -> bytes:
    """Give the bytes that come for a page, without the head's date, until the connection ends or they are many."""
    data = b""
    request = f"GET {STATUSES}?apiKey=sandbox-key&tag={tag}&page={page} HTTP/1.1\r\nConnection: close\r\n\r\n"
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


def test_requests_are_logged_without_the_key() -> None:
    """The log has what was asked and answered, and whether the key was right, but never a key."""
    with HostileServer(
        [PROMO], api_key="s3cret", faults=[Fault("server_error", page=2), Fault("reset", page=3)]
    ) as server:
        for query in ("?apiKey=s3cret&tag=promo", "?apiKey=gu3ss&tag=promo&page=2", "?apiKey=s3cret&page=3"):
            connection = http.client.HTTPConnection(urlsplit(server.url).netloc)
            connection.request("GET", STATUSES + query)
            with suppress(ConnectionResetError):
                connection.getresponse().read()
            connection.close()
        log = server.requests
        assert [(one.path, one.tag, one.page, one.parameters, one.key_ok, one.status, one.faults) for one in log] == [
            (STATUSES, "promo", None, ("apiKey", "tag"), True, 200, ()),
            (STATUSES, "promo", "2", ("apiKey", "tag", "page"), False, 500, ("server_error",)),
            (STATUSES, None, "3", ("apiKey", "page"), True, None, ("reset",)),
        ]
        assert log[0].headers == {"Accept-Encoding": "identity"}
        assert "s3cret" not in repr(log)
        assert "gu3ss" not in repr(log)
        server.forget_requests()
        assert server.requests == []


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


def test_tls(certificate: dict[str, str], authority_file: str) -> None:
    """With a certificate the server speaks HTTPS, also where it resets connections."""
    trust = ssl.create_default_context(cafile=authority_file)
    with HostileServer([DOCUMENTED], **certificate, faults=[Fault("reset", after=1)]) as server:
        assert server.url.startswith("https://127.0.0.1:")
        connection = http.client.HTTPSConnection(urlsplit(server.url).netloc, context=trust)
        connection.request("GET", f"{STATUSES}?apiKey=sandbox-key&tag=documented")
        assert json.loads(connection.getresponse().read())["total"] == 2
        connection.request("GET", f"{STATUSES}?apiKey=sandbox-key&tag=documented")
        with pytest.raises(OSError):  # noqa: PT011 - reset, or an end that breaks TLS: it depends on the system
            connection.getresponse()
        connection.close()


def test_no_kind_hides_another() -> None:
    """No name of a kind is given twice."""
    assert len(KINDS) == sum(map(len, TABLES))
