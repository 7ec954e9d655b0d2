"""One whole answer within its time: connections of urllib3 whose socket a watchdog shuts at the deadline.

A socket's own timeout begins anew with every byte, so heads, chunk sizes and bodies that drip would go on for hours.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections import deque
from contextlib import suppress
from http import HTTPStatus
from http.client import HTTPResponse
from typing import Any

import requests.adapters
import urllib3
import urllib3.connection
import urllib3.connectionpool

_current = threading.local()


class Deadline:
    """When one answer must be whole; `cut` says that it was not, and its connection was shut."""

    def __init__(self, at: float) -> None:
        self.at = at
        self.cut = False
        self.over = False
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
    """Ends the answers of all threads that are not whole in time; each has the same number of seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._changed = threading.Condition()
        self._open: deque[Deadline] = deque()
        self._thread: threading.Thread | None = None
        self._closed = self._idle = False

    def start(self) -> Deadline:
        """Begin the time of the calling thread's next answer."""
        deadline = _current.deadline = Deadline(time.monotonic() + self._seconds)
        with self._changed:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="smspartner-watchdog", daemon=True)
                self._thread.start()
            self._open.append(deadline)
            if self._idle:
                self._changed.notify()
        return deadline

    def stop(self, deadline: Deadline) -> None:
        """End it: from here on, the connection may serve the next one."""
        with self._changed:
            deadline.over = True
            while self._open and self._open[0].over:
                self._open.popleft()
        _current.deadline = None

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _run(self) -> None:
        with self._changed:
            while not self._closed:
                while self._open and self._open[0].at <= time.monotonic():
                    deadline = self._open.popleft()
                    if not deadline.over:
                        deadline.expire()
                self._idle = not self._open
                self._changed.wait(self._open[0].at - time.monotonic() if self._open else None)


class _Response(HTTPResponse):
    """The only response to its request: answers do not name their tag, so one too many would shift all that follow."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self._sock = sock

    def begin(self) -> None:
        """Read the head, after those of any interim answers (1xx)."""
        super().begin()
        while self.status < HTTPStatus.OK:
            self.headers = None  # type: ignore[assignment]  # else the base class takes the head for read
            super().begin()

    def _close_conn(self) -> None:
        """End the answer; where more has arrived than it holds, the connection is not used again."""
        limit = self._sock.gettimeout()
        with suppress(OSError, ValueError):  # nothing has arrived, or there is no connection any more
            self._sock.settimeout(0)
            if self.fp.peek(1):
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


class _HTTPConnection(_Watched, urllib3.connection.HTTPConnection):  # type: ignore[misc]
    pass


class _HTTPSConnection(_Watched, urllib3.connection.HTTPSConnection):  # type: ignore[misc]
    pass


class _HTTPPool(urllib3.connectionpool.HTTPConnectionPool):
    ConnectionCls = _HTTPConnection


class _HTTPSPool(urllib3.connectionpool.HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection


_POOLS = {"http": _HTTPPool, "https": _HTTPSPool}


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


logging.getLogger(urllib3.connection.__name__).addFilter(_not_ours)
