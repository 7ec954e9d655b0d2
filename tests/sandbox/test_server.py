"""The sandbox logs no key, keeps connections, and stops when told to."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from smspartner_pipelines.sandbox import DOCUMENTED, Campaign, Fault, Sandbox, serve

if TYPE_CHECKING:
    from collections.abc import Callable

    Ask = Callable[..., Any]

STATUSES = "/v1/bulk-status-by-tag"
SENT = 1_760_000_000
PROMO = Campaign("promo", 25, SENT)


def test_requests_are_logged_without_the_key(ask: Ask, ask_raw: Ask) -> None:
    """The log has what was asked and answered, and whether the key was right, but never a key."""
    with Sandbox([PROMO], api_key="s3cret", faults=[Fault("server_error", page=2)]) as sandbox:
        ask(sandbox, "promo", key="s3cret")
        ask(sandbox, "promo", 2, key="gu3ss")
        ask_raw(sandbox, "/v1/me?apiKey=s3cret")
        log = sandbox.requests

        assert [(one.path, one.tag, one.page, one.parameters, one.key_ok, one.status, one.faults) for one in log] == [
            (STATUSES, "promo", None, ("apiKey", "tag"), True, 200, ()),
            (STATUSES, "promo", "2", ("apiKey", "tag", "page"), False, 500, ("server_error",)),
            ("/v1/me", None, None, ("apiKey",), True, 200, ()),
        ]
        assert log[0].time <= log[1].time <= log[2].time
        assert log[0].headers == {"Accept-Encoding": "identity"}
        assert "s3cret" not in repr(log)
        assert "gu3ss" not in repr(log)
        sandbox.forget_requests()
        assert sandbox.requests == []


def test_nothing_is_printed(ask: Ask, capfd: pytest.CaptureFixture[str]) -> None:
    """The sandbox prints nothing, since URLs hold the key; not even about requests that are no HTTP."""
    with Sandbox() as sandbox:
        ask(sandbox, "documented")
        address = (urlsplit(sandbox.url).hostname, urlsplit(sandbox.url).port)
        with socket.create_connection(address) as client:
            client.sendall(b"GARBAGE apiKey=sandbox-key\r\n\r\n")
            client.recv(1000)

    assert tuple(capfd.readouterr()) == ("", "")


def test_connections_are_kept_alive() -> None:
    """One connection serves many requests, also after an error."""
    with Sandbox([DOCUMENTED]) as sandbox:
        connection = http.client.HTTPConnection(urlsplit(sandbox.url).netloc)
        for tag in ("documented", "unknown", "documented"):
            connection.request("GET", f"{STATUSES}?apiKey=sandbox-key&tag={tag}")
            response = connection.getresponse()
            response.read()
            assert not response.will_close
        assert connection.sock is not None
        connection.close()


def test_peak_in_flight(ask: Ask) -> None:
    """The peak counts requests that wait at the same time, and one after the other count as one."""
    with Sandbox([PROMO]) as sandbox:
        for _ in range(20):
            ask(sandbox, "promo")
        assert sandbox.peak_in_flight == 1

        together = threading.Barrier(4, timeout=30)

        def clock() -> float:
            together.wait()
            return SENT

        with Sandbox([PROMO], clock=clock) as waiting, ThreadPoolExecutor(4) as pool:
            for reply in [pool.submit(ask, waiting, "promo") for _ in range(4)]:
                assert reply.result().status == 200
            assert waiting.peak_in_flight == 4


def test_latency_delays_every_answer(ask: Ask) -> None:
    """With latency every answer still comes, whole."""
    with Sandbox([DOCUMENTED], latency=0.01) as sandbox:
        assert ask(sandbox, "documented").document["total"] == 2


@pytest.mark.parametrize("kind", ["drip", "endless", "slow", "huge"])
def test_stop_does_not_wait_for_connections(kind: str) -> None:
    """Stopping ends every connection and thread, also those that a fault would hold for an hour."""
    before = set(threading.enumerate())
    asked = threading.Event()

    def clock() -> float:
        asked.set()
        return SENT

    sandbox = Sandbox([PROMO], faults=[Fault(kind, seconds=3600)], clock=clock)
    sandbox.start()
    address = (urlsplit(sandbox.url).hostname, urlsplit(sandbox.url).port)
    with socket.create_connection(address) as idle, socket.create_connection(address) as held:
        held.sendall(f"GET {STATUSES}?apiKey=sandbox-key&tag=promo HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert asked.wait(30)
        if kind != "slow":
            assert held.recv(1) == b"H"  # the fault has begun
        sandbox.stop()
        assert set(threading.enumerate()) <= before
        assert idle.recv(1) == b""
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)


def test_life_cycle() -> None:
    """A sandbox has a URL while it runs, can run again, and may be stopped twice."""
    sandbox = Sandbox([])
    with pytest.raises(RuntimeError, match="does not run"):
        _ = sandbox.url
    with sandbox, pytest.raises(RuntimeError, match="runs already"):
        sandbox.start()
    with sandbox:
        assert sandbox.url.startswith("http://127.0.0.1:")
    sandbox.stop()


def test_taken_port() -> None:
    """A port that is taken is an OSError, and the port asked for is the port served."""
    with Sandbox([]) as first:
        port = urlsplit(first.url).port or 0
        with pytest.raises(OSError, match="in use"):
            Sandbox([], port=port).start()
    with Sandbox([], port=port) as second:
        assert second.url == f"http://127.0.0.1:{port}/v1"


def test_page_size_must_be_positive() -> None:
    """A page without rows is refused when the sandbox is made."""
    with pytest.raises(ValueError, match="page_size must be 1 or more, not 0"):
        Sandbox(page_size=0)


def test_serve_until_interrupted() -> None:
    """`serve` tells the URL once, and Ctrl-C ends it without a traceback."""
    told: list[str] = []

    def ready(url: str) -> None:
        told.append(url)
        raise KeyboardInterrupt

    sandbox = Sandbox([])
    serve(sandbox, ready)

    assert [url.split(":")[0] for url in told] == ["http"]
    with pytest.raises(RuntimeError, match="does not run"):
        _ = sandbox.url


def test_serve_ends_when_the_sandbox_is_stopped() -> None:
    """`serve` returns when another thread stops the sandbox."""
    sandbox = Sandbox([])
    running = threading.Event()
    thread = threading.Thread(target=serve, args=(sandbox, lambda _: running.set()))
    thread.start()
    assert running.wait(30)
    sandbox.stop()
    thread.join(30)

    assert not thread.is_alive()


def test_tls(certificate: dict[str, str], authority_file: str) -> None:
    """With a certificate the sandbox speaks HTTPS, also where it resets connections."""
    trust = ssl.create_default_context(cafile=authority_file)

    with Sandbox([DOCUMENTED], **certificate, faults=[Fault("reset", after=1)]) as sandbox:
        assert sandbox.url.startswith("https://127.0.0.1:")
        connection = http.client.HTTPSConnection(urlsplit(sandbox.url).netloc, context=trust)
        connection.request("GET", f"{STATUSES}?apiKey=sandbox-key&tag=documented")
        assert json.loads(connection.getresponse().read())["total"] == 2
        connection.request("GET", f"{STATUSES}?apiKey=sandbox-key&tag=documented")
        with pytest.raises(OSError):  # noqa: PT011 - reset, or an end that breaks TLS: it depends on the system
            connection.getresponse()
        connection.close()
