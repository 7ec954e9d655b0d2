"""One connection while one answer is sent over it."""

from __future__ import annotations

import os
import socket
import struct
from email.utils import formatdate
from http import HTTPStatus
from io import BufferedIOBase
from threading import Event
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from smspartner_pipelines.sandbox.answers import Answer


class SandboxStopped(ConnectionAbortedError):
    """The sandbox stops: all that holds a connection lets go of it."""


class Wire:
    """The sending side of one request; `closing` says that the connection ends with this answer."""

    def __init__(self, connection: socket.socket, reader: BufferedIOBase, stopping: Event, *, closing: bool) -> None:
        self._connection = connection
        self._reader = reader
        self._stopping = stopping
        self.closing = closing

    def send(self, data: bytes) -> None:
        """Send some of the answer."""
        self._connection.sendall(data)

    def end(self, data: bytes = b"") -> None:
        """Send the last of the answer."""
        self._connection.sendall(data)

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
        ]
        if self.closing:
            headers.append(("Connection", "close"))
        lines = [f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}", *(": ".join(pair) for pair in headers)]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def pause(self, seconds: float) -> None:
        """Wait.

        Raises:
            SandboxStopped: the sandbox stopped before the time was up.
        """
        if self._stopping.wait(seconds):
            raise SandboxStopped

    def reset(self) -> None:
        """End the connection with RST: unsent data is dropped and the client reads `connection reset`."""
        self.closing = True
        linger = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._reader.close()  # the socket closes for real only when nothing reads from it any more
        self._connection.close()
