"""Single requests over real sockets: what is sent, what comes back, and what every failure becomes."""

import gzip
import http.client
import logging
import select
import socket
import ssl
import threading
from urllib.parse import quote

import pytest
from faults import Fault
from smspartner import errors
from smspartner.client import Client
from smspartner.connection import Connection
from smspartner.redaction import Secret
from smspartner_pipelines.sandbox import Campaign

KEY = "k3y &/+%=\u00e9?#'\"-of-the-test"
CAMPAIGN = Campaign("promo", 5, sent_at=1_500_000_000)
PAGE = b'{"success": true, "code": 200, "currentPage": 1, "total": 0, "StatutResponse_List": []}'
HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
WHOLE = HEAD + b"Content-Length: %d\r\n\r\n%b" % (len(PAGE), PAGE)


@pytest.fixture
def client_of():
    """Make clients of a base URL, which are closed when the test ends."""
    made = []

    def make(base_url, **options):
        made.append(Client(Connection(**{"api_key": Secret(KEY), "base_url": base_url, **options})))
        return made[-1]

    yield make
    for client in [*made, *made]:  # which may be done twice
        client.close()


def once(answer, then=lambda _connection, _number: None):
    """Make the `serve` of a server that answers one request of a connection, and what comes then."""

    def serve(connection, number):
        connection.recv(65536)
        connection.sendall(answer)
        then(connection, number)

    return serve


def failure_of(client):
    """What asking for a page raises."""
    with pytest.raises(errors.RequestError) as caught:
        client.fetch_page("promo", 1)
    return caught.value


def test_what_is_sent(start_raw, client_of):
    """The first page is asked for exactly as documented, further ones with `page`; no cookie is ever sent back."""
    received = []

    def serve(connection, _number):
        while chunk := connection.recv(65536):
            received.append(chunk.decode().split("\r\n"))
            connection.sendall(WHOLE.replace(HEAD, HEAD + b"Set-Cookie: a=1\r\n"))

    client = client_of(start_raw(serve).url + "/")
    for number in (1, 2):
        client.fetch_page("a&b", number)
    client.fetch_raw("a&b", 1)
    client.fetch_account()
    key = quote(KEY, safe="")
    by_tag = f"/v1/bulk-status-by-tag?apiKey={key}&tag=a%26b"
    paths = [request.split(" ")[1] for request, *_ in received]
    assert paths == [by_tag, f"{by_tag}&page=2", f"{by_tag}&page=1", f"/v1/me?apiKey={key}"]
    for _, *head in received:
        names = sorted(line.partition(":")[0] for line in head if line)
        assert names == ["Accept", "Accept-Encoding", "Host", "User-Agent"]
        assert any(line.startswith("User-Agent: smspartner-connector/") for line in head)


@pytest.mark.parametrize("tag", ["a&b=c", "100%", "a#b", "a?b", "../x", "a+b", "\u00e9t\u00e9", "\U0001f600", "%2e"])
def test_tags_and_keys_of_any_characters(start_sandbox, client_of, tag):
    """Whatever a tag or a key is made of, the API receives exactly that."""
    sandbox = start_sandbox([Campaign(tag, 3, sent_at=1_500_000_000)], api_key=KEY)
    page = client_of(sandbox.url).fetch_page(tag, 1)
    assert ((page.number, page.total, page.row_count), sandbox.requests[0].tag) == ((1, 3, 3), tag)
    assert sandbox.requests[0].key_ok


def test_account(start_raw, answer_with, start_sandbox, client_of):
    """The account is read as plain values, one that can't be read as None; a wrong key is refused access."""
    server = start_raw(answer_with(body=b'{"success": true, "code": 200, "credits": 1, "x": [%b]}' % (b"[" * 9999)))
    assert isinstance(failure_of(client_of(server.url)), errors.UnreadableBody)
    server = start_raw(answer_with(body=b'{"success": true, "code": 200, "user": {"username": "me"}}'))
    assert client_of(server.url).fetch_account()["user"] == {"username": "me"}
    with pytest.raises(errors.AccessRefused) as caught:
        client_of(start_sandbox([]).url, api_key=Secret("another-key")).fetch_account()
    assert caught.value.code == 10


