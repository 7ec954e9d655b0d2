"""The connections that requests go through: one whole answer within its time, and what each failure means.

A socket's own timeout begins anew with every byte, so heads, chunk sizes and bodies that drip would go on for hours: a
watchdog shuts the socket at the deadline. Failures are mapped by class and code alone: their texts hold the URL, and so
the key, and are never looked at nor passed on.
"""

from __future__ import annotations

import logging
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http import HTTPStatus
from http.client import BadStatusLine, HTTPException, HTTPResponse, IncompleteRead, RemoteDisconnected
from typing import Any

import requests.adapters
import urllib3
from requests import exceptions as of_requests
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3 import exceptions as of_urllib3

from smspartner.errors import ConnectionFailed, CutBody, RequestError, ResponseTimeout

_current = threading.local()

_BAD_PROXY = of_requests.ProxyError, of_urllib3.ProxyError, of_requests.InvalidSchema, of_requests.InvalidURL
"""The last two: SOCKS, and what is no URL; the base URL was checked."""

_LATE = of_requests.Timeout, of_urllib3.TimeoutError, TimeoutError
_DAMAGED = (
    *(of_requests.ChunkedEncodingError, of_requests.ContentDecodingError),
    *(of_urllib3.DecodeError, of_urllib3.ProtocolError, IncompleteRead),
)
_OTHERS = of_requests.RequestException, of_urllib3.HTTPError, HTTPException, OSError
_MEANINGS: tuple[tuple[tuple[type[BaseException], ...], type[RequestError], str], ...] = (
    (_BAD_PROXY, ConnectionFailed, "no answer: the proxy named by the environment can't be used"),
    ((socket.gaierror,), ConnectionFailed, "no answer: the host name can't be resolved"),
    ((ConnectionRefusedError,), ConnectionFailed, "no answer: the connection was refused"),
    ((RemoteDisconnected,), ConnectionFailed, "no answer: the server closed the connection"),
    ((BadStatusLine,), ConnectionFailed, "no answer: what answers there does not speak HTTP"),
    (_LATE, ResponseTimeout, "no whole answer within {timeout:g} s"),
    ((ConnectionError,), ConnectionFailed, "no answer: the connection was reset"),
    (_DAMAGED, CutBody, "the answer was cut off or damaged on its way"),
    (_OTHERS, ConnectionFailed, "no answer: the connection failed ({kind})"),
)
"""The first that fits an exception, or one it was made from, counts."""

_UNTRUSTED = (
    "its certificate is not trusted (see REQUESTS_CA_BUNDLE)",
    "name your own authority's file in REQUESTS_CA_BUNDLE",
)
_OTHER_HOST = "its certificate is for another host", "check --base-url"
_CERTIFICATES = {
    10: ("its certificate has expired, or this machine's clock is wrong", "check the clock, or ask the server's owner"),
    62: _OTHER_HOST,
    64: _OTHER_HOST,
}
"""X509_V_ERR_CERT_HAS_EXPIRED, _HOSTNAME_MISMATCH, _IP_ADDRESS_MISMATCH of OpenSSL."""

_INTERIM = range(100, 200)
_WITHOUT_BODY = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})
"""A body that follows such a status all the same may come late, and would be taken for the next answer."""

_NOT_TLS = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "UNKNOWN_PROTOCOL"})


class Deadline:
    """When one answer must be whole; `cut` says that it was not, and its connection was shut."""

    def __init__(self, at: float) -> None:
        self.at = at
        self.cut = False
        self._line: socket.socket | None = None

    def use(self, line: socket.socket) -> None:
        """Note the connection that the answer comes through."""
        self._line = line
        if self.cut:  # it came while the connection was made
            raise TimeoutError

    def expire(self) -> None:
        """Shut the connection, which wakes the thread that reads from it."""
        self.cut = True
        if self._line is not None:
            with suppress(OSError):
                self._line.shutdown(socket.SHUT_RDWR)


class Watchdog:
    """Ends the answers of all threads that are not whole within so many seconds, and a twentieth or 0.25 s more."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._open: set[Deadline] = set()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> Deadline:
        """Begin the time of the calling thread's next answer."""
        deadline = _current.deadline = Deadline(time.monotonic() + self._seconds)
        with self._lock:
            self._open.add(deadline)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="smspartner-watchdog", daemon=True)
                self._thread.start()
        return deadline

    def stop(self, deadline: Deadline) -> None:
        """End it: from here on, the connection may serve the next one."""
        with self._lock:
            self._open.discard(deadline)
        _current.deadline = None

    def close(self) -> None:
        """End the thread."""
        self._closed.set()

    def _run(self) -> None:
        while not self._closed.wait(min(self._seconds / 20, 0.25)):
            with self._lock:
                late = [deadline for deadline in self._open if deadline.at <= time.monotonic()]
                for deadline in late:
                    deadline.expire()
                self._open.difference_update(late)


