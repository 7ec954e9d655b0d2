"""What happens on the wire: one whole answer in time and nothing beyond it, and what each failure there means."""

from __future__ import annotations

import io
import socket
import ssl
import time
from contextlib import suppress
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from typing import Any

import requests
import requests.adapters
import urllib3
import urllib3.connection
import urllib3.connectionpool
from urllib3.util.wait import wait_for_read

from smspartner.errors import ConnectionFailed, RequestError, ResponseTimeout, UnreadableBody


def map_failure(exc: Exception, timeout: float) -> RequestError:
    """Map whatever `requests` and what it stands on can raise; nothing of its text is kept, since it holds the URL."""
    if isinstance(exc, requests.exceptions.SSLError | urllib3.exceptions.SSLError):
        return _tls_failure(exc)
    if isinstance(exc, requests.Timeout | urllib3.exceptions.TimeoutError | TimeoutError) or "timed out" in str(exc):
        return ResponseTimeout(f"no whole answer within {timeout:g} s")
    if isinstance(exc, requests.exceptions.ProxyError):
        return ConnectionFailed("the proxy named by the environment can't be used")
    if isinstance(exc, _CUT):
        return UnreadableBody("the answer was cut off or garbled on its way")
    return ConnectionFailed(f"no answer: {_what_failed(exc)}")


_CUT = (
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
    urllib3.exceptions.DecodeError,
    urllib3.exceptions.IncompleteRead,
    urllib3.exceptions.InvalidChunkLength,
    urllib3.exceptions.ProtocolError,
)


_NO_TLS = "what answers there does not speak TLS; check the base URL"
_WRONG_HOST = "the server's certificate is for another host; check the base URL"
_LASTING_TLS_TROUBLE = (
    ("certificate has expired", "the server's certificate has expired, or this machine's clock is wrong"),
    ("Hostname mismatch", _WRONG_HOST),
    ("IP address mismatch", _WRONG_HOST),
    (
        "CERTIFICATE_VERIFY_FAILED",
        "the server's certificate is not trusted; name your own authority's file in REQUESTS_CA_BUNDLE",
    ),
    ("WRONG_VERSION_NUMBER", _NO_TLS),
    ("record layer failure", _NO_TLS),
)
"""What the next try would meet again."""


def _tls_failure(exc: Exception) -> ConnectionFailed:
    text = str(exc)
    for mark, meaning in _LASTING_TLS_TROUBLE:
        if mark in text:
            failure = ConnectionFailed(f"TLS failed: {meaning}")
            failure.retryable = False
            return failure
    return ConnectionFailed("TLS failed: the connection could not be secured")


def _what_failed(exc: Exception) -> str:
    text = str(exc)
    for mark, meaning in (
        ("NameResolutionError", "the host name can't be resolved"),
        ("getaddrinfo", "the host name can't be resolved"),
        ("refused", "the connection was refused"),
        ("reset", "the connection was reset"),
        ("closed connection", "the server closed the connection"),
        ("RemoteDisconnected", "the server closed the connection"),
        ("invalid path", "the file that REQUESTS_CA_BUNDLE names can't be found; correct that variable"),
        ("unreachable", "the network or host is unreachable"),
        ("BadStatusLine", "what answers there does not speak HTTP"),
    ):
        if mark in text:
            return meaning
    return f"the connection failed ({type(exc).__name__})"


_NEARLY = 0.99
"""Of the time that an answer has: once less is left, the socket is told."""


def _has_arrived(sock: socket.socket) -> bool:
    """Whether there may be something to read; what TLS has unpacked already is no longer in the socket."""
    if isinstance(sock, ssl.SSLSocket) and sock.pending():
        return True
    try:
        return wait_for_read(sock, timeout=0.0)
    except (OSError, ValueError):  # there is no connection any more
        return False


class _DeadlineReader(io.RawIOBase):
    """Reads from a socket until a deadline for the whole response.

    A socket's own timeout starts anew with every byte, so a response that drips would never end.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)
        self._limit = sock.gettimeout()
        self._deadline = None if self._limit is None else time.monotonic() + self._limit
        self._waits = True

    def readable(self) -> bool:
        """Tell `io.BufferedReader` that this is a source."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read what has arrived, or wait for it until the deadline."""
        if not self._waits:
            return self._read_at_once(buffer)
        if self._deadline is not None and self._limit is not None:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("timed out")
            if left < self._limit * _NEARLY:  # before, the socket's own timeout is as good, and costs no system call
                self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def stop_waiting(self) -> None:
        """From now on, read what has arrived and wait for nothing."""
        self._waits = False

    def _read_at_once(self, buffer: Any) -> int | None:
        if not _has_arrived(self._sock):
            return None
        limit = self._sock.gettimeout()
        with suppress(OSError, ValueError):  # nothing has arrived, or there is no connection any more
            self._sock.settimeout(0)
            try:
                return self._raw.readinto(buffer)
            finally:
                self._sock.settimeout(limit)  # a proxy's tunnel goes on with the socket as it was
        return None

    def close(self) -> None:
        """Let go of the socket."""
        self._raw.close()
        super().close()


class _AnswerReader(io.BufferedReader):
    """Reads one answer; `surplus` tells, once it is closed, whether more had arrived than was read."""

    surplus = False

    def __init__(self, sock: socket.socket) -> None:
        self._source = _DeadlineReader(sock)
        super().__init__(self._source, 1 << 16)

    def close(self) -> None:
        """Let go of the socket."""
        if not self.closed:
            self._source.stop_waiting()
            self.surplus = bool(self.peek(1))
        super().close()


class _DeadlineResponse(HTTPResponse):
    """A response that must be whole, headers and body, within the socket's timeout, and the only one on the wire.

    Answers do not name their tag. Bytes beyond the end of one belong to another, or to none: which answer is whose
    can't be told any more on that connection, so neither is believed, and the connection is not used again.
    """

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self.fp = self._reader = _AnswerReader(sock)

    def begin(self) -> None:
        """Read the head; interim answers (1xx) may come before it, also such that were not asked for."""
        super().begin()
        while self.status < HTTPStatus.OK:
            self.headers = None  # type: ignore[assignment]  # else the base class takes the head for read
            super().begin()

    def read(self, amt: int | None = None) -> bytes:
        """Read the body.

        Raises:
            HTTPException: it is read to its end, and more has arrived.
        """
        data = super().read(amt)
        if self.isclosed() and self._reader.surplus:
            raise HTTPException("there are bytes beyond the end of the answer")
        return data


class _HTTPConnection(urllib3.connection.HTTPConnection):
    response_class = _DeadlineResponse
    debuglevel = 0  # whoever debugs with http.client's own must not get URLs printed


class _HTTPSConnection(urllib3.connection.HTTPSConnection):
    response_class = _DeadlineResponse
    debuglevel = 0


class _HTTPPool(urllib3.connectionpool.HTTPConnectionPool):
    ConnectionCls = _HTTPConnection


class _HTTPSPool(urllib3.connectionpool.HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection


class DeadlineAdapter(requests.adapters.HTTPAdapter):
    """Connects with the classes above, directly and through a proxy."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Use the connections above directly."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> urllib3.ProxyManager:
        """Use the connections above through a proxy."""
        manager: urllib3.ProxyManager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}
        return manager