def test_connections_are_kept(start_raw, answer_with, client_of):
    """Requests of one thread share one connection, each with the whole time; another thread has its own."""
    server = start_raw(answer_with(body=PAGE))
    client = client_of(server.url)
    for _ in range(20):
        client.fetch_page("t", 1)
    assert server.accepted == 1
    thread = threading.Thread(target=lambda: [client.fetch_page("t", 1) for _ in range(5)])
    thread.start()
    thread.join()
    assert server.accepted == 2


FAULTS = [
    ("reset", errors.ConnectionFailed, None, True, {}),
    ("close", errors.ConnectionFailed, None, True, {}),
    ("cut_body", errors.CutBody, None, True, {}),
    ("cut_chunked", errors.CutBody, None, True, {}),
    ("gzip_cut", errors.CutBody, 200, True, {}),
    ("slow", errors.ResponseTimeout, None, True, {"timeout": 0.3}),
    ("endless", errors.BodyTooLarge, None, False, {"max_body_bytes": 100_000}),
    ("endless", errors.ResponseTimeout, None, True, {"timeout": 0.2}),
    ("huge", errors.BodyTooLarge, None, False, {"max_body_bytes": 3_000_000}),
    ("redirect", errors.UnexpectedStatus, 302, False, {}),
    ("vendor_error_10_http_401", errors.AccessRefused, 401, False, {}),
]


@pytest.mark.parametrize(("fault", "kind", "status", "retryable", "options"), FAULTS)
def test_faults(start_sandbox, client_of, assert_hidden, fault, kind, status, retryable, options):
    """Every way a server fails is one of our errors, without cause or context; no redirect is followed."""
    sandbox = start_sandbox([CAMPAIGN], api_key=KEY, faults=[Fault(fault, seconds=60)])
    error = failure_of(client_of(sandbox.url, **options))
    assert (kind, status, retryable) == (type(error), error.http_status, error.retryable)
    assert (error.__cause__, error.__context__, len(sandbox.requests)) == (None, None, 1)
    assert_hidden(KEY, error)


RETRY_AFTER = [
    (["Retry-After: 7"], 7.0),
    (["Retry-After:  0 "], 0.0),
    (["Retry-After: 20.0"], 20.0),
    (["Retry-After: 1.5"], 1.5),
    (["Retry-After: 999999999999"], 999999999999.0),
    ([], None),
    (["Retry-After: "], None),
    (["Retry-After: soon"], None),
    (["Retry-After: -5"], None),
    (["Retry-After: \xb2"], None),
    (["Date: Sun, 06 Nov 1994 08:49:37 GMT", "Retry-After: Sun, 06 Nov 1994 08:50:07 GMT"], 30.0),
    (["Date: Sun, 06 Nov 1994 08:49:37 GMT", "Retry-After: Sun, 06 Nov 1994 08:49:00 GMT"], 0.0),
    (["Date: Sun, 06 Nov 1994 08:49:37 GMT", "Retry-After: Sun, 06 Nov 1994 10:50:07 +0200"], 30.0),
    (["Date: nonsense", "Retry-After: Sun, 06 Nov 1994 08:50:07 GMT"], 0.0),
    (["Retry-After: Sun, 06 Nov 1994 08:50:07 GMT"], 0.0),
    (["Retry-After: Sun, 06 Nov 99999 08:50:07 GMT"], None),
    (["Retry-After: Sun, 06 Nov 1994 08:50:07 +99999999999999"], None),
    (["Date: Sun, 06 Nov 1994 08:49:37 +99999999999999", "Retry-After: Sun, 06 Nov 1994 08:50:07 GMT"], 0.0),
]


@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable", "200 OK"])
def test_retry_after(start_raw, answer_with, client_of, status):
    """`Retry-After` is read as seconds and as a date, by the server's own clock, for whatever is asked for again."""
    body = b'{"success": false, "code": 50}'
    for head, retry_after in RETRY_AFTER:
        error = failure_of(client_of(start_raw(answer_with(*head, status=status, body=body)).url))
        assert (head, retry_after, True) == (head, error.retry_after, error.retryable)