class _Response(HTTPResponse):
    """The only response to its request: answers do not name their tag, so one too many would shift all that follow."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self._sock = sock

    def _read_status(self) -> tuple[str, int, str]:
        """Take each interim answer for HTTP 100, which http.client skips: the one that counts follows."""
        version, status, reason = super()._read_status()  # type: ignore[misc]
        return version, HTTPStatus.CONTINUE if status in _INTERIM else status, reason

    def _close_conn(self) -> None:
        """End the answer; where it has no body, or more has arrived than it holds, the connection is not used again."""
        limit = self._sock.gettimeout()
        with suppress(OSError, ValueError):  # nothing has arrived, or there is no connection any more
            self._sock.settimeout(0)
            if self.status in _WITHOUT_BODY or self.fp.peek(1):
                socket.socket.shutdown(self._sock, socket.SHUT_RDWR)
        with suppress(OSError):
            self._sock.settimeout(limit)
        super()._close_conn()  # type: ignore[misc]


class _Watched:
    """A connection whose socket the deadline of its thread can shut, during a TLS handshake, too."""

    response_class = _Response
    debuglevel = 0  # debugging with http.client's own must not print URLs
    _line: socket.socket | None = None

    def _new_conn(self) -> socket.socket:
        sock: socket.socket = super()._new_conn()  # type: ignore[misc]
        self._line = sock.dup()  # `ssl` takes the plain socket apart while it shakes hands
        _current.deadline.use(self._line)
        return sock

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self._line is not None:
            _current.deadline.use(self._line)
        super().request(*args, **kwargs)  # type: ignore[misc]

    def close(self) -> None:
        super().close()  # type: ignore[misc]
        if self._line is not None:
            self._line.close()
            self._line = None


def _watched(pool: type[HTTPConnectionPool]) -> type[HTTPConnectionPool]:
    """Give a pool of such connections."""
    connection = type("Connection", (_Watched, pool.ConnectionCls), {})
    return type("Pool", (pool,), {"ConnectionCls": connection})


_POOLS = {"http": _watched(HTTPConnectionPool), "https": _watched(HTTPSConnectionPool)}


class DeadlineAdapter(requests.adapters.HTTPAdapter):
    """Connects with the classes above, directly and through a proxy."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Use them directly."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> urllib3.ProxyManager:
        """Use them through a proxy."""
        manager: urllib3.ProxyManager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager


def _not_ours(record: logging.LogRecord) -> bool:
    """Keep urllib3 from printing head lines that it can't parse, with a traceback, while it serves us."""
    return record.levelno < logging.WARNING or getattr(_current, "deadline", None) is None


logging.getLogger(HTTPConnectionPool.ConnectionCls.__module__).addFilter(_not_ours)


def map_failure(exc: Exception, timeout: float) -> RequestError:
    """Give our error for what a request of `timeout` seconds raised, without its text, cause and frames."""
    chain = tuple(_chain(exc))
    for one in chain:
        if isinstance(one, ssl.SSLError):
            return _tls_failure(one)
    for kinds, error, meaning in _MEANINGS:
        if any(isinstance(one, kinds) for one in chain):
            return error(meaning.format(timeout=timeout, kind=type(exc).__name__))
    return RequestError(f"the request failed in an unknown way ({type(exc).__name__})", remedy="report this bug")


def _chain(exc: BaseException) -> Iterator[BaseException]:
    """List an exception and those that it was made from, each once."""
    left, seen = [exc], set[int]()
    while left:
        one = left.pop(0)
        if id(one) not in seen:
            seen.add(id(one))
            yield one
            made_from = (one.__cause__, one.__context__, getattr(one, "reason", None), *one.args)
            left += [other for other in made_from if isinstance(other, BaseException)]


def _tls_failure(exc: ssl.SSLError) -> ConnectionFailed:
    """Say why there is no TLS; what has a remedy would be met again by the next try."""
    meaning, remedy = "the connection could not be secured", None
    if isinstance(exc, ssl.SSLCertVerificationError):
        meaning, remedy = _CERTIFICATES.get(exc.verify_code, _UNTRUSTED)
    elif exc.reason in _NOT_TLS:
        meaning, remedy = "what answers there does not speak TLS", "check --base-url"
    return ConnectionFailed(f"no secure connection to the server: {meaning}", remedy=remedy, retryable=remedy is None)
