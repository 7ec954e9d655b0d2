"""HTTP/1.1 with keep-alive, a thread for each connection, and an end that does not wait for clients."""

from __future__ import annotations

import socket
import ssl
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from threading import Event, Thread
from typing import Any

from smspartner_pipelines.sandbox.wire import Wire

Exchange = Callable[[str, Mapping[str, str], Wire], None]
"""Answers one GET request: its target (path and query), its headers, and the wire to answer on."""

_LONGEST_GOODBYE = 5.0


class HttpServer(ThreadingHTTPServer):
    """Listens, and gives every connection a thread; `stopping` is set by whoever stops it."""

    request_queue_size = 128  # the default of 5 makes clients that connect all at once wait for a second

    def __init__(
        self, address: tuple[str, int], exchange: Exchange, stopping: Event, tls: ssl.SSLContext | None
    ) -> None:
        self.exchange = exchange
        self.stopping = stopping
        self._serving: dict[socket.socket, Thread] = {}
        super().__init__(address, _Handler)
        if tls:
            # The handshake waits for the connection's own thread: a slow client must not hold up the others.
            self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def server_bind(self) -> None:
        """Bind without the reverse name lookup of the base class, which can take seconds."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        """Give the connection a thread; unlike the base class, remember both."""
        thread = Thread(target=self.process_request_thread, args=(request, client_address), daemon=True)
        self._serving = {connection: one for connection, one in self._serving.items() if one.is_alive()}
        self._serving[request] = thread
        thread.start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay silent about clients that leave; report anything else."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    def end_connections(self) -> None:
        """Shut every connection, which wakes its thread, and wait for the threads; to be called after `shutdown`."""
        for connection in self._serving:
            with suppress(OSError):
                # Not the method of TLS sockets, which would take the session away under a reading thread.
                socket.socket.shutdown(connection, socket.SHUT_RDWR)
        for thread in self._serving.values():
            thread.join(_LONGEST_GOODBYE)


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: HttpServer

    def do_GET(self) -> None:
        """Answer one request."""
        wire = Wire(self.connection, self.rfile, self.server.stopping)
        wire.closing = self.close_connection
        # http.server's headers are an email Message, a mapping in all but name.
        headers: Any = self.headers
        try:
            self.server.exchange(self.path, headers, wire)
        except OSError:  # the client left, or the sandbox stops
            wire.closing = True
        self.close_connection = wire.closing

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server names it so
        """Log nothing: URLs hold the key."""


def tls_context(certfile: str | Path, keyfile: str | Path | None) -> ssl.SSLContext:
    """Make the server side of TLS with this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certfile, keyfile)
    return context