@pytest.mark.parametrize("kind", ["text/html", "application/json; charset=iso-8859-1", "application/json;charset=x"])
def test_declared_types(start_raw, answer_with, client_of, kind):
    """Declared types are no obstacle; a Latin charset that is declared is heeded where a body is not UTF-8."""
    rows = b'[{"a": "Cl\xe9"}]'
    client = client_of(start_raw(answer_with(f"Content-Type: {kind}", body=PAGE.replace(b"[]", rows))).url)
    expected = '[{"a": "Clé"}]'.encode() if "iso" in kind else b'[{"a": "Cl\\udce9"}]'
    assert client.fetch_page("t", 1).rows_json == expected


def test_what_a_small_body_unpacks_to_is_bounded(start_raw, answer_with, client_of):
    """A small compressed body that unpacks to a huge one is refused."""
    bomb = gzip.compress(PAGE + b" " * 50_000_000)
    server = start_raw(answer_with("Content-Encoding: gzip", body=bomb))
    error = failure_of(client_of(server.url, max_body_bytes=1_000_000))
    assert (errors.BodyTooLarge, True, False) == (type(error), len(bomb) < 100_000, error.retryable)


@pytest.mark.parametrize("answer", [b"", b"garbage\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", HEAD + b"X", b"\x16\x03\x01"])
def test_no_http(start_raw, client_of, assert_hidden, answer):
    """A server that does not speak HTTP is a failed connection or a damaged answer, worth another try."""
    error = failure_of(client_of(start_raw(once(answer)).url))
    assert (isinstance(error, errors.ConnectionFailed | errors.UnreadableBody), error.retryable) == (True, True)
    assert_hidden(KEY, error)


def test_a_kept_connection_that_the_server_closed(start_raw, client_of):
    """A connection the server has closed meanwhile is a failure worth another try, which then succeeds."""
    client = client_of(start_raw(once(WHOLE, lambda connection, _number: connection.recv(65536))).url)
    client.fetch_page("t", 1)
    assert failure_of(client).retryable
    assert client.fetch_page("t", 1).rows_json == b"[]"


def drip(data, ended):
    """Make the `serve` of a server that sends a byte every 20 ms, for 40 s or as long as anybody reads."""

    def serve(connection, _number):
        connection.recv(65536)
        for at in range(2000):
            connection.sendall(data[at : at + 1])
            if ended.wait(0.02):
                return
        ended.set()

    return serve


DRIPS = {
    "status line": b"HTTP/1.1" + b" " * 10_000,
    "one header": HEAD + b"X-Slow: " + b"x" * 10_000,
    "many headers": HEAD + b"".join(b"X-%d: 1\r\n" % number for number in range(5000)),
    "interim answers": b"HTTP/1.1 100 Continue\r\n\r\n" * 5000,
    "body": HEAD + b"Content-Length: 100000\r\n\r\n" + b" " * 10_000,
    "chunk size": HEAD + CHUNKED + b"\r\n" + b"0" * 10_000,
    "body without length": HEAD + b"\r\n" + b" " * 10_000,
    "gzip without content": HEAD + b"Content-Encoding: gzip\r\n\r\n\x1f\x8b\x08\x08" + b"\0" * 6 + b"name" * 9999,
    "TLS handshake": b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc\x03\x03" + b"x" * 10_000,
}


@pytest.mark.parametrize("where", DRIPS)
def test_a_dripping_answer_ends_in_time(start_raw, client_of, where):
    """The timeout bounds the whole answer, wherever it drips: each byte alone would be in time."""
    ended = threading.Event()
    url = start_raw(drip(DRIPS[where], ended)).url
    error = failure_of(client_of(url.replace("http:", "https:") if "TLS" in where else url, timeout=0.25))
    assert (type(error), ended.is_set()) == (errors.ResponseTimeout, False)
    ended.set()
    assert error.what == "no whole answer within 0.25 s"


def test_a_kept_connection_is_watched(start_raw, client_of):
    """The timeout bounds each answer of a connection, not only its first."""
    ended = threading.Event()
    server = start_raw(once(WHOLE, drip(DRIPS["body"], ended)))
    client = client_of(server.url, timeout=1)
    client.fetch_page("t", 1)
    error = failure_of(client)
    assert (type(error), server.accepted, ended.is_set()) == (errors.ResponseTimeout, 1, False)
    ended.set()


