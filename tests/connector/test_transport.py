"""What happens on the wire, and what each exception of the HTTP libraries becomes."""

from __future__ import annotations

import http.client
import inspect
import io
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
import requests
import requests.exceptions as of_requests
import urllib3
import urllib3.exceptions as of_urllib3
from smspartner.client import Client
from smspartner.connection import Connection
from smspartner.errors import ConnectionFailed, RequestError, ResponseTimeout, UnreadableBody
from smspartner.redaction import Secret
from smspartner.failures import map_failure
from smspartner_pipelines.sandbox import Campaign, Fault

KEY = "k3y/of the+test"
URL = f"https://api.smspartner.fr/v1/bulk-status-by-tag?apiKey={quote(KEY, safe='')}&tag=promo"
SAID = f"Max retries exceeded with url: {URL} (raw {KEY})"

FAILED = (ConnectionFailed, True)
TIMED_OUT = (ResponseTimeout, True)
CUT = (UnreadableBody, True)

Expected = tuple[type[RequestError], bool]

REQUESTS: dict[str, Expected] = {
    **dict.fromkeys(("RequestException", "ConnectionError", "ProxyError", "SSLError", "HTTPError"), FAILED),
    **dict.fromkeys(("URLRequired", "TooManyRedirects", "MissingSchema", "InvalidSchema", "InvalidURL"), FAILED),
    **dict.fromkeys(("InvalidProxyURL", "InvalidHeader", "InvalidJSONError", "JSONDecodeError", "RetryError"), FAILED),
    **dict.fromkeys(("StreamConsumedError", "UnrewindableBodyError"), FAILED),
    **dict.fromkeys(("Timeout", "ConnectTimeout", "ReadTimeout"), TIMED_OUT),
    **dict.fromkeys(("ChunkedEncodingError", "ContentDecodingError"), CUT),
}
URLLIB3: dict[str, Expected] = {
    **dict.fromkeys(("HTTPError", "PoolError", "RequestError", "SSLError", "ProxyError", "MaxRetryError"), FAILED),
    **dict.fromkeys(("HostChangedError", "TimeoutStateError"), FAILED),
    **dict.fromkeys(("EmptyPoolError", "FullPoolError", "ClosedPoolError", "LocationValueError"), FAILED),
    **dict.fromkeys(("LocationParseError", "URLSchemeUnknown", "ResponseError"), FAILED),
    **dict.fromkeys(("BodyNotHttplibCompatible", "InvalidHeader", "ProxySchemeUnknown", "HeaderParsingError"), FAILED),
    **dict.fromkeys(("ProxySchemeUnsupported", "UnrewindableBodyError"), FAILED),
    **dict.fromkeys(("TimeoutError", "ReadTimeoutError", "ConnectTimeoutError"), TIMED_OUT),
    # urllib3 derives these two from its ConnectTimeoutError; requests passes neither on as it is.
    **dict.fromkeys(("NewConnectionError", "NameResolutionError"), TIMED_OUT),
    **dict.fromkeys(
        ("ProtocolError", "ResponseNotChunked", "DecodeError", "IncompleteRead", "InvalidChunkLength"), CUT
    ),
}
OTHERS: list[tuple[Exception, Expected]] = [
    (ConnectionResetError(104, SAID), FAILED),
    (ConnectionRefusedError(111, SAID), FAILED),
    (BrokenPipeError(32, SAID), FAILED),
    (socket.gaierror(-2, SAID), FAILED),
    (OSError(113, SAID), FAILED),
    (UnicodeError(SAID), FAILED),
    (ValueError(SAID), FAILED),
    (ssl.SSLError(1, SAID), FAILED),
    (TimeoutError(SAID), TIMED_OUT),
    (TimeoutError(f"timed out {SAID}"), TIMED_OUT),
    (OSError(f"The read operation timed out {SAID}"), TIMED_OUT),
    (http.client.BadStatusLine(SAID), FAILED),
    (http.client.LineTooLong(SAID), FAILED),
    (http.client.RemoteDisconnected(SAID), FAILED),
]


