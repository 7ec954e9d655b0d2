"""An S3-compatible object store on loopback, in a process of its own: moto's, with faults that tests order.

It prints its endpoint's URL on one line, and stops when its standard input closes. `PUT /!faults` takes a JSON list of
faults and forgets the requests so far; `GET /!requests` lists the requests since then, as [method, path]. A fault:

    method, key     which requests it strikes: the method, a pattern found in the path (default: all but GET and HEAD)
    after, times    how many of those it lets pass first (default 0), and how many it strikes (default all)
    status, code    the answer, instead of the store's
    cut             the connection ends within the request's body
    cut_after       the connection ends without an answer, once the request was carried out
    unconditional   the store knows nothing of conditions
    kill            the process of this id is killed, and the request is not carried out
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

Environ = dict[str, Any]
Start = Callable[..., Any]
READING = {"GET", "HEAD"}


class Faulty:
    """The store behind the faults."""

    def __init__(self, store: Callable[[Environ, Start], Iterable[bytes]]) -> None:
        self._store = store
        self._faults: list[dict[str, Any]] = []
        self._requests: list[tuple[str, str]] = []
        self._lock = threading.Lock()

    def __call__(self, environ: Environ, start: Start) -> Iterable[bytes]:
        """Answer a request."""
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        if path == "/!faults":
            self._faults = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
            self._requests = []
            return answer(start, "200 OK", b"")
        if path == "/!requests":
            return answer(start, "200 OK", json.dumps(self._requests).encode())
        with self._lock:
            self._requests.append((method, path))
            fault = next((one for one in self._faults if strikes(one, method, path)), {})
        if "kill" in fault:
            os.kill(fault["kill"], signal.SIGKILL)
            return answer(start, "503 Killed", b"")
        if fault.get("cut"):
            environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]) // 2)
            environ["werkzeug.socket"].shutdown(2)
            return []
        if fault.get("unconditional"):
            environ.pop("HTTP_IF_NONE_MATCH", None)
        if "status" in fault:
            code = f"<Error><Code>{fault['code']}</Code><Message>as ordered</Message></Error>"
            return answer(start, f"{fault['status']} Fault", b"" if method == "HEAD" else code.encode())
        with self._lock:  # moto looks whether an object exists, then puts it; here nothing comes between
            done = list(self._store(environ, start))
        if fault.get("cut_after"):
            environ["werkzeug.socket"].shutdown(2)
        return done


def strikes(fault: dict[str, Any], method: str, path: str) -> bool:
    """Whether a fault strikes a request; it counts those that fit."""
    wanted = fault.get("method")
    if (method in READING if wanted is None else method != wanted) or not re.search(fault.get("key", ""), path):
        return False
    number = fault["seen"] = fault.get("seen", 0) + 1
    after = fault.get("after", 0)
    return bool(after < number <= after + fault.get("times", sys.maxsize))


def answer(start: Start, status: str, body: bytes) -> list[bytes]:
    """Answer with a body."""
    start(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
    return [body]


class Quiet(WSGIRequestHandler):
    """Handles requests without a word; connections stay open from one to the next."""

    protocol_version = "HTTP/1.1"

    def log(self, *_: Any) -> None:
        """Say nothing."""


def main() -> None:
    """Serve until standard input closes."""
    store = DomainDispatcherApplication(create_backend_app)
    server = make_server("127.0.0.1", 0, Faulty(store), threaded=True, request_handler=Quiet)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write(f"http://127.0.0.1:{server.server_port}\n")
    sys.stdout.flush()
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
