"""What each failure of `requests`, `urllib3` and the sockets below them means, by class and code alone.

Their texts are never looked at nor passed on: they hold the URL, and so the key.
"""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Iterator
from http.client import BadStatusLine, HTTPException, IncompleteRead, RemoteDisconnected

import requests
from urllib3 import exceptions

from smspartner.errors import ConnectionFailed, CutBody, RequestError, ResponseTimeout

_EXPIRED = 10
_OTHER_NAMES = frozenset({62, 64})
"""X509_V_ERR_CERT_HAS_EXPIRED, _HOSTNAME_MISMATCH, _IP_ADDRESS_MISMATCH of OpenSSL."""

_NOT_TLS = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "UNKNOWN_PROTOCOL"})
_UNREACHABLE = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN})

_MEANINGS: tuple[tuple[tuple[type[BaseException], ...], type[RequestError], str], ...] = (
    (
        (
            *(requests.exceptions.ProxyError, exceptions.ProxyError),
            *(requests.exceptions.InvalidSchema, requests.exceptions.InvalidURL),  # SOCKS, and no URL; ours is checked
        ),
        ConnectionFailed,
        "no answer: the proxy named by the environment can't be used",
    ),
    ((socket.gaierror,), ConnectionFailed, "no answer: the host name can't be resolved"),
    ((ConnectionRefusedError,), ConnectionFailed, "no answer: the connection was refused"),
    ((RemoteDisconnected,), ConnectionFailed, "no answer: the server closed the connection"),
    ((BadStatusLine,), ConnectionFailed, "no answer: what answers there does not speak HTTP"),
    (
        (requests.Timeout, exceptions.TimeoutError, TimeoutError),
        ResponseTimeout,
        "no whole answer within {timeout:g} s",
    ),
    ((ConnectionError,), ConnectionFailed, "no answer: the connection was reset"),
    (
        (
            requests.exceptions.ChunkedEncodingError,
            requests.exceptions.ContentDecodingError,
            exceptions.DecodeError,
            exceptions.ProtocolError,
            IncompleteRead,
        ),
        CutBody,
        "the answer was cut off or damaged on its way",
    ),
    ((requests.RequestException, exceptions.HTTPError, HTTPException, OSError), ConnectionFailed, "no answer: {why}"),
)
"""The first that fits an exception, or one it was made from, counts."""


def map_failure(exc: Exception, timeout: float) -> RequestError:
    """Give our error for what a request of `timeout` seconds raised, without its text, cause and frames."""
    chain = tuple(_chain(exc))
    for one in chain:
        if isinstance(one, ssl.SSLError):
            return _tls_failure(one)
    unreachable = any(isinstance(one, OSError) and one.errno in _UNREACHABLE for one in chain)
    why = "the network or host is unreachable" if unreachable else f"the connection failed ({type(exc).__name__})"
    for kinds, error, meaning in _MEANINGS:
        if any(isinstance(one, kinds) for one in chain):
            return error(meaning.format(timeout=timeout, why=why))
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
        meaning, remedy = (
            "its certificate is not trusted (see REQUESTS_CA_BUNDLE)",
            "name your own authority's file in REQUESTS_CA_BUNDLE",
        )
        if exc.verify_code == _EXPIRED:
            meaning, remedy = (
                "its certificate has expired, or this machine's clock is wrong",
                "check the clock, or ask the server's owner",
            )
        elif exc.verify_code in _OTHER_NAMES:
            meaning, remedy = "its certificate is for another host", "check --base-url"
    elif exc.reason in _NOT_TLS:
        meaning, remedy = "what answers there does not speak TLS", "check --base-url"
    return ConnectionFailed(f"no secure connection to the server: {meaning}", remedy=remedy, retryable=remedy is None)
