"""Single requests over real sockets: what is sent, what comes back, and what every failure becomes."""

from __future__ import annotations

import gzip
import json
import logging
import select
import socket
import threading
import traceback
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from smspartner.client import Client
from smspartner.connection import Connection
from smspartner.errors import (
    AccessRefused,
    BodyTooLarge,
    ConnectionFailed,
    RateLimited,
    RequestError,
    ResponseTimeout,
    UnexpectedStatus,
    UnknownTag,
    UnreadableBody,
    VendorError,
)
from smspartner.redaction import Secret
from smspartner_pipelines.sandbox import DOCUMENTED, Campaign, Fault

KEY = "k3y &/+%=\u00e9?#'\"-of-the-test"
CAMPAIGN = Campaign("promo", 5, sent_at=1_500_000_000)
PAGE = b'{"success": true, "code": 200, "currentPage": 1, "total": 0, "StatutResponse_List": []}'
STATUSES = "/v1/bulk-status-by-tag"

Hidden = Callable[[str, object], None]


@pytest.fixture
def ask(connect: Any) -> Any:
    """Ask a sandbox for a page with a new client, which is closed afterwards."""

    def ask_once(sandbox: Any, tag: str = "promo", number: int = 1, **options: Any) -> Any:
        client = Client(connect(sandbox, **options))
        try:
            return client.fetch_page(tag, number)
        finally:
            client.close()

    return ask_once


def test_what_is_sent(start_sandbox: Any, connect: Any) -> None:
    """The first page is asked for exactly as documented, further ones with `page`; the agent names the product."""
    sandbox = start_sandbox([CAMPAIGN], page_size=2)
    client = Client(connect(sandbox))
    pages = [client.fetch_page("promo", number) for number in (1, 2, 3)]
    client.close()

    assert [(page.number, page.total, page.row_count) for page in pages] == [(1, 5, 2), (2, 5, 2), (3, 5, 1)]
    headers = {
        "User-Agent": user_agent(),
        "Accept": "application/json",
        "Accept-Encoding": "gzip",
        "Connection": "keep-alive",
    }
    assert [
        (STATUSES, "promo", None, ("apiKey", "tag"), True, headers, 200),
        (STATUSES, "promo", "2", ("apiKey", "tag", "page"), True, headers, 200),
        (STATUSES, "promo", "3", ("apiKey", "tag", "page"), True, headers, 200),
    ] == [
        (got.path, got.tag, got.page, got.parameters, got.key_ok, {**headers, **got.headers}, got.status)
        for got in sandbox.requests
    ]
    assert user_agent().startswith("smspartner-connector/")


@pytest.mark.parametrize(
    "tag", ["a&b=c", "100%", "a#b", "a?b", "a/b", "../x", "a+b", "été", "\U0001f600", "apiKey=x", "%2e"]
)
def test_tags_and_keys_of_any_characters(start_sandbox: Any, ask: Any, tag: str) -> None:
    """Whatever a tag or a key is made of, the API receives exactly that."""
    sandbox = start_sandbox([Campaign(tag, 3, sent_at=1_500_000_000)], api_key=KEY)
    page = ask(sandbox, tag, api_key=Secret(KEY))
    assert ((1, 3, 3), tag, True) == (
        *((page.number, page.total, page.row_count), sandbox.requests[0].tag, sandbox.requests[0].key_ok),
    )


def test_account(start_sandbox: Any, connect: Any) -> None:
    """The account is asked for by key alone, and read as plain values."""
    sandbox = start_sandbox([])
    client = Client(connect(sandbox))
    account = client.fetch_account()
    client.close()
    assert (account["success"], account["code"], account["user"]["username"]) == (True, 200, "sandbox@example.com")
    assert [(got.path, got.parameters) for got in sandbox.requests] == [("/v1/me", ("apiKey",))]


def test_account_with_a_wrong_key(start_sandbox: Any, connect: Any) -> None:
    """A wrong key is refused access."""
    client = Client(connect(start_sandbox([]), api_key=Secret("another-key")))
    with pytest.raises(AccessRefused) as caught:
        client.fetch_account()
    client.close()
    assert caught.value.code == 10


def test_account_of_unreadable_values(start_raw: Any, answer_with: Any) -> None:
    """An account with a value beyond reading still shows that the key is accepted."""
    server = start_raw(answer_with(body=b'{"success": true, "code": 200, "credits": 1e999}'))
    client = Client(Connection(api_key=Secret(KEY), base_url=server.url))
    assert client.fetch_account() == {"success": True, "code": 200, "credits": None}
    client.close()


