"""What happens on the wire: a deadline for a whole response, and what each failure of the HTTP libraries means."""

from __future__ import annotations

import io
import socket
import time
from http.client import HTTPResponse
from typing import Any

import requests
import requests.adapters
import urllib3
import urllib3.connection
import urllib3.connectionpool

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


def _tls_failure(exc: Exception) -> ConnectionFailed:
    failure = ConnectionFailed("TLS failed: the connection could not be secured")
    if "CERTIFICATE_VERIFY_FAILED" in str(exc):
        failure = ConnectionFailed(
            "TLS failed: the server's certificate is not trusted; name your own authority's file in REQUESTS_CA_BUNDLE"
        )
        failure.retryable = False
    return failure


def _what_failed(exc: Exception) -> str:
    text = str(exc)
    for mark, meaning in (
        ("NameResolutionError", "the host name can't be resolved"),
        ("getaddrinfo", "the host name can't be resolved"),
        ("refused", "the connection was refused"),
        ("reset", "the connection was reset"),
        ("closed connection", "the server closed the connection"),
        ("RemoteDisconnected", "the server closed the connection"),
        ("unreachable", "the network or host is unreachable"),
    ):
        if mark in text:
            return meaning
    return f"the connection failed ({type(exc).__name__})"


class _DeadlineReader(io.RawIOBase):
    """Reads from a socket until a deadline for the whole response.

    A socket's own timeout starts anew with every byte, so a response that drips would never end.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)
        limit = sock.gettimeout()
        self._deadline = None if limit is None else time.monotonic() + limit

    def readable(self) -> bool:
        """Tell `io.BufferedReader` that this is a source."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read what has arrived, or wait for it until the deadline."""
        if self._deadline is not None:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("timed out")
            self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        """Let go of the socket."""
        self._raw.close()
        super().close()


class _DeadlineResponse(HTTPResponse):
    """A response that must be whole, headers and body, within the socket's timeout."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self.fp = io.BufferedReader(_DeadlineReader(sock), 1 << 16)


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