def classes(module: Any) -> list[type[Exception]]:
    """The exceptions that a module defines, without warnings."""
    found = [kind for _, kind in inspect.getmembers(module, inspect.isclass) if kind.__module__ == module.__name__]
    return [kind for kind in found if issubclass(kind, Exception) and not issubclass(kind, Warning)]


def made(kind: type[Exception]) -> Exception:
    """An instance whose text holds the URL, as such exceptions do."""
    if kind is of_urllib3.IncompleteRead:
        return of_urllib3.IncompleteRead(1, 2)
    if kind is of_urllib3.InvalidChunkLength:
        return of_urllib3.InvalidChunkLength(urllib3.HTTPResponse(io.BytesIO()), SAID.encode())
    exc = kind.__new__(kind, SAID)
    Exception.__init__(exc, SAID)  # their own constructors want other arguments each
    return exc


def cases() -> list[Any]:
    """Every exception class of both libraries, and what else reaches us from below."""
    of_libraries = [
        pytest.param(made(kind), table.get(kind.__name__), id=f"{kind.__module__}.{kind.__name__}")
        for module, table in ((of_requests, REQUESTS), (of_urllib3, URLLIB3))
        for kind in classes(module)
    ]
    return of_libraries + [pytest.param(exc, expected, id=type(exc).__name__) for exc, expected in OTHERS]


@pytest.mark.parametrize(("exc", "expected"), cases())
def test_every_exception_of_the_libraries(
    exc: Exception, expected: Expected, monkeypatch: pytest.MonkeyPatch, assert_hidden: Callable[[str, object], None]
) -> None:
    """Every exception class of requests, urllib3 and below becomes one of ours, cut from a text that shows the key."""

    def send(*_args: object, **_kwargs: object) -> requests.Response:
        raise exc

    monkeypatch.setattr(requests.Session, "send", send)
    client = Client(Connection(api_key=Secret(KEY)))
    with pytest.raises(RequestError) as caught:
        client.fetch_page("promo", 1)
    client.close()
    error = caught.value
    assert expected == (type(error), error.retryable)
    assert (error.__cause__, error.__context__, error.http_status, error.retry_after) == (None, None, None, None)
    assert_hidden(KEY, error)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("[Errno 111] Connection refused", "no answer: the connection was refused"),
        ("[WinError 10061] the target machine actively refused it", "no answer: the connection was refused"),
        ("NameResolutionError: Failed to resolve 'api'", "no answer: the host name can't be resolved"),
        ("[Errno 11001] getaddrinfo failed", "no answer: the host name can't be resolved"),
        ("Connection reset by peer", "no answer: the connection was reset"),
        ("Remote end closed connection without response", "no answer: the server closed the connection"),
        ("[Errno 101] Network is unreachable", "no answer: the network or host is unreachable"),
        ("Connection aborted.', BadStatusLine('220 ready')", "no answer: what answers there does not speak HTTP"),
        (SAID, "no answer: the connection failed (ConnectionError)"),
    ],
)
def test_words_for_what_failed(said: str, told: str) -> None:
    """What failed is said in words of our own, whatever the library's text."""
    failure = map_failure(requests.ConnectionError(said), 30.0)
    assert (ConnectionFailed, told) == (type(failure), failure.what)


def test_words_for_a_timeout() -> None:
    """A timeout names the time that was allowed."""
    assert map_failure(requests.ReadTimeout("x"), 2.5).what == "no whole answer within 2.5 s"