def test_connections_are_kept(start_raw: Any, answer_with: Any) -> None:
    """Requests of one thread share one connection; another thread has its own."""
    server = start_raw(answer_with(body=PAGE))
    client = Client(Connection(api_key=Secret(KEY), base_url=server.url))
    for _ in range(5):
        client.fetch_page("t", 1)
    assert server.accepted == 1
    thread = threading.Thread(target=lambda: [client.fetch_page("t", 1) for _ in range(5)])
    thread.start()
    thread.join()
    assert server.accepted == 2
    client.close()


@pytest.mark.parametrize(
    ("fault", "kind", "status", "retryable", "options"),
    [
        ("reset", ConnectionFailed, None, True, {}),
        ("close", ConnectionFailed, None, True, {}),
        ("cut_body", UnreadableBody, None, True, {}),
        ("cut_chunked", UnreadableBody, None, True, {}),
        ("gzip_cut", UnreadableBody, None, True, {}),
        ("cut_json", UnreadableBody, None, True, {}),
        ("utf8_broken", UnreadableBody, None, True, {}),
        ("html", UnreadableBody, None, True, {}),
        ("not_json", UnreadableBody, None, True, {}),
        ("empty_body", UnreadableBody, None, True, {}),
        ("slow", ResponseTimeout, None, True, {"timeout": 0.05}),
        ("drip", ResponseTimeout, None, True, {"timeout": 0.2}),
        ("endless", BodyTooLarge, 200, False, {"max_body_bytes": 100_000}),
        ("endless", ResponseTimeout, None, True, {"timeout": 0.2}),
        ("huge", BodyTooLarge, 200, False, {"max_body_bytes": 3_000_000}),
        ("server_error", UnexpectedStatus, 500, True, {}),
        ("request_timeout", UnexpectedStatus, 408, True, {}),
        ("not_found", UnexpectedStatus, 404, False, {}),
        ("forbidden_html", UnexpectedStatus, 403, False, {}),
        ("redirect", UnexpectedStatus, 302, False, {}),
        ("unavailable", UnexpectedStatus, 503, True, {}),
        ("rate_limit_bare", RateLimited, 429, True, {}),
        ("rate_limit_seconds", RateLimited, 429, True, {}),
        ("rate_limit_date", RateLimited, 429, True, {}),
        ("vendor_error_4", UnknownTag, 200, False, {}),
        ("vendor_error_3", VendorError, 200, False, {}),
        ("vendor_error_10_http_401", AccessRefused, 401, False, {}),
    ],
)
def test_faults(  # noqa: PLR0917
    start_sandbox: Any,
    ask: Any,
    assert_hidden: Hidden,
    fault: str,
    kind: type[RequestError],
    status: int | None,
    retryable: bool,  # noqa: FBT001
    options: dict[str, Any],
) -> None:
    """Every way a server fails is one of our errors, which never shows the key."""
    sandbox = start_sandbox([CAMPAIGN], api_key=KEY, faults=[Fault(fault, seconds=0.1)])
    if fault == "slow":
        sandbox.faults.clear()
        sandbox.faults.add(Fault("slow", seconds=60))
    with pytest.raises(RequestError) as caught:
        ask(sandbox, api_key=Secret(KEY), **options)
    error = caught.value
    assert (kind, status, retryable) == (type(error), error.http_status, error.retryable)
    assert (error.__cause__, error.__context__) == (None, None)
    assert_hidden(KEY, error)
    assert sandbox.url not in "".join(traceback.format_exception(error))
    with_locals = traceback.TracebackException.from_exception(error, capture_locals=True)  # as error trackers do
    assert quote(KEY, safe="") not in "".join(with_locals.format())
    assert len(sandbox.requests) == 1  # nothing is retried here, no redirect is followed


@pytest.mark.parametrize("fault", ["bom", "wrong_content_type"])
def test_harmless_faults(start_sandbox: Any, ask: Any, fault: str) -> None:
    """What changes nothing about the content is read."""
    assert ask(start_sandbox([DOCUMENTED], faults=[Fault(fault)]), "documented").row_count == 2


