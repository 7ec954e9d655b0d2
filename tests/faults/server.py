"""The sandbox with every kind of fault, a log of its requests, and TLS."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from smspartner_pipelines.sandbox import Campaign, Sandbox
from smspartner_pipelines.sandbox.http_server import HttpServer
from smspartner_pipelines.sandbox.wire import Wire

from faults.table import KINDS

SILENT = frozenset({"reset", "close", "garbage_status"})
"""The kinds that send no HTTP status."""

_LOGGED_HEADERS = ("User-Agent", "Accept", "Accept-Encoding", "Connection")


@dataclass(frozen=True)
class RequestRecord:
    """What the log keeps of one request; never the key.

    Attributes:
        path: the path of the URL, without its query.
        tag: the tag as sent, None without one.
        page: the page as sent, None without one.
        parameters: the names of all query parameters, in the order sent.
        key_ok: whether the key was the right one.
        headers: the headers of interest that were sent.
        time: when the request arrived, on the monotonic clock: for differences.
        status: the HTTP status it was answered with, None if the connection ended before.
        faults: the kinds of fault that struck it.
    """

    path: str
    tag: str | None
    page: str | None
    parameters: tuple[str, ...]
    key_ok: bool
    headers: Mapping[str, str]
    time: float
    status: int | None
    faults: tuple[str, ...]


class _CountedWire(Wire):
    """Calls `on_end` once, right before the bytes that end the answer leave.

    A client that has its answer may ask again at once, and must not be counted twice then.
    """

    on_end: Callable[[], None] = staticmethod(lambda: None)

    def settle(self) -> None:
        """Say that the answer ends here; harmless when it ended before."""
        on_end, self.on_end = self.on_end, lambda: None
        on_end()

    def end(self, data: bytes = b"") -> None:
        """Send the last of the answer."""
        self.settle()
        super().end(data)

    def reset(self) -> None:
        """End the connection with RST."""
        self.settle()
        super().reset()


class HostileServer(Sandbox):
    """The sandbox with every kind of fault; arguments as `Sandbox` takes them, and those of TLS.

    Args:
        campaigns: as `Sandbox`.
        certfile: a PEM certificate makes it an HTTPS server.
        keyfile: the certificate's key, unless `certfile` holds it.
        host: the address to listen on.
        options: as `Sandbox`.
    """

    kinds = KINDS
    wire = _CountedWire

    def __init__(
        self,
        campaigns: Iterable[Campaign] | None = None,
        *,
        certfile: str | Path | None = None,
        keyfile: str | Path | None = None,
        host: str = "127.0.0.1",
        **options: Any,
    ) -> None:
        super().__init__(campaigns, **options)
        self._host = host
        self._tls: ssl.SSLContext | None = None
        if certfile:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(certfile, keyfile)
        self._log_lock = Lock()
        self._requests: list[RequestRecord] = []
        self._in_flight = 0
        self._peak_in_flight = 0

    @property
    def url(self) -> str:
        """The base URL."""
        url = super().url.replace("127.0.0.1", self._host)
        return url.replace("http:", "https:") if self._tls else url

    @property
    def requests(self) -> list[RequestRecord]:
        """A copy of the log, oldest first; a request is in it before its answer leaves."""
        with self._log_lock:
            return list(self._requests)

    @property
    def peak_in_flight(self) -> int:
        """The most requests that waited for their answers at one time."""
        return self._peak_in_flight

    def forget_requests(self) -> None:
        """Empty the log, and measure `peak_in_flight` anew."""
        with self._log_lock:
            self._requests.clear()
            self._peak_in_flight = self._in_flight

    def set_campaign(self, campaign: Campaign) -> None:
        """Serve this population under its tag from the next request on."""
        self.campaigns[campaign.tag] = campaign

    def remove_campaign(self, tag: str) -> None:
        """Know nothing under this tag from the next request on."""
        self.campaigns.pop(tag, None)

    def listen(self) -> HttpServer:
        """Open the port, with TLS where there is a certificate."""
        server = HttpServer((self._host, self._port), self.exchange, self.wire, self._stopping)
        if self._tls:
            # The handshake waits for the connection's own thread: a slow client must not hold up the others.
            server.socket = self._tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        return server

    def exchange(self, request: BaseHTTPRequestHandler, wire: Wire) -> None:
        """Answer one request, and log it."""
        assert isinstance(wire, _CountedWire)
        arrived = time.monotonic()
        with self._log_lock:
            self._in_flight += 1
            self._peak_in_flight = max(self._peak_in_flight, self._in_flight)
        wire.on_end = self._end
        try:
            answer, strikes = self.respond(request.path)
            kinds = tuple(strike.kind for strike in strikes)
            status = None if SILENT.intersection(kinds) else answer.status
            self._log(request, arrived, status, kinds)
            self.deliver(answer, strikes, wire)
        finally:
            wire.settle()

    def _end(self) -> None:
        with self._log_lock:
            self._in_flight -= 1

    def _log(self, request: BaseHTTPRequestHandler, arrived: float, status: int | None, kinds: tuple[str, ...]) -> None:
        url = urlsplit(request.path)
        pairs = parse_qsl(url.query, keep_blank_values=True)
        query = dict(pairs)
        record = RequestRecord(
            path=url.path,
            tag=query.get("tag"),
            page=query.get("page"),
            parameters=tuple(name for name, _ in pairs),
            key_ok="apiKey" in query and self._api_key in (None, query["apiKey"]),
            headers={name: request.headers[name] for name in _LOGGED_HEADERS if name in request.headers},
            time=arrived,
            status=status,
            faults=kinds,
        )
        with self._log_lock:
            self._requests.append(record)
