"""HTTP/1.1 with keep-alive, a thread for each connection, and an end that does not wait for clients."""

from __future__ import annotations

import socket
import sys
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from smspartner_pipelines.sandbox.wire import Wire

_LONGEST_GOODBYE = 5.0


class HttpServer(ThreadingHTTPServer):
    """Listens, and gives every connection a thread.

    Args:
        address: host and port; port 0 takes a free one.
        exchange: answers one GET request on a wire.
        wire: makes the wire of a request.
        stopping: is set to stop the server.
    """

    request_queue_size = 128  # the default of 5 makes clients that connect all at once wait for a second

    def __init__(
        self,
        address: tuple[str, int],
        exchange: Callable[[BaseHTTPRequestHandler, Any], None],
        wire: type[Wire],
        stopping: Event,
    ) -> None:
        self.exchange, self.wire, self.stopping = exchange, wire, stopping
        self._serving: dict[socket.socket, Thread] = {}
        super().__init__(address, _Handler)

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
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: HttpServer

    def do_GET(self) -> None:
        """Answer one request."""
        wire = self.server.wire(self.connection, self.rfile, self.server.stopping, closing=self.close_connection)
        try:
            self.server.exchange(self, wire)
        except OSError:  # the client left, or the sandbox stops
            wire.closing = True
        self.close_connection = wire.closing

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server names it so
        """Log nothing: URLs hold the key."""