def test_a_refused_connection(connect: Any, assert_hidden: Hidden) -> None:
    """A server that does not listen is a failed connection, said in words."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    client = Client(Connection(api_key=Secret(KEY), base_url=f"http://127.0.0.1:{port}/v1"))
    with pytest.raises(ConnectionFailed, match=r"^no answer: the connection was refused; ") as caught:
        client.fetch_page("t", 1)
    client.close()
    assert_hidden(KEY, caught.value)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


@pytest.mark.parametrize(
    ("head", "retry_after"),
    [
        (["Retry-After: 7"], 7.0),
        (["Retry-After:  0 "], 0.0),
        (["Retry-After: 999999999999"], 999999999.0),
        ([], None),
        (["Retry-After: "], None),
        (["Retry-After: soon"], None),
        (["Retry-After: -5"], None),
        (["Retry-After: 1.5"], None),
        (["Retry-After: \xb2"], None),
        (["Date: Sun, 06 Nov 1994 08:49:37 GMT", "Retry-After: Sun, 06 Nov 1994 08:50:07 GMT"], 30.0),
        (["Date: Sun, 06 Nov 1994 08:49:37 GMT", "Retry-After: Sun, 06 Nov 1994 08:49:00 GMT"], 0.0),
        (["Date: Sun, 06 Nov 1994 08:49:37 GMT", "Retry-After: Sun, 06 Nov 1994 10:50:07 +0200"], 30.0),
        (["Date: Sun, 06 Nov 1994 08:49:37 GMT", "Retry-After: Sun, 06 Nov 1994 08:50:07 -0000"], None),
        (["Date: nonsense", "Retry-After: Sun, 06 Nov 1994 08:50:07 GMT"], 0.0),
        (["Retry-After: Sun, 06 Nov 1994 08:50:07 GMT"], 0.0),
        (["Retry-After: Sun, 06 Nov 99999 08:50:07 GMT"], None),
        (["Retry-After: Sun, 06 Nov 1994 08:50:07 +99999999999999"], None),
        (["Date: Sun, 06 Nov 1994 08:49:37 +99999999999999", "Retry-After: Sun, 06 Nov 1994 08:50:07 GMT"], 0.0),
    ],
)
@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable"])
def test_retry_after(start_raw: Any, answer_with: Any, status: str, head: list[str], retry_after: float | None) -> None:
    """`Retry-After` is read as seconds and as a date, by the server's own clock; nonsense is left out."""
    server = start_raw(answer_with(*head, status=status))
    client = Client(Connection(api_key=Secret(KEY), base_url=server.url))
    with pytest.raises(RequestError) as caught:
        client.fetch_page("t", 1)
    client.close()
    assert (int(status[:3]), retry_after) == (caught.value.http_status, caught.value.retry_after)


@pytest.mark.parametrize("kind", ["text/html", "application/json; charset=latin-1"])
def test_declared_types(start_raw: Any, answer_with: Any, kind: str) -> None:
    """Declared types are no obstacle."""
    client = Client(
        Connection(api_key=Secret(KEY), base_url=start_raw(answer_with(f"Content-Type: {kind}", body=PAGE)).url)
    )
    assert client.fetch_page("t", 1).rows_json == b"[]"
    client.close()


def test_what_a_small_body_unpacks_to_is_bounded(start_raw: Any, answer_with: Any) -> None:
    """A small compressed body that unpacks to a huge one is refused."""
    bomb = gzip.compress(PAGE + b" " * 50_000_000)
    server = start_raw(answer_with("Content-Encoding: gzip", body=bomb))
    client = Client(Connection(api_key=Secret(KEY), base_url=server.url, max_body_bytes=1_000_000))
    with pytest.raises(BodyTooLarge, match=r"^the body is larger than 1,000,000 bytes, which no page is; ") as caught:
        client.fetch_page("t", 1)
    client.close()
    assert (len(bomb) < 100_000, False) == (True, caught.value.retryable)


@pytest.mark.parametrize(
    "answer", [b"", b"garbage\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 OK\r\nX", b"\x16\x03\x01"]
)
def test_no_http(start_raw: Any, assert_hidden: Hidden, answer: bytes) -> None:
    """A server that does not speak HTTP is a failed connection or a garbled answer, worth another try."""

    def serve(connection: socket.socket, _number: int) -> None:
        connection.recv(65536)
        connection.sendall(answer)

    client = Client(Connection(api_key=Secret(KEY), base_url=start_raw(serve).url))
    with pytest.raises((ConnectionFailed, UnreadableBody)) as caught:
        client.fetch_page("t", 1)
    client.close()
    assert caught.value.retryable
    assert_hidden(KEY, caught.value)


