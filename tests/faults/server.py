"""The sandbox with every kind of fault, a log of its requests, and TLS."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from smspartner_pipelines.sandbox import FAULT_KINDS, Campaign, Sandbox
from smspartner_pipelines.sandbox.answers import Answer
from smspartner_pipelines.sandbox.http_server import HttpServer, Wire

from faults import answer_faults, echo_faults, page_faults, row_faults, transport_faults

_TABLES = (answer_faults, echo_faults, page_faults, row_faults, transport_faults)
KINDS = {name: kind for table in (FAULT_KINDS, *(one.KINDS for one in _TABLES)) for name, kind in table.items()}
"""Every kind of fault by its name: those of the product's sandbox, and all others."""

SILENT = frozenset({"reset", "close", "garbage_status"})
"""The kinds that send no HTTP status."""

_LOGGED_HEADERS = ("User-Agent", "Accept", "Accept-Encoding", "Connection")


@dataclass(frozen=True)
class RequestRecord:
    """What the log keeps of one request, never the key: tag and page as sent, and the names of all query parameters.

    `time` is when it arrived, on the monotonic clock; `status` is None if the connection ended before there was one;
    `faults` are the kinds of fault that struck it.
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
    """Calls `on_end` once, right before the bytes that end the answer leave: the client may ask again at once."""

    on_end: Callable[[], None] | None = None

    def settle(self) -> None:
        """Say that the answer ends here; harmless when it ended before."""
        on_end, self.on_end = self.on_end, None
        if on_end:
            on_end()

    def end(self, data: bytes = b"") -> None:
        """Send the last of the answer."""
        self.settle()
        super().end(data)

    def reset(self) -> None:
        """End the connection with RST."""
        self.settle()
        super().reset()


class _TlsServer(HttpServer):
    tls: ssl.SSLContext

    def get_request(self) -> tuple[Any, Any]:
        """Accept a connection, whose own thread shakes hands: a slow client must not hold up the others."""
        connection, address = super().get_request()
        return self.tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address


class HostileServer(Sandbox):
    """The sandbox with every kind of fault; `options` are those of `Sandbox`.

    A PEM certificate with its key (`certfile`) makes it an HTTPS server; `host` is the address to listen on.
    """

    kinds = KINDS

    def __init__(
        self, campaigns: Any = None, *, certfile: str | None = None, host: str = "127.0.0.1", **options: Any
    ) -> None:
        super().__init__(campaigns, **options)
        self._host, self._certfile = host, certfile
        self._log_lock = Lock()
        self._requests: list[RequestRecord] = []
        self._in_flight = self.peak_in_flight = 0
        """The most requests that waited for their answers at one time."""

    @property
    def url(self) -> str:
        """The base URL."""
        url = super().url.replace("127.0.0.1", self._host)
        return url.replace("http:", "https:") if self._certfile else url

    @property
    def requests(self) -> list[RequestRecord]:
        """A copy of the log, oldest first; a request is in it before its answer leaves."""
        with self._log_lock:
            return list(self._requests)

    def forget_requests(self) -> None:
        """Empty the log, and measure `peak_in_flight` anew."""
        with self._log_lock:
            self._requests.clear()
            self.peak_in_flight = self._in_flight

    def set_campaign(self, campaign: Campaign) -> None:
        """Serve this population under its tag from the next request on."""
        self.campaigns[campaign.tag] = campaign

    def remove_campaign(self, tag: str) -> None:
        """Know nothing under this tag from the next request on."""
        self.campaigns.pop(tag, None)

    def listen(self) -> HttpServer:
        """Open the port, with TLS where there is a certificate."""
        kind = HttpServer
        if self._certfile:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(self._certfile)
            kind = type("TlsServer", (_TlsServer,), {"tls": tls})
        return kind((self._host, self._port), _CountedWire, self.exchange)

    def exchange(self, wire: Wire) -> None:
        """Answer one request, and log it."""
        assert isinstance(wire, _CountedWire)
        arrived = time.monotonic()
        with self._log_lock:
            self._in_flight += 1
            self.peak_in_flight = max(self.peak_in_flight, self._in_flight)
        wire.on_end = self._end
        try:
            answer, strikes = self.respond(wire.path)
            with self._log_lock:
                self._requests.append(self._record(wire, arrived, answer, tuple(strike.kind for strike in strikes)))
            self.deliver(answer, strikes, wire)
        finally:
            wire.settle()

    def _end(self) -> None:
        with self._log_lock:
            self._in_flight -= 1

    def _record(self, wire: Wire, arrived: float, answer: Answer, kinds: tuple[str, ...]) -> RequestRecord:
        url = urlsplit(wire.path)
        pairs = parse_qsl(url.query, keep_blank_values=True)
        query = dict(pairs)
        return RequestRecord(
            path=url.path,
            tag=query.get("tag"),
            page=query.get("page"),
            parameters=tuple(name for name, _ in pairs),
            key_ok="apiKey" in query and self._api_key in (None, query["apiKey"]),
            headers={name: wire.headers[name] for name in _LOGGED_HEADERS if name in wire.headers},
            time=arrived,
            status=None if SILENT.intersection(kinds) else answer.status,
            faults=kinds,
        )