@pytest.mark.parametrize(
    ("said", "told", "retryable"),
    [
        (
            "[SSL: CERTIFICATE_VERIFY_FAILED] unable to get local issuer",
            "the server's certificate is not trusted",
            False,
        ),
        ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate has expired", "the server's certificate has expired", False),
        ("[SSL: CERTIFICATE_VERIFY_FAILED] Hostname mismatch", "the server's certificate is for another host", False),
        ("[SSL: CERTIFICATE_VERIFY_FAILED] IP address mismatch", "the server's certificate is for another host", False),
        ("[SSL: WRONG_VERSION_NUMBER] wrong version number", "what answers there does not speak TLS", False),
        ("[SSL] record layer failure", "what answers there does not speak TLS", False),
        ("EOF occurred in violation of protocol", "the connection could not be secured", True),
    ],
)
@pytest.mark.parametrize("kind", [requests.exceptions.SSLError, of_urllib3.SSLError])
def test_tls(kind: type[Exception], said: str, told: str, retryable: bool) -> None:  # noqa: FBT001
    """A certificate that is refused, or no TLS at all, will be met again the next time; other trouble may pass."""
    failure = map_failure(kind(f"{said} {SAID}"), 30.0)
    assert (ConnectionFailed, retryable) == (type(failure), failure.retryable)
    assert failure.what.startswith(f"TLS failed: {told}")


def drip(data: bytes, stop: list[bool]) -> Callable[[socket.socket, int], None]:
    """A server that sends one byte every 20 ms, for as long as anybody reads."""

    def serve(connection: socket.socket, _number: int) -> None:
        connection.recv(65536)
        connection.settimeout(0.02)
        for at in range(len(data)):
            if stop:
                return
            connection.sendall(data[at : at + 1])
            try:
                if not connection.recv(1):
                    return
            except TimeoutError:
                continue

    return serve


HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1" + b" " * 10_000,
        HEAD + b"X-Slow: " + b"x" * 10_000,
        HEAD + b"".join(b"X-%d: 1\r\n" % number for number in range(5000)),
        b"HTTP/1.1 100 Continue\r\n\r\n" * 5000,
        HEAD + b"Content-Length: 100000\r\n\r\n" + b" " * 10_000,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\n \r\n" * 5000,
        HEAD + b"\r\n" + b" " * 10_000,
    ],
    ids=["status line", "one header", "many headers", "continues", "body", "chunks", "body without length"],
)
def test_a_dripping_answer_ends_in_time(start_raw: Any, data: bytes) -> None:
    """The timeout bounds the whole answer, wherever it drips: each byte alone would be in time."""
    stop: list[bool] = []
    client = Client(Connection(api_key=Secret(KEY), base_url=start_raw(drip(data, stop)).url, timeout=0.25))
    with pytest.raises(ResponseTimeout, match=r"^no whole answer within 0\.25 s; "):
        client.fetch_page("promo", 1)
    stop.append(True)
    client.close()


def test_the_deadline_is_each_answers_own(start_raw: Any, answer_with: Any) -> None:
    """On a connection that is kept, every answer has the whole time."""
    body = b'{"success": true, "code": 200, "currentPage": 1, "total": 0, "StatutResponse_List": []}'
    server = start_raw(answer_with(body=body))
    client = Client(Connection(api_key=Secret(KEY), base_url=server.url, timeout=30))
    pages = [client.fetch_page("promo", 1) for _ in range(20)]
    client.close()
    assert ([page.rows_json for page in pages], server.accepted) == ([b"[]"] * 20, 1)


def test_large_answers_arrive_whole(start_raw: Any, answer_with: Any) -> None:
    """An answer of many reads arrives byte for byte."""
    rows = ",".join(f'{{"phoneNumber": "+336{n:08}", "status": "Waiting"}}' for n in range(50_000))
    body = f'{{"success": true, "code": 200, "currentPage": 1, "total": 50000, "StatutResponse_List": [{rows}]}}'
    client = Client(Connection(api_key=Secret(KEY), base_url=start_raw(answer_with(body=body.encode())).url))
    page = client.fetch_page("promo", 1)
    client.close()
    assert (50_000, f"[{rows}]".encode()) == (page.row_count, page.rows_json)


def page_of(tag: bytes) -> bytes:
    """The whole answer to a request for a tag, whose one row is the tag's name."""
    body = b'{"success": true, "code": 200, "currentPage": 1, "total": 1, "StatutResponse_List": ["%b"]}' % tag
    return HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body