def test_large_answers_arrive_whole(start_raw, answer_with, client_of):
    """An answer of many reads arrives byte for byte, packed or not."""
    rows = ",".join(f'{{"phoneNumber": "+336{n:08}", "status": "Waiting"}}' for n in range(50_000))
    body = PAGE.replace(b"[]", f"[{rows}]".encode())
    for head, sent in (((), body), (("Content-Encoding: gzip",), gzip.compress(body, 1))):
        page = client_of(start_raw(answer_with(*head, body=sent)).url).fetch_page("promo", 1)
        assert (50_000, f"[{rows}]".encode()) == (page.row_count, page.rows_json)


def page_of(tag):
    """The whole answer to a request for a tag, whose one row is the tag's name."""
    body = PAGE.replace(b"[]", b'["%b"]' % tag)
    return HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body


def tags_asked(connection):
    """The tags that are asked for over a connection, one by one."""
    while request := connection.recv(65536):
        yield request.split(b"&tag=")[1].split(b" ")[0]


def rows_of(client, *tags):
    """The rows that come for tags, one after the other; none where the answer is refused."""
    rows = []
    for tag in tags:
        try:
            rows.append(client.fetch_page(tag, 1).rows_json)
        except errors.RequestError:
            rows.append(b"")
    return rows


STALE = page_of(b"stale")
BEYOND = {
    "another answer": (page_of(b"a") + STALE, b'["a"]'),
    "an empty line": (page_of(b"a") + b"\r\n", b'["a"]'),
    "too short a length": (HEAD + b"Content-Length: 10\r\n\r\n" + PAGE, b""),
    "after chunks": (HEAD + CHUNKED + b"\r\n5\r\n12345\r\n0\r\n\r\n" + STALE, b""),
    "two lengths": (HEAD + CHUNKED + b"Content-Length: 3\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(PAGE), PAGE), b""),
    "after none": (HEAD + b"Content-Length: 0\r\n\r\n" + STALE, b""),
}


@pytest.mark.parametrize("case", BEYOND)
def test_bytes_beyond_an_answer(start_raw, client_of, case):
    """What stands behind an answer is never taken for the next one: the connection is not used again."""
    answer, first = BEYOND[case]

    def serve(connection, number):
        for tag in tags_asked(connection):
            connection.sendall(answer if number == 1 else page_of(tag))

    server = start_raw(serve)
    assert rows_of(client_of(server.url), "a", "b", "c") == [first, b'["b"]', b'["c"]']
    assert server.accepted == 2


@pytest.mark.parametrize(
    ("status", "first"), [("103 Early Hints", b'["a"]'), ("204 No Content", b""), ("304 Not Modified", b"")]
)
def test_what_comes_after_an_answer_without_a_body(start_raw, client_of, status, first):
    """It is never taken for the next tag's answer, however late it comes; an interim answer is waited beyond."""

    def serve(connection, number):
        for tag in tags_asked(connection):
            if number == 1:
                connection.sendall(f"HTTP/1.1 {status}\r\n\r\n".encode())
                select.select([connection], [], [], 0.3)  # until the next request, or the end, if there is one
            connection.sendall(page_of(tag))

    assert rows_of(client_of(start_raw(serve).url), "a", "b", "c") == [first, b'["b"]', b'["c"]']


def test_an_answer_that_nobody_asked_for(start_raw, client_of):
    """An answer that comes once more while the connection rests is not taken for the next tag's."""
    read, sent = threading.Event(), threading.Event()

    def serve(connection, number):
        for tag in tags_asked(connection):
            connection.sendall(page_of(tag))
            if number == 1:
                read.wait(30)
                connection.sendall(STALE)
                sent.set()

    server = start_raw(serve)
    client = client_of(server.url)
    first = rows_of(client, "a")
    read.set()
    assert sent.wait(30)
    assert (first, rows_of(client, "b", "c"), server.accepted) == ([b'["a"]'], [b'["b"]', b'["c"]'], 2)


def test_tls(start_sandbox, client_of, certificate, authority_file, monkeypatch):
    """HTTPS works with the authority that `REQUESTS_CA_BUNDLE` names; a file that is not there ends it at once."""
    sandbox = start_sandbox([CAMPAIGN], **certificate, api_key=KEY)
    untrusted = failure_of(client_of(sandbox.url))
    assert (untrusted.what, untrusted.retryable, sandbox.requests) == (
        "no secure connection to the server: its certificate is not trusted (see REQUESTS_CA_BUNDLE)",
        False,
        [],
    )
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", authority_file)
    assert client_of(sandbox.url).fetch_page("promo", 1).row_count == 5
    other = failure_of(client_of(sandbox.url.replace("127.0.0.1", "localhost")))
    assert other.what == "no secure connection to the server: its certificate is for another host"
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", f"{authority_file}.missing")
    with pytest.raises(errors.SettingsError, match="does not exist; correct that variable"):
        client_of(sandbox.url)


def test_a_dripping_answer_over_tls_ends_in_time(start_raw, client_of, certificate, authority_file, monkeypatch):
    """The timeout bounds the whole answer there, too."""
    ended, context = threading.Event(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(**certificate)

    def serve(connection, number):
        with context.wrap_socket(connection, server_side=True) as secured:
            drip(DRIPS["body"], ended)(secured, number)

    monkeypatch.setenv("REQUESTS_CA_BUNDLE", authority_file)
    error = failure_of(client_of(start_raw(serve).url.replace("http:", "https:"), timeout=0.3))
    assert (type(error), ended.is_set()) == (errors.ResponseTimeout, False)
    ended.set()


def test_no_answer(start_sandbox, client_of, assert_hidden, monkeypatch):
    """Nobody who listens, no such host, no TLS and a proxy that fails are failed connections, said in words."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    proxy = f"http://someone:pr0xy-pass@127.0.0.1:{port}"
    plain = start_sandbox([CAMPAIGN]).url.replace("http:", "https:")
    for variable, url, what in (
        ("no_proxy", f"http://127.0.0.1:{port}/v1", "no answer: the connection was refused"),
        ("no_proxy", "https://nowhere.invalid/v1", "no answer: the host name can't be resolved"),
        ("no_proxy", plain, "no secure connection to the server: what answers there does not speak TLS"),
        ("https_proxy", "https://api.invalid/v1", "no answer: the proxy named by the environment can't be used"),
    ):
        monkeypatch.setenv(variable, proxy)
        error = failure_of(client_of(url))
        assert (what, None, None) == (error.what, error.__cause__, error.__context__)
        assert_hidden(KEY, error)
        assert_hidden("pr0xy-pass", error)


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "https_proxy"])
def test_loopback_is_never_reached_through_a_proxy(start_raw, answer_with, client_of, monkeypatch, variable):
    """Whatever proxy the environment names, a base URL on loopback is asked directly: the key stays here."""
    proxy, server = start_raw(answer_with(body=b"{}")), start_raw(answer_with(body=PAGE))
    monkeypatch.setenv(variable, proxy.url.removesuffix("/v1"))
    client = client_of(server.url)
    assert (client.fetch_page("t", 1).rows_json, proxy.accepted) == (b"[]", 0)


def test_tls_through_a_proxy(start_sandbox, start_raw, client_of, authority, authority_file, tmp_path, monkeypatch):
    """Through a proxy, HTTPS is tunnelled: it sees where to, and nothing of requests; connections are kept."""
    seen = []
    certificate = tmp_path / "api.pem"
    authority.issue_cert("api.invalid").private_key_and_cert_chain_pem.write_to_path(certificate)
    sandbox = start_sandbox([CAMPAIGN], certfile=str(certificate), api_key=KEY)
    port = sandbox.url.removesuffix("/v1").rpartition(":")[2]

    def serve(connection, _number):
        seen.append(connection.recv(65536))
        with socket.create_connection(("127.0.0.1", int(port))) as onward:
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
    client = client_of(f"https://api.invalid:{port}/v1")
    assert [client.fetch_page("promo", 1).row_count for _ in range(3)] == [5, 5, 5]
    assert [line.split(b" ")[:2] for line in seen] == [[b"CONNECT", f"api.invalid:{port}".encode()]]


def test_what_the_http_libraries_print(start_raw, client_of, monkeypatch, capfd, caplog):
    """Requests stay silent where http.client debugs, and where urllib3 warns of head lines that it can't parse."""
    monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 1)
    server = start_raw(once(HEAD + b"X-Fine: 1\r\nno colon in this line\r\n\r\n" + PAGE))
    assert client_of(server.url).fetch_page("t", 1).rows_json == b"[]"
    assert capfd.readouterr() == ("", "")
    assert [record for record in caplog.records if record.levelno > logging.DEBUG] == []