def test_a_kept_connection_that_the_server_closed(start_raw: Any, answer_with: Any) -> None:
    """A connection the server has closed meanwhile is a failure worth another try, which then succeeds."""
    answered = answer_with(body=PAGE)

    def serve(connection: socket.socket, number: int) -> None:
        if number > 1:
            answered(connection, number)
        else:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(PAGE), PAGE))
            connection.recv(65536)

    client = Client(Connection(api_key=Secret(KEY), base_url=start_raw(serve).url))
    client.fetch_page("t", 1)
    with pytest.raises(RequestError) as caught:
        client.fetch_page("t", 1)
    assert caught.value.retryable
    assert client.fetch_page("t", 1).rows_json == b"[]"
    client.close()


def test_tls(
    start_sandbox: Any,
    ask: Any,
    certificate: dict[str, str],
    authority_file: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """HTTPS works, with the authority that `REQUESTS_CA_BUNDLE` names, and also there a dripping answer times out."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", authority_file)
    sandbox = start_sandbox([CAMPAIGN], **certificate)
    assert ask(sandbox).row_count == 5
    sandbox.faults.add(Fault("drip", seconds=0.1))
    with pytest.raises(ResponseTimeout):
        ask(sandbox, timeout=0.3)


def test_an_untrusted_certificate(
    start_sandbox: Any, ask: Any, certificate: dict[str, str], assert_hidden: Hidden
) -> None:
    """A certificate that nobody vouches for is refused before the key is sent, and is not tried again."""
    sandbox = start_sandbox([CAMPAIGN], **certificate, api_key=KEY)
    with pytest.raises(ConnectionFailed, match="the server's certificate is not trusted") as caught:
        ask(sandbox, api_key=Secret(KEY))
    assert (caught.value.retryable, caught.value.__cause__, caught.value.__context__) == (False, None, None)
    assert_hidden(KEY, caught.value)
    assert sandbox.requests == []


def test_tls_where_there_is_none(start_sandbox: Any, assert_hidden: Hidden) -> None:
    """HTTPS to a server that speaks plain HTTP fails as TLS."""
    url = start_sandbox([CAMPAIGN]).url.replace("http:", "https:")
    client = Client(Connection(api_key=Secret(KEY), base_url=url))
    with pytest.raises(ConnectionFailed, match=r"^TLS failed") as caught:
        client.fetch_page("t", 1)
    client.close()
    assert_hidden(KEY, caught.value)


def test_proxies_of_the_environment(start_raw: Any, answer_with: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that the environment names is used, and no credentials of `.netrc` are sent."""
    received: list[bytes] = []
    answered = answer_with(body=PAGE)

    def serve(connection: socket.socket, number: int) -> None:
        received.append(connection.recv(65536, socket.MSG_PEEK))
        answered(connection, number)

    monkeypatch.setenv("http_proxy", start_raw(serve).url.removesuffix("/v1"))
    client = Client(Connection(api_key=Secret("plain-key"), base_url="http://127.0.0.1:9/v1"))
    assert client.fetch_page("t", 1).rows_json == b"[]"
    client.close()
    first, *headers = received[0].decode().split("\r\n")
    assert first == "GET http://127.0.0.1:9/v1/bulk-status-by-tag?apiKey=plain-key&tag=t HTTP/1.1"
    assert not any(header.lower().startswith(("authorization", "cookie")) for header in headers)


def test_tls_through_a_proxy(  # noqa: PLR0917
    start_sandbox: Any,
    start_raw: Any,
    connect: Any,
    certificate: dict[str, str],
    authority_file: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Through a proxy, HTTPS is tunnelled: the proxy sees where to, and nothing of requests; connections are kept."""
    seen: list[bytes] = []

    def serve(connection: socket.socket, _number: int) -> None:
        seen.append(connection.recv(65536))
        port = int(seen[-1].split(b" ")[1].rpartition(b":")[2])
        with socket.create_connection(("127.0.0.1", port)) as onward:
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            ends = {connection: onward, onward: connection}
            while True:
                for end in select.select([*ends], [], [])[0]:
                    data = end.recv(65536)
                    if not data:
                        return
                    ends[end].sendall(data)

    monkeypatch.setenv("https_proxy", start_raw(serve).url.removesuffix("/v1"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", authority_file)
    sandbox = start_sandbox([CAMPAIGN], **certificate)
    client = Client(connect(sandbox))
    assert [client.fetch_page("promo", 1).row_count for _ in range(3)] == [5, 5, 5]
    client.close()
    address = sandbox.url.removeprefix("https://").removesuffix("/v1")
    assert [line.split(b" ")[:2] for line in seen] == [[b"CONNECT", address.encode()]]


def test_a_proxy_that_fails(monkeypatch: pytest.MonkeyPatch, assert_hidden: Hidden) -> None:
    """A proxy that can't be reached is named as what failed, without its own credentials."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    monkeypatch.setenv("http_proxy", f"http://someone:pr0xy-pass@127.0.0.1:{port}")
    client = Client(Connection(api_key=Secret(KEY), base_url="http://127.0.0.1:9/v1"))
    with pytest.raises(ConnectionFailed, match=r"^the proxy named by the environment can't be used; ") as caught:
        client.fetch_page("t", 1)
    client.close()
    assert_hidden(KEY, caught.value)
    assert_hidden("pr0xy-pass", caught.value)


def test_cookies_are_not_sent_back(start_raw: Any) -> None:
    """Whatever cookies a server sets, later requests stay as documented."""
    received: list[bytes] = []

    def serve(connection: socket.socket, _number: int) -> None:
        while chunk := connection.recv(65536):
            received.append(chunk)
            head = b"HTTP/1.1 200 OK\r\nSet-Cookie: session=1\r\nContent-Length: %d\r\n\r\n" % len(PAGE)
            connection.sendall(head + PAGE)

    client = Client(Connection(api_key=Secret(KEY), base_url=start_raw(serve).url))
    for _ in range(2):
        client.fetch_page("t", 1)
    client.close()
    assert (2, received[0]) == (len(received), received[1])


@pytest.mark.parametrize("name", ["urllib3", "urllib3.connectionpool", ""])
def test_nothing_that_is_logged_shows_the_key(start_sandbox: Any, ask: Any, assert_hidden: Hidden, name: str) -> None:
    """With all logging on, and handlers of the user's own, no line shows the key, urllib3's own lines included."""
    lines: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(f"{self.format(record)} {record.msg!r} {record.args!r}")

    handler, logger = Handler(), logging.getLogger(name)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        sandbox = start_sandbox([CAMPAIGN], api_key=KEY)
        ask(sandbox, api_key=Secret(KEY))
        sandbox.faults.add(Fault("redirect"))
        with pytest.raises(UnexpectedStatus):
            ask(sandbox, api_key=Secret(KEY))
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    assert [STATUSES in line and "apiKey=***" in line for line in lines if "GET" in line and " 200 " in line] == [True]
    assert_hidden(KEY, "\n".join(lines))


def test_quoted_key_is_sent_once(start_raw: Any, answer_with: Any) -> None:
    """The request line is the documented one, byte for byte."""
    received: list[bytes] = []
    answered = answer_with(body=PAGE)

    def serve(connection: socket.socket, number: int) -> None:
        received.append(connection.recv(65536, socket.MSG_PEEK))
        answered(connection, number)

    client = Client(Connection(api_key=Secret(KEY), base_url=start_raw(serve).url + "/"))
    client.fetch_page("a&b", 1)
    client.close()
    assert received[0].split(b"\r\n")[0].decode() == (
        f"GET /v1/bulk-status-by-tag?apiKey={quote(KEY, safe='')}&tag=a%26b HTTP/1.1"
    )


def test_closing_twice(start_sandbox: Any, connect: Any) -> None:
    """A client can be closed without having been used, and twice."""
    client = Client(connect(start_sandbox([])))
    client.close()
    client.close()


def test_vendor_json_under_error_status(start_raw: Any, answer_with: Any) -> None:
    """The vendor's own refusal counts under any HTTP status."""
    body = json.dumps({"success": False, "code": 96, "message": "IP"}).encode()
    client = Client(Connection(api_key=Secret(KEY), base_url=start_raw(answer_with(status="403 No", body=body)).url))
    with pytest.raises(AccessRefused) as caught:
        client.fetch_page("t", 1)
    client.close()
    assert (caught.value.code, caught.value.http_status) == (96, 403)
