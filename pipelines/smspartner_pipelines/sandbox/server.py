"""The sandbox: campaigns and faults behind an HTTP server that runs for as long as it is asked to."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Event, Lock, Thread
from types import TracebackType
from typing import TYPE_CHECKING

from smspartner_pipelines.sandbox.campaigns import Campaign, demo_campaigns
from smspartner_pipelines.sandbox.faults import Fault, FaultSchedule
from smspartner_pipelines.sandbox.http_server import HttpServer, tls_context
from smspartner_pipelines.sandbox.responder import RequestRecord, Responder
from smspartner_pipelines.sandbox.transport_faults import TRANSPORT_FAULTS

if TYPE_CHECKING:
    from smspartner_pipelines.sandbox.answers import Answer
    from smspartner_pipelines.sandbox.fault_table import Strike
    from smspartner_pipelines.sandbox.wire import Wire

_POLL_SECONDS = 0.01  # `stop` waits that long at most for the listening thread


class Sandbox:
    """A stand-in of the API on loopback; a context manager that serves while it is entered.

    Args:
        campaigns: the populations to serve; None serves `demo_campaigns`, sent relative to now.
        faults: what goes wrong, from the first request on; see also the attribute `faults`.
        page_size: rows on a page.
        latency: seconds every answer waits.
        api_key: the key that is accepted; None accepts any.
        clock: gives the time in epoch seconds, which decides what is still waiting.
        port: 0 takes a free one.
        host: the address to listen on.
        certfile: a PEM certificate makes it an HTTPS server.
        keyfile: the certificate's key, unless `certfile` holds it.

    Attributes:
        faults: the schedule; faults can be added and cleared while the sandbox runs.
    """

    def __init__(
        self,
        campaigns: Iterable[Campaign] | None = None,
        *,
        faults: Iterable[Fault] = (),
        page_size: int = 1000,
        latency: float = 0.0,
        api_key: str | None = "sandbox-key",
        clock: Callable[[], float] = time.time,
        port: int = 0,
        host: str = "127.0.0.1",
        certfile: str | Path | None = None,
        keyfile: str | Path | None = None,
    ) -> None:
        self.faults = FaultSchedule(faults)
        self._latency = latency
        self._address = (host, port)
        self._responder = Responder(self.faults, page_size=page_size, api_key=api_key, clock=clock)
        for campaign in demo_campaigns(int(clock())) if campaigns is None else campaigns:
            self._responder.set_campaign(campaign)
        self._tls = tls_context(certfile, keyfile) if certfile else None
        self._lock = Lock()
        self._requests: list[RequestRecord] = []
        self._in_flight = 0
        self._peak_in_flight = 0
        self._stopping = Event()
        self._server: HttpServer | None = None
        self._thread: Thread | None = None

    def __enter__(self) -> Sandbox:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Listen and serve, in threads of its own.

        Raises:
            OSError: the port is taken.
        """
        if self._server is not None:
            raise RuntimeError("the sandbox runs already")
        self._stopping.clear()
        self._server = HttpServer(self._address, self._exchange, self._stopping, self._tls)
        self._thread = Thread(target=self._server.serve_forever, args=(_POLL_SECONDS,), name="sandbox", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End all connections, also those that a fault holds, and stop; harmless when it does not run."""
        with self._lock:  # whoever comes second finds nothing left to stop
            server, thread = self._server, self._thread
            self._server = self._thread = None
        if server is None or thread is None:
            return
        self._stopping.set()
        server.shutdown()
        server.server_close()
        server.end_connections()
        thread.join()

    def wait(self, seconds: float) -> bool:
        """Wait until the sandbox is stopped, or that long; tell whether it is stopped."""
        return self._stopping.wait(seconds)

    @property
    def url(self) -> str:
        """The base URL, such as `http://127.0.0.1:8025/v1`."""
        if self._server is None:
            raise RuntimeError("the sandbox does not run, so it has no URL")
        return f"{'https' if self._tls else 'http'}://{self._address[0]}:{self._server.server_port}/v1"

    @property
    def requests(self) -> list[RequestRecord]:
        """A copy of the log, oldest first; a request is in it before its answer leaves."""
        with self._lock:
            return list(self._requests)

    @property
    def peak_in_flight(self) -> int:
        """The most requests that waited for their answers at one time."""
        return self._peak_in_flight

    def forget_requests(self) -> None:
        """Empty the log, and measure `peak_in_flight` anew."""
        with self._lock:
            self._requests.clear()
            self._peak_in_flight = self._in_flight

    def set_campaign(self, campaign: Campaign) -> None:
        """Serve this population under its tag from the next request on."""
        self._responder.set_campaign(campaign)

    def remove_campaign(self, tag: str) -> None:
        """Know nothing under this tag from the next request on."""
        self._responder.remove_campaign(tag)

    def _exchange(self, target: str, headers: Mapping[str, str], wire: Wire) -> None:
        """Answer one request."""
        self._begin()
        wire.on_end = self._end
        try:
            answer, strikes = self._respond(target, headers)
            wire.pause(self._latency)
            for apply, strike in TRANSPORT_FAULTS.of(strikes):
                remaining = apply(wire, answer, strike)
                if remaining is None:
                    return
                answer = remaining
            wire.answer(answer)
        finally:
            wire.settle()

    def _respond(self, target: str, headers: Mapping[str, str]) -> tuple[Answer, tuple[Strike, ...]]:
        response = self._responder.respond(target, headers, time.monotonic())
        with self._lock:
            self._requests.append(response.record)
        return response.answer, response.strikes

    def _begin(self) -> None:
        with self._lock:
            self._in_flight += 1
            self._peak_in_flight = max(self._peak_in_flight, self._in_flight)

    def _end(self) -> None:
        with self._lock:
            self._in_flight -= 1


def serve(sandbox: Sandbox, ready: Callable[[str], None]) -> None:
    """Serve until Ctrl-C, or until another thread stops the sandbox; `ready` is told the URL once."""
    with suppress(KeyboardInterrupt), sandbox:
        ready(sandbox.url)
        while not sandbox.wait(0.5):  # in steps, since some platforms hold Ctrl-C back while a thread waits
            pass