def tags_asked(connection: socket.socket) -> Iterator[bytes]:
    """The tags that are asked for over a connection, one by one."""
    while request := connection.recv(65536):
        yield request.split(b"&tag=")[1].split(b" ")[0]


def rows_of(client: Client, *tags: str) -> list[bytes]:
    """The rows that are brought home for tags, one after the other; what is refused is none."""
    rows = []
    for tag in tags:
        try:
            rows.append(client.fetch_page(tag, 1).rows_json)
        except UnreadableBody:
            rows.append(b"")
    return rows


STALE = page_of(b"stale")
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        page_of(b"a") + STALE,
        page_of(b"a") + b"\r\n",
        HEAD + b"Content-Length: 10\r\n\r\n" + page_of(b"a").partition(b"\r\n\r\n")[2],
        CHUNKED + b"5\r\n12345\r\n0\r\n\r\n" + STALE,
        b"HTTP/1.1 204 No Content\r\n\r\n" + STALE,
        b"HTTP/1.1 304 Not Modified\r\n\r\n" + STALE,
        HEAD + b"Content-Length: 0\r\n\r\n" + STALE,
    ],
    ids=[
        "another answer",
        "an empty line",
        "too short a length",
        "after chunks",
        "after 204",
        "after 304",
        "after none",
    ],
)
def test_bytes_beyond_an_answer(start_raw: Any, answer: bytes) -> None:
    """An answer with more behind it is not believed, and what is behind it is never taken for the next answer."""

    def serve(connection: socket.socket, number: int) -> None:
        for tag in tags_asked(connection):
            connection.sendall(answer if number == 1 else page_of(tag))

    server = start_raw(serve)
    client = Client(Connection(api_key=Secret(KEY), base_url=server.url))
    assert rows_of(client, "a", "b", "c") == [b"", b'["b"]', b'["c"]']
    assert server.accepted == 2
    client.close()


def test_an_answer_that_nobody_asked_for(start_raw: Any) -> None:
    """An answer that comes once more while the connection rests is not taken for the next tag's."""
    read, sent = threading.Event(), threading.Event()

    def serve(connection: socket.socket, number: int) -> None:
        for tag in tags_asked(connection):
            connection.sendall(page_of(tag))
            if number == 1:
                read.wait(30)
                connection.sendall(STALE)
                sent.set()

    server = start_raw(serve)
    client = Client(Connection(api_key=Secret(KEY), base_url=server.url))
    first = rows_of(client, "a")
    read.set()
    assert sent.wait(30)
    assert (first, rows_of(client, "b", "c"), server.accepted) == ([b'["a"]'], [b'["b"]', b'["c"]'], 2)
    client.close()


@pytest.mark.parametrize("status", ["100 Continue", "101 Switching Protocols", "102 Processing", "103 Early Hints"])
def test_interim_answers(start_raw: Any, status: str) -> None:
    """Interim answers are skipped, however many and with whatever headers; the connection is kept."""

    def serve(connection: socket.socket, _number: int) -> None:
        for tag in tags_asked(connection):
            connection.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 5\r\n\r\n".encode() * 3 + page_of(tag))

    server = start_raw(serve)
    client = Client(Connection(api_key=Secret(KEY), base_url=server.url))
    assert (rows_of(client, "a", "b"), server.accepted) == ([b'["a"]', b'["b"]'], 1)
    client.close()


def test_bytes_beyond_an_answer_over_tls(
    start_sandbox: Any, certificate: dict[str, str], authority_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over TLS, too, an answer with more behind it is refused, and connections are kept where all is well."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", authority_file)
    campaigns = [Campaign.of_rows(tag, [f'"{tag}"']) for tag in "abc"]
    sandbox = start_sandbox(campaigns, faults=[Fault("answered_twice", tag="b", times=1)], **certificate)
    client = Client(Connection(api_key=Secret("sandbox-key"), base_url=sandbox.url))
    rows = [b"".join(row.split()) for row in rows_of(client, "a", "b", "b", "c")]
    assert rows == [b'["a"]', b"", b'["b"]', b'["c"]']
    client.close()
