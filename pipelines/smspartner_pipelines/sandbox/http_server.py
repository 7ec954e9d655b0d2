"""HTTP/1.1 with keep-alive, a thread for each connection, and an end that does not wait for clients."""

from __future__ import annotations

import os
import socket
import struct
import sys
from contextlib import suppress
from email.utils import formatdate
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from smspartner_pipelines.sandbox.answers import Answer

_POLL_SECONDS = 0.01  # `stop` waits that long at most for the listening thread
_LONGEST_GOODBYE = 5.0


class HttpServer(ThreadingTCPServer):
    """Serves on this address (port 0: a free one) from now on; `exchange` answers one GET request on a wire."""

    allow_reuse_address = True
    request_queue_size = 128  # the default of 5 makes clients that connect all at once wait for a second

    def __init__(self, address: tuple[str, int], wire: type[Wire], exchange: Callable[[Any], None]) -> None:
        self.exchange, self.stopping = exchange, Event()
        self._serving: dict[socket.socket, Thread] = {}
        super().__init__(address, wire)
        self._listening = Thread(target=self.serve_forever, args=(_POLL_SECONDS,), name="sandbox", daemon=True)
        self._listening.start()

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

    def stop(self) -> None:
        """Shut the port and every connection, which wakes its thread, and wait for the threads."""
        self.stopping.set()
        self.shutdown()
        self.server_close()
        for connection in self._serving:
            with suppress(OSError):
                # Not the method of TLS sockets, which would take the session away under a reading thread.
                socket.socket.shutdown(connection, socket.SHUT_RDWR)
        for thread in (self._listening, *self._serving.values()):
            thread.join(_LONGEST_GOODBYE)


class Wire(BaseHTTPRequestHandler):
    """One connection while answers are sent over it; it ends with this answer where `close_connection` is set."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: HttpServer

    def do_GET(self) -> None:
        """Answer one request."""
        try:
            self.server.exchange(self)
        except OSError:  # the client left, or the sandbox stops
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server names it so
        """Log nothing: URLs hold the key."""

    def send(self, data: bytes) -> None:
        """Send some of the answer."""
        self.connection.sendall(data)

    def end(self, data: bytes = b"") -> None:
        """Send the last of the answer."""
        self.connection.sendall(data)

    def answer(self, answer: Answer) -> None:
        """Send a whole answer, in one write."""
        self.end(self.head(answer, ("Content-Length", str(len(answer.body)))) + answer.body)

    def head(self, answer: Answer, framing: tuple[str, str]) -> bytes:
        """Write the head of an answer whose body is framed by this header."""
        headers = [
            ("Server", "smspartner-sandbox"),
            ("Date", formatdate(usegmt=True)),
            ("Content-Type", answer.content_type),
            *answer.headers,
            framing,
            *([("Connection", "close")] if self.close_connection else []),
        ]
        lines = [f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}", *(": ".join(pair) for pair in headers)]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def pause(self, seconds: float) -> None:
        """Wait.

        Raises:
            ConnectionAbortedError: the sandbox stopped before the time was up; the connection ends.
        """
        if self.server.stopping.wait(seconds):
            raise ConnectionAbortedError

    def reset(self) -> None:
        """End the connection with RST: unsent data is dropped and the client reads `connection reset`."""
        self.close_connection = True
        linger = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.rfile.close()  # the socket closes for real only when nothing reads from it any more
        self.connection.close()
