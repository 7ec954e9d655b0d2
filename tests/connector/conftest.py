"""A clock that waits without waiting, a raw socket server, and the search for a key in whatever is raised."""

import base64
import json
import threading
import time
import traceback
from contextlib import ExitStack
from urllib.parse import quote, quote_plus

import pytest
from smspartner_pipelines.sandbox.http_server import HttpServer


class Clock(threading.Event):
    """A stop event that nobody waits for in vain: waiting moves the monotonic clock, and is remembered."""

    def __init__(self):
        super().__init__()
        self.now = 1000.0
        self.waits = []

    def wait(self, timeout=None):
        """Move the clock."""
        self.waits.append(timeout or 0.0)
        self.now += timeout or 0.0
        return self.is_set()


@pytest.fixture
def clock(monkeypatch):
    """The monotonic clock of the test, which is also the run's stop event."""
    made = Clock()
    monkeypatch.setattr(time, "monotonic", lambda: made.now)
    return made


class RawServer(HttpServer):
    """Gives each connection on loopback to `serve`, with its number from 1, in a thread of its own."""

    def __init__(self, serve):
        self._serve = serve
        self._numbers = {}
        super().__init__(("127.0.0.1", 0), None, None)
        self.url = f"http://127.0.0.1:{self.server_address[1]}/v1"

    @property
    def accepted(self):
        """How many connections there were."""
        return len(self._numbers)

    def process_request(self, request, client_address):
        """Number a connection."""
        self._numbers[request] = self.accepted + 1
        super().process_request(request, client_address)

    def finish_request(self, request, *_address):
        """Serve it."""
        self._serve(request, self._numbers[request])


@pytest.fixture
def start_raw():
    """Start raw servers; all stop when the test ends."""
    with ExitStack() as running:

        def start(serve):
            server = RawServer(serve)
            running.callback(server.stop)
            return server

        yield start


@pytest.fixture
def answer_with():
    """Make the `serve` of a server that gives one answer, byte for byte, to every request of every connection."""

    def make(*head, body=b"", status="200 OK"):
        lines = [f"HTTP/1.1 {status}", *head, f"Content-Length: {len(body)}"]
        answer = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body

        def serve(connection, _number):
            received = b""
            while chunk := connection.recv(65536):
                received += chunk
                if received.endswith(b"\r\n\r\n"):
                    received = b""
                    connection.sendall(answer)

        return serve

    return make


def _spellings(key):
    """The ways a key may be written: what a reader of a leaked text would try."""
    raw = key.encode()
    return {
        *(key, quote(key), quote(key, safe=""), quote_plus(key), quote(quote(key, safe=""), safe="")),
        *(base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode(), raw.hex()),
        *(json.dumps(key)[1:-1], repr(key)[1:-1], ascii(key)[1:-1]),
    }


def _told(exc):
    """Everything an exception tells to whoever prints, logs or inspects it and what it is chained to."""
    if exc is None:
        return ""
    facts = vars(exc)
    parts = [str(exc), repr(exc), repr(exc.args), repr(facts), "".join(traceback.format_exception(exc))]
    return "\n".join([*parts, _told(exc.__cause__), _told(exc.__context__)])


@pytest.fixture
def assert_hidden():
    """Assert that no spelling of a key is in a text, or in anything an exception tells."""

    def check(key, told):
        text = _told(told) if isinstance(told, BaseException) else str(told)
        assert [spelling for spelling in _spellings(key) if spelling in text] == []

    return check
